"""Live progress of a job, from the store."""

from __future__ import annotations

import sys
import time
import uuid

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tools.hes import report
from tools.hes.cli import show
from tools.hes.cli.concentrator import unheard
from tools.hes.store.reports import Reports
from tools.hes.store.store import Store

EVERY = 0.25  # seconds
LAST = 12  # meters shown, those that changed last
SILENT = 10  # seconds without a sign of life before `serve` counts as not running


def watch(store: Reports, job_id: bytes, console: Console) -> report.Json:
    """Show the job until it is over; returns its report. On a screen live, else a line for each
    change.
    """
    if not console.is_terminal:
        return _lines(store, job_id, console)
    with Live(console=console, refresh_per_second=8, transient=True) as live:
        while True:
            current = report.build(store, job_id)
            live.update(progress(current, store))
            if current["finished"]:
                return current
            time.sleep(EVERY)


def _lines(store: Reports, job_id: bytes, console: Console) -> report.Json:
    shown: dict[str, tuple[str, str]] = {}
    warned = told = ""
    while True:
        current = report.build(store, job_id)
        for meter in current["meters"]:
            state = meter["result"], meter["state"]
            if meter["attempts"] and shown.get(meter["serial"]) != state:
                shown[meter["serial"]] = state
                console.print(
                    Text("%s %s %s" % (meter["serial"], meter["result"], _why(meter))),
                    soft_wrap=True,
                )
        if current["finished"]:
            return current
        now = show.outlook(current).plain
        if now and now != told:
            console.print(Text(now), soft_wrap=True)
        told = now
        warning = service_problem(store) or ""
        if warning and warning != warned:
            console.print(Text(warning, "yellow"), soft_wrap=True)
        warned = warning
        time.sleep(EVERY)


def progress(current: report.Json, store: Reports) -> RenderableType:
    """The job now: its state, how far it is, the meters that changed last, what is in the way."""
    summary = current["summary"]
    done = summary["meters"] - summary["pending"]
    bar = Table.grid(padding=(0, 1))
    bar.add_row(
        ProgressBar(total=summary["meters"], completed=done, width=40),
        Text("%d of %d meters" % (done, summary["meters"])),
    )
    recent = sorted(
        (meter for meter in current["meters"] if meter["updated"]),
        key=lambda meter: int(meter["updated"]),
    )
    rows = Table.grid(padding=(0, 2))
    for meter in recent[-LAST:]:
        rows.add_row(
            Text(meter["serial"]),
            Text(meter["result"], show.STYLES[meter["result"]]),
            Text(meter["path"] or "-"),
            Text(show.tries(meter["attempts"]), "dim"),
            Text(_why(meter), "dim"),
        )
    heading = Text("Job %s on %s: " % (current["job"][:8], current["concentrator"]))
    heading.append_text(show.state_line(current))
    problem = service_problem(store)
    tail = Text(problem, "yellow") if problem else show.summary_line(current)
    now = show.outlook(current)
    return Group(heading, bar, *([now] if now else []), rows, tail)


def _why(meter: report.Json) -> str:
    return str(meter["sentence"] if meter["reason"] else meter["state"])


def service_problem(store: Reports) -> str | None:
    """Why nothing moves, and what to do; None if `serve` is at work."""
    service = store.service()
    # Before 0: the clock was put back since.
    if service is None or abs(service.silent) > SILENT:
        return (
            "`ami-hes serve` is not running on %s, so nothing is sent or received. Start it:"
            " ami-hes --db %s serve --broker mqtt://HOST --line-key line.pem"
            % (store.name, store.name)
        )
    if service.status != "connected":
        return "`ami-hes serve` has no connection to %s: %s" % (service.broker, service.status)
    return None


def problems(store: Store, concentrator: str) -> tuple[str | None, str | None]:
    """Why what is kept for the concentrator does not reach it: nobody knows it; `serve` does not
    work. None: it is not so.
    """
    return unheard(store.enrolment, concentrator), service_problem(store.reports)


def kept(store: Store, job_id: bytes, watched: bool) -> int:
    print(uuid.UUID(bytes=job_id))
    unknown, idle = problems(store, store.reports.job(job_id).concentrator)
    for problem in (unknown, idle if not watched else None):
        if problem:
            print("ami-hes: the job is kept. %s" % problem, file=sys.stderr)
    return follow(store.reports, job_id) if watched else 0


def follow(store: Reports, job_id: bytes) -> int:
    console = Console()
    final = watch(store, job_id, console)
    console.print(show.render_report(final))
    return status(final)


def status(made: report.Json) -> int:
    summary = made["summary"]
    return 0 if made["finished"] and not summary["ko"] else 1
