"""notify: what a meter sends unasked.

Over an association that stays open; or, with --listen, as the head-end whom meters push to: the
URL is then the local address to listen at (tcp:// or udp://). Pushes under general-glo-ciphering
are deciphered and checked with --ek and --ak.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import Any

from gateway.dlms import apdu
from gateway.dlms.data.axdr import bytes_at
from gateway.dlms.errors import DlmsError, ProtocolError
from gateway.dlms.protection.policy import GENERAL_GLO, Protection
from gateway.dlms.protection.security import Ciphering
from gateway.dlms.protection.tags import GENERAL_GLO_TAG, PROTECTED
from hal.modem.wrapper import Unwrapper, unwrap
from tools.cosem import render
from tools.cosem.names import ATTRIBUTE, Member
from tools.dlms import shown
from tools.dlms.failure import DONE, REFUSED, CallProblem, one_line
from tools.dlms.output import console, printable
from tools.dlms.place import TCP, UDP
from tools.dlms.session import Settings, conversation

_CONNECTIONS = 64  # meters pushing at once; more wait


async def notify(options: argparse.Namespace, settings: Settings) -> int:
    inbox = Inbox(settings, options.count)
    if options.listen:
        await _serve(settings, inbox, options.seconds)
    else:
        await _wait(settings, inbox, options.seconds)
    if inbox.count == 0:
        console(stderr=True).print("nothing came within %g s" % options.seconds)
        return REFUSED
    return DONE


class Inbox:
    """Shows notifications as they come, until `limit` are there (0: no limit)."""

    def __init__(self, settings: Settings, limit: int) -> None:
        self.count = 0
        self.full = asyncio.Event()
        self._settings = settings
        self._limit = limit
        self._out = console()
        self._ciphering: dict[bytes, Ciphering] = {}  # by the meter's system title

    def show(self, origin: str, notification: Any) -> None:
        if self.full.is_set():
            return
        self.count += 1
        if self._limit and self.count >= self._limit:
            self.full.set()
        if self._settings.json:
            print(json.dumps(_json(origin, notification)), flush=True)
        else:
            self._out.print(printable(_text(origin, notification)), markup=False, soft_wrap=True)

    def take(self, origin: str, raw: bytes) -> None:
        """An APDU pushed to us; what it is not is told on stderr."""
        if self._settings.tracer is not None:
            self._settings.tracer.line("<", raw)
        try:
            notification = apdu.decode(self._plain(raw))
            if not isinstance(notification, apdu.NOTIFICATIONS):
                raise ProtocolError("%s is no notification" % type(notification).__name__)
        except DlmsError as error:
            line = "%s: %s" % (origin, one_line(error))
            console(stderr=True).print(printable(line), markup=False, soft_wrap=True)
            return
        self.show(origin, notification)

    def _plain(self, raw: bytes) -> bytes:
        if not raw or raw[0] not in PROTECTED:
            return raw
        keys = self._settings.association.keys
        if keys is None or not keys.ek:
            raise ProtocolError("a ciphered push came; give --ek and --ak")
        if raw[0] != GENERAL_GLO_TAG:
            raise ProtocolError("a push is deciphered under general-glo-ciphering only")
        title, _ = bytes_at(raw, 1)
        if title not in self._ciphering:
            if len(self._ciphering) >= _CONNECTIONS:
                self._ciphering.pop(next(iter(self._ciphering)))
            self._ciphering[title] = Ciphering(
                self._settings.crypto,
                keys,
                self._settings.next_counter,
                title,
                protection=Protection(GENERAL_GLO),
            )
        return self._ciphering[title].unprotect(raw)


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
    if place.scheme not in (TCP, UDP):
        raise CallProblem("--listen takes a tcp:// or udp:// URL: the local address")
    loop = asyncio.get_running_loop()
    if place.scheme == UDP:
        transport, _ = await loop.create_datagram_endpoint(
            lambda: _Datagrams(inbox), local_addr=(place.host, place.port)
        )
        close = transport.close
    else:
        server = await asyncio.start_server(_Stream(inbox), place.host, place.port)
        close = server.close
    try:
        console(stderr=True).print("listening at %s" % place, markup=False)
        async with asyncio.timeout(seconds):
            await inbox.full.wait()
    except TimeoutError:
        pass
    finally:
        close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    def datagram_received(self, data: bytes, address: Any) -> None:
        try:
            _, _, raw = unwrap(data)
        except ValueError:
            return
        self._inbox.take(address[0], raw)


class _Stream:
    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._free = asyncio.Semaphore(_CONNECTIONS)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        origin = writer.get_extra_info("peername")[0]
        unwrapper = Unwrapper()
        try:
            async with self._free:
                while data := await reader.read(4096):
                    for _, _, raw in unwrapper.feed(data):
                        self._inbox.take(origin, raw)
        except (OSError, ValueError):
            pass  # gone, or no wrapper: nothing to be had from it
        finally:
            writer.close()


# ---------------------------------------------------------------- output


def _text(origin: str, notification: Any) -> str:
    if isinstance(notification, apdu.InformationReport):
        lines = [
            "0x%04x: %s" % (name, render.data(value))
            for name, value in zip(notification.names, notification.values, strict=True)
        ]
        return "\n  ".join(["information-report from %s" % origin, *lines])
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
    return "%s\n  %s" % (heading, render.lines(notification.data).replace("\n", "\n  "))


def _json(origin: str, notification: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"from": origin}
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
        found |= {"kind": "data-notification", "time": _time(notification.date_time)}
    found["value"] = shown.raw_as_json(notification.data)
    return found


def _attribute(event: apdu.EventNotification) -> str:
    return str(Member(ATTRIBUTE, event.class_id, event.obis, event.attribute))


def _time(stamp: bytes) -> str:
    return render.moment(stamp) if stamp else ""
