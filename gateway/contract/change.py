"""What the HES changes on the concentrator itself, in a signed message.

Numbered like the changes of the trust store, and for the same reason: the messages to one
concentrator are taken in order, 1, 2, 3 ..., each once, so nobody can put back what once was. A
hello tells the number of the last one taken.
"""

from __future__ import annotations

from gateway.contract.fields import Message, field, message, one_of
from gateway.contract.meter_change import MetersPut, MetersRemoved
from gateway.contract.restart import Restart
from gateway.contract.rules import TIME, UINT32, text, uint
from gateway.contract.task import Task, TaskRemoved

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    Body: TypeAlias = "Task | TaskRemoved | MetersPut | MetersRemoved | Restart"


@message("change", "change")
class Change(Message):
    """Down, signed by a key for orders: the payload inside the envelope. `issued` and `not_after`
    in seconds since 1970 UTC.
    """

    concentrator: str = field(text(64, 1))
    issued: int = field(TIME)
    not_after: int = field(TIME)
    number: int = field(uint(UINT32, 1))
    body: Body = field(one_of(Task, TaskRemoved, MetersPut, MetersRemoved, Restart))

    def agree(self) -> None:
        self.body.agree()
