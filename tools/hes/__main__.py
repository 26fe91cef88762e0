"""`ami-hes`: the AMI system's end of the line. Orders work for meters, follows it, reports it."""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import json
import os
import sqlite3
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway.contract.window import Daily
from hal.rt import log
from tools.hes import meters, order, report, security
from tools.hes.service import Broker, BrokerProblem, Service
from tools.hes.store import Store, StoreProblem
from tools.hes.watch import service_problem, watch
from tools.package import image
from tools.package.keys import KeyProblem, SigningKey

DATABASE = "hes.sqlite"

_DESCRIPTION = """\
Order work for meters, follow it, and report it.

One process serves the concentrators; the other commands may run at any time, also while it is down:
  ami-hes serve --broker mqtt://user:password@localhost
  ami-hes submit --concentrator c1 --package FILE.pkg --meters meters.jsonl --key hes.pem --watch
  ami-hes submit --concentrator c1 --package FILE.pkg --meters A1 --key hes.pem --dry-run --watch
  ami-hes submit --concentrator c1 --read "clock 0.0.1.0.0.255 time" --meters A1,A2 --key hes.pem
  ami-hes list
  ami-hes report last
  ami-hes retry last --key hes.pem
  ami-hes meters c1

Keys are made by `ami-package keygen`; the concentrator's settings must list the public half.
"""


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0: done (watch, report: every meter OK or read); 1: not; 2: wrong usage."""
    options = _parser().parse_args(arguments)
    try:
        status: int = options.run(options)
        return status
    except (
        StoreProblem,
        order.OrderProblem,
        security.SecurityProblem,
        KeyProblem,
        BrokerProblem,
    ) as error:
        print("ami-hes: %s" % error, file=sys.stderr)
    except sqlite3.Error as error:
        print("ami-hes: %s: %s" % (options.db, error), file=sys.stderr)
    except OSError as error:
        print("ami-hes: %s: %s" % (error.filename, error.strerror), file=sys.stderr)
    except KeyboardInterrupt:
        print("ami-hes: stopped; the orders stand", file=sys.stderr)
    return 1


def _serve(options: argparse.Namespace) -> int:
    broker = Broker.parse(
        os.environ.get("AMI_HES_BROKER", "") if options.broker is None else options.broker,
        options.ca,
        options.cert,
        options.cert_key,
    )
    time_key = None if options.time_key is None else SigningKey.load(options.time_key)
    log.set_level(options.log_level)
    store = Store(options.db)
    with _alone(options.db):
        asyncio.run(Service(store, broker, time_key=time_key).run())
    return 0


@contextmanager
def _alone(database: Path) -> Iterator[None]:
    """One `serve` a database: two would answer everything twice."""
    with open("%s.lock" % database, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreProblem("`ami-hes serve` is already running on %s" % database) from None
        yield


def _submit(options: argparse.Namespace) -> int:
    not_before, not_after = order.window(options.start, options.end, options.duration, time.time())
    terms = order.Terms(
        options.priority,
        not_before,
        not_after,
        options.tries,
        order.parse_duration(options.backoff),
        _daily(options, not_after),
        order.parse_canary(options.canary) if options.canary else None,
    )
    meters = order.parse_meters(options.meters)
    key = SigningKey.load(options.key)
    store = Store(options.db)
    if options.package is not None:
        raw = options.package.read_bytes()
        to = (store, key, options.concentrator, meters, terms, raw)
        if not image.is_image(raw):
            if options.activate:
                raise order.OrderProblem("--activate goes with an image, not a configuration")
            job_id = order.configure(*to, dry_run=options.dry_run)
        elif options.dry_run:
            raise order.OrderProblem("--dry-run goes with a configuration, not an image")
        else:
            at = order.parse_moment(options.activate) if options.activate else 0
            job_id = order.transfer_image(*to, activation=at)
    elif options.dry_run or options.activate:
        raise order.OrderProblem("--dry-run and --activate go with --package")
    else:
        attributes = [order.parse_attribute(text) for text in options.read]
        job_id = order.read(store, key, options.concentrator, meters, terms, attributes)
    return _kept(store, job_id, options.watch)


def _daily(options: argparse.Namespace, not_after: int) -> Daily | None:
    if options.daily is None:
        if options.days or options.zone:
            raise order.OrderProblem("--days and --zone go with --daily")
        return None
    return order.parse_daily(options.daily, options.days, options.zone, time.time(), not_after)


def _retry(options: argparse.Namespace) -> int:
    store = Store(options.db)
    key = SigningKey.load(options.key)
    job_id = order.retry(store, key, store.find_job(options.job), time.time())
    return _kept(store, job_id, options.watch)


def _kept(store: Store, job_id: bytes, follow: bool) -> int:
    print(uuid.UUID(bytes=job_id))
    if follow:
        return _follow(store, job_id)
    problem = service_problem(store)
    if problem:
        print("ami-hes: the job is kept. %s" % problem, file=sys.stderr)
    return 0


def _watch(options: argparse.Namespace) -> int:
    store = Store(options.db)
    return _follow(store, store.find_job(options.job))


def _follow(store: Store, job_id: bytes) -> int:
    console = Console()
    final = watch(store, job_id, console)
    console.print(report.render_report(final))
    return _status(final)


def _report(options: argparse.Namespace) -> int:
    store = Store(options.db)
    made = report.build(store, store.find_job(options.job))
    if options.json != "-":
        Console().print(report.render_report(made))
    if options.json:
        text = json.dumps(made, indent=2, ensure_ascii=False)
        if options.json == "-":
            print(text)
        else:
            Path(options.json).write_text(text + "\n")
    return _status(made)


def _status(made: report.Json) -> int:
    summary = made["summary"]
    return 0 if made["finished"] and not summary["ko"] else 1


def _list(options: argparse.Namespace) -> int:
    store = Store(options.db)
    console = Console()
    jobs = Table(title="Jobs", title_justify="left", box=box.SIMPLE_HEAD)
    for name in ("Job", "Submitted", "Concentrator", "Kind", "State", "Meters", "OK", "KO", "Ends"):
        jobs.add_column(name)
    for job in store.jobs():
        jobs.add_row(
            str(uuid.UUID(bytes=job["id"]))[:8],
            report.date(job["submitted"]),
            job["concentrator"],
            job["kind"],
            Text(
                job["state"] + (", cancel %s" % job["cancel_state"] if job["cancel_state"] else "")
            ),
            str(job["meters"]),
            str(job["ok"] + job["value"]),
            str(job["ko"]),
            _ends(job),
        )
    places = Table(title="Concentrators", title_justify="left", box=box.SIMPLE_HEAD)
    for name in ("Concentrator", "Line", "Last heard", "Firmware", "Runtime", "Jobs", "Meters"):
        places.add_column(name)
    for place in store.concentrators():
        places.add_row(
            place["id"],
            Text("online", "green") if place["online"] else Text("offline", "red"),
            report.date(place["seen"]),
            Text(place["firmware"]),
            Text(place["runtime"]),
            str(place["jobs_open"]),
            "%d of %d reachable" % (place["meters_reachable"], place["meters_known"]),
        )
    events = Table(title="Last events", title_justify="left", box=box.SIMPLE_HEAD)
    for name in ("When", "Concentrator", "What"):
        events.add_column(name, overflow="fold")
    for event in reversed(store.events(10)):
        what = Text("%s: %s" % (event["name"], event["detail"]))
        events.add_row(report.date(event["time"]), event["concentrator"], what)
    for table in (jobs, places, events):
        if table.row_count:
            console.print(table)
    problem = service_problem(store)
    console.print(problem or "`ami-hes serve` is connected to the broker.", markup=False)
    return 0


def _ends(job: sqlite3.Row) -> str:
    """When the concentrator expects it to."""
    if not job["ends"] or job["ok"] + job["value"] + job["ko"] == job["meters"]:
        return "-"
    return report.ends(job["ends"], time.time())


def _cancel(options: argparse.Namespace) -> int:
    store = Store(options.db)
    job_id = store.find_job(options.job)
    order.cancel(store, SigningKey.load(options.key), job_id)
    print("cancel of %s is kept; each meter stops at its next safe point" % uuid.UUID(bytes=job_id))
    problem = service_problem(store)
    if problem:
        print("ami-hes: %s" % problem, file=sys.stderr)
    return 0


def _pause(options: argparse.Namespace) -> int:
    return _pause_or_resume(options, True)


def _resume(options: argparse.Namespace) -> int:
    return _pause_or_resume(options, False)


def _pause_or_resume(options: argparse.Namespace, paused: bool) -> int:
    store = Store(options.db)
    job_id = store.find_job(options.job)
    order.pause(store, SigningKey.load(options.key), job_id, paused)
    then = "the meters in hand are finished, no other begins" if paused else "its meters go on"
    name = "pause" if paused else "resume"
    print("%s of %s is kept; once it arrives %s" % (name, uuid.UUID(bytes=job_id), then))
    problem = service_problem(store)
    if problem:
        print("ami-hes: %s" % problem, file=sys.stderr)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "ami-hes",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--db",
        type=Path,
        default=Path(os.environ.get("AMI_HES_DB", DATABASE)),
        metavar="FILE",
        help="the HES's database, made if absent (default: $AMI_HES_DB, else %s here)" % DATABASE,
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _serve_parser(commands)
    _submit_parser(commands)
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
            _add_key(command)
        if name == "retry":
            _add_watch(command)
        if name == "report":
            command.add_argument(
                "--json", metavar="FILE", help="also write it for machines; -: only that, to stdout"
            )
    security.add_parsers(commands, _add_key)
    meters.add_parser(commands)
    listing = commands.add_parser("list", help="jobs, concentrators and the last events")
    listing.set_defaults(run=_list)
    return parser


def _serve_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    serve = commands.add_parser(
        "serve",
        help="speak to the concentrators, until stopped",
        description="Send orders, hand out packages, collect reports. May be stopped any time.",
    )
    serve.add_argument(
        "--broker",
        metavar="URL",
        help="mqtt://[user:password@]host[:1883] or mqtts://...[:8883] (default: $AMI_HES_BROKER,"
        " which keeps a password out of the list of processes)",
    )
    serve.add_argument("--ca", type=Path, metavar="PEM", help="who signed the broker's certificate")
    serve.add_argument("--cert", type=Path, metavar="PEM", help="our certificate (mutual TLS)")
    serve.add_argument("--cert-key", type=Path, metavar="PEM", help="its private key")
    serve.add_argument(
        "--time-key",
        type=Path,
        metavar="KEY.pem",
        help="signs the time for a concentrator whose clock is unset or off by more than an hour",
    )
    serve.add_argument("--log-level", default="info", choices=("debug", "info", "warning", "error"))
    serve.set_defaults(run=_serve)


def _submit_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    submit = commands.add_parser(
        "submit",
        help="order work for meters of one concentrator",
        description="Sign a job and keep it; `serve` sends it. Prints the job's id.",
    )
    submit.add_argument("--concentrator", required=True, metavar="ID", help="who is to do it")
    what = submit.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--package",
        type=Path,
        metavar="FILE.pkg",
        help="configure with this package, or bring this image",
    )
    what.add_argument(
        "--read",
        action="append",
        metavar='"CLASS OBIS ATTRIBUTE"',
        help='read an attribute, such as "clock 0.0.1.0.0.255 time"; may be given several times',
    )
    submit.add_argument(
        "--dry-run",
        action="store_true",
        help="with a configuration: write nothing, report what each value is and should be",
    )
    submit.add_argument(
        "--activate",
        metavar="TIME",
        help="with an image: when it is to become active; default: as soon as it is verified",
    )
    submit.add_argument(
        "--meters",
        required=True,
        metavar="LIST|FILE",
        help="serials separated by commas, or a file: one a line, or an inventory's meters.jsonl",
    )
    submit.add_argument(
        "--priority",
        type=int,
        default=5,
        choices=range(10),
        metavar="0-9",
        help="9 first; default 5",
    )
    submit.add_argument("--from", dest="start", metavar="TIME", help="not before; default: now")
    submit.add_argument("--to", dest="end", metavar="TIME", help="not after, as 2027-01-31T22:00")
    submit.add_argument("--for", dest="duration", metavar="6h", help="instead of --to; default: 1d")
    submit.add_argument(
        "--daily", metavar="22:00-05:00", help="only at these hours; a meter in hand is finished"
    )
    submit.add_argument(
        "--days", metavar="mon,wed-fri", help="for --daily: the days on which it opens"
    )
    submit.add_argument(
        "--zone",
        metavar="ZONE",
        help="for --daily: UTC, +02:00, Europe/Madrid; default: this machine's. The hours"
        " are its own also after daylight saving has begun or ended",
    )
    submit.add_argument(
        "--canary",
        metavar="10:90",
        help="the first 10 meters first; the others only if 90 percent of them succeed",
    )
    submit.add_argument(
        "--tries", type=int, default=3, metavar="N", help="for each meter; default 3"
    )
    submit.add_argument("--backoff", default="30s", metavar="30s", help="before a meter's next try")
    _add_key(submit)
    _add_watch(submit)
    submit.set_defaults(run=_submit)


def _add_watch(command: argparse.ArgumentParser) -> None:
    command.add_argument("--watch", action="store_true", help="follow the job until it is over")


def _add_key(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--key",
        type=Path,
        required=True,
        metavar="KEY.pem",
        help="signs the order; from `ami-package keygen`",
    )


if __name__ == "__main__":
    sys.exit(main())
