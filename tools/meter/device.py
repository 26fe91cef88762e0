"""A whole meter: every object it holds, put together."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from gateway.dlms.apdu import acse
from gateway.dlms.data import axdr, obis
from tools.meter import data, protection
from tools.meter.activity_calendar import ActivityCalendar, SpecialDaysTable
from tools.meter.association import BY_SECRET, AssociationLN, SecuritySetup
from tools.meter.clock import Clock
from tools.meter.demand import DemandRegister, ExtendedRegister
from tools.meter.events import Events
from tools.meter.image import ImageTransfer
from tools.meter.kinds import Typed
from tools.meter.makes import AMI, Make
from tools.meter.model import MANAGEMENT, PUBLIC, CosemObject, Meter
from tools.meter.monitor import RegisterMonitor, value_definition
from tools.meter.profile import Closure, ProfileGeneric, capture_object
from tools.meter.protection import Demand
from tools.meter.schedule import PushSetup, SapAssignment, SingleActionSchedule
from tools.meter.script import EXECUTE_METHOD, WRITE_ATTRIBUTE, ScriptTable
from tools.meter.short_names import associations
from tools.meter.supply import DisconnectControl, Limiter

FACTORY_MODEL = "AMI-E450"
FACTORY_FIRMWARE = "V02.10.01"

LOGICAL_DEVICE_NAME = "0.0.42.0.0.255"
MODEL = "0.0.96.1.1.255"
FIRMWARE = "1.0.0.2.0.255"
INVOCATION_COUNTER = "0.0.43.1.0.255"
ALARM_REGISTER = "0.0.97.98.0.255"
ALARM_FILTER = "0.0.97.98.10.255"
CLOCK = "0.0.1.0.0.255"
SCRIPTS = "0.0.10.0.100.255"
SPECIAL_DAYS = "0.0.11.0.0.255"
CALENDAR = "0.0.13.0.0.255"
MONITOR = "0.0.16.1.0.255"
SECURITY = "0.0.43.0.0.255"
IMAGE = "0.0.44.0.0.255"
LOAD_PROFILE = "1.0.99.1.0.255"
ENERGY = "1.0.1.8.0.255"
EXPORT, REACTIVE, REACTIVE_EXPORT = "1.0.2.8.0.255", "1.0.3.8.0.255", "1.0.4.8.0.255"
VOLTAGE = "1.0.32.7.0.255"
TARIFF = "0.0.96.14.0.255"  # currently active tariff
SUPPLY = "0.0.96.3.10.255"
LIMITER = "0.0.17.0.0.255"
DEMAND = "1.0.1.4.0.255"
MAXIMUM_DEMAND = "1.0.1.6.0.255"
SCHEDULE = "0.0.15.0.0.255"
PUSH = "0.0.25.9.0.255"
SAPS = "0.0.41.0.0.255"


class MeterKeys:
    """The secrets of one meter, and of its client: for suites 1 and 2 the private keys of both.
    Never shown by repr."""

    __slots__ = (
        "agreement",
        "ak",
        "client_agreement",
        "client_signing",
        "ek",
        "master",
        "signing",
        "suite",
        "title",
    )

    def __init__(self, title: bytes, ek: bytes, ak: bytes, master: bytes, suite: int = 0) -> None:
        self.title = title
        self.ek = ek
        self.ak = ak
        self.master = master
        self.suite = suite
        self.signing = self.agreement = b""
        self.client_signing = self.client_agreement = b""

    def public(self, name: str) -> bytes:
        """The meter's public key, "signing" or "agreement"."""
        return self._public(getattr(self, name))

    def client_public(self, name: str) -> bytes:
        """The client's."""
        return self._public(getattr(self, "client_" + name))

    def _public(self, private: bytes) -> bytes:
        if not private:
            return b""
        return protection.public_of(protection.private_key(self.suite, private))

    def __repr__(self) -> str:
        return "MeterKeys(title=%s)" % self.title.hex()


