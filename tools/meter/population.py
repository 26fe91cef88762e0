"""Many virtual meters from one seed: who they are, on which paths, what is wrong with some of
them."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tools.meter import device, protection
from tools.meter.fleet import Fleet, derive_test_fleet
from tools.meter.makes import AMI, MAKES, Make
from tools.meter.server import MeterServer

PLC, RF, BOTH, IP = "plc", "rf", "both", "ip"
NORMAL, DEAD, REFUSES_WRITE, OTHER_FIRMWARE = "normal", "dead", "refuses-write", "other-firmware"
OLD_FIRMWARE = "V01.08.00"
CLIENT_TITLE = bytes.fromhex("414d490000000001")  # of the concentrator that the meters expect
MANUFACTURER = "a905"  # "AMI" as the M-field of EN 13757-3, low byte first
SHORT_NAMES_MODEL = "ami-sn"  # tools/package/models
CAPTURE_PERIOD = (7, device.LOAD_PROFILE, 4)


@dataclass
class Mix:
    """How many of every few meters are on which path, how many of all have which trouble, and how
    many know short names only, with which base names."""

    plc: int = 2
    rf: int = 1
    both: int = 1
    ip: int = 0
    dead: int = 1
    refuses_write: int = 1
    other_firmware: int = 1
    refused: tuple[int, str, int] = CAPTURE_PERIOD  # what refuses-write refuses
    short_names: int = 0
    bases: dict[str, int] = field(default_factory=dict)
    makes: dict[str, int] = field(default_factory=dict)  # how many of every few; none: all our own

    def of_makes(self) -> Iterator[Make]:
        """The makes in their shares, for ever."""
        turn = [MAKES[name] for name, share in self.makes.items() for _ in range(share)] or [AMI]
        while True:
            yield from turn

    def media(self) -> Iterator[str]:
        """PLC, RF, BOTH, IP in their shares, for ever."""
        turn = [PLC] * self.plc + [RF] * self.rf + [BOTH] * self.both + [IP] * self.ip
        if not turn:
            raise ValueError("at least one of plc, rf, both, ip must be above 0")
        while True:
            yield from turn

    def roles(self, count: int, seed: int) -> list[str]:
        """A role for each of `count` meters; which of them has trouble follows from the seed."""
        troubled = (
            [DEAD] * self.dead
            + [REFUSES_WRITE] * self.refuses_write
            + [OTHER_FIRMWARE] * self.other_firmware
        )
        if len(troubled) > count:
            raise ValueError("%d meters with trouble among only %d" % (len(troubled), count))
        roles = [NORMAL] * count
        for place, role in zip(
            random.Random(seed).sample(range(count), len(troubled)), troubled, strict=True
        ):
            roles[place] = role
        return roles

    def with_short_names(self, count: int, seed: int) -> set[int]:
        """The numbers, from 1 on, of the meters that have these only."""
        if self.short_names > count:
            raise ValueError("%d meters with short names among %d" % (self.short_names, count))
        return set(random.Random("short %d" % seed).sample(range(1, count + 1), self.short_names))


@dataclass
class Member:
    """One meter of the population. `paths` as in the gateway's inventory: [kind, address]."""

    serial: str
    role: str
    server: MeterServer
    keys: device.MeterKeys
    paths: list[tuple[str, str]] = field(default_factory=list)
    on_ip: bool = False  # its path is known only once it listens
    fleet: Fleet | None = None
    model: str = ""  # what the inventory calls it; "": our own
    password: bytes = b""  # it takes no keys


