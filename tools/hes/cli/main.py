"""`ami-hes`: the AMI system's end of the line. Orders work for meters, follows it, reports it."""

from __future__ import annotations

import argparse
import os
import sys

from gateway.version import VERSION
from tools.hes.cli import (
    alarms,
    certificates,
    clocks,
    command,
    concentrator,
    events,
    inventory,
    jobs,
    listing,
    meters,
    models,
    monitoring,
    readings,
    security,
    serve,
    signed_time,
    submit,
    tasks,
)
from tools.hes.cli.arguments import add_key
from tools.hes.cli.stopping import stopped_in_order
from tools.hes.line.broker import BrokerProblem
from tools.hes.monitoring.syslog import SyslogProblem
from tools.hes.orders.fingerprint import FingerprintProblem
from tools.hes.orders.security import SecurityProblem
from tools.hes.orders.typed import OrderProblem
from tools.hes.store.problems import StoreProblem
from tools.hes.validation.own_rules import RulesProblem
from tools.package.keys import KeyProblem

DATABASE = "hes.sqlite"

_DESCRIPTION = """\
Order work for meters, follow it, and report it.

One process serves the concentrators; the other commands may run at any time, also while it is down:
  ami-hes serve --broker mqtt://user:password@localhost --line-key line.pem
  ami-hes submit --concentrator c1 --package FILE.pkg --meters meters.jsonl --key hes.pem --watch
  ami-hes submit --concentrator c1 --package FILE.pkg --meters A1 --key hes.pem --dry-run --watch
  ami-hes submit --concentrator c1 --read "clock 0.0.1.0.0.255 time" --meters A1,A2 --key hes.pem
  ami-hes list
  ami-hes report last
  ami-hes retry last --key hes.pem
  ami-hes meters c1

Keys are made by `ami-package keygen`; the concentrator's settings must list the public halves, of
line.pem too. A concentrator is enrolled first: ami-hes concentrator add c1 FINGERPRINT
"""


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0: done (watch, report: every meter OK or read); 1: not; 2: wrong usage."""
    options = _parser().parse_args(arguments)
    try:
        with stopped_in_order():
            status: int = options.run(options)
        sys.stdout.flush()
        return status
    except (
        StoreProblem,
        OrderProblem,
        SecurityProblem,
        FingerprintProblem,
        KeyProblem,
        BrokerProblem,
        SyslogProblem,
        RulesProblem,
    ) as error:
        print("ami-hes: %s" % error, file=sys.stderr)
    except BrokenPipeError:  # who read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        where = "" if error.filename is None else "%s: " % error.filename
        print("ami-hes: %s%s" % (where, error.strerror or error), file=sys.stderr)
    except KeyboardInterrupt:
        print("ami-hes: stopped; the orders stand", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "ami-hes",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version="%(prog)s " + VERSION)
    parser.add_argument(
        "--db",
        default=os.environ.get("AMI_HES_DB", DATABASE),
        metavar="FILE|URL",
        help="the HES's database: a file, made if absent, or postgresql+psycopg://user@host/name"
        " (default: $AMI_HES_DB, which keeps a password out of the list of processes, else %s here)"
        % DATABASE,
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    serve.add_parser(commands)
    concentrator.add_parsers(commands)
    submit.add_parser(commands)
    command.add_parser(commands)
    jobs.add_parsers(commands)
    security.add_parsers(commands, add_key)
    models.add_parsers(commands)
    tasks.add_parsers(commands)
    inventory.add_parser(commands)
    readings.add_parsers(commands)
    events.add_parser(commands)
    clocks.add_parser(commands)
    alarms.add_parser(commands)
    signed_time.add_parser(commands, add_key)
    certificates.add_parsers(commands, add_key)
    meters.add_parser(commands)
    listing.add_parser(commands)
    monitoring.add_parsers(commands)
    return parser
