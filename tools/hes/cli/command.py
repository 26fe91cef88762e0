"""`ami-hes command`: the switch in a meter's supply."""

from __future__ import annotations

import argparse
import time
from typing import Any

from gateway.contract.job import COMMANDS
from tools.hes.cli.arguments import add_key, add_watch
from tools.hes.cli.watch import kept
from tools.hes.orders import order, typed
from tools.hes.store.store import Store
from tools.package.keys import SigningKey

_URGENT = 9


def add_parser(commands: Any) -> None:
    command = commands.add_parser(
        "command",
        help="disconnect, reconnect or arm the switch in a meter's supply",
        description="Open, close or make ready the switch in a meter's supply. The key has to be"
        " trusted for `switch` by the concentrator. The state is read before and afterwards.",
    )
    command.add_argument("meters", metavar="METER", help="a serial; or several, with --confirm")
    command.add_argument("command", choices=COMMANDS)
    command.add_argument("--concentrator", required=True, metavar="ID", help="that has the meter")
    command.add_argument("--switch", default=order.SWITCH, metavar="OBIS", help="of the switch")
    command.add_argument(
        "--confirm", type=int, default=1, metavar="N", help="how many meters it is about"
    )
    command.add_argument("--for", dest="duration", default="1h", metavar="1h", help="not later")
    command.add_argument("--tries", type=int, default=3, metavar="N", help="default: 3")
    add_key(command)
    add_watch(command)
    command.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    meters = typed.parse_meters(options.meters)
    if len(meters) != options.confirm:
        text = "this would %s %d meters; repeat it with --confirm %d if that is meant"
        raise typed.OrderProblem(text % (options.command, len(meters), len(meters)))
    not_before, not_after = typed.window(None, None, options.duration, time.time())
    terms = order.Terms(_URGENT, not_before, not_after, options.tries, 30)
    store, key = Store(options.db), SigningKey.load(options.key)
    job_id = order.supply(
        store.orders, key, options.concentrator, meters, terms, options.command, options.switch
    )
    return kept(store, job_id, options.watch)
