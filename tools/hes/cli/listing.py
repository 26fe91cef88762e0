"""`ami-hes list`: jobs, concentrators and the last events."""

from __future__ import annotations

import argparse
import time
import uuid
from typing import Any

from rich.console import Console
from rich.text import Text

from tools.hes.cli import show
from tools.hes.cli.concentrator import hints, stands
from tools.hes.cli.watch import service_problem
from tools.hes.store.records import Counted
from tools.hes.store.states import REJECTED
from tools.hes.store.store import Store

WIDE = 110  # columns of a window in which no cell needs two lines


def add_parser(commands: Any) -> None:
    listing = commands.add_parser("list", help="jobs, concentrators and the last events")
    listing.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    everything = Store(options.db)
    store = everything.reports
    console = Console()
    wide = console.width >= WIDE
    jobs = show.table(
        "Jobs",
        *("Job", "Submitted", "Concentrator", "Kind", "State", "Meters", "OK", "KO", "Ends"),
        apart=3 if wide else 1,
    )
    for job in store.jobs():
        state = job.state + (", cancel %s" % job.cancel_state if job.cancel_state else "")
        jobs.add_row(
            str(uuid.UUID(bytes=job.id))[:8],
            show.date(job.submitted),
            job.concentrator,
            job.kind,
            Text(state if wide else state.replace(" ", "\n")),
            str(job.meters),
            str(job.ok + job.value),
            str(job.ko if job.state != REJECTED else job.meters - job.ok - job.value),
            _ends(job) if wide else _ends(job).partition(" (")[0],
        )
    places = show.table(
        "Concentrators",
        *("Concentrator", "Line", "Last heard", "Firmware", "Runtime", "Jobs", "Meters"),
        apart=3 if wide else 2,
    )
    for place in store.concentrators():
        places.add_row(
            place.id,
            stands(place, store.now()),
            show.date(place.seen),
            Text(place.firmware),
            Text(place.runtime),
            str(place.jobs_open),
            "%d of %d reachable" % (place.meters_reachable, place.meters_known),
        )
    heard = [place.id for place in store.concentrators()]
    for enrolled in everything.enrolment.all():
        if enrolled.concentrator not in heard:
            places.add_row(enrolled.concentrator, Text("never heard", "yellow"), *["-"] * 5)
    events = show.table("Last events", "When", "Concentrator", "What")
    for event in reversed(store.events(10)):
        what = Text("%s: %s" % (event.name, event.detail))
        events.add_row(show.date(event.time), Text(event.concentrator), what)
    for table in (jobs, places, events):
        if table.row_count:
            console.print(table)
            if not table.show_edge:
                console.print()
    for hint in hints(everything):
        console.print(hint, markup=False, soft_wrap=True, highlight=False)
    problem = service_problem(store)
    console.print(problem or "`ami-hes serve` is connected to the broker.", markup=False)
    return 0


def _ends(job: Counted) -> str:
    """When the concentrator expects it to."""
    if not job.ends or job.ok + job.value + job.ko == job.meters:
        return "-"
    now = time.time()
    return show.ends(job.ends, now) if job.ends >= now else "overdue"
