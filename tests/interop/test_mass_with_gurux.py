"""One image job for meters on PLC, by broadcast, and for a meter made of gurux-dlms on IP, by
unicast: both are asked themselves."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

pytest.importorskip("gurux_dlms")

from gurux_dlms.enums import Authentication, DataType
from gurux_dlms.objects import GXDLMSData, GXDLMSImageActivateInfo

from tests.interop import gurux_objects
from tests.interop.gurux_meter import WRAPPER, Cipher, GuruxMeter
from tests.portable.support import random_bytes
from tools.emulator.wire import Direction, Port
from tools.meter.image import make_image
from tools.meter.population import Mix
from tools.meter.scenario import Scenario
from tools.simulation import run
from tools.simulation.district import DAY_S, District
from tools.simulation.network import IpMeter

MODEL, OLD, NEW = "AMI-E450", "V02.10.01", "V03.00.00"
CONTENT = make_image(MODEL, NEW, random_bytes(1, 3000))
GURUX = gurux_objects.SERIAL.decode()  # the seventh meter
MIX = Mix(plc=6, rf=0, both=0, ip=1, dead=0, refuses_write=0, other_firmware=0)


class Firmware(gurux_objects.Image):
    """Becomes what it was sent."""

    def __init__(self, firmware: Any) -> None:
        super().__init__()
        self.imageBlockSize = 200
        self._firmware = firmware

    def invoke(self, settings: Any, e: Any) -> None:
        super().invoke(settings, e)
        if e.index == 1:
            self.imageActivateInfo = []
        elif e.index == 3 and not e.error:
            info = GXDLMSImageActivateInfo()
            info.size, info.identification, info.signature = self.imageSize, self.identifier, b""
            self.imageActivateInfo = [info]
        elif e.index == 4:
            self._firmware.value = NEW.encode()


def gurux_meter(title: bytes, ek: bytes, ak: bytes) -> tuple[GuruxMeter, Any, Any]:
    """The meter, its firmware identifier and its image."""
    model, firmware = GXDLMSData("0.0.96.1.1.255"), GXDLMSData("1.0.0.2.0.255")
    for found, text in ((model, MODEL), (firmware, OLD)):
        found.setDataType(2, DataType.OCTET_STRING)
        found.value = text.encode()
    image = Firmware(firmware)
    objects = [*gurux_objects.build()[:-1], model, firmware, image]
    cipher = Cipher(title, ek, ak)
    return (
        GuruxMeter(WRAPPER, objects, Authentication.HIGH_GMAC, cipher=cipher, max_pdu=320),
        firmware,
        image,
    )


class GuruxOnIp(IpMeter):
    """Behind a line in memory, in simulated time."""

    def __init__(self, meter: GuruxMeter) -> None:
        self._gurux = meter

    def open(self) -> Port:
        port = Port()
        back = Direction(port.deliver, 100_000)

        def received(data: bytes) -> None:
            for frame in self._gurux.receive(data):
                back.send(frame)

        port.out = Direction(received, 100_000)
        return port


def test_an_image_for_both() -> None:
    async def play() -> None:
        async with District(Scenario(7, MIX)) as district:
            keys = district.members[GURUX].keys
            meter, firmware, image = gurux_meter(keys.title, keys.ek, keys.ak)
            district.lines.add_meter(
                "tcp://" + district.members[GURUX].paths[0][1], GuruxOnIp(meter)
            )
            await asyncio.sleep(60)
            job = district.image(CONTENT, NEW, "ciphered")
            await district.finished(job, DAY_S)
            rows = {row.serial: row for row in district.meters_of(job)}
            assert {row.reason for row in rows.values()} == {"applied"}, rows
            assert rows.pop(GURUX).path == "ip"
            assert {row.path for row in rows.values()} == {"plc"}
            for serial in rows:
                assert district.members[serial].server.meter.firmware == NEW
                log = district.members[serial].server.meter.log
                assert log.count("action", 18, "0.0.44.0.0.255", 2) >= 16
            assert district.network.statistics()[0][1]["link-broadcasts"] >= 16
            assert bytes(firmware.value) == NEW.encode()
            assert image.data == CONTENT

    run(play())
