"""clock: what the meter's clock shows, how far it is off, and setting it."""

from __future__ import annotations

import argparse
import time
from typing import Any

from rich.text import Text

from gateway.dlms.data import axdr, datetime, obis
from gateway.dlms.errors import DlmsError, ProtocolError
from tools.cosem import render
from tools.cosem.names import ATTRIBUTE, Member
from tools.dlms import failure, shown
from tools.dlms.failure import DONE, CallProblem
from tools.dlms.members import Answer, answer_json, read, value_of
from tools.dlms.moment import NOT_SPECIFIED, from_unix, to_unix, with_seconds
from tools.dlms.output import console, print_json, row, table
from tools.dlms.session import Settings, conversation

CLOCK, TIME, TIME_ZONE, STATUS = 8, 2, 3, 4
NAME = obis.parse("0.0.1.0.0.255")
_SHOWN = (TIME, TIME_ZONE, STATUS, 5, 6, 7, 8, 9)


async def clock(options: argparse.Namespace, settings: Settings) -> int:
    members = [Member(ATTRIBUTE, CLOCK, NAME, index) for index in _SHOWN]
    wanted = None if options.set in (None, "now") else _moment(options.set)
    async with conversation(settings) as client:
        if options.set is not None:
            before = await _time(client)
            zone = (await read(client, members[1:2]))[0]
            target = wanted or _now(before, _zone_of(zone))
            await client.set(CLOCK, NAME, TIME, axdr.encode((axdr.OCTET_STRING, target)))
        asked = time.time()
        stamp = await _time(client)
        here = (asked + time.time()) / 2  # the meter looked at its clock about half way
        answers = await read(client, members[1:])
    off = _off(stamp, _zone_of(answers[0]), here)
    if settings.json:
        document: dict[str, Any] = {"time": render.moment(stamp), "off_s": off}
        if options.set is not None:
            document |= {"set": True, "before": render.moment(before)}
        for each, answer in zip(members[1:], answers, strict=True):
            key = str(each).rsplit(" ", 1)[1]
            document[key] = answer_json(answer)
        print_json(document)
        return DONE
    made = table("clock %s" % obis.text(NAME), "", "")
    if options.set is not None:
        row(made, "time before", render.moment(before), "")
    row(made, "time", render.moment(stamp), _off_text(off))
    for each, answer in zip(members[1:], answers, strict=True):
        name = str(each).rsplit(" ", 1)[1]
        if isinstance(answer, DlmsError):
            row(made, name, Text(failure.short(answer), "red"), "")
        else:
            typed = value_of(answer)
            meant = "" if typed is None else shown.meaning(CLOCK, each.index, typed)
            row(made, name, render.data(answer), meant)
    console().print(made)
    return DONE


async def _time(client: Any) -> bytes:
    typed = axdr.decode(await client.get(CLOCK, NAME, TIME))
    if typed[0] not in (axdr.OCTET_STRING, axdr.DATE_TIME) or len(typed[1]) != 12:
        raise ProtocolError("clock.time: expected 12 octets, got %s" % render.text(typed))
    return bytes(typed[1])


def _zone_of(answer: Answer) -> int:
    """The clock's deviation without daylight saving, NOT_SPECIFIED where it does not tell."""
    typed = value_of(answer)
    return int(typed[1]) if typed is not None and typed[0] == axdr.LONG else NOT_SPECIFIED


def _now(before: bytes, zone: int) -> bytes:
    """This computer's time, on the deviation the meter keeps right now."""
    deviation = int.from_bytes(before[9:11], "big", signed=True)
    if deviation == NOT_SPECIFIED:
        deviation = zone
    # status 0: valid. The meter says itself whether daylight saving holds; 0x80 is told as before.
    status = 0 if before[11] == 0xFF else before[11] & 0x80
    return from_unix(round(time.time()), deviation, status)


def _moment(text: str) -> bytes:
    try:
        moment = datetime.parse_date_time(with_seconds(text))
        to_unix(moment, 0)
    except ValueError as error:
        raise CallProblem("--set takes now, or DATE TIME [OFFSET]: %s" % error) from None
    return moment


def _off(stamp: bytes, zone: int, here: float) -> int | None:
    """Seconds the meter is ahead of this computer; None where its time is not fully given."""
    try:
        return round(to_unix(stamp, zone) - here)
    except ValueError:
        return None


def _off_text(off: int | None) -> str:
    if off is None:
        return "not set"
    if off == 0:
        return "as this computer"
    return "%d s %s of this computer" % (abs(off), "ahead" if off > 0 else "behind")
