"""The activity of a kind of job, found by the kind's row and imported on first use.

An activity is a coroutine function (client, serial, order, model) that does to one meter what the
job orders, and returns a Result; `client` is associated, `model` the meter's (contract/model.py).
Its order is the content of the job: a list of (class_id, obis, attribute), or the proven package or
image file. A module whose activity needs more has a function order_of(content, job, again, clock),
and the activity gets what that returns.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from gateway.contract.job import Job
    from gateway.contract.kinds import Kind
    from gateway.contract.model import Model
    from gateway.contract.result import Result
    from gateway.dlms.client.client import Client
    from hal.ports import Clock

    Activity = Callable[[Client, str, Any, Model], Awaitable[Result]]


def of(kind: Kind) -> Activity:
    activity: Activity = getattr(_module(kind), kind.function)
    return activity


def order_of(job: Job, content: Any, again: bool, clock: Clock) -> Any:
    """What the activity is called with. `again`: the job has been at this meter before."""
    make = getattr(_module(job.traits), "order_of", None)
    return content if make is None else make(content, job, again, clock)


def _module(kind: Kind) -> Any:
    __import__(kind.module)
    return sys.modules[kind.module]
