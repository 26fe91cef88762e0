"""The back door of a running population: look into any meter, switch faults, shut down.

One JSON object a line over TCP on loopback; each request is answered by one line with "ok" true, or
false and "error". Values are A-XDR in hex.

    {"op": "meters"}                          -> "meters": [{serial, role, model, firmware, ...}]
    {"op": "read", "serial": .., "class": 7, "obis": "1.0.99.1.0.255", "attribute": 4}  -> "data"
    {"op": "put", ... , "data": hex}          changes the attribute from inside (a worn battery, a
                                              voltage that rises); never counted as a write
    {"op": "log", "serial": ..}               -> "log": [{service, class, obis, index, count}]
    {"op": "fault", "serial": .., "name": "dead", "value": true}    a field of model.Faults
    {"op": "lose-state", "serial": ..}
    {"op": "firmware", "serial": .., "value": "V01.08.00"}
    {"op": "drift", "serial": .., "value": 12.5}    seconds a day that its clock gains
    {"op": "power", "serial": .., "value": false}   an outage begins; true: it is over
    {"op": "happen", "serial": .., "value": "cover-opened"}    an event of makes.py
    {"op": "leave", "serial": ..}             off all networks without a word; "join": back again
    {"op": "hang", "modem": "plc", "value": true}    it neither hears nor answers, until false
    {"op": "noise", "modem": "plc", "share": 1.0, "ms": 60000}    so much more is lost on its medium
    {"op": "unplug", "modem": "plc"}          its pseudo-terminal is gone; "plug": there again
    {"op": "shutdown"}
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import socket
from collections.abc import Callable
from typing import Any

from gateway.dlms.data import axdr
from gateway.dlms.errors import ProtocolError
from tools.emulator.line import PtyLine
from tools.listener import Listener
from tools.meter.kinds import Typed
from tools.meter.model import Faults, Refused
from tools.meter.population import Member
from tools.meter.street import Street

HOST = "127.0.0.1"
MOST_LINE = 1 << 20


class ControlServer:
    """`stop` is called when a client asks for shutdown. `street`: the networks of the members."""

    def __init__(
        self, members: list[Member], stop: Callable[[], None], street: Street | None = None
    ) -> None:
        self._members = {member.serial: member for member in members}
        self._stop = stop
        self._street = street
        self._listener = Listener(self._converse, MOST_LINE)

    async def start(self, port: int) -> int:
        """Listen on loopback; returns the port, which is the system's choice for 0."""
        return await self._listener.start(port, HOST)

    async def stop(self) -> None:
        await self._listener.stop()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(json.dumps(self._answer(line)).encode() + b"\n")
            await writer.drain()

    def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
            return {"ok": True, **self._carry_out(request)}
        except Refused as refused:
            return {"ok": False, "error": refused.result}
        except KeyError as error:
            return {"ok": False, "error": "%s is missing or unknown" % error}
        except (ValueError, TypeError, AttributeError, ProtocolError) as error:
            return {"ok": False, "error": str(error)}

    def _carry_out(self, request: dict[str, Any]) -> dict[str, Any]:
        op = request["op"]
        if op == "meters":
            return {"meters": [_described(member) for member in self._members.values()]}
        if op == "shutdown":
            self._stop()
            return {}
        if op in ("hang", "noise", "unplug", "plug"):
            return self._trouble(op, request)
        member = self._members[request["serial"]]
        meter = member.server.meter
        if op == "read":
            typed = meter.read(request["class"], request["obis"], request["attribute"])
            return {"data": axdr.encode(typed).hex()}
        if op == "put":
            found = meter.find(request["class"], request["obis"])
            found.put(request["attribute"], axdr.decode(bytes.fromhex(request["data"])))
            return {}
        if op == "log":
            return {"log": meter.log.as_json()}
        if op == "fault":
            _set_fault(meter.faults, request["name"], request["value"])
            return {}
        if op == "lose-state":
            member.server.lose_state()
            return {}
        if op == "firmware":
            meter.firmware = str(request["value"])
            return {}
        if op == "drift":
            meter.drift_by(float(request["value"]))
            return {}
        if op == "power":
            change = meter.get_power if request["value"] else meter.lose_power
            change()
            return {}
        if op == "happen":
            meter.happen(str(request["value"]))
            return {}
        if op in ("leave", "join"):
            street = self._on_street()
            moved = street.leave if op == "leave" else street.join
            moved(member)
            return {}
        raise ValueError("no op %r" % (op,))

    def _on_street(self) -> Street:
        if self._street is None:
            raise ValueError("there is no network here")
        return self._street

    def _trouble(self, op: str, request: dict[str, Any]) -> dict[str, Any]:
        modem = self._on_street().modem(request["modem"])
        if op == "hang":
            modem.hanging = bool(request["value"])
            return {}
        if op == "noise":
            until = modem.air.now_ms() + int(request["ms"])
            modem.air.channel.make_noise(float(request["share"]), until)
            return {}
        line = modem.line
        if not isinstance(line, PtyLine):
            raise ValueError("expected a modem on a pseudo-terminal")
        change = line.unplug if op == "unplug" else line.plug
        change()
        return {}


