"""The switch in a meter's supply (class 70, disconnect control): opened, closed, made ready.

It is read before and afterwards. What holds already is not ordered again, so an attempt after a
lost answer finds out what came of the one before, and does only what is left to do.
"""

from __future__ import annotations

from gateway.activities import attributes, identity
from gateway.contract.job import ARM, DISCONNECT, RECONNECT
from gateway.contract.own_model import OWN_MODEL
from gateway.contract.result import KO, OK, Result
from gateway.dlms.data import axdr

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from gateway.activities.attributes import Attributes, Key
    from gateway.contract.job import Job
    from gateway.contract.model import Model
    from gateway.dlms.client.client import Client
    from hal.ports import Clock

CLASS = 70
_OUTPUT, _STATE, _MODE = 2, 3, 4
_REMOTE_DISCONNECT, _REMOTE_RECONNECT = 1, 2
# control_state (Blue Book 4.5.8)
DISCONNECTED, CONNECTED, READY = 0, 1, 2
_STATES = ("disconnected", "connected", "ready for reconnection")
# control_mode
_NEVER = 0  # the switch stays closed, whatever is ordered
_DIRECT = (2, 4)  # remote_reconnect closes it by itself; else somebody presses the button
_NOTHING = axdr.encode((axdr.INTEGER, 0))
LOOKS = 6  # a relay takes its time
LOOK_MS = 2000


class Order:
    __slots__ = ("clock", "command", "obis")

    def __init__(self, obis: bytes, command: int, clock: Clock) -> None:
        self.obis = obis
        self.command = command
        self.clock = clock


def order_of(content: list[Key], _job: Job, _again: bool, clock: Clock) -> Order:
    _, obis, command = content[0]
    return Order(obis, command, clock)


async def run(client: Client, serial: str, order: Order, model: Model = OWN_MODEL) -> Result:
    """OK with the switch as it is now, or a KO. DlmsError and OSError come out as they are."""
    before = await _look(client, order, identity.serial_key(model))
    refusal = identity.wrong_meter(before, serial, model)
    if refusal is not None:
        return refusal
    state, mode = _number(before, order, _STATE), _number(before, order, _MODE)
    wanted = _wanted(order.command, mode)
    if state == wanted:
        return Result(OK, "already-as-wanted", _text(before, order))
    obstacle = _obstacle(order.command, state, mode)
    if obstacle:
        return Result(KO, "switch-unsuited", obstacle)
    method = _REMOTE_DISCONNECT if order.command == DISCONNECT else _REMOTE_RECONNECT
    await client.action(CLASS, order.obis, method, _NOTHING)
    for _ in range(LOOKS):
        after = await _look(client, order, [])
        if _number(after, order, _STATE) == wanted:
            return Result(OK, "applied", _text(after, order))
        await order.clock.sleep_ms(LOOK_MS)
    text = "it took the order, and is %s still, not %s; look at the meter before ordering again"
    now = _number(after, order, _STATE)
    return Result(KO, "read-back-differs", text % (_word(now), _word(wanted)))


def _wanted(command: int, mode: int) -> int:
    if command == DISCONNECT:
        return DISCONNECTED
    return CONNECTED if command == RECONNECT and mode in _DIRECT else READY


def _obstacle(command: int, state: int, mode: int) -> str:
    """Why the meter would not come to what is wanted, in words; "": nothing."""
    if mode == _NEVER:
        return "its control mode is 0: the switch stays closed, whatever is ordered"
    if command == RECONNECT and state == CONNECTED:
        return "it is connected"
    if command == ARM and state == CONNECTED:
        return "it is connected: only a meter that is disconnected can be made ready"
    if command == ARM and mode in _DIRECT:
        text = "its control mode is %d: it would close the switch at once, with nobody there"
        return text % mode
    return ""


async def _look(client: Client, order: Order, more: list[Key]) -> Attributes:
    keys: list[Any] = [(CLASS, order.obis, each) for each in (_OUTPUT, _STATE, _MODE)]
    return await attributes.read(client, more + keys)


def _number(found: Attributes, order: Order, attribute: int) -> int:
    """-1: it is no number. AccessRefused when the meter did not give it."""
    value = axdr.decode(found.value((CLASS, order.obis, attribute)))[1]
    return value if type(value) is int else -1


def _text(found: Attributes, order: Order) -> str:
    output = axdr.decode(found.value((CLASS, order.obis, _OUTPUT)))[1]
    text = "the switch is %s" % _word(_number(found, order, _STATE))
    return text + (", and there is power behind it" if output is True else "")


def _word(state: int) -> str:
    return _STATES[state] if 0 <= state < len(_STATES) else "in state %d" % state
