"""The figures of `ami-bench mass` in words and tables."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from tools.bench import mass_channel, mass_configure, mass_model
from tools.bench.mass_growth import LOSS
from tools.bench.mass_sizes import Sizes

AIMS = {0.02: 1.3, 0.1: 1.4, 0.2: 1.6}  # times the oracle's time, by loss a frame and hop
UNICAST_AIM = 100  # times faster than a meter at a time, at the least loss
METERS, SIZE = 1000, 128 * 1024  # to which the aims apply


def notes(console: Console, sizes: Sizes) -> None:
    for note in mass_channel.NOTES:
        console.print("- " + note, soft_wrap=True)
    console.print("- " + mass_model.ORACLE, soft_wrap=True)
    console.print("- " + mass_model.UNICAST, soft_wrap=True)
    to_all = "- APDUs in bytes, ciphered: a block to all %d; to one, and its answer:"
    console.print(to_all % sizes.broadcast)
    pairs = [(name, value) for name, value in vars(sizes).items() if name != "broadcast"]
    texts = ["%s %d + %d" % (name, *value) for name, value in pairs]
    console.print("  " + ", ".join(texts), soft_wrap=True)


def transfers(console: Console, rows: list[dict[str, Any]]) -> None:
    first = rows[0]
    full = first["meters"] == METERS and first["blocks"] * mass_channel.BLOCK >= SIZE
    table = _table(
        "An image of %d blocks for %d meters" % (first["blocks"], first["meters"]),
        ["loss", "O", "ours", "ours / O", "aim", "", "U / ours", "medium", "order to report"],
    )
    for row in rows:
        ratio, most = row["ratio"], AIMS[row["loss"]]
        table.add_row(
            "%d %%" % (100 * row["loss"]),
            _seconds(row["oracle"]["total_ms"]),
            _seconds(row["took"]),
            "%.2f" % ratio,
            "%.1f" % most if full else "",
            met(ratio <= most) if full else "",
            "%.0f" % (row["unicast_ms"] / row["took"]),
            "%.1f %%" % (100 * row["busy"] / row["took"]),
            _seconds(row["ordered"]),
        )
    console.print(table)
    if full:
        times = first["unicast_ms"] / first["took"]
        words = "faster than a meter at a time, %d %% loss" % (100 * first["loss"])
        aim(console, words, "%.0f x" % times, "%d x" % UNICAST_AIM, times >= UNICAST_AIM)
    names = [name for name in first["phases"] if any(row["phases"][name] for row in rows)]
    table = _table("Where the time goes", ["loss", *names])
    for row in rows:
        cells = [_seconds(row["phases"][name]) for name in names]
        table.add_row("%d %%" % (100 * row["loss"]), *cells)
    console.print(table)
    for row in rows:
        text = "gateway CPU time, %d %% loss: %.1f s (sampled; of %.1f s with the simulated world)"
        console.print(text % (100 * row["loss"], row["gateway_cpu_s"], row["cpu_s"]))
    table = _table("Blocks sent", ["loss", "broadcast", "unicast", "O broadcast", "O unicast"])
    for row in rows:
        sent, oracle = row["blocks_sent"], row["oracle"]
        cells = [sent.get("broadcast", 0), sent.get("request", 0)]
        cells += [oracle["broadcasts"], oracle["unicasts"]]
        table.add_row("%d %%" % (100 * row["loss"]), *[str(cell) for cell in cells])
    console.print(table)


def configurations(console: Console, rows: list[dict[str, Any]]) -> None:
    console.print("- " + mass_configure.FORMULA, soft_wrap=True)
    table = _table(
        "A configuration of %d bytes in %d attributes for %d meters"
        % (mass_configure.BYTES, len(mass_configure.PARAMETERS), rows[0]["meters"]),
        ["meters at once", "ms a write", "time", "medium", "least", "time / least"],
    )
    for row in rows:
        table.add_row(
            str(row["at_once"]),
            str(row["write_ms"]),
            _seconds(row["took"]),
            "%.1f %%" % (100 * row["busy"] / row["took"]),
            _seconds(row["least"]),
            "%.2f" % (row["took"] / row["least"]),
        )
    console.print(table)
    fast, slow, single = rows
    medium, least = fast["busy"] / fast["took"], fast["took"] / fast["least"]
    speed = single["took"] / slow["took"]
    aim(console, "medium utilisation", "%.1f %%" % (100 * medium), "90 %", medium >= 0.9)
    aim(console, "time / least", "%.2f" % least, "1.3", least <= 1.3)
    aim(console, "faster than one at a time", "%.1f x" % speed, "3 x", speed >= 3)


def urgency(console: Console, row: dict[str, Any]) -> None:
    starts, ends = row["urgent_starts"] / 1000, row["urgent_ends"] / 1000
    text = "%.1f s, result at the HES after %.1f s" % (starts, ends)
    aim(console, "urgent job starts after its order by", text, "25 s", starts <= 25)
    lost = 100 * row["lost"]
    aim(console, "the transfer loses by it", "%.2f %%" % lost, "1 %", lost < 1)


def growth(console: Console, rows: list[dict[str, Any]]) -> None:
    heads = ["meters", "time", "gateway CPU", "CPU with meters", "gateway's objects", "a meter"]
    table = _table("An image of %d blocks, %d %% loss" % (rows[0]["blocks"], 100 * LOSS), heads)
    for row in rows:
        table.add_row(
            str(row["meters"]),
            _seconds(row["took"]),
            "%.1f s" % row["gateway_cpu_s"],
            "%.1f s" % row["cpu_s"],
            "%.0f KiB" % (row["memory"] / 1024),
            "%.1f KiB" % (row["memory"] / 1024 / row["meters"]),
        )
    console.print(table)


def micropython(console: Console, row: dict[str, Any]) -> None:
    text = (
        "MicroPython, heap of %.2f MB, %d meters, image of %d KiB: all done; at most %.2f MB used,"
        " %.2f MB of it bytecode (which a board has in its flash); %.1f s of CPU"
    )
    megabytes = [row[name] / 1e6 for name in ("heap", "live", "code")]
    values = (megabytes[0], row["meters"], row["size"] // 1024, *megabytes[1:], row["cpu_s"])
    console.print(text % values, soft_wrap=True)


def aim(console: Console, what: str, is_: str, wanted: str, reached: bool) -> None:
    console.print("%s: %s (aim %s, %s)" % (what, is_, wanted, met(reached)))


def met(reached: bool) -> str:
    return "met" if reached else "NOT MET"


def _seconds(ms: int) -> str:
    return "%d s" % round(ms / 1000)


def _table(title: str, heads: list[str]) -> Table:
    table = Table(title=title)
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    return table
