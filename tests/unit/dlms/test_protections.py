"""Our client and the virtual meter, whose security is written apart: every authentication, every
form of protection, every suite; and what must be refused in each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import count

import pytest

from gateway.dlms.client.association import (
    HIGH,
    HIGH_ECDSA,
    HIGH_GMAC,
    HIGH_MD5,
    HIGH_SHA1,
    HIGH_SHA256,
    LOW,
    NONE,
    Association,
)
from gateway.dlms.client.client import Client
from gateway.dlms.data import axdr, obis
from gateway.dlms.errors import (
    AssociationRefused,
    DlmsError,
    NoAnswer,
    SecurityFailed,
    ServiceRefused,
)
from gateway.dlms.protection.envelope import Parties
from gateway.dlms.protection.enveloping import Enveloping
from gateway.dlms.protection.keyring import Keys
from gateway.dlms.protection.policy import (
    AUTHENTICATED,
    AUTHENTICATED_ENCRYPTED,
    DED,
    ENCRYPTED,
    GENERAL_CIPHERING,
    GENERAL_DED,
    GENERAL_GLO,
    GLO,
    IDENTIFIED,
    ONE_PASS,
    OTHER,
    PLAIN,
    STATIC,
    WRAPPED,
    Protection,
)
from hal.cpython.crypto import SystemCrypto
from hal.sim.clock import ManualClock
from tests.unit.meter.links import MemoryLink
from tools.meter import device, protection
from tools.meter.model import MANAGEMENT
from tools.meter.protection import Demand
from tools.meter.server import MeterServer

SERIAL = "AMI0000000042"
TITLE = b"CLIENT42"
NAME = obis.parse(device.LOGICAL_DEVICE_NAME)
ALARMS = obis.parse(device.ALARM_FILTER)
PROFILE = obis.parse(device.LOAD_PROFILE)
SECRET = b"a secret of both"


def client_keys(suite: int, **changed: bytes) -> Keys:
    own = device.derive_test_keys(7, SERIAL, suite)
    parts = {
        "ek": own.ek,
        "ak": own.ak,
        "signing": own.client_signing,
        "peer_signing": own.public("signing"),
        "agreement": own.client_agreement,
        "peer_agreement": own.public("agreement"),
        "master": own.master,
    }
    parts.update(changed)
    return Keys(TITLE, suite=suite, **parts)


def meter(
    suite: int = 0,
    mechanism: int = HIGH_GMAC,
    secret: bytes = SECRET,
    demand: Demand | None = None,
    ciphered: bool = True,
) -> MeterServer:
    keys = device.derive_test_keys(7, SERIAL, suite)
    demand = demand or Demand(None if ciphered else "plain")
    return MeterServer(
        device.build_meter(SERIAL, keys=keys, password=secret, mechanism=mechanism, demand=demand)
    )


def connected(server: MeterServer, association: Association, first: int = 1) -> Client:
    link = MemoryLink(server, MANAGEMENT)
    return over(link, association, first)


def over(link: MemoryLink, association: Association, first: int = 1) -> Client:
    counter = count(first)
    return Client(
        link, ManualClock(), SystemCrypto(), association, lambda: next(counter), timeout_ms=1000
    )


async def exercise(client: Client) -> None:
    """Associate, then every service, short and in blocks, and release."""
    await client.associate()
    assert axdr.decode(await client.get(1, NAME, 2)) == (axdr.OCTET_STRING, SERIAL.encode())
    await client.set(1, ALARMS, 2, b"\x06\x00\x00\x00\x07")
    assert await client.get(1, ALARMS, 2) == b"\x06\x00\x00\x00\x07"
    assert len(await client.get(15, obis.parse("0.0.40.0.0.255"), 2)) > 1000  # in blocks
    await client.action(7, PROFILE, 1, axdr.encode((axdr.INTEGER, 0)))
    await client.release()


@pytest.mark.parametrize("key", ["identified", "wrapped", "static"])
@pytest.mark.parametrize("name", [b"", b"\0", b"\0" * 8, b"twelve bytes"])
def test_transactions_of_any_name(key: str, name: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a client that calls all of them the same, as several peers do."""
    parties = Enveloping._parties

    def named(self: Enveloping) -> Parties:
        found = parties(self)
        found.transaction = self._name = name
        return found

    monkeypatch.setattr(Enveloping, "_parties", named)
    how = Protection(GENERAL_CIPHERING, key=key)
    server = meter(1, demand=Demand("general-ciphering"))
    asyncio.run(exercise(connected(server, association(HIGH_GMAC, client_keys(1), how))))