def derive_test_keys(seed: int, serial: str, suite: int = 0) -> MeterKeys:
    """TEST KEYS, derived from a public seed: for virtual meters only. The system title is "AMI"
    + 5 bytes."""

    def derive(what: str, size: int) -> bytes:
        text = "ami-concentrator TEST KEY %d %s %s" % (seed, serial, what)
        return (
            hashlib.sha512(text.encode()).digest()[:size]
            if size > 32
            else hashlib.sha256(text.encode()).digest()[:size]
        )

    size = protection.KEY_SIZES[suite]
    keys = MeterKeys(
        b"AMI" + derive("title", 5),
        derive("ek", size),
        derive("ak", size),
        derive("master", size),
        suite,
    )
    if suite:
        private = 32 if suite == 1 else 48
        for name in ("signing", "agreement", "client_signing", "client_agreement"):
            # the first byte keeps it below the curve's order
            setattr(keys, name, b"\x01" + derive(name, private - 1))
    return keys


def build_meter(
    serial: str,
    model: str = FACTORY_MODEL,
    firmware: str = FACTORY_FIRMWARE,
    *,
    keys: MeterKeys | None = None,
    password: bytes = b"",
    mechanism: int | None = None,
    demand: Demand | None = None,
    source: Callable[[], float] = time.time,
    short_names: Mapping[str, int] | None = None,
    make: Make = AMI,
) -> Meter:
    """A meter whose management client authenticates by HLS5-GMAC with `keys`, else by LLS with
    `password`; or by another `mechanism` (acse.NONE..HIGH_ECDSA), with `password` as its secret.

    `demand` is the protection the meter insists on: authenticated and encrypted, where it has
    `keys`; form "plain" for none. `source` gives unix seconds. What differs between meters (load,
    voltage) follows from the serial. With `short_names` it knows these only: the base name of each
    object by its OBIS code, assigned where it is not given. `make`: which profiles, logs and
    alarms it has.
    """
    if keys is None and not password and mechanism is None:
        raise ValueError("a meter needs keys (HLS5-GMAC) or a password (LLS)")
    if mechanism is None:
        mechanism = acse.LOW if keys is None else acse.HIGH_GMAC
    if mechanism in BY_SECRET and not password:
        raise ValueError("authentication %d needs a password or secret" % mechanism)
    if mechanism == acse.HIGH_GMAC and keys is None:
        raise ValueError("HLS5-GMAC needs keys")
    if mechanism == acse.HIGH_ECDSA and (keys is None or not keys.suite):
        raise ValueError("HLS7-ECDSA needs keys of suite 1 or 2")
    wanted = demand or Demand()
    if keys is None and wanted.form not in (None, "plain"):
        raise ValueError("protection %s needs keys" % wanted.form)
    if keys is None:
        wanted = replace(wanted, form="plain")
    by_mechanism = mechanism
    own = keys or MeterKeys(_character(serial)[:8], bytes(16), bytes(16), bytes(16))

    def assemble(meter: Meter) -> None:
        security = meter.objects.get((64, SECURITY)) or SecuritySetup(meter, SECURITY, own, wanted)
        assert isinstance(security, SecuritySetup)
        meter.objects.clear()
        meter.add(*_objects(meter, security, make), security)
        made: Callable[[int, int, bool, bytes], AssociationLN] = partial(AssociationLN, meter)
        if short_names is not None:
            made = associations(meter, short_names)
        meter.associations[PUBLIC] = made(PUBLIC, acse.NONE, False, b"")
        management = made(MANAGEMENT, by_mechanism, wanted.form != "plain", password)
        management.signed = wanted.signed
        meter.associations[MANAGEMENT] = management

    return Meter(serial, model, firmware, assemble, source)


def _character(serial: str) -> bytes:
    """Bytes that make this meter different from others."""
    return hashlib.sha256(serial.encode()).digest()


