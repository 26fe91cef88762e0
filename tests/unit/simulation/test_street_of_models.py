"""A street of five models in one job, over PLC, RF and IP: our own meters, such as IDIS, the Dutch
and the Indian companion profiles have, and some with short names only. What tells them apart is in
the inventory and in the shipped models; job, package and gateway are the same for all."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from gateway.contract.package import Check, Package, Set
from gateway.dlms.apdu import acse
from gateway.dlms.data import axdr, obis
from gateway.meters.inventory import KEYS, METERS
from tools.meter import data, device
from tools.meter.fleet import derive_test_fleet
from tools.meter.model import MANAGEMENT, Meter
from tools.meter.population import CLIENT_TITLE, IP, PLC, RF, Member, Mix, build_population
from tools.meter.scenario import Scenario
from tools.meter.server import MeterServer
from tools.simulation import run
from tools.simulation.district import DAY_S, District

MODELS = ("ami", "idis", "smr", "india", "ami-sn")
EACH = 3
SECRET = b"sixteen letters."  # HLS 2 of the Indian meters
FILTER = (1, obis.parse(device.ALARM_FILTER), 2)
WANTED = axdr.encode((axdr.DOUBLE_LONG_UNSIGNED, 0x2001))
PACKAGE = Package(
    "alarms",
    "1",
    "",
    [(device.FACTORY_MODEL, [])],
    [Set(*FILTER, WANTED)],
    [Check(*FILTER, WANTED)],
)
MODEL, CLOCK = "data 0.0.96.1.1.255 value", "clock 0.0.1.0.0.255 time"


def padded(text: str, size: int) -> bytes:
    return text.encode().ljust(size, b"\0")


def put(meter: Meter, name: str, octets: bytes) -> None:
    meter.add(data.Data(meter, name, (axdr.OCTET_STRING, octets), public=True))


def companion(meter: Meter) -> None:
    """As of IDIS and SMR: the name is filled up with zeros, and nothing tells a model."""
    put(meter, device.LOGICAL_DEVICE_NAME, padded(meter.serial, 16))
    del meter.objects[1, device.MODEL]


def indian(meter: Meter) -> None:
    """The serial is device ID 1, the name is another; the counter is that of the utility's
    client."""
    put(meter, device.LOGICAL_DEVICE_NAME, b"IND%013d" % int(meter.serial[3:]))
    put(meter, "0.0.96.1.0.255", padded(meter.serial, 20))
    counter = meter.objects.pop((1, device.INVOCATION_COUNTER)).attributes[2].get
    assert counter is not None
    meter.add(data.Data(meter, "0.0.43.1.3.255", counter, public=True))


CHANGES: dict[str, Callable[[Meter], None]] = {"idis": companion, "smr": companion}


def become(member: Member, model: str, now: Callable[[], float]) -> None:
    """The meter of another make, at the same place with the same keys."""
    meter = device.build_meter(
        member.serial,
        keys=member.keys,
        source=now,
        mechanism=acse.HIGH if model == "india" else acse.HIGH_GMAC,
        password=SECRET if model == "india" else b"",
        short_names={} if model == "ami-sn" else None,
    )
    if model == "india":
        indian(meter)
    elif model in CHANGES:
        CHANGES[model](meter)
    member.model = model
    member.server = MeterServer(meter, fleet=derive_test_fleet(1, CLIENT_TITLE))


def of_all_models(count: int, seed: int, mix: Mix, now: Callable[[], float]) -> list[Member]:
    members = build_population(count, seed, mix, now)
    for number, member in enumerate(members):
        become(member, MODELS[number // EACH], now)
    return members


class Mixed(District):
    """Whoever commissions writes the secrets of the Indian meters too; the virtual ones know one
    client for the work, of SAP 1."""

    def _commission(self) -> None:
        super()._commission()
        for name, more in ((METERS, {"client": 1}), (KEYS, {"lls": SECRET.hex()})):
            rows = [json.loads(line) for line in self.storage.read(name).splitlines()]
            for row in rows:
                member = self.members.get(row["serial"])
                if member is None:
                    continue
                if member.model == "india":
                    row.update(more)
                elif name == METERS:
                    del row["client"]  # by the model
            lines = "".join(json.dumps(row) + "\n" for row in rows)
            self.storage.replace(name, lines.encode())


def test_one_job_for_meters_of_five_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.simulation.district.build_population", of_all_models)
    mix = Mix(plc=1, rf=1, both=0, ip=1, dead=0, refuses_write=0, other_firmware=0)

    async def play() -> None:
        async with Mixed(Scenario(len(MODELS) * EACH, mix)) as district:
            members = district.members
            met = {(member.model, member.paths[0][0]) for member in members.values()}
            assert met == {(model, path) for model in MODELS for path in (PLC, RF, IP)}
            job = district.configure(PACKAGE)
            await district.finished(job, DAY_S)
            rows = {row.serial: row for row in district.meters_of(job)}
            assert {row.reason for row in rows.values()} == {"applied"}, rows
            for serial, member in members.items():
                assert rows[serial].path == member.paths[0][0]
                found = member.server.meter.find(1, device.ALARM_FILTER)
                assert found.read(2, MANAGEMENT) == (axdr.DOUBLE_LONG_UNSIGNED, 0x2001)
            dates = district.read([CLOCK])
            await district.finished(dates, DAY_S)
            assert {row.reason for row in district.meters_of(dates)} == {"read"}

    run(play())


def test_what_a_model_lacks_is_told_of_its_meters_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that names a model cannot go to meters that tell none: the model is to be
    corrected, not the meter visited."""
    monkeypatch.setattr("tools.simulation.district.build_population", of_all_models)
    mix = Mix(plc=1, rf=1, both=0, ip=1, dead=0, refuses_write=0, other_firmware=0)

    async def play() -> None:
        async with Mixed(Scenario(len(MODELS) * EACH, mix)) as district:
            job = district.read([MODEL, CLOCK])
            await district.finished(job, DAY_S)
            for row in district.meters_of(job):
                silent = district.members[row.serial].model in ("idis", "smr")
                assert row.reason == ("object-mismatch" if silent else "read"), row

    run(play())
