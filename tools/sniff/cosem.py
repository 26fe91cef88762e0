"""APDUs by their COSEM names, deciphered where there are keys.

A conversation is one client and one server at one node. It remembers what was asked, so that an
answer can be named; the system titles that AARQ and AARE tell; the dedicated key; and general
blocks until they are whole. What is secret stays so: passwords, keys, values of objects that are
not known. Signatures are not verified, and a counter that comes again is no fault here.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from gateway.dlms import apdu
from gateway.dlms.apdu import acse
from gateway.dlms.apdu.gbt import Incoming
from gateway.dlms.data import axdr, obis
from gateway.dlms.errors import DlmsError, ProtocolError
from gateway.dlms.protection import envelope
from gateway.dlms.protection.keyring import TITLE_SIZE
from gateway.dlms.protection.policy import AUTHENTICATED, BROADCAST, COMPRESSED, ENCRYPTED
from gateway.dlms.protection.security import TAG_SIZE
from gateway.dlms.protection.tags import (
    GENERAL_CIPHERING_TAG,
    GENERAL_DED_TAG,
    GENERAL_GLO_TAG,
    GENERAL_SIGNING_TAG,
    PLAIN_OF,
    PLAIN_OF_DED,
    PROTECTED,
)
from hal.cpython.crypto import SystemCrypto
from hal.ports import AesGcm, CryptoError
from tools.cosem.names import ATTRIBUTE, METHOD, class_name, member_name
from tools.dlms import shown
from tools.dlms.trace import CIPHERED, Tracer
from tools.sniff.frame import Carried, Layer, Part
from tools.sniff.keys import Keys, KeySet
from tools.sniff.lines import direction

MOST = 2048  # conversations remembered
_ASKED = 16  # as many as invoke ids
_LONGEST = 1 << 18  # bytes of an APDU put together from blocks
_TITLES = 64  # system titles of clients remembered
_DEPTH = 4  # protected APDUs inside protected APDUs
# Tags whose whole content the Tracer shows, so that their bytes tell nothing more than it does.
_OPEN = (
    apdu.GetRequest, apdu.GetResponse, apdu.GetNext, apdu.SetRequest, apdu.SetResponse,
    apdu.ActionRequest, apdu.ActionResponse, apdu.ExceptionResponse, apdu.ConfirmedServiceError,
    acse.Rlre,
)  # fmt: skip

_METHOD_LISTS = (apdu.ActionListRequest, apdu.ActionListFirstBlock)
_LISTS = (
    *_METHOD_LISTS, apdu.GetListRequest, apdu.SetListRequest, apdu.SetListFirstBlock,
)  # fmt: skip

Target = tuple[int, bytes, int]


class _Conversation:
    __slots__ = (
        "asked",
        "blocks",
        "client_title",
        "dedicated",
        "keys",
        "server_title",
        "tracer",
        "useless",
    )

    def __init__(self) -> None:
        self.tracer = Tracer()
        self.client_title = b""
        self.server_title = b""
        self.dedicated: AesGcm | None = None
        self.keys: KeySet | None = None  # those that fitted last
        self.useless: set[tuple[bytes, ...]] = set()  # titles that no key fits
        self.asked: OrderedDict[int, Target] = OrderedDict()  # by invoke id
        self.blocks: dict[bool, Incoming] = {}


class Cosem:
    """All conversations on a line; the oldest is forgotten when there are too many."""

    def __init__(self, keys: Keys | None = None) -> None:
        self.keys = Keys() if keys is None else keys
        self.ciphered = 0
        self.deciphered = 0
        self._conversations: OrderedDict[tuple[str, str, int, int], _Conversation] = OrderedDict()
        self._titles: OrderedDict[bytes, None] = OrderedDict.fromkeys(self.keys.titles)

    def layers(self, carried: Carried, outward: bool | None, stream: str = "") -> list[Layer]:
        """What an APDU says, outermost first."""
        key = stream, carried.peer, carried.client, carried.server
        conversation = self._conversations.pop(key, None) or _Conversation()
        self._conversations[key] = conversation
        if len(self._conversations) > MOST:
            self._conversations.popitem(last=False)
        return self._apdu(bytes(carried.apdu), carried.peer, outward, conversation, 0)

    def _apdu(
        self, raw: bytes, peer: str, outward: bool | None, said: _Conversation, depth: int
    ) -> list[Layer]:
        if outward is None:
            outward = direction(raw)
        if raw[:1] and raw[0] in PROTECTED and depth < _DEPTH:
            return self._protected(raw, peer, outward, said, depth)
        try:
            decoded = apdu.decode(raw)
        except (DlmsError, ValueError):
            decoded = None
        text = said.tracer.describe(raw)
        if raw[:1] and raw[0] in PROTECTED:
            text += ": too deep"
        text += self._meaning(decoded, said)
        layers = [Layer("COSEM", text, _parts(raw, decoded, said))]
        if isinstance(decoded, (acse.Aarq, acse.Aare)):
            self._title(decoded, said)
        if isinstance(decoded, acse.InitiateRequest):
            said.dedicated = _cipher(decoded.dedicated_key)
        if isinstance(decoded, apdu.GeneralBlock):
            inner = _whole(decoded, outward, said)
        else:
            inner = getattr(decoded, "user_information", b"")
        if inner and depth < _DEPTH:
            layers += self._apdu(bytes(inner), peer, outward, said, depth + 1)
        return layers

    def _title(self, decoded: acse.Aarq | acse.Aare, said: _Conversation) -> None:
        title = bytes(decoded.title)
        if isinstance(decoded, acse.Aarq):
            said.dedicated = None
            said.client_title = title
            self._learn(title)
        else:
            said.server_title = title
        said.useless.clear()

    def _learn(self, title: bytes) -> None:
        if len(title) == TITLE_SIZE:
            self._titles[title] = None
            if len(self._titles) > _TITLES:
                self._titles.popitem(last=False)

    def _meaning(self, decoded: Any, said: _Conversation) -> str:
        """Of a value read; "" where the Tracer has said all. Notes what is asked."""
        target = getattr(decoded, "class_id", None)
        invoke = getattr(decoded, "invoke", None)
        if invoke is None:
            return ""
        invoke &= 0x0F
        if target is not None and hasattr(decoded, "attribute"):
            said.asked[invoke] = target, bytes(decoded.obis), decoded.attribute
            said.asked.move_to_end(invoke)
            if len(said.asked) > _ASKED:
                said.asked.popitem(last=False)
            return ""
        if target is not None:
            said.asked.pop(invoke, None)
            return ""
        asked = said.asked.get(invoke)
        if asked is None or not isinstance(decoded, apdu.GetResponse) or decoded.data is None:
            return ""
        if said.tracer.is_secret(decoded):
            return ""
        try:
            meaning = shown.meaning(asked[0], asked[2], axdr.decode(decoded.data))
        except ProtocolError:
            return ""
        return " (%s)" % meaning.replace("\n", "; ") if meaning else ""

    # ------------------------------------------------------------ protection

    def _protected(
        self, raw: bytes, peer: str, outward: bool | None, said: _Conversation, depth: int
    ) -> list[Layer]:
        name = CIPHERED.get(raw[0], "0x%02x" % raw[0])
        try:
            if raw[0] == GENERAL_SIGNING_TAG:
                parties, content, _, signature = envelope.signing_parts(raw)
                if outward is None:
                    outward = bytes(parties.originator) in self._titles
                text = "%s by %s, not verified" % (name, parties.originator.hex())
                parts = [
                    Part("signature", signature),
                    Part("content", b"", "%d bytes" % len(content)),
                ]
                return [
                    Layer("signed", text, parts),
                    *self._apdu(bytes(content), peer, outward, said, depth + 1),
                ]
            sealed = _Sealed(raw, outward, said)
        except (DlmsError, ValueError, IndexError) as error:
            return [Layer("ciphered", "%s, %d bytes: %s" % (name, len(raw), error))]
        self.ciphered += 1
        if outward is None and sealed.title:
            outward = sealed.title in self._titles
        plain, keys_of = self._open(sealed, peer, outward, said)
        if plain is None:
            return [
                Layer("ciphered", "%s, not deciphered: %s" % (sealed.text, keys_of), sealed.parts)
            ]
        self.deciphered += 1
        layer = Layer("ciphered", "%s, keys of %s" % (sealed.text, keys_of), sealed.parts)
        return [layer, *self._apdu(plain, peer, outward, said, depth + 1)]

    def _open(
        self, sealed: _Sealed, peer: str, outward: bool | None, said: _Conversation
    ) -> tuple[bytes | None, str]:
        """(plain APDU, whose keys), or (None, why not)."""
        if sealed.why:
            return None, sealed.why
        if sealed.title and outward:
            self._learn(sealed.title)
        if sealed.dedicated:
            if said.dedicated is None or said.keys is None:
                return None, "the dedicated key is not known"
            sets = [(said.keys, said.dedicated)]
        elif sealed.control & BROADCAST:
            if self.keys.broadcast is None:
                return None, "no broadcast key is given"
            sets = [(self.keys.broadcast, self.keys.broadcast.gcm)]
        else:
            meter = said.server_title if outward else sealed.title or said.server_title
            sets = [(each, each.gcm) for each in self.keys.candidates(peer, meter)]
            if said.keys is not None:
                sets.insert(0, (said.keys, said.keys.gcm))
        if not sets:
            return None, "no keys are given"
        titles = _tried(sealed, outward, said, list(self._titles))
        if tuple(titles) in said.useless:
            return None, "no key given fits"
        for keys, gcm in sets:
            for title in titles or ([keys.title] if outward is not True else []):
                plain = sealed.plain(gcm, keys, title)
                if plain is not None:
                    self._fits(keys, title, sealed, outward, said)
                    return plain, keys.serial
        if not titles and not any(keys.title for keys, _ in sets):
            return None, "the sender's system title is not known"
        if said.keys is not None:
            return None, "it was changed on its way, or has another key"
        if not sealed.dedicated and len(said.useless) < _TITLES:
            said.useless.add(tuple(titles))
        return None, "no key given fits"

    def _fits(
        self,
        keys: KeySet,
        title: bytes,
        sealed: _Sealed,
        outward: bool | None,
        said: _Conversation,
    ) -> None:
        if not sealed.dedicated and not sealed.control & BROADCAST:
            said.keys = keys
        if outward and not said.client_title:
            said.client_title = title
        elif outward is False and not said.server_title:
            said.server_title = title


def _tried(
    sealed: _Sealed, outward: bool | None, said: _Conversation, clients: list[bytes]
) -> list[bytes]:
    """System titles the sender may have."""
    if sealed.title:
        return [sealed.title]
    own = said.client_title if outward else said.server_title
    if own:
        return [own]
    if outward:
        return clients
    if outward is None:
        return [each for each in (said.client_title, said.server_title) if each]
    return []


class _Sealed:
    """A ciphered APDU, taken apart: `title` of its sender where it tells, `why` it cannot be
    deciphered whatever keys there are."""

    def __init__(self, raw: bytes, outward: bool | None, said: _Conversation) -> None:
        tag = raw[0]
        self.title = b""
        self.why = ""
        self.parties = b""
        self.expected = PLAIN_OF.get(tag, PLAIN_OF_DED.get(tag))
        self.dedicated = tag == GENERAL_DED_TAG or tag in PLAIN_OF_DED
        self.parts = [Part("tag", raw[:1], CIPHERED.get(tag, ""))]
        if tag in (GENERAL_GLO_TAG, GENERAL_DED_TAG):
            title, at = axdr.bytes_at(raw, 1)
            self.title = bytes(title)
            self.parts.append(Part("system title", self.title))
            content, end = axdr.bytes_at(raw, at)
        elif tag == GENERAL_CIPHERING_TAG:
            parties, info, content = envelope.ciphering_parts(raw)
            end = len(raw)
            self.title = bytes(parties.originator)
            self.parties = parties.encode()
            self.parts.append(Part("parties", self.parties))
            if info.kind != envelope.IDENTIFIED:
                self.why = "its key was wrapped or agreed for this APDU alone"
        else:
            content, end = axdr.bytes_at(raw, 1)
        if end != len(raw):
            raise ProtocolError("%d bytes left over after the APDU" % (len(raw) - end))
        if len(content) < 6:
            raise ProtocolError("%d bytes cannot hold a ciphered APDU" % len(content))
        self.control = content[0]
        self.counter = bytes(content[1:5])
        self._body = bytes(content[5:])
        self.text = "%s, counter %d" % (CIPHERED.get(tag, ""), int.from_bytes(self.counter, "big"))
        self.parts += [
            Part("security control", content[:1], _control_text(self.control)),
            Part("counter", self.counter, str(int.from_bytes(self.counter, "big"))),
        ]
        if self.control & COMPRESSED:
            self.why = "it is compressed, which is not supported here"
        body, mac = self._body, b""
        if self.control & AUTHENTICATED:
            if len(body) <= TAG_SIZE:
                raise ProtocolError("%d bytes cannot hold a tag" % len(content))
            body, mac = body[:-TAG_SIZE], body[-TAG_SIZE:]
        if self.control & ENCRYPTED:
            self.parts.append(Part("ciphertext", body))
        else:
            self.parts.append(Part("APDU", b"", "%d bytes" % len(body)))
        if mac:
            self.parts.append(Part("tag", mac))

    def plain(self, gcm: AesGcm, keys: KeySet, title: bytes) -> bytes | None:
        """The APDU, if these are the keys and the title."""
        if len(title) != TITLE_SIZE:
            return None
        nonce = title + self.counter
        if not self.control & AUTHENTICATED:
            if not self.control & ENCRYPTED:
                return self._body
            plain = gcm.crypt(nonce, self._body)
            # There is no tag: the first byte is all that says whether the key is right.
            return plain if plain[:1] and plain[0] == self.expected else None
        aad = bytes((self.control,)) + keys.ak + self.parties
        try:
            if self.control & ENCRYPTED:
                return gcm.decrypt(nonce, self._body, aad, TAG_SIZE)
            plain = self._body[:-TAG_SIZE]
            gcm.decrypt(nonce, self._body[-TAG_SIZE:], aad + plain, TAG_SIZE)
        except CryptoError:
            return None
        return plain


def _control_text(control: int) -> str:
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


def _cipher(key: bytes) -> AesGcm | None:
    return SystemCrypto().aes_gcm(bytes(key)) if len(key) in (16, 32) else None


def _whole(block: apdu.GeneralBlock, outward: bool | None, said: _Conversation) -> bytes:
    """The APDU that these blocks were, once the last one has come."""
    way = bool(outward)
    if block.number == 1 or way not in said.blocks:
        said.blocks[way] = Incoming(_LONGEST)
    if not block.data:
        return b""  # only an acknowledgement
    try:
        said.blocks[way].take(block)
        whole = said.blocks[way].whole()
    except ProtocolError:
        whole = b""
    if whole is not None:
        del said.blocks[way]
    return whole or b""


def _parts(raw: bytes, decoded: Any, said: _Conversation) -> list[Part]:
    """Byte by byte what is no secret; of the rest how much it is, and what a list is about."""
    if isinstance(decoded, _OPEN) and not said.tracer.is_secret(decoded):
        return [Part("tag", raw[:1]), Part("content", raw[1:])]
    parts = [Part("tag", raw[:1]), Part("content", b"", "%d bytes, not shown" % (len(raw) - 1))]
    if isinstance(decoded, _LISTS):
        kind = METHOD if isinstance(decoded, _METHOD_LISTS) else ATTRIBUTE
        for class_id, name, index, *_ in decoded.items:
            words = class_name(class_id), obis.text(name), member_name(kind, class_id, index)
            parts.append(Part("item", b"", " ".join(words)))
    return parts
