"""`ami-hes serve`: speak to the concentrators."""

from __future__ import annotations

import argparse
import asyncio
import os
from pathlib import Path
from typing import Any

from hal.rt import log
from tools.hes.line.broker import Broker
from tools.hes.line.service import Service
from tools.hes.store.store import Store
from tools.package.keys import SigningKey


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
        "--plain",
        action="store_true",
        help="take messages that nothing protects: for a broker that only we can use",
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
    store = Store(options.db)
    with store.line.alone():
        asyncio.run(Service(store.line, broker, time_key=time_key, plain=True).run())
    return 0
