"""`ami-hes list`: jobs, concentrators and the last events."""

from __future__ import annotations

import argparse
import time
import uuid
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tools.hes.cli import show
from tools.hes.cli.watch import service_problem
from tools.hes.store.records import Counted
from tools.hes.store.store import Store


def add_parser(commands: Any) -> None:
    listing = commands.add_parser("list", help="jobs, concentrators and the last events")
    listing.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    store = Store(options.db).reports
    console = Console()
    jobs = Table(title="Jobs", title_justify="left", box=box.SIMPLE_HEAD)
    for name in ("Job", "Submitted", "Concentrator", "Kind", "State", "Meters", "OK", "KO", "Ends"):
        jobs.add_column(name)
    for job in store.jobs():
        jobs.add_row(
            str(uuid.UUID(bytes=job.id))[:8],
            show.date(job.submitted),
            job.concentrator,
            job.kind,
            Text(job.state + (", cancel %s" % job.cancel_state if job.cancel_state else "")),
            str(job.meters),
            str(job.ok + job.value),
            str(job.ko),
            _ends(job),
        )
    places = Table(title="Concentrators", title_justify="left", box=box.SIMPLE_HEAD)
    for name in ("Concentrator", "Line", "Last heard", "Firmware", "Runtime", "Jobs", "Meters"):
        places.add_column(name)
    for place in store.concentrators():
        places.add_row(
            place.id,
            Text("online", "green") if place.online else Text("offline", "red"),
            show.date(place.seen),
            Text(place.firmware),
            Text(place.runtime),
            str(place.jobs_open),
            "%d of %d reachable" % (place.meters_reachable, place.meters_known),
        )
    events = Table(title="Last events", title_justify="left", box=box.SIMPLE_HEAD)
    for name in ("When", "Concentrator", "What"):
        events.add_column(name, overflow="fold")
    for event in reversed(store.events(10)):
        what = Text("%s: %s" % (event.name, event.detail))
        events.add_row(show.date(event.time), event.concentrator, what)
    for table in (jobs, places, events):
        if table.row_count:
            console.print(table)
    problem = service_problem(store)
    console.print(problem or "`ami-hes serve` is connected to the broker.", markup=False)
    return 0


def _ends(job: Counted) -> str:
    """When the concentrator expects it to."""
    if not job.ends or job.ok + job.value + job.ko == job.meters:
        return "-"
    return show.ends(job.ends, time.time())
