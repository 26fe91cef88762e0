"""Habits of meters in the field that `ami-dlms` has to get along with."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import pytest

from gateway.dlms import apdu
from gateway.dlms.apdu import acse
from hal.cpython.clock import SystemClock
from tests.unit.dlms_tool.conftest import KEYS, SERIAL, Stand, Tool, World
from tools.meter.device import build_meter
from tools.meter.server import MeterServer
from tools.meter.tcp import MeterTcp

PERIOD = "profile_generic 1.0.99.1.0.255 capture_period"


class Habit(MeterServer):
    """The virtual meter, whose answers `altered` may change."""

    def __init__(self) -> None:
        super().__init__(build_meter(SERIAL, keys=KEYS))
        self.asked: list[bytes] = []

    def answers(self, client_sap: int, server_sap: int, apdu: bytes) -> list[bytes]:
        self.asked.append(apdu)
        found = super().answers(client_sap, server_sap, apdu)
        return [each for answer in found for each in self.altered(answer)]

    def altered(self, answer: bytes) -> list[bytes]:
        raise NotImplementedError

    def serve(self, world: World) -> str:
        line = MeterTcp(self)
        port = world.run(line.start(0))
        world.at_end(line.stop)
        return "tcp://127.0.0.1:%d" % port


class NamesTheLastCounter(Habit):
    """It wants a higher invocation counter, and names the last one it has accepted."""

    def altered(self, answer: bytes) -> list[bytes]:
        if answer[0] == apdu.EXCEPTION_RESPONSE:
            refusal = apdu.decode(answer)
            if refusal.counter is not None:
                refusal.counter -= 1
            answer = refusal.encode()
        return [answer]


def test_a_counter_error_that_names_the_last(world: World, tool: Tool, keys: list[str]) -> None:
    meter = NamesTheLastCounter()
    url = meter.serve(world)
    title = ["--title", "414d490000000077"]
    assert tool(url, "get", PERIOD, *keys, *title, "--counter", "70000").status == 0
    elsewhere = ["--counter-file", keys[1] + ".counters"]  # here nothing was counted yet
    ran = tool(url, "get", PERIOD, *keys, *title, *elsewhere, "--json")
    assert ran.status == 0, ran.err
    assert ran.json[0]["value"] == {"double-long-unsigned": 3600}


def test_a_counter_that_is_given_is_believed(world: World, tool: Tool, keys: list[str]) -> None:
    """As one that a former head-end made of the clock; what the meter says of it alone is not."""
    meter = NamesTheLastCounter()
    url = meter.serve(world)
    title = ["--title", "414d490000000077"]
    assert tool(url, "get", PERIOD, *keys, *title, "--counter", "2500000000").status == 0
    elsewhere = ["--counter-file", keys[1] + ".counters"]
    ran = tool(url, "get", PERIOD, *keys, *title, *elsewhere)
    assert ran.status == 1 and "not believed" in ran.err
    told = ran.err.split("give --counter ")[1].split()[0]
    ran = tool(url, "get", PERIOD, *keys, *title, *elsewhere, "--counter", told)
    assert ran.status == 0, ran.err


def test_a_pause_before_each_request(
    stand: Stand, tool: Tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[int] = []

    async def sleep_ms(self: SystemClock, duration: int) -> None:
        pauses.append(duration)

    monkeypatch.setattr(SystemClock, "sleep_ms", sleep_ms)
    assert tool(stand.tcp, "get", "data 0.0.42.0.0.255 value", "--pause", "0.3").status == 0
    assert pauses == [300] * 3  # AARQ, GET, RLRQ
    assert tool(stand.tcp, "get", "data 0.0.42.0.0.255 value").status == 0
    assert len(pauses) == 3


NAME = "data 0.0.42.0.0.255 value"
TIME = "clock 0.0.1.0.0.255 time"


class StrayOctets(Habit):
    """Two octets behind the value of each GET."""

    def altered(self, answer: bytes) -> list[bytes]:
        refused = answer[1:2] == b"\1" and answer[3:4] == b"\1"
        value = answer[:1] == bytes([apdu.GET_RESPONSE]) and not refused
        return [answer + b"\0\0" if value else answer]


def test_stray_octets_behind_a_value(world: World, tool: Tool) -> None:
    url = StrayOctets().serve(world)
    ran = tool(url, "get", NAME, TIME, "--json")  # as a list, then one by one
    assert ran.status == 0, ran.err
    assert ran.json[0]["value"] and "value" in ran.json[1]
    assert "GET clock.time of 0.0.1.0.0.255: 2 stray bytes behind the value" in ran.err
    ran = tool(url, "clock", "--json")
    assert ran.status == 0 and ran.json["time"], ran.err


class DropsLists(Habit):
    """It agrees to lists, and says nothing to any."""

    def answers(self, client_sap: int, server_sap: int, apdu: bytes) -> list[bytes]:
        found = super().answers(client_sap, server_sap, apdu)
        return [] if apdu[:2] == b"\xc0\x03" else found

    def altered(self, answer: bytes) -> list[bytes]:
        return [answer]


def test_lists_that_are_dropped(world: World, tool: Tool) -> None:
    meter = DropsLists()
    ran = tool(meter.serve(world), "identify", "--timeout", "0.5", "--tries", "2")
    assert ran.status == 0 and SERIAL in ran.out, ran.err
    assert "agreed to multiple-references and does not keep to it" in ran.err
    lists = [request for request in meter.asked if request[:2] == b"\xc0\x03"]
    assert len(lists) == 2


class NoRelease(Habit):
    """It leaves an RLRQ unanswered."""

    def altered(self, answer: bytes) -> list[bytes]:
        return [] if answer[:1] == bytes([acse.RLRE]) else [answer]


def test_a_release_that_is_not_answered_costs_little(world: World, tool: Tool) -> None:
    url = NoRelease().serve(world)
    waited: list[int] = []
    wait_for_ms = SystemClock.wait_for_ms

    async def waiting(self: SystemClock, awaitable: Awaitable[Any], duration: int) -> Any:
        waited.append(duration)
        return await wait_for_ms(self, awaitable, duration)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SystemClock, "wait_for_ms", waiting)
        assert tool(url, "get", NAME, "--timeout", "60").status == 0
    assert waited[-1] < 30_000  # of the 60 s that an answer may take