def _objects(meter: Meter, security: SecuritySetup, make: Make) -> list[CosemObject]:
    character = _character(meter.serial)
    load = 300 + 8 * character[8]  # watts, steady while the supply is on
    supply = DisconnectControl(meter, SUPPLY)

    def watt_seconds(ago: float = 0.0) -> float:
        return load * supply.supplied_s(ago)

    register = data.Data(meter, ALARM_REGISTER, (axdr.DOUBLE_LONG_UNSIGNED, 0), writable=True)
    alarm_filter = data.Data(meter, ALARM_FILTER, (axdr.DOUBLE_LONG_UNSIGNED, 0), writable=True)
    meter.events = Events(meter, make, register, alarm_filter)
    maximum = ExtendedRegister(meter, MAXIMUM_DEMAND)
    demand = DemandRegister(meter, DEMAND, watt_seconds, maximum)
    captured = [
        capture_object(8, CLOCK, 2),
        capture_object(3, ENERGY, 2),
        capture_object(3, VOLTAGE, 2),
    ]
    return [
        data.Data(meter, LOGICAL_DEVICE_NAME, octets(meter.serial), public=True),
        data.Data(meter, MODEL, octets(meter.model), public=True),
        data.Data(meter, FIRMWARE, lambda: octets(meter.firmware), public=True),
        data.Data(
            meter,
            INVOCATION_COUNTER,
            lambda: (axdr.DOUBLE_LONG_UNSIGNED, max(security.last_counter, 0)),
            public=True,
        ),
        Clock(meter, CLOCK),
        data.voltage(meter, character[9] / 40),
        register,
        alarm_filter,
        data.Data(meter, TARIFF, (axdr.UNSIGNED, 1), writable=True),
        ScriptTable(meter, SCRIPTS, factory_scripts()),
        SpecialDaysTable(meter, SPECIAL_DAYS),
        ActivityCalendar(meter, CALENDAR, flat_calendar()),
        RegisterMonitor(
            meter, MONITOR, [(axdr.LONG_UNSIGNED, 2530)], value_definition(3, VOLTAGE, 2)
        ),
        ImageTransfer(meter, IMAGE),
        supply,
        demand,
        maximum,
        Limiter(meter, LIMITER, value_definition(5, DEMAND, 3), (axdr.DOUBLE_LONG_UNSIGNED, 9200)),
        SingleActionSchedule(meter, SCHEDULE, SCRIPTS, 1),
        PushSetup(meter, PUSH, captured[:2]),
        SapAssignment(meter, SAPS, meter.serial.encode()),
        *_measured(meter, make, watt_seconds, load, supply),
        *meter.events.objects,
    ]


def _measured(
    meter: Meter,
    make: Make,
    watt_seconds: Callable[[float], float],
    load: int,
    supply: DisconnectControl,
) -> list[CosemObject]:
    """Energies, and the profiles of them. Our own meters draw steadily; those of other makes are
    households, with an hour for everything, and four registers."""
    base = int.from_bytes(_character(meter.serial)[5:8], "big")
    phase = _character(meter.serial)[10]
    clock = capture_object(8, CLOCK, 2)
    energies = [ENERGY, EXPORT, REACTIVE, REACTIVE_EXPORT]
    found: list[CosemObject] = []
    if make is AMI:
        found.append(data.energy(meter, base, watt_seconds))
        columns = [clock, capture_object(3, ENERGY, 2), capture_object(3, VOLTAGE, 2)]
    else:
        shares = (1.0, 0.0 if phase % 4 else 0.3, 0.2, 0.02)
        for name, share in zip(energies, shares, strict=True):
            unit = data.VAR_HOUR if name in (REACTIVE, REACTIVE_EXPORT) else data.WATT_HOUR
            found.append(data.energy(meter, base, _share(supply, load * share, phase), name, unit))
        columns = [clock, *(capture_object(3, name, 2) for name in energies)]
        if make.status:
            found.append(data.ProfileStatus(meter, make.status))
            columns.insert(1, capture_object(1, make.status, 2))
    closed = [clock, *(column for column in columns[1:] if column[1][0][1] == 3)]
    maximum = [capture_object(4, MAXIMUM_DEMAND, 2), capture_object(4, MAXIMUM_DEMAND, 5)]
    squeezed = make.compressed
    profile = ProfileGeneric(
        meter, LOAD_PROFILE, columns, make.period, make.entries, compressed=squeezed
    )
    found += [
        profile,
        Closure(meter, make.daily, closed, compressed=squeezed),
        Closure(meter, make.monthly, closed + maximum, True, 15, squeezed),
    ]
    if make.quality:
        columns = [clock, capture_object(3, VOLTAGE, 2)]
        found.append(ProfileGeneric(meter, make.quality, columns, 900, 960, compressed=squeezed))
    return found