def build_population(
    count: int, seed: int, mix: Mix, source: Callable[[], float] = time.time
) -> list[Member]:
    """`count` meters "AMI0000000001"...; the same for the same arguments, keys and challenges
    included (TEST KEYS). `source` gives unix seconds. They are one fleet, whose client's system
    title is CLIENT_TITLE."""
    if not 1 <= count <= 2000:
        raise ValueError("a concentrator has 1..2000 meters, not %d" % count)
    roles = mix.roles(count, seed)
    short = mix.with_short_names(count, seed)
    fleet = derive_test_fleet(seed, CLIENT_TITLE)
    members = []
    made = mix.of_makes()
    for number, role, medium in zip(range(1, count + 1), roles, mix.media(), strict=False):
        make = next(made)
        serial = "AMI%010d" % number
        keys = device.derive_test_keys(seed, serial)
        firmware = OLD_FIRMWARE if role == OTHER_FIRMWARE else device.FACTORY_FIRMWARE
        bases = mix.bases if number in short else None
        meter = device.build_meter(
            serial,
            firmware=firmware,
            keys=None if make.password else keys,
            password=make.password,
            source=source,
            short_names=bases,
            make=make,
        )
        meter.faults.dead = role == DEAD
        meter.faults.refuse_write = mix.refused if role == REFUSES_WRITE else None
        challenges = random.Random("%d %s" % (seed, serial)).randbytes
        server = MeterServer(meter, random=challenges, fleet=fleet)
        member = Member(serial, role, server, keys, on_ip=medium == IP, fleet=fleet)
        if number in short:
            member.model = SHORT_NAMES_MODEL
        elif make is not AMI:
            member.model = make.name
            member.password = make.password
        if medium in (PLC, BOTH):
            member.paths.append((PLC, plc_address(number)))
        if medium in (RF, BOTH):
            member.paths.append((RF, rf_address(number)))
        members.append(member)
    return members


def plc_address(number: int) -> str:
    """EUI-48 of the meter's PLC modem."""
    return "0080e1%06x" % number


def rf_address(number: int) -> str:
    """Wireless M-Bus: M-field, ident (BCD, low byte first), version 1, type 2 (electricity)."""
    ident = bytes.fromhex("%08d" % number)[::-1].hex()
    return MANUFACTURER + ident + "01" + "02"


def write_inventory(folder: Path, members: list[Member]) -> None:
    """meters.jsonl and, readable by the owner only, keys.jsonl: what the gateway's inventory
    reads."""
    meters, keys = inventory_lines(members)
    folder.mkdir(parents=True, exist_ok=True)
    _write_lines(folder / "meters.jsonl", meters, 0o644)
    _write_lines(folder / "keys.jsonl", keys, 0o600)
    for member in members:
        _write_pem(folder, member)


def inventory_lines(
    members: Sequence[Member],
) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """The objects of meters.jsonl and of keys.jsonl."""
    meters: list[dict[str, object]] = []
    keys: list[dict[str, object]] = []
    for member in members:
        line: dict[str, object] = {
            "serial": member.serial,
            "client": 1,
            "server": 1,
            "paths": member.paths,
        }
        if member.model:
            line["model"] = member.model
        if member.fleet is not None:
            line["title"] = member.keys.title.hex()
        meters.append(line)
        own = member.keys
        if member.password:
            keys.append({"serial": member.serial, "lls": member.password.hex()})
            continue
        suite = {"suite": own.suite} if own.suite else {}
        keys.append({"serial": member.serial, **suite, "ek": own.ek.hex(), "ak": own.ak.hex()})
    fleet = members[0].fleet
    if fleet is not None:
        shared = {"ek": fleet.broadcast_key.hex(), "ak": fleet.broadcast_ak.hex()}
        keys.append({"serial": "broadcast", **shared})
    return meters, keys


def _write_pem(folder: Path, member: Member) -> None:
    """What its client needs of public-key cryptography: its own private keys, the meter's public
    ones. Nothing in suite 0."""
    keys = member.keys
    for what in ("signing", "agreement") if keys.suite else ():
        own = protection.private_key(keys.suite, getattr(keys, "client_" + what))
        theirs = protection.private_key(keys.suite, getattr(keys, what)).public_key()
        private = own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        public = theirs.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        _write(folder / ("%s-client-%s.pem" % (member.serial, what)), private.decode(), 0o600)
        _write(folder / ("%s-%s.pem" % (member.serial, what)), public.decode(), 0o644)


def _write_lines(path: Path, rows: Sequence[Mapping[str, object]], mode: int) -> None:
    _write(path, "".join(json.dumps(row) + "\n" for row in rows), mode)


def _write(path: Path, text: str, mode: int) -> None:
    """Put the file in place whole; it never exists with another mode."""
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
        file.write(text)
    fresh.replace(path)
