"""The figures of `ami-bench daily` in words and a table."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from tools.bench import mass_channel
from tools.bench.mass_show import aim

METERS = 1000  # to which the aims apply
MEDIUM, RATIO, STARTS_MS = 0.9, 1.25, 5000
COMPLETE = {"night": 0.999, "bad": 0.98, "asked": 0.999}
FORMULA = (
    "least = sum over the meters that answer of hops x sum over the frames of a conversation of"
    " t(n) / (1 - p); the frames are those of the meter that had the fewest, in a night after the"
    " first: association, clock, rows, release"
)
ROWS = (
    "rows alone = the same, of the octets of the rows as A-XDR in frames of the longest that there"
    " was"
)
TITLES = {
    "night": "%(loss)d %% loss",
    "bad": "%(loss)d %% loss, %(silent)d silent till 06:00",
    "asked": "%(loss)d %% loss, readings on demand",
}


def notes(console: Console) -> None:
    for note in (*mass_channel.NOTES, FORMULA, ROWS):
        console.print("- " + note, soft_wrap=True)


def nights(console: Console, rows: dict[str, dict[str, Any]]) -> None:
    first = next(iter(rows.values()))
    meters = first["meters"]
    table = Table(title="The daily work of %d meters, octets a meter and day" % meters)
    table.add_column("", no_wrap=True)
    heads = ["time", "medium", "time / least", "/ rows alone", "by 08:00", "rows"]
    for head in [*heads, "encoded", "sealed", "A-XDR", "JSON", "starts after"]:
        table.add_column(head, justify="right", no_wrap=True)
    for name, row in rows.items():
        octets = ["%.0f" % (row[each] / meters) for each in ("encoded", "sealed", "axdr", "json")]
        table.add_row(
            TITLES[name] % {"loss": round(100 * row["loss"]), "silent": row["silent"]},
            "%d s" % round(row["took"] / 1000),
            "%.1f %%" % (100 * row["busy"] / row["took"]),
            "%.2f" % (row["took"] / row["least"]),
            "%.2f" % (row["took"] / row["rows_alone"]),
            "%.2f %%" % (100 * row["came"] / row["expected"]),
            "%d" % row["came"],
            *octets,
            "%.1f s" % (max(row["starts"]) / 1000) if row["starts"] else "",
        )
    console.print(table)
    sizes = first["conversation"]
    text = "a conversation: %d frames, %d octets of APDUs, ciphered"
    console.print(text % (len(sizes), sum(sizes)))
    for name, row in rows.items():
        again = ", ".join("%s %d" % each for each in sorted(row["again"].items())) or "none"
        console.print("tries without all rows, %s: %s" % (name, again), soft_wrap=True)
        if row["starts"]:
            _asked(console, row)
    if meters >= METERS:
        _aims(console, rows)


def _asked(console: Console, row: dict[str, Any]) -> None:
    """Of readings on demand."""
    middle = [sorted(row[name])[len(row[name]) // 2] / 1000 for name in ("starts", "ordered")]
    most = [max(row[name]) / 1000 for name in ("starts", "ordered")]
    text = (
        "%d readings on demand began %.1f s (median; at most %.1f s) after their order had come to"
        " the gateway, %.1f s (%.1f s) after it was given; this HES looks for orders each 5 s"
    )
    console.print(text % (len(row["starts"]), middle[0], most[0], middle[1], most[1]))


def _aims(console: Console, rows: dict[str, dict[str, Any]]) -> None:
    for name, row in rows.items():
        came, wanted = row["came"] / row["expected"], COMPLETE[name]
        words, values = "%s: complete by 08:00" % name, (100 * came, 100 * wanted)
        aim(console, words, "%.2f %%" % values[0], "%.1f %%" % values[1], came >= wanted)
    if "night" in rows:
        row = rows["night"]
        medium, ratio = row["busy"] / row["took"], row["took"] / row["least"]
        aim(console, "medium in use", "%.1f %%" % (100 * medium), "90 %", medium >= MEDIUM)
        aim(console, "time / least", "%.2f" % ratio, "%.2f" % RATIO, ratio <= RATIO)
        third = row["sealed"] / row["axdr"]
        aim(console, "sealed octets / A-XDR", "%.2f" % third, "0.33", third <= 1 / 3)
    starts = rows.get("asked", {}).get("starts")
    if starts:
        text = "%.1f s" % (max(starts) / 1000)
        aim(console, "a reading on demand starts after", text, "5 s", max(starts) <= STARTS_MS)
