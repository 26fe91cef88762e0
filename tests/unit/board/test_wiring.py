"""From settings to modems."""

from __future__ import annotations

import json

import pytest

from board.wiring import modems
from gateway.settings import parse
from hal.cpython.datagrams import UdpPort
from hal.cpython.ports import open_port
from hal.modem.drivers import DRIVERS, LINK_MODES
from hal.modem.wmbus import wmbus
from hal.ports import Capabilities
from hal.sim.clock import ManualClock

BASIS = {
    "concentrator": "street-1",
    "system_title": "414d490000000001",
    "uplink": {"host": "127.0.0.1"},
    "signers": [{"kid": "01", "key": "02" * 64}],
    "plain": True,
}


def wired(**modem: str) -> Capabilities:
    settings = parse(json.dumps({**BASIS, "modems": [modem]}), DRIVERS)
    ((made, at_once),) = modems(settings, ManualClock(), open_port, UdpPort.open)
    assert at_once >= 1
    return made.capabilities


@pytest.mark.parametrize("driver", sorted(DRIVERS))
def test_every_driver_has_its_modem(driver: str) -> None:
    line = {"url": "tcp://127.0.0.1:1"} if DRIVERS[driver].has_line else {}
    for kind in DRIVERS[driver].kinds:
        capabilities = wired(driver=driver, kind=kind, **line)
        assert capabilities.name == kind


@pytest.mark.parametrize("driver", ["amber", "imst"])
def test_the_radio_budget_is_that_of_the_link_mode(driver: str) -> None:
    assert sorted(LINK_MODES) == sorted(wmbus.MODES)
    for mode, (_, permille) in wmbus.MODES.items():
        capabilities = wired(driver=driver, url="tcp://127.0.0.1:1", link_mode=mode)
        assert capabilities.duty_permille == permille
