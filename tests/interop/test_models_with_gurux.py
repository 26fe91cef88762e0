"""The gateway's meter side with the gurux meter as it is: a model's file is all it takes."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gurux_dlms")

from gurux_dlms.enums import Authentication, Conformance, DataType, ObjectType
from gurux_dlms.objects import GXDLMSData

from gateway.contract import envelope
from tests.conftest import ROOT, micropython_environment
from tests.interop import gurux_objects
from tests.interop.gurux_meter import PLAIN_SERVICES, WRAPPER, Cipher, GuruxMeter
from tests.interop.gurux_short_meter import SHORT_SERVICES, ShortGuruxMeter
from tests.interop.links import HOST, served
from tests.interop.test_mass_with_gurux import Firmware
from tests.portable.support import random_bytes
from tools.meter.image import make_image
from tools.package import image as images
from tools.package.keys import SigningKey
from tools.package.model.compile import compile_file

EK, AK = bytes(range(16)), bytes(range(0xD0, 0xE0))
TITLE = b"GRX00001"
SECRET = b"0123456789ABCDEF"
SERIAL = gurux_objects.SERIAL.decode()
KEYS = {"ek": EK.hex(), "ak": AK.hex()}
LLS = {"lls": SECRET.hex()}
READ = ["060012d687", "0600000009"]  # 1234567, and what was written

MODEL = """\
name: %(name)s
number: 1
description: the gurux meter of the tests
identity: {serial: %(serial)s, model: none, firmware: %(firmware)s}
access: {client: 1, server: 1, public: none, mechanism: %(mechanism)s, protection: %(protection)s,
  referencing: %(referencing)s}