AUTHENTICATIONS = [NONE, LOW, HIGH, HIGH_MD5, HIGH_SHA1, HIGH_GMAC, HIGH_SHA256, HIGH_ECDSA]


def association(
    mechanism: int,
    keys: Keys | None,
    how: Protection | None = None,
    secret: bytes = SECRET,
) -> Association:
    return Association(
        MANAGEMENT,
        authentication=mechanism,
        secret=secret,
        keys=keys,
        protection=how,
        algorithm=protection.manufacturer_algorithm,
    )


@pytest.mark.parametrize("ciphered", [True, False], ids=["ciphered", "plain"])
@pytest.mark.parametrize("suite", [0, 1, 2])
@pytest.mark.parametrize("mechanism", AUTHENTICATIONS)
def test_every_authentication(mechanism: int, suite: int, ciphered: bool) -> None:
    if mechanism == HIGH_ECDSA and suite == 0:
        return  # suite 0 has no signatures: Association refuses it
    server = meter(suite, mechanism, ciphered=ciphered)
    how = Protection(GLO if ciphered else PLAIN)
    asyncio.run(exercise(connected(server, association(mechanism, client_keys(suite), how))))


@pytest.mark.parametrize("mechanism", [HIGH, HIGH_MD5, HIGH_SHA1, HIGH_SHA256, HIGH_ECDSA])
def test_a_client_without_the_secret_is_refused(mechanism: int) -> None:
    server = meter(1, mechanism, ciphered=False)
    stranger = SystemCrypto().ec_generate("P-256")[0]
    wanted = association(
        mechanism, client_keys(1, signing=stranger), Protection(PLAIN), b"not the secret"
    )
    with pytest.raises(AssociationRefused) as caught:
        asyncio.run(connected(server, wanted).associate())
    assert caught.value.diagnostic == "authentication-failure"
    assert server.meter.associations[MANAGEMENT].status == 0


