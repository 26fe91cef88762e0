"""Tells a receiver all security events, in order: from the store, and on when its machine has them.

What was told stands in the store, so nothing is left out when either side is killed. A few may come
twice then, with the same sequenceId.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NoReturn

from hal.rt import log
from tools.hes.monitoring.syslog import Server, SyslogProblem
from tools.hes.store.problems import StoreProblem
from tools.hes.store.records import SecurityEvent
from tools.hes.store.security import Security

TOGETHER = 100  # events sent before the peer is waited for
LOOK_EVERY = 1.0  # seconds
PAUSE = (1.0, 60.0)  # seconds before trying again: the first time, at most

_WHERE = "security"

Rendered = Callable[[SecurityEvent], bytes]


def forward(store: Security, server: Server, rendered: Rendered) -> int:
    """Send those that it has not been told, at most TOGETHER; how many. SyslogProblem: the same
    again later.
    """
    waiting = store.after(store.told(server.name), TOGETHER)
    if waiting:
        server.deliver([rendered(event) for event in waiting])
        store.now_told(server.name, waiting[-1].sequence)
    return len(waiting)


def forward_for_ever(store: Security, server: Server, rendered: Rendered) -> NoReturn:
    pause, well = PAUSE[0], False
    while True:
        try:
            sent = forward(store, server, rendered)
        except (SyslogProblem, StoreProblem) as error:
            log.error(_WHERE, "%s; tried again in %g s" % (error, pause))
            time.sleep(pause)
            pause, well = min(2 * pause, PAUSE[1]), False
            continue
        if sent and not well:
            log.info(_WHERE, "%s has all events up to now" % server.name)
            well = True
        pause = PAUSE[0]
        if sent < TOGETHER:
            time.sleep(LOOK_EVERY)
