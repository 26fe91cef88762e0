"""`ami-hes submit`: order work for meters of one concentrator."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from gateway.contract.window import Daily
from tools.hes.cli.arguments import add_key, add_watch
from tools.hes.cli.watch import kept
from tools.hes.orders import order, typed
from tools.hes.store.store import Store
from tools.package import image
from tools.package.keys import SigningKey


def add_parser(commands: Any) -> None:
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
    what.add_argument(
        "--readings",
        metavar="PROFILE",
        help='the rows of a profile or log, by its word in the meters\' model ("load-profile",'
        ' "standard-log") or as "profile_generic 1.0.99.1.0.255"; with --rows-from and --rows-to',
    )
    submit.add_argument(
        "--rows-from", metavar="TIME", help="with --readings: from when on; default: a day ago"
    )
    submit.add_argument(
        "--rows-to", metavar="TIME", help="with --readings: until when; default: now"
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
    _add_terms(submit)
    add_key(submit)
    add_watch(submit)
    submit.set_defaults(run=_run)


def _add_terms(submit: argparse.ArgumentParser) -> None:
    """How urgent, when, how often."""
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


def _run(options: argparse.Namespace) -> int:
    not_before, not_after = typed.window(options.start, options.end, options.duration, time.time())
    if (options.rows_from or options.rows_to) and options.readings is None:
        raise typed.OrderProblem("--rows-from and --rows-to go with --readings")
    terms = order.Terms(
        options.priority,
        not_before,
        not_after,
        options.tries,
        typed.parse_duration(options.backoff),
        _daily(options, not_after),
        typed.parse_canary(options.canary) if options.canary else None,
    )
    meters = typed.parse_meters(options.meters)
    key = SigningKey.load(options.key)
    store = Store(options.db)
    if options.package is not None:
        raw = options.package.read_bytes()
        to = (store.orders, key, options.concentrator, meters, terms, raw)
        if not image.is_image(raw):
            if options.activate:
                raise typed.OrderProblem("--activate goes with an image, not a configuration")
            job_id = order.configure(*to, dry_run=options.dry_run)
        elif options.dry_run:
            raise typed.OrderProblem("--dry-run goes with a configuration, not an image")
        else:
            at = typed.parse_moment(options.activate) if options.activate else 0
            job_id = order.transfer_image(*to, activation=at)
    elif options.dry_run or options.activate:
        raise typed.OrderProblem("--dry-run and --activate go with --package")
    elif options.readings is not None:
        job_id = order.readings(
            store.orders,
            key,
            options.concentrator,
            meters,
            terms,
            options.readings,
            *_rows(options, time.time()),
        )
    else:
        attributes = [typed.parse_attribute(text) for text in options.read]
        job_id = order.read(store.orders, key, options.concentrator, meters, terms, attributes)
    return kept(store, job_id, options.watch)


def _rows(options: argparse.Namespace, now: float) -> tuple[int, int]:
    """From when to when rows are asked for."""
    end = typed.parse_moment(options.rows_to) if options.rows_to else int(now)
    start = typed.parse_moment(options.rows_from) if options.rows_from else end - typed.DAY
    if not 0 <= start <= end:
        raise typed.OrderProblem("expected --rows-from before --rows-to")
    return start, end


def _daily(options: argparse.Namespace, not_after: int) -> Daily | None:
    if options.daily is None:
        if options.days or options.zone:
            raise typed.OrderProblem("--days and --zone go with --daily")
        return None
    return typed.parse_daily(options.daily, options.days, options.zone, time.time(), not_after)