@pytest.mark.parametrize(
    "mechanism", [HIGH, HIGH_MD5, HIGH_SHA1, HIGH_GMAC, HIGH_SHA256, HIGH_ECDSA]
)
def test_a_meter_that_does_not_prove_itself_is_refused(
    mechanism: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The meter lets everybody in, but does not hold the secret itself."""

    def spoilt(*arguments: object) -> bytes:
        good = bytearray(right(*arguments))  # type: ignore[arg-type]
        good[-1] ^= 1
        return bytes(good)

    right = protection.proof_of_meter
    monkeypatch.setattr(protection, "proof_of_meter", spoilt)
    server = meter(1, mechanism, ciphered=False)
    wanted = association(mechanism, client_keys(1), Protection(PLAIN))
    client = connected(server, wanted)
    with pytest.raises(SecurityFailed, match="proof"):
        asyncio.run(client.associate())
    with pytest.raises(DlmsError):
        asyncio.run(client.get(1, NAME, 2))


# ---------------------------------------------------------------- forms

FORMS = [
    Protection(GLO),
    Protection(GLO, AUTHENTICATED),
    Protection(GLO, ENCRYPTED),
    Protection(DED),
    Protection(DED, AUTHENTICATED),
    Protection(GENERAL_GLO),
    Protection(GENERAL_GLO, AUTHENTICATED),
    Protection(GENERAL_DED),
    Protection(GENERAL_CIPHERING, key=IDENTIFIED),
    Protection(GENERAL_CIPHERING, AUTHENTICATED, key=IDENTIFIED),
    Protection(GENERAL_CIPHERING, key=WRAPPED),
]
PUBLIC_KEY_FORMS = [
    Protection(GENERAL_CIPHERING, key=ONE_PASS),
    Protection(GENERAL_CIPHERING, key=STATIC),
    Protection(GENERAL_CIPHERING, AUTHENTICATED, key=STATIC),
    Protection(PLAIN, signed=True),
    Protection(GLO, signed=True),
    Protection(GENERAL_DED, signed=True),
    Protection(GENERAL_CIPHERING, key=ONE_PASS, signed=True),
    Protection(GENERAL_CIPHERING, key=STATIC, signed=True),
]
OTHER_DIALECT = [
    Protection(GENERAL_CIPHERING, key=ONE_PASS, dialect=OTHER),
    Protection(GENERAL_CIPHERING, key=STATIC, dialect=OTHER),
    Protection(GLO, signed=True, dialect=OTHER),
    Protection(GENERAL_CIPHERING, key=ONE_PASS, signed=True, dialect=OTHER),
]
CASES = [(suite, how) for suite in (0, 1, 2) for how in FORMS]
CASES += [(0, Protection(GENERAL_CIPHERING, key=WRAPPED, dialect=OTHER))]
CASES += [(suite, how) for suite in (1, 2) for how in OTHER_DIALECT]
CASES += [(suite, how) for suite in (1, 2) for how in PUBLIC_KEY_FORMS]


def label(value: object) -> str:
    if isinstance(value, Protection):
        parts = [value.form, "%02x" % value.policy, value.key]
        parts += ["signed"] * value.signed + ["other"] * (value.dialect == OTHER)
        return "-".join(parts)
    if isinstance(value, dict):
        return "-".join(value)  # not the keys themselves, some of which are new each time
    return str(value)


def demand_of(how: Protection) -> Demand:
    return Demand(how.form, how.policy, how.key, how.signed, how.dialect == OTHER)


def pair(suite: int, how: Protection) -> tuple[MeterServer, Association]:
    server = meter(suite, HIGH_GMAC, demand=demand_of(how))
    return server, association(HIGH_GMAC, client_keys(suite), how)


@pytest.mark.parametrize(("suite", "how"), CASES, ids=label)
def test_every_form_of_protection(suite: int, how: Protection) -> None:
    server, wanted = pair(suite, how)
    link = MemoryLink(server, MANAGEMENT)
    asyncio.run(exercise(over(link, wanted)))
    if how.policy & ENCRYPTED and how.form != PLAIN:
        told = b"".join(link.sent)
        assert NAME not in told and ALARMS not in told


class Tampering(MemoryLink):
    """`change` is applied to each answer from when it is set: it gives what comes instead."""

    def __init__(self, server: MeterServer) -> None:
        super().__init__(server, MANAGEMENT)
        self.change: Callable[[bytes], list[bytes]] | None = None
        self.heard: list[bytes] = []
        self._changed: list[bytes] = []

    async def send(self, apdu: bytes | memoryview) -> None:
        self._changed.clear()
        await super().send(apdu)

    async def receive(self, timeout_ms: int) -> bytes:
        if not self._changed:
            raw = await super().receive(timeout_ms)
            self.heard.append(raw)
            self._changed = [raw] if self.change is None else self.change(raw)
        return self._changed.pop(0)


async def opened(suite: int, how: Protection) -> tuple[Client, Tampering, MeterServer]:
    server, wanted = pair(suite, how)
    link = Tampering(server)
    client = over(link, wanted)
    await client.associate()
    return client, link, server


TAGGED = [case for case in CASES if case[1].policy & AUTHENTICATED and case[0] < 2]


@pytest.mark.parametrize(("suite", "how"), TAGGED, ids=label)
def test_answers_tampered_with_are_refused(suite: int, how: Protection) -> None:
    """Every byte but those of the general block's length; a byte at a time, some of them."""

    async def story() -> None:
        client, link, _ = await opened(suite, how)
        await client.get(1, ALARMS, 2)
        size = len(link.heard[-1])
        for place in [*range(0, size, 5), size - 1]:

            def spoilt(raw: bytes, place: int = place) -> list[bytes]:
                broken = bytearray(raw)
                broken[place % len(raw)] ^= 0x04
                return [bytes(broken)]

            link.change = spoilt
            with pytest.raises(DlmsError):
                await client.get(1, ALARMS, 2)
            link.change = None
            if not client.conformance:  # what came was no APDU: the association is closed
                await client.associate()
        assert await client.get(1, ALARMS, 2) == b"\x06\x00\x00\x00\x00"

    asyncio.run(story())


@pytest.mark.parametrize(("suite", "how"), TAGGED, ids=label)
def test_answers_cut_short_are_refused(suite: int, how: Protection) -> None:
    async def story() -> None:
        client, link, _ = await opened(suite, how)
        await client.get(1, ALARMS, 2)
        size = len(link.heard[-1])
        for left in [*range(1, size, 7), size - 1]:

            def cut(raw: bytes, left: int = left) -> list[bytes]:
                return [raw[: min(left, len(raw) - 1)]]

            link.change = cut
            with pytest.raises(DlmsError):
                await client.get(1, ALARMS, 2)
            link.change = None
            if not client.conformance:
                await client.associate()
        assert await client.get(1, ALARMS, 2) == b"\x06\x00\x00\x00\x00"

    asyncio.run(story())


@pytest.mark.parametrize(("suite", "how"), CASES, ids=label)
def test_answers_replayed_or_reordered_are_not_taken(suite: int, how: Protection) -> None:
    """An answer of before, whose invoke-id fits again after sixteen requests, in the place of the
    true one; and after it."""

    async def story() -> None:
        client, link, _ = await opened(suite, how)
        await client.set(1, ALARMS, 2, b"\x06\x00\x00\x00\x01")
        assert await client.get(1, ALARMS, 2) == b"\x06\x00\x00\x00\x01"
        old = link.heard[-1]
        for _ in range(14):
            await client.get(1, NAME, 2)
        await client.set(1, ALARMS, 2, b"\x06\x00\x00\x00\x02")
        link.change = lambda raw: [old, raw]
        assert await client.get(1, ALARMS, 2) == b"\x06\x00\x00\x00\x02"
        link.change = lambda raw: [old]
        for _ in range(16):
            with pytest.raises(NoAnswer):
                await client.get(1, ALARMS, 2)
        link.change = None
        assert await client.get(1, ALARMS, 2) == b"\x06\x00\x00\x00\x02"

    asyncio.run(story())


@pytest.mark.parametrize(("suite", "how"), CASES, ids=label)
def test_plain_and_weaker_answers_are_refused(suite: int, how: Protection) -> None:
    async def story() -> None:
        client, link, server = await opened(suite, how)
        invoke = client._exchange._invoke
        plain = bytes.fromhex("c401%02x00" % (0x40 | invoke + 1 & 0x4F)) + b"\x06\x00\x00\x00\x09"
        link.change = lambda raw: [plain]
        with pytest.raises(SecurityFailed):
            await client.get(1, ALARMS, 2)
        link.change = None
        assert await client.get(1, ALARMS, 2) == b"\x06\x00\x00\x00\x00"
        assert server

    asyncio.run(story())


@pytest.mark.parametrize(("suite", "how"), CASES, ids=label)
def test_requests_replayed_are_refused_by_the_meter(suite: int, how: Protection) -> None:
    async def story() -> None:
        client, link, server = await opened(suite, how)
        await client.set(1, ALARMS, 2, b"\x06\x00\x00\x00\x01")
        recorded = link.sent[-1]
        await client.set(1, ALARMS, 2, b"\x06\x00\x00\x00\x02")
        answer = server.handle(MANAGEMENT, 1, recorded)
        assert answer is not None and answer[0] == 0xD8
        assert await client.get(1, ALARMS, 2) == b"\x06\x00\x00\x00\x02"

    asyncio.run(story())


WRONG = [
    (Protection(GLO, AUTHENTICATED), Protection(GLO)),
    (Protection(GLO, ENCRYPTED), Protection(GLO)),
    (Protection(GLO), Protection(DED)),
    (Protection(GENERAL_CIPHERING, key=STATIC), Protection(GENERAL_CIPHERING, key=ONE_PASS)),
    (Protection(GENERAL_CIPHERING), Protection(GENERAL_CIPHERING, key=WRAPPED)),
    (Protection(GLO), Protection(GLO, signed=True)),
    (Protection(PLAIN, signed=True), Protection(GLO, signed=True)),
]


@pytest.mark.parametrize(("ours", "meters"), WRONG, ids=label)
def test_a_meter_that_wants_more_refuses_by_name(ours: Protection, meters: Protection) -> None:
    client = connected(
        meter(1, HIGH_GMAC, demand=demand_of(meters)),
        association(HIGH_GMAC, client_keys(1), ours),
    )

    async def story() -> None:
        await client.associate()
        await client.get(1, NAME, 2)

    with pytest.raises((ServiceRefused, AssociationRefused)) as caught:
        asyncio.run(story())
    text = str(caught.value)
    assert "deciphering-error" in text or "authentication-failure" in text or "context" in text


STRANGERS = [
    (Protection(GENERAL_CIPHERING, key=WRAPPED), {"master": bytes(16)}),
    (Protection(GENERAL_CIPHERING, key=ONE_PASS), {"signing": b"\x02" * 32}),
    (Protection(GENERAL_CIPHERING, key=STATIC), {"agreement": b"\x02" * 32}),
    (Protection(GLO, signed=True), {"signing": b"\x02" * 32}),
    (Protection(GLO, signed=True), {"peer_signing": SystemCrypto().ec_generate("P-256")[1]}),
    (
        Protection(GENERAL_CIPHERING, key=ONE_PASS),
        {"peer_signing": SystemCrypto().ec_generate("P-256")[1]},
    ),
    (
        Protection(GENERAL_CIPHERING, key=ONE_PASS),
        {"peer_agreement": SystemCrypto().ec_generate("P-256")[1]},
    ),
]


@pytest.mark.parametrize(("how", "changed"), STRANGERS, ids=label)
def test_wrong_keys_of_every_kind_are_refused(how: Protection, changed: dict[str, bytes]) -> None:
    server = meter(1, HIGH_GMAC, demand=demand_of(how))
    wanted = association(HIGH_GMAC, client_keys(1, **changed), how)
    with pytest.raises(DlmsError) as caught:
        asyncio.run(connected(server, wanted).associate())
    for key in changed.values():
        assert key.hex() not in str(caught.value)


def test_compression_is_refused_by_name() -> None:
    async def story() -> None:
        client, link, _ = await opened(0, Protection(GLO))
        link.change = lambda raw: [raw[:2] + bytes([raw[2] | 0x80]) + raw[3:]]
        with pytest.raises(SecurityFailed, match="compression"):
            await client.get(1, ALARMS, 2)

    asyncio.run(story())


def test_more_protection_than_asked_is_taken() -> None:
    how = Protection(GLO, AUTHENTICATED)
    server = meter(0, HIGH_GMAC, demand=Demand("glo", AUTHENTICATED))
    asyncio.run(exercise(connected(server, association(HIGH_GMAC, client_keys(0), how))))
    both = association(HIGH_GMAC, client_keys(0), Protection(GLO, AUTHENTICATED_ENCRYPTED))
    asyncio.run(exercise(connected(server, both, 1000)))
