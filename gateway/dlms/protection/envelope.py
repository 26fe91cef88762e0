"""The APDUs that carry a protected APDU whatever its service (Green Book 9.5, General-Ciphering
and General-Signing), as they are on the wire: nothing is checked or deciphered here.

general-glo and general-ded are a system title and a ciphered service; they are simple enough to be
in security.py. Decoding raises ProtocolError and nothing else.
"""

from __future__ import annotations

from gateway.dlms.data.axdr import bytes_at, put_octets
from gateway.dlms.errors import ProtocolError
from gateway.dlms.protection.tags import GENERAL_CIPHERING_TAG, GENERAL_SIGNING_TAG

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.dlms.data.axdr import Bytes

# key-info of general-ciphering: which key, where it comes from
NO_KEY_INFO = -1
IDENTIFIED = 0
WRAPPED = 1
AGREED = 2

# key-id of an identified key
UNICAST_KEY = 0
BROADCAST_KEY = 1
# kek-id of a wrapped key
MASTER_KEY = 0
# key-parameters of an agreed key
ONE_PASS = b"\x01"  # C(1e, 1s): ephemeral key of the originator, static key of the recipient
STATIC = b"\x02"  # C(0e, 2s): static keys of both


class Parties:
    """What both envelopes begin with: who speaks to whom, and in which transaction. All are
    octet-strings that may be empty."""

    __slots__ = ("date_time", "originator", "other", "recipient", "transaction")

    def __init__(
        self,
        transaction: bytes,
        originator: bytes,
        recipient: bytes,
        date_time: bytes = b"",
        other: bytes = b"",
    ) -> None:
        self.transaction = transaction
        self.originator = originator
        self.recipient = recipient
        self.date_time = date_time
        self.other = other

    def encode(self) -> bytes:
        """Each with its length: so they are on the wire, under a tag, and under a signature."""
        out = bytearray()
        for each in (
            self.transaction,
            self.originator,
            self.recipient,
            self.date_time,
            self.other,
        ):
            put_octets(out, each)
        return bytes(out)

    @staticmethod
    def decode_at(data: Bytes, pos: int) -> tuple[Parties, int]:
        transaction, pos = bytes_at(data, pos)
        originator, pos = bytes_at(data, pos)
        recipient, pos = bytes_at(data, pos)
        date_time, pos = bytes_at(data, pos)
        other, pos = bytes_at(data, pos)
        return Parties(transaction, originator, recipient, date_time, other), pos


class KeyInfo:
    """`kind` NO_KEY_INFO, IDENTIFIED (with key `number`), WRAPPED (with kek `number` and the
    wrapped key as `data`), AGREED (with `parameters` ONE_PASS or STATIC, and `data`)."""

    __slots__ = ("data", "kind", "number", "parameters")

    def __init__(
        self, kind: int, number: int = 0, data: bytes = b"", parameters: bytes = b""
    ) -> None:
        self.kind = kind
        self.number = number
        self.data = data
        self.parameters = parameters

    def encode(self) -> bytes:
        if self.kind == NO_KEY_INFO:
            return b"\x00"
        out = bytearray((1, self.kind))
        if self.kind == AGREED:
            put_octets(out, self.parameters)
        else:
            out.append(self.number)
        if self.kind != IDENTIFIED:
            put_octets(out, self.data)
        return bytes(out)

    @staticmethod
    def decode_at(data: Bytes, pos: int) -> tuple[KeyInfo, int]:
        if pos >= len(data) or data[pos] > 1:
            raise ProtocolError("general-ciphering without a proper key-info")
        if data[pos] == 0:
            return KeyInfo(NO_KEY_INFO), pos + 1
        if pos + 3 > len(data):
            raise ProtocolError("the APDU ends early")
        kind = data[pos + 1]
        if kind == IDENTIFIED:
            return KeyInfo(IDENTIFIED, data[pos + 2]), pos + 3
        if kind == WRAPPED:
            wrapped, end = bytes_at(data, pos + 3)
            return KeyInfo(WRAPPED, data[pos + 2], wrapped), end
        if kind == AGREED:
            parameters, pos = bytes_at(data, pos + 2)
            content, pos = bytes_at(data, pos)
            return KeyInfo(AGREED, 0, content, parameters), pos
        raise ProtocolError("key-info %d is neither identified, wrapped nor agreed" % kind)


def ciphering_apdu(parties: Parties, info: KeyInfo, content: bytes) -> bytes:
    """general-ciphering; `content` is the ciphered service."""
    out = bytearray((GENERAL_CIPHERING_TAG,))
    out.extend(parties.encode())
    out.extend(info.encode())
    put_octets(out, content)
    return bytes(out)


def ciphering_parts(data: Bytes) -> tuple[Parties, KeyInfo, bytes]:
    """What ciphering_apdu() put together."""
    parties, pos = Parties.decode_at(data, 1)
    info, pos = KeyInfo.decode_at(data, pos)
    content, pos = bytes_at(data, pos)
    ends(data, pos)
    return parties, info, content


def signed_part(parties: Parties, content: bytes) -> bytes:
    """What the signature of general-signing is over."""
    out = bytearray(parties.encode())
    put_octets(out, content)
    return bytes(out)


def signing_apdu(signed: bytes, signature: bytes) -> bytes:
    """general-signing; `signed` comes from signed_part()."""
    out = bytearray((GENERAL_SIGNING_TAG,))
    out.extend(signed)
    put_octets(out, signature)
    return bytes(out)


def signing_parts(data: Bytes) -> tuple[Parties, bytes, bytes, bytes]:
    """(parties, content, what is signed, signature) of a general-signing APDU."""
    parties, pos = Parties.decode_at(data, 1)
    content, pos = bytes_at(data, pos)
    signed = bytes(data[1:pos])
    signature, pos = bytes_at(data, pos)
    ends(data, pos)
    return parties, content, signed, signature


def ends(data: Bytes, pos: int) -> None:
    if pos != len(data):
        raise ProtocolError("%d bytes left over after the APDU" % (len(data) - pos))
