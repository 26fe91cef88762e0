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
from gateway.dlms.protection.policy import BROADCAST
from gateway.dlms.protection.tags import GENERAL_SIGNING_TAG, PROTECTED
from hal.cpython.crypto import SystemCrypto
from hal.ports import AesGcm
from tools.cosem.names import ATTRIBUTE, METHOD, class_name, member_name
from tools.dlms import p1, readings, shown
from tools.dlms.sealed import Sealed, control_text
from tools.dlms.trace import CIPHERED, Tracer
from tools.sniff.frame import Carried, Layer, Part
from tools.sniff.keys import Keys, KeySet
from tools.sniff.tags import direction

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
        self.tracer = Tracer(0)
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
        self.unproven = 0  # of these, not authenticated
        self._conversations: OrderedDict[tuple[str, str, int, int], _Conversation] = OrderedDict()
        self._way: bool | None = None  # of the APDU at hand
        self._titles: OrderedDict[bytes, None] = OrderedDict.fromkeys(self.keys.titles)

    def layers(
        self, carried: Carried, outward: bool | None, stream: str = ""
    ) -> tuple[list[Layer], bool | None]:
        """What an APDU says, outermost first; and whether it goes to a meter, if that tells."""
        key = stream, carried.peer, carried.client, carried.server
        conversation = self._conversations.pop(key, None) or _Conversation()
        self._conversations[key] = conversation
        if len(self._conversations) > MOST:
            self._conversations.popitem(last=False)
        self._way = outward
        layers = self._apdu(bytes(carried.apdu), carried.peer, outward, conversation, 0)
        return layers, self._way

    def _apdu(
        self, raw: bytes, peer: str, outward: bool | None, said: _Conversation, depth: int
    ) -> list[Layer]:
        if outward is None:
            outward = direction(raw)
        self._way = outward
        if raw[:1] and raw[0] in PROTECTED and depth < _DEPTH:
            return self._protected(raw, peer, outward, said, depth)
        try:
            decoded = apdu.decode(raw)
        except (DlmsError, ValueError):
            decoded = None
        text = said.tracer.describe(raw)
        if p1.is_text(raw):
            return [Layer("P1", text, [Part("line", b"", line) for line in p1.lines(raw)])]
        if raw[:1] and raw[0] in PROTECTED:
            text += ": too deep"
        text += self._meaning(decoded, said)
        layers = [Layer("COSEM", text, _parts(raw, decoded, said))]
        if isinstance(decoded, (acse.Aarq, acse.Aare)):
            self._title(decoded, said)
        if isinstance(decoded, acse.InitiateRequest):
            said.dedicated = _cipher(decoded.dedicated_key)
        if isinstance(decoded, apdu.GeneralBlock):
            inner, missing = _whole(decoded, outward, said)
            layers[0].text += missing
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
        class_id, name, index = asked
        words = class_name(class_id), obis.text(name), member_name(ATTRIBUTE, class_id, index)
        meaning = ""
        if not said.tracer.is_secret(decoded):
            try:
                meaning = shown.meaning(class_id, index, axdr.decode(decoded.data))
            except ProtocolError:
                pass
        meaning = ": " + meaning.replace("\n", "; ") if meaning else ""
        return " (%s%s)" % (" ".join(words), meaning)

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
            sealed = Sealed(raw)
        except (DlmsError, ValueError, IndexError) as error:
            return [Layer("ciphered", "%s, %d bytes: %s" % (name, len(raw), error))]
        text = "%s, counter %d" % (name, int.from_bytes(sealed.counter, "big"))
        self.ciphered += 1
        if outward is None and sealed.title:
            outward = sealed.title in self._titles
        opened = self._open(sealed, peer, outward, said)
        layer = Layer("ciphered", text, _sealed_parts(raw, sealed))
        if opened.plain is None:
            layer.text += ", not deciphered: %s" % opened.why
            return [layer]
        self.deciphered += 1
        if opened.of:
            layer.text += ", keys of %s" % opened.of
        if opened.why:
            self.unproven += 1
            layer.text += ", NOT AUTHENTICATED: %s" % opened.why
        way = direction(opened.plain)
        outward = way if way is not None else outward
        return [layer, *self._apdu(opened.plain, peer, outward, said, depth + 1)]

    def _open(
        self, sealed: Sealed, peer: str, outward: bool | None, said: _Conversation
    ) -> _Opened:
        if sealed.why:
            return _Opened(None, sealed.why)
        if sealed.title and outward:
            self._learn(sealed.title)
        sets, why = self._sets(sealed, peer, outward, said)
        titles, certain = self._tried(sealed, outward, said)
        tries = []
        if tuple(titles) not in said.useless:
            for keys, gcm in sets:
                own = [] if certain or outward else [keys.title]
                tries += [(keys, gcm, title) for title in titles + own if title]
        for keys, gcm, title in tries:
            plain = sealed.proven(gcm, keys.ak, title)
            if plain is not None:
                keys.proven = True
                self._fits(keys, title, sealed, outward, said)
                return _Opened(plain, "", keys.serial)
        for keys, gcm, title in tries if sealed.encrypted else ():
            if sealed.authenticated and keys.proven:
                continue  # under keys that are right its tag does not fit: it was changed
            plain = sealed.plausible(gcm, title)
            if plain is not None:
                self._fits(keys, title, sealed, outward, said)
                return _Opened(plain, sealed.unproven(keys.ak), keys.serial)
        if not sealed.encrypted:
            return _Opened(sealed.body, why or sealed.unproven(b"?"))
        if why:
            return _Opened(None, why)
        if not titles and not tries:
            return _Opened(None, "the sender's system title is not known; give it with --title")
        if said.keys is not None:
            return _Opened(None, "it was changed on its way, or has another key")
        if not sealed.dedicated and len(said.useless) < _TITLES:
            said.useless.add(tuple(titles))
        return _Opened(None, "no key given fits")

    def _sets(
        self, sealed: Sealed, peer: str, outward: bool | None, said: _Conversation
    ) -> tuple[list[tuple[KeySet, AesGcm]], str]:
        """The keys that may fit, the likeliest first; why there are none."""
        sets: list[tuple[KeySet, AesGcm]]
        if sealed.dedicated:
            if said.dedicated is None or said.keys is None:
                return [], "the dedicated key is not known"
            return [(said.keys, said.dedicated)], ""
        if sealed.control & BROADCAST:
            fleet = self.keys.broadcast
            return ([(fleet, fleet.gcm)], "") if fleet else ([], "no broadcast key is given")
        meter = said.server_title if outward else sealed.title or said.server_title
        sets = [(each, each.gcm) for each in self.keys.candidates(peer, meter)]
        if said.keys is not None:
            sets.insert(0, (said.keys, said.keys.gcm))
        return sets, "" if sets else "no keys are given"

    def _fits(
        self,
        keys: KeySet,
        title: bytes,
        sealed: Sealed,
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
        self, sealed: Sealed, outward: bool | None, said: _Conversation
    ) -> tuple[list[bytes], bool]:
        """System titles that the sender may have, and whether it can be no other: its own, that of
        the association, those given for whoever does not tell it."""
        if sealed.title:
            return [sealed.title], True
        own = said.client_title if outward else said.server_title
        if own and outward is not None:
            return [own], True
        if outward:
            return list(self._titles), False
        both = [each for each in (said.client_title, said.server_title) if each]
        return (both if outward is None else []) + self.keys.titles, False