def _share(supply: DisconnectControl, watts: float, phase: int) -> Callable[[float], float]:
    return lambda ago: data.drawn(watts, supply.supplied_s(ago), phase)


def octets(text: str) -> Typed:
    return (axdr.OCTET_STRING, text.encode())


def flat_calendar() -> list[Typed]:
    """The factory's calendar: one season, one week, one day profile, tariff 1 from midnight on."""
    start = bytes.fromhex("ffff 01 01 ff 00 00 00 00 8000 00")
    action = [
        (axdr.OCTET_STRING, bytes(4)),
        (axdr.OCTET_STRING, obis.parse(SCRIPTS)),
        (axdr.LONG_UNSIGNED, 1),
    ]
    season = [octets("S1"), (axdr.OCTET_STRING, start), octets("W1")]
    week = [octets("W1"), *[(axdr.UNSIGNED, 1)] * 7]
    day = [(axdr.UNSIGNED, 1), (axdr.ARRAY, [(axdr.STRUCTURE, action)])]
    return [
        octets("FACTORY"),
        (axdr.ARRAY, [(axdr.STRUCTURE, season)]),
        (axdr.ARRAY, [(axdr.STRUCTURE, week)]),
        (axdr.ARRAY, [(axdr.STRUCTURE, day)]),
    ]


def script(identifier: int, *actions: Typed) -> Typed:
    return (axdr.STRUCTURE, [(axdr.LONG_UNSIGNED, identifier), (axdr.ARRAY, list(actions))])


def write_action(class_id: int, name: str, index: int, typed: Typed) -> Typed:
    """The script action that writes an attribute."""
    return _script_action(WRITE_ATTRIBUTE, class_id, name, index, typed)


def execute_action(class_id: int, name: str, index: int, typed: Typed) -> Typed:
    """The script action that executes a method."""
    return _script_action(EXECUTE_METHOD, class_id, name, index, typed)


def _script_action(service: int, class_id: int, name: str, index: int, typed: Typed) -> Typed:
    fields = [
        (axdr.ENUM, service),
        (axdr.LONG_UNSIGNED, class_id),
        (axdr.OCTET_STRING, obis.parse(name)),
        (axdr.INTEGER, index),
        typed,
    ]
    return (axdr.STRUCTURE, fields)


def factory_scripts() -> list[Typed]:
    """1 and 2 switch the tariff, 3 raises the overvoltage alarm, 4 clears the alarm register."""
    return [
        script(1, write_action(1, TARIFF, 2, (axdr.UNSIGNED, 1))),
        script(2, write_action(1, TARIFF, 2, (axdr.UNSIGNED, 2))),
        script(3, write_action(1, ALARM_REGISTER, 2, (axdr.DOUBLE_LONG_UNSIGNED, 1 << 4))),
        script(4, write_action(1, ALARM_REGISTER, 2, (axdr.DOUBLE_LONG_UNSIGNED, 0))),
    ]
