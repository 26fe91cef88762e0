"""`ami-hes security`: the events of security, on the screen and for who watches day and night."""

from __future__ import annotations

import argparse
import dataclasses
import json
import socket
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from hal.cpython import journal
from hal.rt import log
from tools.hes.cli import show
from tools.hes.monitoring import cef, ecs, rfc5424
from tools.hes.monitoring.catalogue import NAMES, meaning
from tools.hes.monitoring.forward import Rendered, forward_for_ever
from tools.hes.monitoring.syslog import Server
from tools.hes.store.records import SecurityEvent
from tools.hes.store.store import Store

FORMS = ("text", "cef", "ecs")


def add_parsers(commands: Any) -> None:
    security = commands.add_parser(
        "security",
        help="events of security: list them, or send them to a syslog server",
        description="Who tried what: the events of security, of the head-end and of all"
        " concentrators. They are kept apart from all others.",
    )
    security.set_defaults(run=_list, last=20, json=False)
    actions = security.add_subparsers(metavar="ACTION")
    listing = actions.add_parser("list", help="the last ones, newest last")
    listing.add_argument("--last", type=int, default=20, metavar="N", help="default: %(default)s")
    listing.add_argument("--json", action="store_true", help="one JSON object a line")
    listing.set_defaults(run=_list)
    forward = actions.add_parser(
        "forward",
        help="send all of them to a syslog server over TLS, until stopped",
        description="RFC 5424 over TLS (RFC 5425). Where it has come to stands in the database: it"
        " may be stopped at any time, and goes on from there. A gap in sequenceId means that events"
        " were lost on the way.",
    )
    forward.add_argument("--to", required=True, metavar="URL", help="tls://host[:6514]")
    forward.add_argument("--ca", type=Path, metavar="PEM", help="who signed its certificate")
    forward.add_argument("--cert", type=Path, metavar="PEM", help="our certificate (mutual TLS)")
    forward.add_argument("--cert-key", type=Path, metavar="PEM", help="its private key")
    forward.add_argument(
        "--form",
        choices=FORMS,
        default="text",
        help="what stands in the message: a sentence (default), CEF, or JSON of the Elastic Common"
        " Schema",
    )
    forward.add_argument(
        "--enterprise",
        type=int,
        default=rfc5424.DOCUMENTATION,
        metavar="NUMBER",
        help="your private enterprise number (IANA), for the structured data ami@NUMBER",
    )
    forward.add_argument(
        "--from-now", action="store_true", help="leave out what happened before the first start"
    )
    forward.set_defaults(run=_forward)


def _list(options: argparse.Namespace) -> int:
    found = Store(options.db).security.newest(options.last)
    if options.json:
        for event in reversed(found):
            severity = NAMES[meaning(event).severity]
            print(json.dumps({**dataclasses.asdict(event), "severity": severity}))
        return 0
    table = show.table("Security", "Number", "When", "Severity", "Concentrator", "What")
    for event in reversed(found):
        told = meaning(event)
        what = "%s %s" % (told.sentence, event.detail)
        table.add_row(
            str(event.sequence),
            show.date(event.time),
            Text(NAMES[told.severity], "red" if told.severity <= 3 else ""),
            event.concentrator or "(head-end)",
            Text(what.strip()),
        )
    console = Console()
    if found:
        console.print(table)
    else:
        console.print("Nothing has happened yet.")
    return 0


def _forward(options: argparse.Namespace) -> int:
    log.set_journal(journal.reads_stderr())
    store = Store(options.db).security
    server = Server(options.to, options.ca, options.cert, options.cert_key)
    if options.from_now and not store.told(server.name):
        store.now_told(server.name, store.last())
    forward_for_ever(store, server, _rendering(options.form, options.enterprise))


def _rendering(form: str, enterprise: int) -> Rendered:
    host = socket.gethostname()

    def rendered(event: SecurityEvent) -> bytes:
        text = ""
        if form == "cef":
            text = cef.rendered(event)
        elif form == "ecs":
            text = ecs.rendered(event, host)
        return rfc5424.rendered(event, host, text, enterprise)

    return rendered
