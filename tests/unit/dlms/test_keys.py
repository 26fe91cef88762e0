"""Key change on a meter that really changes its keys."""

from __future__ import annotations

import asyncio

import pytest

from gateway.dlms.client.association import HIGH_ECDSA, HIGH_GMAC, NONE, Association
from gateway.dlms.errors import ActionRefused, AssociationRefused, SecurityFailed
from gateway.dlms.protection import security_setup as changing
from gateway.dlms.protection.key_agreement import agree
from gateway.dlms.protection.keyring import Keys
from gateway.dlms.protection.policy import AUTHENTICATED, DED, GLO, Protection
from gateway.dlms.protection.security_setup import AUTHENTICATION, BROADCAST, MASTER, UNICAST
from hal.cpython.crypto import SystemCrypto
from tests.unit.dlms.test_protections import (
    ALARMS,
    TITLE,
    association,
    client_keys,
    connected,
    demand_of,
    meter,
    over,
)
from tests.unit.meter.links import MemoryLink
from tools.meter import device, protection
from tools.meter.association import SecuritySetup
from tools.meter.model import MANAGEMENT, PUBLIC
from tools.meter.protection import Demand
from tools.meter.server import MeterServer

CRYPTO = SystemCrypto()


def security(server: MeterServer) -> SecuritySetup:
    found = server.meter.find(64, device.SECURITY)
    assert isinstance(found, SecuritySetup)
    return found


async def lets_in(server: MeterServer, keys: Keys, first: int) -> bool:
    try:
        client = connected(server, association(HIGH_GMAC, keys), first)
        await client.associate()
        await client.get(1, ALARMS, 2)
    except AssociationRefused:
        return False
    return True


@pytest.mark.parametrize("form", [GLO, DED])
@pytest.mark.parametrize("suite", [0, 1, 2])
def test_keys_transferred(suite: int, form: str) -> None:
    async def story() -> None:
        server, old = meter(suite), client_keys(suite)
        size = old.suite.key_size
        client = connected(server, association(HIGH_GMAC, old, Protection(form)))
        await client.associate()
        fresh = [(key_id, bytes([0x40 + key_id]) * size) for key_id in (0, 1, 2, 3)]
        new = await changing.transfer(client, CRYPTO, old, fresh)
        assert (new.ek, new.broadcast, new.ak, new.master) == tuple(key for _, key in fresh)
        # within the association, with the very next request; then anew
        assert await client.get(1, ALARMS, 2) == b"\x06\x00\x00\x00\x00"
        setup = security(server)
        assert (setup.ek, setup.ak, setup.master) == (new.ek, new.ak, new.master)
        assert setup.broadcast_key == new.broadcast
        await client.release()
        assert await lets_in(server, new, 5000)
        assert not await lets_in(server, old, 10_000)
        # and the new master key wraps the next
        client = connected(server, association(HIGH_GMAC, new), 20_000)
        await client.associate()
        newest = await changing.transfer(client, CRYPTO, new, [(AUTHENTICATION, bytes(size))])
        assert await lets_in(server, newest, 30_000)

    asyncio.run(story())


def test_keys_wrapped_by_another_master_key_are_refused() -> None:
    async def story() -> None:
        server, keys = meter(1), client_keys(1)
        client = connected(server, association(HIGH_GMAC, keys))
        await client.associate()
        false = client_keys(1, master=bytes(16))
        with pytest.raises(ActionRefused) as caught:
            await changing.transfer(client, CRYPTO, false, [(UNICAST, b"\x42" * 16)])
        assert (b"\x42" * 16).hex() not in str(caught.value)
        assert await client.get(1, ALARMS, 2) == b"\x06\x00\x00\x00\x00"
        assert await lets_in(server, keys, 1000)

    asyncio.run(story())


@pytest.mark.parametrize("suite", [1, 2])
def test_keys_agreed_on(suite: int) -> None:
    async def story() -> None:
        server, old = meter(suite), client_keys(suite)
        client = connected(server, association(HIGH_GMAC, old))
        await client.associate()
        title = security(server).title
        ids = [UNICAST, BROADCAST, AUTHENTICATION, MASTER]
        new = await agree(client, CRYPTO, old, ids, title)
        assert await client.get(1, ALARMS, 2) == b"\x06\x00\x00\x00\x00"
        setup = security(server)
        assert (setup.ek, setup.ak, setup.master) == (new.ek, new.ak, new.master)
        assert setup.broadcast_key == new.broadcast
        assert len({new.ek, new.ak, new.master, new.broadcast, old.ek, old.ak}) == 6
        assert await lets_in(server, new, 5000)
        assert not await lets_in(server, old, 10_000)

    asyncio.run(story())


