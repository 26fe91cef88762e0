"""The whole of it in simulated time: a HES that sends a model, a concentrator, and the gurux meter
as it is beside meters of our own, in one job; and one that stands far ahead of us."""

from __future__ import annotations

import asyncio
import json

import pytest

pytest.importorskip("gurux_dlms")

from gurux_dlms.enums import Authentication

from gateway.contract import envelope
from gateway.contract.model import Model
from gateway.contract.package import Check, Package, Set
from gateway.dlms.data import axdr, obis
from gateway.dlms.protection.policy import FORMS
from gateway.meters.inventory import KEYS, METERS
from tests.interop import gurux_objects
from tests.interop.gurux_meter import WRAPPER, Cipher, GuruxMeter
from tests.interop.test_mass_with_gurux import GuruxOnIp
from tools.meter.population import Mix
from tools.meter.scenario import Scenario
from tools.simulation import run
from tools.simulation.district import CONCENTRATOR, DAY_S, District

SECRET = b"a password"
FOREIGN = "whoever"
LIMIT = (1, obis.parse("0.0.96.50.1.255"), 2)
WANTED = axdr.encode((axdr.DOUBLE_LONG_UNSIGNED, 9))
PACKAGE = Package("p", "1", "", [("any", [])], [Set(*LIMIT, WANTED)], [Check(*LIMIT, WANTED)])
MIX = Mix(plc=3, rf=0, both=0, ip=1, dead=0, refuses_write=0, other_firmware=0)


def append(district: District, name: str, row: dict[str, object]) -> None:
    """Somebody commissions a meter."""
    before = district.storage.read(name)
    district.storage.replace(name, before + json.dumps(row).encode() + b"\n")


def model(**fields: object) -> Model:
    return Model("gurux", 1, "", model=None, firmware=None, public_sap=0, counter=None, **fields)


def add_meter(district: District, meter: GuruxMeter, keys: dict[str, object]) -> None:
    address = "foreign:4059"
    district.lines.add_meter("tcp://" + address, GuruxOnIp(meter))
    append(district, METERS, {"serial": FOREIGN, "model": "gurux", "paths": [["ip", address]]})
    append(district, KEYS, {"serial": FOREIGN, **keys})


def send(district: District, sent: Model) -> None:
    signed = envelope.sign(sent.to_payload(), district.key.kid, district.key.sign)
    trust = district.store.trust
    trust.add_numbered("model", CONCENTRATOR, sent.number, sent.name, signed)


def test_a_model_from_the_hes_is_all_it_takes() -> None:
    async def play() -> None:
        async with District(Scenario(4, MIX)) as district:
            meter = GuruxMeter(
                WRAPPER, gurux_objects.build(), Authentication.LOW, SECRET, max_pdu=320
            )
            add_meter(district, meter, {"lls": SECRET.hex()})
            await asyncio.sleep(60)
            # Before the model is there, the meter waits for it; it is nobody's fault out there.
            clock = district.read("clock 0.0.1.0.0.255 time", [*district.members, FOREIGN])
            await asyncio.sleep(300)
            send(district, model(serial=None, mechanism=1, form=FORMS.index("plain")))
            await district.finished(clock, DAY_S)
            rows = {row.serial: row for row in district.meters_of(clock)}
            assert {row.reason for row in rows.values()} == {"read"} and FOREIGN in rows
            assert rows[FOREIGN].attempts == 1
            job = district.configure(PACKAGE, [FOREIGN])
            await district.finished(job, DAY_S)
            again = district.configure(PACKAGE, [FOREIGN])
            await district.finished(again, DAY_S)
            assert [district.meters_of(each)[0].reason for each in (job, again)] == [
                "applied",
                "already-as-wanted",
            ]
            limit = meter.settings.objects.findByLN(1, "0.0.96.50.1.255")
            assert limit.value == 9

    run(play())


class FarAhead(GuruxMeter):
    """It answers nobody whose invocation counter is not above `last`."""

    last = 2_500_000_000

    def _answer(self, request):  # type: ignore[no-untyped-def]
        data = bytes(request.array())
        if data[0] == 0xCB:  # glo-action: the security control byte, the counter
            assert int.from_bytes(data[3:7], "big") >= self.last, "a counter below the last"
        return super()._answer(request)


def test_a_counter_that_was_told_at_commissioning() -> None:
    ek, ak = bytes(range(16)), bytes(range(16, 32))

    async def play() -> None:
        async with District(Scenario(4, MIX)) as district:
            meter = FarAhead(
                WRAPPER,
                gurux_objects.build(),
                Authentication.HIGH_GMAC,
                cipher=Cipher(b"GRX00001", ek, ak),
                max_pdu=320,
            )
            keys = {"ek": ek.hex(), "ak": ak.hex(), "counter": FarAhead.last}
            add_meter(district, meter, keys)
            send(district, model(serial=None))
            await asyncio.sleep(60)
            job = district.configure(PACKAGE, [FOREIGN])
            await district.finished(job, DAY_S)
            (row,) = district.meters_of(job)
            assert (row.reason, row.attempts) == ("applied", 1)
            # What was used is not used again after a restart.
            used = district.gateway._worker._reach.counters.next(FOREIGN)
            assert used > FarAhead.last + 4
            await district.shut_down()
            district.boot()
            await asyncio.sleep(60)
            meter.last = used
            read = district.read("clock 0.0.1.0.0.255 time", [FOREIGN])
            await district.finished(read, DAY_S)
            assert district.meters_of(read)[0].reason == "read"
            assert ek.hex().encode() not in district.storage.read(KEYS)

    run(play())