class _Opened:
    """`plain` None: it could not be opened, `why`. Else `why` it is not authenticated, "" where it
    is; `of`: whose keys fitted, "" where none had to."""

    def __init__(self, plain: bytes | None, why: str, of: str = "") -> None:
        self.plain = plain
        self.why = why
        self.of = of


def _sealed_parts(raw: bytes, sealed: Sealed) -> list[Part]:
    parts = [Part("tag", raw[:1], CIPHERED.get(raw[0], ""))]
    if sealed.parties:
        parts.append(Part("parties", sealed.parties))
    elif sealed.tells_title:
        parts.append(Part("system title", sealed.title, "" if sealed.title else "empty"))
    parts += [
        Part("security control", bytes((sealed.control,)), control_text(sealed.control)),
        Part("counter", sealed.counter, str(int.from_bytes(sealed.counter, "big"))),
    ]
    if sealed.encrypted:
        parts.append(Part("ciphertext", sealed.body))
    else:
        parts.append(Part("APDU", b"", "%d bytes" % len(sealed.body)))
    if sealed.tag:
        parts.append(Part("tag", sealed.tag))
    return parts


def _cipher(key: bytes) -> AesGcm | None:
    return SystemCrypto().aes_gcm(bytes(key)) if len(key) in (16, 32) else None


def _whole(
    block: apdu.GeneralBlock, outward: bool | None, said: _Conversation
) -> tuple[bytes, str]:
    """(the APDU that these blocks were, once the last one has come, what is missing)."""
    way = bool(outward)
    if not block.data:
        return b"", ""  # only an acknowledgement
    if block.number == 1:
        said.blocks[way] = Incoming(_LONGEST)
    if way not in said.blocks:
        return b"", ", of an APDU whose beginning is missing"
    try:
        said.blocks[way].take(block)
        whole = said.blocks[way].whole()
    except ProtocolError:
        whole = b""
    if whole is not None:
        del said.blocks[way]
    elif block.last:
        return b"", ", others are missing"
    return whole or b"", ""


def _parts(raw: bytes, decoded: Any, said: _Conversation) -> list[Part]:
    """Byte by byte what is no secret; of the rest how much it is, and what a list is about."""
    if isinstance(decoded, _OPEN) and not said.tracer.is_secret(decoded):
        return [Part("tag", raw[:1]), Part("content", raw[1:])]
    if isinstance(decoded, apdu.DataNotification):
        named = readings.named(decoded.data)
        return [Part("tag", raw[:1]), *(Part(name, b"", value) for name, value in named)]
    parts = [Part("tag", raw[:1]), Part("content", b"", "%d bytes, not shown" % (len(raw) - 1))]
    if isinstance(decoded, _LISTS):
        kind = METHOD if isinstance(decoded, _METHOD_LISTS) else ATTRIBUTE
        for class_id, name, index, *_ in decoded.items:
            words = class_name(class_id), obis.text(name), member_name(kind, class_id, index)
            parts.append(Part("item", b"", " ".join(words)))
    return parts
