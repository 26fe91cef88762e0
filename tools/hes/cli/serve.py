"""`ami-hes serve`: speak to the concentrators."""

from __future__ import annotations

import argparse
import asyncio
import os
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from hal.cpython import journal
from hal.rt import log
from tools.hes.line.broker import Broker
from tools.hes.line.handshakes import MOST_LINE_KEYS, LineKey
from tools.hes.line.service import Service
from tools.hes.line.sessions import Sessions
from tools.hes.monitoring import metrics
from tools.hes.readings import reread
from tools.hes.store.store import Store
from tools.hes.validation.own_rules import OwnRules
from tools.package.keys import KeyProblem, SigningKey


def add_parser(commands: Any) -> None:
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
    serve.add_argument(
        "--line-key",
        dest="line_keys",
        type=Path,
        action="append",
        default=[],
        metavar="KEY.pem",
        help="protects the line to the enrolled concentrators, which trust its public half for the"
        " line; from `ami-package keygen`. Twice while one key takes the place of another: the new"
        " one first",
    )
    serve.add_argument(
        "--plain",
        action="store_true",
        help="also speak with those who are not enrolled, with nothing that protects the line: for"
        " a broker that only we can use",
    )
    serve.add_argument(
        "--metrics",
        metavar="HOST:PORT",
        type=_address,
        help="figures for Prometheus over HTTP there, such as 127.0.0.1:%d; they name every"
        " concentrator, so let only your collector reach it" % metrics.PORT,
    )
    serve.add_argument(
        "--rules",
        type=Path,
        metavar="FILE.py",
        help="the utility's own rules for readings; see tools/hes/validation/own_rules.py",
    )
    serve.add_argument(
        "--reread-key",
        type=Path,
        metavar="KEY.pem",
        help="signs jobs that ask again for rows of profiles that are missing; without it `readings"
        " gaps` says what to run",
    )
    serve.add_argument("--log-level", default="info", choices=("debug", "info", "warning", "error"))
    serve.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    broker = Broker.parse(
        os.environ.get("AMI_HES_BROKER", "") if options.broker is None else options.broker,
        options.ca,
        options.cert,
        options.cert_key,
    )
    time_key = None if options.time_key is None else SigningKey.load(options.time_key)
    log.set_level(options.log_level)
    log.set_journal(journal.reads_stderr())
    keys = [_line_key(path) for path in options.line_keys]
    if len({key.kid for key in keys}) != len(keys) or len(keys) > MOST_LINE_KEYS:
        raise KeyProblem("expected --line-key once, or twice with different keys")
    if time_key is not None and time_key.kid in [key.kid for key in keys]:
        raise KeyProblem("expected a line key that signs nothing, got the key for the time")
    if not keys and not options.plain:
        raise KeyProblem(
            "expected --line-key KEY.pem, which protects the line and is made by `ami-package"
            " keygen`; or --plain, for a broker that only we can use"
        )
    store = Store(options.db)
    if options.rules is not None:
        store.line.own_rules = OwnRules.load(options.rules)
    sessions = Sessions(store.enrolment, keys, options.plain)
    chore = None
    if options.reread_key is not None:
        reread_key = SigningKey.load(options.reread_key)
        chore = partial(reread.look, store, reread_key), float(reread.EVERY_S)
    service = Service(store.line, broker, time_key=time_key, sessions=sessions, chore=chore)
    with ExitStack() as ends:
        ends.callback(store.close)
        ends.enter_context(store.line.alone())
        store.security.note("service-started", "broker %s" % broker.name)
        if options.metrics is not None:
            host, port = options.metrics
            told = metrics.Collector(
                store.reports, store.street, lambda: service.counts, lambda: service.readings
            )
            ends.callback(metrics.serve_metrics(host, port, told))
            log.info("hes", "figures for Prometheus: http://%s:%d/metrics" % (host, port))
        asyncio.run(service.run())
    return 0


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise argparse.ArgumentTypeError("expected HOST:PORT, such as 127.0.0.1:%d" % metrics.PORT)
    return host.strip("[]"), int(port)


def _line_key(path: Path) -> LineKey:
    key = SigningKey.load(path)
    return LineKey(key.kid, key.scalar, key.public)
