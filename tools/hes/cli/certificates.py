"""`ami-hes certificate`: the certificates by which concentrators show themselves to the broker."""

from __future__ import annotations

import argparse
import datetime
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hal.rt.calendar import day_text
from tools.hes.cli import show
from tools.hes.cli.watch import service_problem
from tools.hes.orders import certificates, security
from tools.hes.store.line import CERTIFICATE
from tools.hes.store.records import LineCertificates
from tools.hes.store.store import Store
from tools.package.keys import SigningKey

SOON_S = 30 * 86400
DAYS = 365


def add_parsers(commands: Any, add_key: Callable[[argparse.ArgumentParser], None]) -> None:
    certificate = commands.add_parser(
        "certificate",
        help="certificates by which concentrators show themselves to the broker",
        description="A concentrator with `enrol` in its settings makes a key of its own, and asks"
        " for a certificate, and for another before it ends.",
    )
    actions = certificate.add_subparsers(metavar="ACTION", required=True)
    for name, run, what in (
        ("list", _list, "when the certificates of each concentrator end"),
        ("requests", _requests, "who asks for one; with --out as files for your authority"),
        ("issue", _issue, "send one that your authority has made, or make it with its key"),
    ):
        action = actions.add_parser(name, help=what, description=what)
        action.set_defaults(run=run)
        if name == "requests":
            action.add_argument(
                "--out", type=Path, metavar="FOLDER", help="write ID.csr (PEM) for each into it"
            )
        elif name == "issue":
            _add_issue(action)
            add_key(action)


def _add_issue(action: argparse.ArgumentParser) -> None:
    action.add_argument("concentrator", metavar="ID")
    action.add_argument(
        "--certificate", type=Path, metavar="PEM", help="made of the request, by your authority"
    )
    action.add_argument("--ca", type=Path, metavar="PEM", help="or: the authority's certificate")
    action.add_argument("--ca-key", type=Path, metavar="PEM", help="and its private key")
    action.add_argument(
        "--days", type=int, default=DAYS, metavar="N", help="how long it is valid (default: 365)"
    )


def _list(options: argparse.Namespace) -> int:
    """Status 1 if one ends within 30 days, or has ended."""
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("Concentrator", "Its own ends", "The broker's ends", "Told", "Asks for one"):
        table.add_column(name, overflow="fold")
    now = time.time()
    found = Store(options.db).trust.certificates()
    for each in found:
        table.add_row(
            each.concentrator,
            _end(each.until, now),
            _end(each.broker, now),
            show.date(each.told),
            "yes" if each.request else "",
        )
    if not found:
        print("no concentrator has told of certificates")
        return 0
    Console().print(table)
    ends = [end for each in found for end in (each.until, each.broker) if end]
    return int(any(end - now < SOON_S for end in ends))


def _end(until: int, now: float) -> Text:
    if not until:
        return Text("none")
    if until < now:
        return Text("%s, has ended" % day_text(until), "red")
    if until - now < SOON_S:
        return Text("%s, in %d days" % (day_text(until), (until - now) // 86400), "yellow")
    return Text(day_text(until))


def _requests(options: argparse.Namespace) -> int:
    """Status 1 if a request is none of its concentrator's."""
    found = [each for each in Store(options.db).trust.certificates() if each.request]
    if not found:
        print("no concentrator asks for a certificate")
    bad = 0
    for each in found:
        try:
            request = certificates.request_of(each.concentrator, each.request)
        except security.SecurityProblem as problem:  # the others ask nevertheless
            bad += 1
            print("%s: %s" % (each.concentrator, problem), file=sys.stderr)
            continue
        print("%s asks for a certificate, last on %s" % (each.concentrator, show.date(each.told)))
        if options.out is not None:
            path = options.out / (each.concentrator + ".csr")
            path.write_bytes(request.public_bytes(serialization.Encoding.PEM))
            print("  written to %s" % path)
    return 1 if bad else 0


def _issue(options: argparse.Namespace) -> int:
    security.check(options.concentrator)
    store, key = Store(options.db), SigningKey.load(options.key)
    name = options.concentrator
    request = certificates.request_of(name, _request(store, name))
    if options.certificate is not None and options.ca is None and options.ca_key is None:
        chain = certificates.load_chain(options.certificate, request)
    elif options.certificate is None and options.ca is not None and options.ca_key is not None:
        now = datetime.datetime.now(datetime.UTC)
        chain = certificates.made(
            options.concentrator, request, options.ca, options.ca_key, options.days, now
        )
    else:
        raise security.SecurityProblem("expected --certificate FILE, or --ca and --ca-key")
    signed = certificates.signed(options.concentrator, chain, key, int(time.time()))
    number = store.trust.next_number(CERTIFICATE, options.concentrator)
    what = certificates.digest(chain[0]).hex()
    store.trust.add_numbered(CERTIFICATE, options.concentrator, number, what, signed)
    end = int(chain[0].not_valid_after_utc.timestamp())
    print("a certificate for %s until %s is kept" % (options.concentrator, show.date(end)))
    problem = service_problem(store.reports)
    if problem:
        print(problem)
    return 0


def _request(store: Store, concentrator: str) -> bytes:
    found: list[LineCertificates] = store.trust.certificates()
    for each in found:
        if each.concentrator == concentrator and each.request:
            return each.request
    raise security.SecurityProblem(
        "%s asks for no certificate: `enrol` in its settings makes it ask" % concentrator
    )
