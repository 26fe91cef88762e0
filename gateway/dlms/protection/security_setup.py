"""Changing a meter's keys: security setup, class 64 (Blue Book 4.4.7; Green Book 9.2.3.4.6).

New keys go to the meter wrapped with the master key (`transfer`, method 2: global_key_transfer of
version 0, key_transfer of version 1), or follow on both sides from an agreement that ephemeral keys
make, each signed by its side (`agree`, method 3, suites 1 and 2). The answer to either is still
under the old keys; both functions then have the client go on with the new ones and return them as
Keys, for the caller to store. Store them before anything else happens: the meter has forgotten the
old ones.
"""

from __future__ import annotations

from gateway.dlms.data import axdr
from gateway.dlms.errors import ProtocolError, SecurityFailed
from gateway.dlms.protection.keyring import is_signed, sign
from gateway.dlms.protection.suites import derived_key
from hal.ports import CryptoError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.dlms.client.client import Client
    from gateway.dlms.data.axdr import Typed
    from gateway.dlms.protection.keyring import Keys
    from hal.ports import Crypto

SECURITY_SETUP = 64
DEFAULT_NAME = b"\x00\x00\x2b\x00\x00\xff"  # 0.0.43.0.0.255
INVOCATION_COUNTER = b"\x00\x00\x2b\x01\x00\xff"  # 0.0.43.1.0.255

# key_id
UNICAST = 0
BROADCAST = 1
AUTHENTICATION = 2
MASTER = 3
KEY_IDS = (UNICAST, BROADCAST, AUTHENTICATION, MASTER)

# security_policy of version 1, for security_activate
AUTHENTICATED_REQUEST = 0x04
ENCRYPTED_REQUEST = 0x08
SIGNED_REQUEST = 0x10
AUTHENTICATED_RESPONSE = 0x20
ENCRYPTED_RESPONSE = 0x40
SIGNED_RESPONSE = 0x80

_ACTIVATE = 1
_TRANSFER = 2
_AGREE = 3


async def transfer(
    client: Client,
    crypto: Crypto,
    keys: Keys,
    fresh: list[tuple[int, bytes]],
    name: bytes = DEFAULT_NAME,
) -> Keys:
    """Give the meter new keys, [(key_id, key)], wrapped with `keys.master`; returns `keys` with
    them in place. All or none are taken over."""
    _check(keys, [key_id for key_id, _ in fresh])
    if not keys.master:
        raise ValueError("a key transfer needs the master key")
    entries = []
    for key_id, key in fresh:
        if len(key) != keys.suite.key_size:
            raise ValueError("a key of %d bytes expected" % keys.suite.key_size)
        entries.append(_entry(key_id, crypto.aes_wrap(keys.master, key)))
    await client.action(SECURITY_SETUP, name, _TRANSFER, axdr.encode((axdr.ARRAY, entries)))
    return _taken_over(client, keys, fresh)


async def agree(
    client: Client,
    crypto: Crypto,
    keys: Keys,
    key_ids: list[int],
    peer_title: bytes,
    name: bytes = DEFAULT_NAME,
) -> Keys:
    """Agree on new keys (Ephemeral Unified Model C(2e, 0s)) with the meter of system title
    `peer_title`; returns `keys` with them in place. SecurityFailed when the meter's part is not
    signed by it: then the meter may hold keys that we do not have."""
    _check(keys, key_ids)
    suite = keys.suite
    if not (keys.signing and keys.peer_signing):
        raise ValueError("a key agreement needs both sides' signing keys (suite 1 or 2)")
    ephemeral = [crypto.ec_generate(suite.curve) for _ in key_ids]
    entries = []
    for i in range(len(key_ids)):
        public = ephemeral[i][1]
        signed = sign(crypto, keys, bytes((key_ids[i],)) + public)
        entries.append(_entry(key_ids[i], public + signed))
    reply = await client.action(SECURITY_SETUP, name, _AGREE, axdr.encode((axdr.ARRAY, entries)))
    fresh = []
    answers = _answers(reply, key_ids, 2 * suite.public_size)
    for i in range(len(key_ids)):
        key_id = key_ids[i]
        theirs, proof = answers[i][: suite.public_size], answers[i][suite.public_size :]
        if not is_signed(crypto, keys, bytes((key_id,)) + theirs, proof):
            raise SecurityFailed("key agreement: the meter's ephemeral key is not signed by it")
        try:
            shared = crypto.ecdh(suite.curve, ephemeral[i][0], theirs)
        except CryptoError as error:
            raise SecurityFailed("key agreement: %s" % error)
        algorithm = suite.wrapping if key_id == MASTER else suite.ciphering
        key = derived_key(crypto, suite, shared, algorithm, keys.system_title, peer_title)
        fresh.append((key_id, key))
    return _taken_over(client, keys, fresh)


async def activate(client: Client, policy: int, name: bytes = DEFAULT_NAME) -> None:
    """security_activate: the meter demands this much protection from now on. `policy` is an enum
    0..3 in version 0 of the class, a set of the bits above in version 1. There is no way back."""
    if not 0 <= policy <= 0xFF:
        raise ValueError("security policy %d is not 0..255" % policy)
    await client.action(SECURITY_SETUP, name, _ACTIVATE, axdr.encode((axdr.ENUM, policy)))


async def invocation_counter(client: Client, name: bytes = INVOCATION_COUNTER) -> int:
    """The last invocation counter the meter has accepted, read through the public client: go on
    above it. It is not authenticated: believe no more than a bounded jump
    (gateway/meters/counters.py does)."""
    typed = axdr.decode(await client.get(1, name, 2))
    if typed[0] != axdr.DOUBLE_LONG_UNSIGNED:
        raise ProtocolError("the invocation counter is a %s" % axdr.TAGS.get(typed[0], "?"))
    counter: int = typed[1]
    return counter


def _check(keys: Keys, key_ids: list[int]) -> None:
    if not key_ids or len(set(key_ids)) != len(key_ids):
        raise ValueError("key ids: one or more, each once")
    for key_id in key_ids:
        if key_id not in KEY_IDS:
            raise ValueError("key id %d is not 0..3" % key_id)
    if not keys.ek and (UNICAST in key_ids) != (AUTHENTICATION in key_ids):
        raise ValueError("the first key ids 0 and 2 go together: one is of no use alone")


def _entry(key_id: int, data: bytes) -> Typed:
    return (axdr.STRUCTURE, [(axdr.ENUM, key_id), (axdr.OCTET_STRING, data)])


def _answers(reply: bytes | None, key_ids: list[int], size: int) -> list[bytes]:
    """The meter's data for each key id, in the same order, each of `size` bytes."""
    typed = axdr.decode(reply or b"\x00")
    found = []
    if typed[0] == axdr.ARRAY:
        for tag, fields in typed[1]:
            if tag == axdr.STRUCTURE and [field[0] for field in fields] == [
                axdr.ENUM,
                axdr.OCTET_STRING,
            ]:
                found.append((fields[0][1], fields[1][1]))
    if [key_id for key_id, _ in found] != key_ids or any(len(data) != size for _, data in found):
        raise ProtocolError("key agreement: the meter's answer is not what was asked for")
    return [data for _, data in found]


def _taken_over(client: Client, keys: Keys, fresh: list[tuple[int, bytes]]) -> Keys:
    by_id = dict(fresh)
    changed = keys.replaced(
        by_id.get(UNICAST, b""),
        by_id.get(AUTHENTICATION, b""),
        by_id.get(BROADCAST, b""),
        by_id.get(MASTER, b""),
    )
    client.use_keys(changed)
    return changed
