"""notify: what a meter sends unasked.

Over an association that stays open; or, with --listen, as the head-end whom meters push to: the
URL is then the local address to listen at (tcp:// or udp://), or the line of a customer port, where
the meter pushes in HDLC frames to whoever is there. Pushes are put together from general blocks,
deciphered and checked (pushed.py); what could not be checked is marked.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import Any

from gateway.dlms import apdu
from gateway.dlms.errors import DlmsError, ProtocolError
from tools.cosem import render
from tools.cosem.names import ATTRIBUTE, Member
from tools.dlms import p1, readings, shown
from tools.dlms.failure import DONE, REFUSED, one_line
from tools.dlms.listening import listener
from tools.dlms.output import console, printable
from tools.dlms.pushed import Blocks, Opener
from tools.dlms.session import POLICIES, Settings, conversation


async def notify(options: argparse.Namespace, settings: Settings) -> int:
    if options.listen:
        due = POLICIES[options.policy or "both"]
        opener = Opener(
            options,
            settings.crypto,
            settings.keys,
            settings.ek_alone,
            due,
            settings.model.dialect,
        )
        inbox = Inbox(settings, options.count, opener)
        await _serve(settings, inbox, options.seconds)
    else:
        inbox = Inbox(settings, options.count)
        await _wait(settings, inbox, options.seconds)
    if inbox.count == 0:
        console(stderr=True).print("nothing came within %g s" % options.seconds)
        return REFUSED
    return DONE


class Inbox:
    """Shows notifications as they come, until `limit` are there (0: no limit)."""

    def __init__(self, settings: Settings, limit: int, opener: Opener | None = None) -> None:
        self.count = 0
        self.full = asyncio.Event()
        self._settings = settings
        self._limit = limit
        self._out = console()
        self._blocks = Blocks()
        self._opener = opener

    def show(self, origin: str, notification: Any, unproven: str = "") -> None:
        """`unproven`: why it is not authenticated though it is protected."""
        if self.full.is_set():
            return
        self.count += 1
        if self._limit and self.count >= self._limit:
            self.full.set()
        if self._settings.json:
            found = _json(origin, notification)
            if unproven:
                found["not_authenticated"] = unproven
            print(json.dumps(found), flush=True)
        else:
            text = _text(origin, notification, unproven)
            self._out.print(printable(text), markup=False, soft_wrap=True)

    def take(self, origin: str, sender: object, raw: bytes) -> None:
        """An APDU pushed to us by `sender`; what it is not is told on stderr."""
        if self._settings.tracer is not None:
            self._settings.tracer.line("<", raw)
        assert self._opener is not None
        try:
            whole = self._blocks.take(sender, raw)
            if whole is None:
                return
            plain, unproven = self._opener.open(whole)
            notification = plain.decode("ascii") if p1.is_text(plain) else apdu.decode(plain)
            if not isinstance(notification, (str, *apdu.NOTIFICATIONS)):
                raise ProtocolError("%s is no notification" % type(notification).__name__)
        except (DlmsError, IndexError) as error:
            line = "%s: %s" % (origin, one_line(error))
            console(stderr=True).print(printable(line), markup=False, soft_wrap=True)
            return
        self.show(origin, notification, unproven)


async def _wait(settings: Settings, inbox: Inbox, seconds: float) -> None:
    def show(notification: Any) -> None:
        inbox.show(str(settings.place), notification)

    async with conversation(settings, show) as client:
        deadline = settings.clock.ticks_ms() + int(seconds * 1000)
        while not inbox.full.is_set():
            left = deadline - settings.clock.ticks_ms()
            if left <= 0 or await client.listen(left) is None:
                return


async def _serve(settings: Settings, inbox: Inbox, seconds: float) -> None:
    place = settings.place
    listening = listener(place, inbox.take)
    await listening.start(place, settings.clock)
    try:
        console(stderr=True).print("listening at %s" % place, markup=False)
        async with asyncio.timeout(seconds):
            await inbox.full.wait()
    except TimeoutError:
        pass
    finally:
        await listening.stop()


# ---------------------------------------------------------------- output


def _text(origin: str, notification: Any, unproven: str) -> str:
    mark = ", NOT AUTHENTICATED: %s" % unproven if unproven else ""
    if isinstance(notification, str):
        lines = p1.lines(notification.encode())
        return "\n  ".join(["P1 text from %s%s" % (origin, mark), *lines])
    if isinstance(notification, apdu.InformationReport):
        lines = [
            "0x%04x: %s" % (name, render.data(value))
            for name, value in zip(notification.names, notification.values, strict=True)
        ]
        return "\n  ".join(["information-report from %s%s" % (origin, mark), *lines])
    if isinstance(notification, apdu.EventNotification):
        time = _time(notification.time)
        heading = "event-notification from %s%s, %s" % (
            origin,
            time and ", " + time,
            _attribute(notification),
        )
    else:
        time = _time(notification.date_time)
        heading = "data-notification from %s%s" % (origin, time and ", " + time)
    lines = render.lines(notification.data).split("\n")
    lines += ["%s: %s" % each for each in readings.named(notification.data)]
    return "\n  ".join([heading + mark, *lines])


def _json(origin: str, notification: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"from": origin}
    if isinstance(notification, str):
        return found | {"kind": "p1-text", "value": notification}
    if isinstance(notification, apdu.InformationReport):
        return found | {
            "kind": "information-report",
            "time": notification.time,
            "names": notification.names,
            "values": [shown.raw_as_json(value) for value in notification.values],
        }
    if isinstance(notification, apdu.EventNotification):
        found |= {
            "kind": "event-notification",
            "time": _time(notification.time),
            "attribute": _attribute(notification),
        }
    else:
        found |= {
            "kind": "data-notification",
            "invoke": notification.invoke & apdu.LONG_ID,
            "time": _time(notification.date_time),
        }
    found["value"] = shown.raw_as_json(notification.data)
    named = readings.named(notification.data)
    return found | ({"readings": dict(named)} if named else {})


def _attribute(event: apdu.EventNotification) -> str:
    return str(Member(ATTRIBUTE, event.class_id, event.obis, event.attribute))


def _time(stamp: bytes) -> str:
    return render.stamp(stamp) if stamp else ""
