"""Changing a meter's keys: security setup, class 64 (Blue Book 4.4.7; Green Book 9.2.3.4.6).

New keys go to the meter wrapped with the master key (`transfer`, method 2: global_key_transfer of
version 0, key_transfer of version 1), or are agreed on (key_agreement.py). The answer to either is
still under the old keys; both functions then have the client go on with the new ones and return
them as Keys, for the caller to store. Store them before anything else happens: the meter has
forgotten the old ones.
"""

from __future__ import annotations

from gateway.dlms.data import axdr
from gateway.dlms.errors import ProtocolError

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


async def transfer(
    client: Client,
    crypto: Crypto,
    keys: Keys,
    fresh: list[tuple[int, bytes]],
    name: bytes = DEFAULT_NAME,
) -> Keys:
    """Give the meter new keys, [(key_id, key)], wrapped with `keys.master`; returns `keys` with
    them in place. All or none are taken over."""
    check(keys, [key_id for key_id, _ in fresh])
    if not keys.master:
        raise ValueError("a key transfer needs the master key")
    entries = []
    for key_id, key in fresh:
        if len(key) != keys.suite.key_size:
            raise ValueError("a key of %d bytes expected" % keys.suite.key_size)
        entries.append(entry(key_id, crypto.aes_wrap(keys.master, key)))
    await client.action(SECURITY_SETUP, name, _TRANSFER, axdr.encode((axdr.ARRAY, entries)))
    return taken_over(client, keys, fresh)


async def activate(client: Client, policy: int, name: bytes = DEFAULT_NAME) -> None:
    """security_activate: the meter demands this much protection from now on. `policy` is an enum
    0..3 in version 0 of the class, a set of the bits above in version 1. There is no way back."""
    if not 0 <= policy <= 0xFF:
        raise ValueError("security policy %d is not 0..255" % policy)
    await client.action(SECURITY_SETUP, name, _ACTIVATE, axdr.encode((axdr.ENUM, policy)))


async def invocation_counter(
    client: Client, name: bytes = INVOCATION_COUNTER, class_id: int = 1, attribute: int = 2
) -> int:
    """The last invocation counter the meter has accepted, read through the public client: go on
    above it. It is not authenticated: believe no more than a bounded jump
    (gateway/meters/counters.py does)."""
    typed = axdr.decode(await client.get(class_id, name, attribute))
    if typed[0] != axdr.DOUBLE_LONG_UNSIGNED:
        raise ProtocolError("the invocation counter is a %s" % axdr.TAGS.get(typed[0], "?"))
    counter: int = typed[1]
    return counter


def check(keys: Keys, key_ids: list[int]) -> None:
    """ValueError for key ids that cannot be changed together."""
    if not key_ids or len(set(key_ids)) != len(key_ids):
        raise ValueError("key ids: one or more, each once")
    for key_id in key_ids:
        if key_id not in KEY_IDS:
            raise ValueError("key id %d is not 0..3" % key_id)
    if not keys.ek and (UNICAST in key_ids) != (AUTHENTICATION in key_ids):
        raise ValueError("the first key ids 0 and 2 go together: one is of no use alone")


def entry(key_id: int, data: bytes) -> Typed:
    """One key in the parameters of a transfer or an agreement."""
    return (axdr.STRUCTURE, [(axdr.ENUM, key_id), (axdr.OCTET_STRING, data)])


def taken_over(client: Client, keys: Keys, fresh: list[tuple[int, bytes]]) -> Keys:
    """`keys` with the fresh ones in place, which the client uses from now on."""
    by_id = dict(fresh)
    changed = keys.replaced(
        by_id.get(UNICAST, b""),
        by_id.get(AUTHENTICATION, b""),
        by_id.get(BROADCAST, b""),
        by_id.get(MASTER, b""),
    )
    client.use_keys(changed)
    return changed
