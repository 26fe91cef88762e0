"""What is done with a job that was ordered: `ami-hes watch`, `report`, `cancel`, `pause`, `resume`
and `retry`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import uuid
from pathlib import Path
from typing import Any

from rich.console import Console

from tools.hes import report
from tools.hes.cli import show
from tools.hes.cli.arguments import add_key, add_watch
from tools.hes.cli.watch import follow, kept, service_problem, status
from tools.hes.orders import order
from tools.hes.store.store import Store
from tools.package.keys import SigningKey


def add_parsers(commands: Any) -> None:
    for name, run, what in (
        ("watch", _watch, "follow a job until it is over, then report"),
        ("report", _report, "the remote-work report of a job"),
        ("cancel", _cancel, "cancel a job"),
        ("pause", _pause, "begin with no further meter of a job"),
        ("resume", _resume, "go on with a paused job"),
        ("retry", _retry, "order the same again of the meters that ended KO, for a day"),
    ):
        command = commands.add_parser(name, help=what, description=what)
        command.add_argument(
            "job", metavar="JOB", help='id or its first digits, from `list`; "last": the newest job'
        )
        command.set_defaults(run=run)
        if name in ("cancel", "pause", "resume", "retry"):
            add_key(command)
        if name == "retry":
            add_watch(command)
        if name == "report":
            command.add_argument(
                "--json", metavar="FILE", help="also write it for machines; -: only that, to stdout"
            )


def _watch(options: argparse.Namespace) -> int:
    store = Store(options.db).reports
    return follow(store, store.find_job(options.job))


def _report(options: argparse.Namespace) -> int:
    store = Store(options.db).reports
    made = report.build(store, store.find_job(options.job))
    if options.json != "-":
        Console().print(show.render_report(made))
    if options.json:
        text = json.dumps(made, indent=2)
        if options.json == "-":
            print(text)
        else:
            Path(options.json).write_text(text + "\n")
    return status(made)


def _cancel(options: argparse.Namespace) -> int:
    store = Store(options.db)
    job_id = store.orders.find_job(options.job)
    order.cancel(store.orders, SigningKey.load(options.key), job_id)
    print("cancel of %s is kept; each meter stops at its next safe point" % uuid.UUID(bytes=job_id))
    problem = service_problem(store.reports)
    if problem:
        print("ami-hes: %s" % problem, file=sys.stderr)
    return 0


def _pause(options: argparse.Namespace) -> int:
    return _pause_or_resume(options, True)


def _resume(options: argparse.Namespace) -> int:
    return _pause_or_resume(options, False)


def _pause_or_resume(options: argparse.Namespace, paused: bool) -> int:
    store = Store(options.db)
    job_id = store.orders.find_job(options.job)
    order.pause(store.orders, SigningKey.load(options.key), job_id, paused)
    then = "the meters in hand are finished, no other begins" if paused else "its meters go on"
    name = "pause" if paused else "resume"
    print("%s of %s is kept; once it arrives %s" % (name, uuid.UUID(bytes=job_id), then))
    problem = service_problem(store.reports)
    if problem:
        print("ami-hes: %s" % problem, file=sys.stderr)
    return 0


def _retry(options: argparse.Namespace) -> int:
    store = Store(options.db)
    key = SigningKey.load(options.key)
    job_id = order.retry(store.orders, key, store.orders.find_job(options.job), time.time())
    return kept(store, job_id, options.watch)