counter: {read: none}
image: {object: %(image)s}
"""
NEW = "V03.00.00"
CONTENT = make_image("any", NEW, random_bytes(1, 3000))


class Case:
    """A meter as gurux makes it, the words of its model that differ, and its line in keys.jsonl."""

    def __init__(
        self,
        mechanism: str,
        protection: str,
        keys: dict[str, Any],
        authentication: int,
        serial: str = "data 0.0.42.0.0.255 value",
        ciphered: bool = False,
        general: bool = False,
        known_as: str = SERIAL,
        prepare: Callable[[list[Any]], None] | None = None,
        short: bool = False,
    ) -> None:
        self.words = {"mechanism": mechanism, "protection": protection, "serial": serial}
        self.words["referencing"] = "SN" if short else "LN"
        self.words |= {"firmware": "none", "image": "0.0.44.0.0.255"}
        self.keys = keys
        self.known_as = known_as
        objects = gurux_objects.build()
        if prepare is not None:
            prepare(objects)
        services = SHORT_SERVICES if short else PLAIN_SERVICES
        self.meter = (ShortGuruxMeter if short else GuruxMeter)(
            WRAPPER,
            objects,
            authentication,
            SECRET,
            cipher=Cipher(TITLE, EK, AK) if ciphered else None,
            conformance=services | (Conformance.GENERAL_PROTECTION if general else 0),
            max_pdu=256,
        )


def name_with_nuls(objects: list[Any]) -> None:
    objects[0].value = gurux_objects.SERIAL + bytes(3)


def nameless(objects: list[Any]) -> None:
    del objects[0]


def numbered(objects: list[Any]) -> None:
    nameless(objects)
    number = GXDLMSData("0.0.96.1.0.255")
    number.setDataType(2, DataType.UINT32)
    number.value = 31001234
    objects.append(number)


CASES: dict[str, Callable[[], Case]] = {
    "open": lambda: Case("none", "plain", {}, Authentication.NONE),
    "password": lambda: Case("low", "plain", LLS, Authentication.LOW),
    "own": lambda: Case("high", "plain", LLS, Authentication.HIGH),
    "md5": lambda: Case("md5", "plain", LLS, Authentication.HIGH_MD5),
    "sha1": lambda: Case("sha1", "plain", LLS, Authentication.HIGH_SHA1),
    "sha256": lambda: Case("sha256", "plain", LLS, Authentication.HIGH_SHA256, ciphered=True),
    "gmac": lambda: Case("gmac", "glo", KEYS, Authentication.HIGH_GMAC, ciphered=True),
    "dedicated": lambda: Case("gmac", "ded", KEYS, Authentication.HIGH_GMAC, ciphered=True),
    "general": lambda: Case(
        "gmac", "general-glo", KEYS, Authentication.HIGH_GMAC, ciphered=True, general=True
    ),
    "short": lambda: Case("low", "plain", LLS, Authentication.LOW, short=True),
    "short-md5": lambda: Case("md5", "plain", LLS, Authentication.HIGH_MD5, short=True),
    "short-gmac": lambda: Case(
        "gmac", "glo", KEYS, Authentication.HIGH_GMAC, ciphered=True, short=True
    ),
    "nuls": lambda: Case(
        "low",
        "plain",
        LLS,
        Authentication.LOW,
        "{read: data 0.0.42.0.0.255 value, as: up-to-nul}",
        prepare=name_with_nuls,
    ),
    "number": lambda: Case(
        "low",
        "plain",
        LLS,
        Authentication.LOW,
        "{read: data 0.0.96.1.0.255 value, as: number}",
        known_as="31001234",
        prepare=numbered,
    ),
    "nameless": lambda: Case(
        "low", "plain", LLS, Authentication.LOW, "none", known_as="whoever", prepare=nameless
    ),
}


def commission(folder: Path, name: str, case: Case, port: int) -> str:
    """The files of the board; who signed the model."""
    key = SigningKey.generate()
    source = folder / "model.yaml"
    source.write_text(MODEL % {"name": name, **case.words})
    payload = compile_file(source).model.to_payload()
    if case.words["firmware"] != "none":
        described = images.describe(CONTENT, "f", "1", "", ["any"], NEW, NEW, "unicast")
        (folder / "firmware.img").write_bytes(images.signed(described, CONTENT, key))
    (folder / (name + ".signed")).write_bytes(envelope.sign(payload, key.kid, key.sign))
    meter = {"serial": case.known_as, "model": name, "paths": [["ip", "%s:%d" % (HOST, port)]]}
    (folder / "meters.jsonl").write_text(json.dumps(meter) + "\n")
    if case.keys:
        line = {"serial": case.known_as, **case.keys}
        (folder / "keys.jsonl").write_text(json.dumps(line) + "\n")
    return "%s,%s" % (key.kid.hex(), key.public.hex())


async def worked(interpreter: str, folder: Path, name: str, case: Case) -> list[Any]:
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(served(case.meter.receive))
        signer = commission(folder, name, case, port)
        process = await asyncio.create_subprocess_exec(
            interpreter,
            "tests/interop/portable_models.py",
            str(folder),
            signer,
            cwd=ROOT,
            env=micropython_environment(),
            stdout=asyncio.subprocess.PIPE,
        )
        told, _ = await process.communicate()
    (line,) = told.decode().splitlines()
    found: list[Any] = json.loads(line)
    return found


@pytest.mark.parametrize("runtime", ["cpython", "micropython"])
@pytest.mark.parametrize("name", CASES)
def test_configured_and_read(name: str, runtime: str, micropython: str, tmp_path: Path) -> None:
    case = CASES[name]()
    interpreter = sys.executable if runtime == "cpython" else micropython
    found = asyncio.run(worked(interpreter, tmp_path, name, case))
    assert found == [case.known_as, ["applied", "already-as-wanted", "read"], READ]


@pytest.mark.parametrize("runtime", ["cpython", "micropython"])
def test_updated(runtime: str, micropython: str, tmp_path: Path) -> None:
    """Its firmware identifier and its image object are not where ours are."""
    case = CASES["gmac"]()
    firmware = GXDLMSData("0.0.96.1.9.255")
    firmware.setDataType(2, DataType.OCTET_STRING)
    firmware.value = b"V02.10.01"
    image = Firmware(firmware)
    image.logicalName = "0.0.44.0.1.255"
    objects = case.meter.settings.objects
    objects.remove(objects.findByLN(ObjectType.IMAGE_TRANSFER, "0.0.44.0.0.255"))
    objects += [firmware, image]
    case.words |= {"firmware": "data 0.0.96.1.9.255 value", "image": image.logicalName}
    interpreter = sys.executable if runtime == "cpython" else micropython
    found = asyncio.run(worked(interpreter, tmp_path, "gmac", case))
    reasons = ["applied", "already-as-wanted", "read", "applied", "applied"]
    assert found == [case.known_as, reasons, READ]
    assert image.data == CONTENT and bytes(firmware.value) == NEW.encode()


@pytest.mark.parametrize(
    ("name", "model", "reason"),
    [
        ("another", "nuls", "model-unfit"),  # it has no such name
        ("password", "gmac", "no-keys"),
        ("gmac", "password", "association-refused"),
    ],
)
def test_a_model_that_is_not_the_meters(name: str, model: str, reason: str, tmp_path: Path) -> None:
    """It is the model, the keys or the inventory that are to be corrected, never the order."""
    case = CASES["number" if name == "another" else name]()
    case.words = CASES[model]().words
    if name == "gmac":
        case.keys = {**KEYS, **LLS}
    found = asyncio.run(worked(sys.executable, tmp_path, name, case))
    assert [each.split(":")[0] for each in found[1]] == [reason] * 3, found
