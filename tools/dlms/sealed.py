"""A ciphered APDU taken apart, and what it says under keys that may fit or not.

What is only encrypted has no tag, and where only the encryption key is known the tag cannot be
checked: then the APDU is taken for right when it decodes whole, and it is not authenticated.
"""

from __future__ import annotations

from gateway.dlms import apdu
from gateway.dlms.apdu import acse, short
from gateway.dlms.data import axdr
from gateway.dlms.errors import DlmsError, ProtocolError
from gateway.dlms.protection import envelope
from gateway.dlms.protection.keyring import TITLE_SIZE
from gateway.dlms.protection.policy import AUTHENTICATED, BROADCAST, COMPRESSED, ENCRYPTED
from gateway.dlms.protection.security import TAG_SIZE
from gateway.dlms.protection.tags import (
    GENERAL_CIPHERING_TAG,
    GENERAL_DED_TAG,
    GENERAL_GLO_TAG,
    PLAIN_OF,
    PLAIN_OF_DED,
    PROTECTED,
)
from hal.ports import AesGcm, CryptoError
from tools.dlms import p1

# Of an APDU that was not proven. NO_TAG: it carries none; UNCHECKED: there is no key to check it
# with; WRONG_TAG: it does not fit the keys.
NO_TAG, UNCHECKED, WRONG_TAG = "it has no tag", "no AK to check its tag", "its tag does not fit"


class Sealed:
    """`title` of its sender where it tells, `why` it cannot be deciphered whatever keys there are,
    `expected` the plain tag where the outer one tells it. ProtocolError, IndexError."""

    def __init__(self, raw: bytes) -> None:
        tag = raw[0]
        self.title = b""
        self.why = ""
        self.parties = b""
        self.expected = PLAIN_OF.get(tag, PLAIN_OF_DED.get(tag))
        self.dedicated = tag == GENERAL_DED_TAG or tag in PLAIN_OF_DED
        self.tells_title = tag in (GENERAL_GLO_TAG, GENERAL_DED_TAG, GENERAL_CIPHERING_TAG)
        if tag in (GENERAL_GLO_TAG, GENERAL_DED_TAG):
            title, at = axdr.bytes_at(raw, 1)
            self.title = bytes(title)
            content, end = axdr.bytes_at(raw, at)
        elif tag == GENERAL_CIPHERING_TAG:
            parties, info, content = envelope.ciphering_parts(raw)
            end = len(raw)
            self.title = bytes(parties.originator)
            self.parties = parties.encode()
            if info.kind not in (envelope.IDENTIFIED, envelope.NO_KEY_INFO):
                self.why = "its key was wrapped or agreed for this APDU alone"
        else:
            content, end = axdr.bytes_at(raw, 1)
        if end != len(raw):
            raise ProtocolError("%d bytes left over after the APDU" % (len(raw) - end))
        if len(content) < 6:
            raise ProtocolError("%d bytes cannot hold a ciphered APDU" % len(content))
        self.control = content[0]
        self.counter = bytes(content[1:5])
        self.body, self.tag = bytes(content[5:]), b""
        if self.control & COMPRESSED:
            self.why = "it is compressed, which is not supported here"
        if self.authenticated:
            if len(self.body) <= TAG_SIZE:
                raise ProtocolError("%d bytes cannot hold a tag" % len(content))
            self.body, self.tag = self.body[:-TAG_SIZE], self.body[-TAG_SIZE:]

    @property
    def authenticated(self) -> bool:
        return self.control & AUTHENTICATED != 0

    @property
    def encrypted(self) -> bool:
        return self.control & ENCRYPTED != 0

    def proven(self, gcm: AesGcm, ak: bytes, title: bytes) -> bytes | None:
        """The APDU, if its tag fits these keys and this title."""
        if len(title) != TITLE_SIZE or not self.authenticated or not ak:
            return None
        nonce = title + self.counter
        aad = bytes((self.control,)) + ak + self.parties
        try:
            if self.encrypted:
                return gcm.decrypt(nonce, self.body + self.tag, aad, TAG_SIZE)
            gcm.decrypt(nonce, self.tag, aad + self.body, TAG_SIZE)
        except CryptoError:
            return None
        return self.body

    def plausible(self, gcm: AesGcm, title: bytes) -> bytes | None:
        """The APDU, if under this key and title it is one: nothing proves it."""
        if not self.encrypted:
            return self.body if is_sound(self.body, self.expected) else None
        if len(title) != TITLE_SIZE:
            return None
        plain = gcm.crypt(title + self.counter, self.body)
        return plain if is_sound(plain, self.expected) else None

    def unproven(self, ak: bytes) -> str:
        """Why what plausible() gives is not authenticated."""
        if not self.authenticated:
            return NO_TAG
        return WRONG_TAG if ak else UNCHECKED


def is_sound(plain: bytes, expected: int | None) -> bool:
    """Whether an APDU decodes whole, with its values, or is the text of a P1 port; `expected`: its
    tag, where it is known."""
    if not plain or (expected is not None and plain[0] != expected):
        return False
    if plain[0] in PROTECTED:
        return False
    try:
        decoded = short.decode(plain)
        if isinstance(decoded, acse.Aarq | acse.Aare):
            return True
        value = None if hasattr(decoded, "block") else getattr(decoded, "data", None)
        if value and not isinstance(decoded, apdu.GeneralBlock):
            axdr.decode(value)
    except (DlmsError, ValueError):
        return p1.is_text(plain)
    return True


def control_text(control: int) -> str:
    words = ["suite %d" % (control & 0x0F)]
    for bit, word in (
        (AUTHENTICATED, "authenticated"),
        (ENCRYPTED, "encrypted"),
        (BROADCAST, "broadcast key"),
        (COMPRESSED, "compressed"),
    ):
        if control & bit:
            words.append(word)
    return ", ".join(words)
