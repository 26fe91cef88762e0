"""`ami-hes meters`: which meters of a concentrator are commissioned and reachable, since when."""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from typing import Any

from rich.console import Console
from rich.text import Text

from tools.hes.cli import show
from tools.hes.cli.watch import service_problem
from tools.hes.store.pages import NO_PATH
from tools.hes.store.problems import StoreProblem
from tools.hes.store.store import Store
from tools.hes.store.street import Street

STATES = ("unknown", "reachable", "unreachable")
_STYLES = ("", "green", "red")
_EVERY = 0.2  # seconds between two looks for an answer


def add_parser(commands: Any) -> None:
    command = commands.add_parser(
        "meters",
        help="which meters of a concentrator are reachable, since when, and who is a stranger",
        description="Ask the concentrator how its modems and meters stand, and show it.",
    )
    command.add_argument("concentrator", metavar="CONCENTRATOR")
    command.add_argument("--stored", action="store_true", help="do not ask, show what is known")
    command.add_argument("--wait", type=_seconds, default=60, metavar="SECONDS", help="default: 60")
    command.add_argument("--unreachable", action="store_true", help="only meters with no good path")
    command.add_argument("--meter", metavar="SERIAL", help="only this one, with its history")
    command.add_argument("--json", action="store_true", help="for machines")
    command.set_defaults(run=run)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 <= seconds <= 86400:
        raise argparse.ArgumentTypeError("expected 0..86400 seconds, got '%s'" % text)
    return seconds


def run(options: argparse.Namespace) -> int:
    """Exit status 0, 1 when the concentrator did not answer."""
    store = Store(options.db)
    if not store.street.heard_of(options.concentrator):
        raise StoreProblem(
            "no concentrator %s has been heard of; `ami-hes list` shows those that have"
            % options.concentrator
        )
    problem = "" if options.stored else _ask(store, options.concentrator, options.wait)
    found = standing(store.street, options.concentrator)
    if options.meter is not None:
        found["meters"] = [meter for meter in found["meters"] if meter["serial"] == options.meter]
        changes = store.street.way_changes(options.concentrator, options.meter)
        found["changes"] = [
            {"path": row.kind, "since": row.since, "state": STATES[row.state]} for row in changes
        ]
    if options.unreachable:
        found["meters"] = [
            meter
            for meter in found["meters"]
            if not any(path["state"] == "reachable" for path in meter["paths"])
        ]
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        _show(found, Console())
    if problem:
        Console(stderr=True).print("ami-hes: %s" % problem, markup=False, soft_wrap=True)
    return 1 if problem else 0


def _ask(store: Store, concentrator: str, wait: float) -> str:
    """Returns when all is here; else why not."""
    problem = service_problem(store.reports)
    if problem:
        return problem
    store.street.ask_meters(concentrator)
    end = time.monotonic() + wait
    while store.street.asking(concentrator):
        if time.monotonic() > end:
            store.street.stop_asking(concentrator)
            return "%s did not tell all of its meters within %g s; this is what is known" % (
                concentrator,
                wait,
            )
        time.sleep(_EVERY)
    return ""


def standing(store: Street, concentrator: str) -> dict[str, Any]:
    """All that is known, as --json prints it. Times are seconds since 1970 UTC, 0: never."""
    meters: dict[str, dict[str, Any]] = {}
    told = 0
    for row in store.ways(concentrator):
        told = max(told, row.told)
        meter = meters.setdefault(
            row.serial,
            {"serial": row.serial, "commissioned": row.place != NO_PATH, "paths": []},
        )
        if row.place != NO_PATH:
            meter["paths"].append(
                {
                    "path": row.kind,
                    "state": STATES[row.state],
                    "since": row.since,
                    "last_heard": row.heard,
                    "delivery_percent": row.delivery,
                    "silent_attempts": row.silent,
                    "changes": row.changes,
                    "registered": row.registered,
                }
            )
    return {
        "concentrator": concentrator,
        "told": told,
        "modems": [
            {
                "kind": row.kind,
                "up": row.up,
                "nodes": row.nodes,
                "counters": row.counters,
                "told": row.told,
            }
            for row in store.modems(concentrator)
        ],
        "meters": list(meters.values()),
        "strangers": [dataclasses.asdict(row) for row in store.strangers(concentrator)],
    }


def _show(found: dict[str, Any], console: Console) -> None:
    modems = show.table("Modems", "Path", "State", "Nodes", "Recoveries", "Now", "Told")
    for modem in found["modems"]:
        counters = modem["counters"]
        modems.add_row(
            Text(modem["kind"]),
            Text("up", "green") if modem["up"] else Text("down", "red"),
            str(modem["nodes"]),
            ", ".join(
                "%s %d" % (name, counters["recovery-" + name])
                for name in ("discover", "kick", "reset")
                if "recovery-" + name in counters
            )
            or "-",
            _hindered(counters, modem["told"]),
            show.date(modem["told"]),
        )
    meters = show.table(
        "Meters, as told %s" % show.date(found["told"]),
        "Meter",
        "Path",
        "State",
        "Since",
        "Last heard",
        "Rate",
        "Silent",
        "Changes",
    )
    for meter in found["meters"]:
        if not meter["commissioned"]:
            meters.add_row(Text(meter["serial"]), "-", Text("not commissioned", "yellow"))
        for path in meter["paths"]:
            state = path["state"]
            meters.add_row(
                Text(meter["serial"]),
                Text(path["path"]),
                Text(state, _STYLES[STATES.index(state)]),
                _date(path["since"]),
                _date(path["last_heard"]),
                "%d %%" % path["delivery_percent"],
                str(path["silent_attempts"] or "-"),
                str(path["changes"]),
            )
    strangers = show.table(
        "On the network, in nobody's inventory", "Node", "First told", "Last told"
    )
    for stranger in found["strangers"]:
        strangers.add_row(
            Text(stranger["what"]), show.date(stranger["first"]), show.date(stranger["last"])
        )
    changes = show.table("History", "Since", "Path", "State")
    for change in found.get("changes", []):
        changes.add_row(_date(change["since"]), Text(change["path"]), change["state"])
    for table in (modems, meters, strangers, changes):
        if table.row_count:
            console.print(table)
    good = [m for m in found["meters"] if any(p["state"] == "reachable" for p in m["paths"])]
    console.print("%s, %d of them reachable." % (show.meters(len(found["meters"])), len(good)))


def _hindered(counters: dict[str, int], told: int) -> str:
    """What of the modem's own keeps meters waiting, by what was told of it."""
    said = []
    if counters.get("budget-wait-ms"):
        back = told + counters["budget-wait-ms"] // 1000
        said.append("radio time used up, some again %s" % show.ends(back, time.time()))
    if counters.get("forming"):
        said.append("its network is still forming")
    if counters.get("full"):
        said.append("no room for one more conversation")
    return "; ".join(said) or "-"


def _date(seconds: int) -> str:
    # 1: the concentrator's clock was not set then.
    return "date unknown" if seconds == 1 else show.date(seconds)