def _described(member: Member) -> dict[str, Any]:
    meter = member.server.meter
    return {
        "serial": member.serial,
        "role": member.role,
        "model": meter.model,
        "firmware": meter.firmware,
        "paths": member.paths,
        "faults": dataclasses.asdict(meter.faults),
    }


def _set_fault(faults: Faults, name: str, value: Any) -> None:
    """Takes JSON: refuse_write is [class, obis, attribute] or null. ValueError says what is
    expected."""
    known = {field.name: getattr(Faults(), field.name) for field in dataclasses.fields(Faults)}
    if name not in known:
        raise ValueError("no fault %r, but %s" % (name, ", ".join(known)))
    if name == "refuse_write":
        if value is not None:
            class_id, obis, attribute = value
            value = (int(class_id), str(obis), int(attribute))
    elif type(value) is not type(known[name]):
        raise ValueError("fault %s takes a %s" % (name, type(known[name]).__name__))
    setattr(faults, name, value)


class ControlError(Exception):
    """The population said no, and why."""


class Control:
    """A client of the control channel. Blocking; use as a context manager."""

    def __init__(self, port: int, timeout: float = 10.0) -> None:
        self._socket = socket.create_connection((HOST, port), timeout)
        self._file = self._socket.makefile("rwb")

    def __enter__(self) -> Control:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._socket.close()

    def ask(self, op: str, **fields: Any) -> dict[str, Any]:
        """One request as described above; ControlError when it was refused."""
        self._file.write(json.dumps({"op": op, **fields}).encode() + b"\n")
        self._file.flush()
        line = self._file.readline()
        if not line:
            raise ControlError("the population closed the control channel")
        answer: dict[str, Any] = json.loads(line)
        if not answer["ok"]:
            raise ControlError("%s: %s" % (op, answer["error"]))
        return answer

    def meters(self) -> list[dict[str, Any]]:
        """serial, role, model, firmware, paths, faults of each."""
        found: list[dict[str, Any]] = self.ask("meters")["meters"]
        return found

    def read(self, serial: str, class_id: int, name: str, attribute: int) -> Typed:
        """The attribute as it is inside the meter, whatever the gateway believes."""
        fields = {"class": class_id, "obis": name, "attribute": attribute}
        answer = self.ask("read", serial=serial, **fields)
        return axdr.decode(bytes.fromhex(answer["data"]))

    def put(self, serial: str, class_id: int, name: str, attribute: int, typed: Typed) -> None:
        fields = {"class": class_id, "obis": name, "attribute": attribute}
        self.ask("put", serial=serial, data=axdr.encode(typed).hex(), **fields)

    def log(self, serial: str) -> list[dict[str, Any]]:
        """What clients changed: [{service, class, obis, index, count}]."""
        found: list[dict[str, Any]] = self.ask("log", serial=serial)["log"]
        return found

    def fault(self, serial: str, name: str, value: Any) -> None:
        self.ask("fault", serial=serial, name=name, value=value)

    def lose_state(self, serial: str) -> None:
        self.ask("lose-state", serial=serial)

    def set_firmware(self, serial: str, firmware: str) -> None:
        self.ask("firmware", serial=serial, value=firmware)

    def drift(self, serial: str, seconds: float) -> None:
        self.ask("drift", serial=serial, value=seconds)

    def power(self, serial: str, value: bool) -> None:
        self.ask("power", serial=serial, value=value)

    def happen(self, serial: str, what: str) -> None:
        self.ask("happen", serial=serial, value=what)

    def leave(self, serial: str) -> None:
        self.ask("leave", serial=serial)

    def join(self, serial: str) -> None:
        self.ask("join", serial=serial)

    def hang(self, modem: str, value: bool) -> None:
        self.ask("hang", modem=modem, value=value)

    def noise(self, modem: str, share: float, ms: int) -> None:
        """`ms` in the channel's time."""
        self.ask("noise", modem=modem, share=share, ms=ms)

    def unplug(self, modem: str) -> None:
        self.ask("unplug", modem=modem)

    def plug(self, modem: str) -> None:
        self.ask("plug", modem=modem)

    def shutdown(self) -> None:
        """End the population's process."""
        self.ask("shutdown")
