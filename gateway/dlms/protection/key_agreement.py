"""New keys by agreement: security setup, method 3, suites 1 and 2 (Blue Book 4.4.7; Green Book
9.2.3.4.6). They follow on both sides from ephemeral keys, each signed by its side."""

from __future__ import annotations

from gateway.dlms.data import axdr
from gateway.dlms.errors import ProtocolError, SecurityFailed
from gateway.dlms.protection.public_key import derived_key, is_signed, sign
from gateway.dlms.protection.security_setup import (
    DEFAULT_NAME,
    MASTER,
    SECURITY_SETUP,
    check,
    entry,
    taken_over,
)
from hal.ports import CryptoError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.dlms.client.client import Client
    from gateway.dlms.protection.keyring import Keys
    from hal.ports import Crypto

_AGREE = 3


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
    check(keys, key_ids)
    suite = keys.suite
    if not (keys.signing and keys.peer_signing):
        raise ValueError("a key agreement needs both sides' signing keys (suite 1 or 2)")
    ephemeral = [crypto.ec_generate(suite.curve) for _ in key_ids]
    entries = []
    for i in range(len(key_ids)):
        public = ephemeral[i][1]
        signed = sign(crypto, keys, bytes((key_ids[i],)) + public)
        entries.append(entry(key_ids[i], public + signed))
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
    return taken_over(client, keys, fresh)


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
