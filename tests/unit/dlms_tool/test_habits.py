"""Habits of meters in the field that `ami-dlms` has to get along with."""

from __future__ import annotations

import pytest

from gateway.dlms import apdu
from hal.cpython.clock import SystemClock
from tests.unit.dlms_tool.conftest import KEYS, SERIAL, Stand, Tool, World
from tools.meter.device import build_meter
from tools.meter.server import MeterServer
from tools.meter.tcp import MeterTcp

PERIOD = "profile_generic 1.0.99.1.0.255 capture_period"


class Habit(MeterServer):
    """The virtual meter, whose answers `altered` may change."""

    def __init__(self, ciphered: bool = True) -> None:
        super().__init__(build_meter(SERIAL, keys=KEYS if ciphered else None))
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