def test_an_agreement_with_a_stranger_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        server, keys = meter(1), client_keys(1)
        client = connected(server, association(HIGH_GMAC, keys))
        await client.associate()
        title = security(server).title
        stranger = client_keys(1, signing=b"\x02" * 32)
        with pytest.raises(ActionRefused):
            await agree(client, CRYPTO, stranger, [UNICAST], title)
        monkeypatch.setattr(protection, "sign", lambda *_: bytes(64))
        with pytest.raises(SecurityFailed, match="not signed"):
            await agree(client, CRYPTO, keys, [AUTHENTICATION], title)

    asyncio.run(story())


def test_what_cannot_be_asked_for() -> None:
    async def story() -> None:
        keys = client_keys(0)
        client = connected(meter(0), association(HIGH_GMAC, keys))
        await client.associate()
        bare = Keys(TITLE, keys.ek, keys.ak)
        with pytest.raises(ValueError, match="master"):
            await changing.transfer(client, CRYPTO, bare, [(UNICAST, bytes(16))])
        with pytest.raises(ValueError, match="16 bytes"):
            await changing.transfer(client, CRYPTO, keys, [(UNICAST, bytes(15))])
        with pytest.raises(ValueError, match="suite 1 or 2"):
            await agree(client, CRYPTO, keys, [UNICAST], bytes(8))
        for ids in ([], [UNICAST, UNICAST], [4]):
            with pytest.raises(ValueError, match="key id"):
                await agree(client, CRYPTO, keys, ids, bytes(8))

    asyncio.run(story())


def test_a_stronger_policy_holds_and_does_not_weaken_again() -> None:
    async def story() -> None:
        weak = Protection(GLO, AUTHENTICATED)
        server = meter(1, demand=demand_of(weak))
        client = connected(server, association(HIGH_GMAC, client_keys(1), weak))
        await client.associate()
        await changing.activate(client, 0x6C)  # requests and responses, both
        with pytest.raises(Exception, match="deciphering-error"):
            await client.get(1, ALARMS, 2)
        assert await lets_in(server, client_keys(1), 1000)
        client = connected(server, association(HIGH_GMAC, client_keys(1)), 2000)
        await client.associate()
        with pytest.raises(ActionRefused):
            await changing.activate(client, 0x24)
        await changing.activate(client, 0xFC)  # signed too
        signed = association(HIGH_GMAC, client_keys(1), Protection(GLO, signed=True))
        client = connected(server, signed, 3000)
        await client.associate()
        assert await client.get(1, ALARMS, 2) == b"\x06\x00\x00\x00\x00"

    asyncio.run(story())


def test_the_counter_is_read_by_the_public_client() -> None:
    async def story() -> None:
        server = meter(0)
        client = connected(server, association(HIGH_GMAC, client_keys(0)), 700)
        await client.associate()
        reader = over(MemoryLink(server, PUBLIC), Association(PUBLIC, authentication=NONE))
        await reader.associate()
        last = await changing.invocation_counter(reader)
        assert last >= 701
        assert await lets_in(server, client_keys(0), last + 1)

    asyncio.run(story())


def test_a_key_agreement_over_ecdsa_without_any_symmetric_key() -> None:
    """Commissioning: nothing but signing keys, until the first agreement."""

    async def story() -> None:
        plain = Protection("plain", signed=True)
        server = meter(1, HIGH_ECDSA, demand=Demand("plain", signed=True))
        keys = client_keys(1, ek=b"", ak=b"")
        client = over(MemoryLink(server, MANAGEMENT), association(HIGH_ECDSA, keys, plain))
        await client.associate()
        title = security(server).title
        with pytest.raises(ValueError, match="together"):
            await agree(client, CRYPTO, keys, [UNICAST], title)
        new = await agree(client, CRYPTO, keys, [UNICAST, AUTHENTICATION], title)
        assert (security(server).ek, security(server).ak) == (new.ek, new.ak)

    asyncio.run(story())
