"""--trace: every APDU by name, as it goes and comes; ciphered ones inside and outside.

It listens where the bytes pass anyway: at the Link, and at the Crypto port, where a ciphered APDU
is plain. Passwords, keys, challenges' answers and what goes to security objects are never shown;
of a class that is not known here neither are the values, for they may be secrets too.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gateway.dlms import apdu
from gateway.dlms.apdu import acse, short
from gateway.dlms.data import cosem, obis
from gateway.dlms.errors import DlmsError
from tools.cosem import render
from tools.cosem.names import ATTRIBUTE, METHOD, class_name, member_name
from tools.dlms import p1
from tools.dlms.output import printable
from tools.dlms.shown import MECHANISMS

if TYPE_CHECKING:
    from hal.ports import AesGcm, Crypto, Link

_LONGEST = 200  # characters of a value
# what holds secrets: the LLS or HLS secret; HLS replies, key transfer, change of secrets
_SECRET_ATTRIBUTES = ((15, 7),)
_SECRET_METHODS = (12, 15, 64)  # classes

CIPHERED = {
    0x21: "glo-initiate-request", 0x28: "glo-initiate-response",
    0x25: "glo-read-request", 0x26: "glo-write-request", 0x2C: "glo-read-response",
    0x2D: "glo-write-response", 0x36: "glo-unconfirmed-write-request",
    0x38: "glo-information-report-request",
    0x41: "ded-initiate-request", 0x48: "ded-initiate-response",
    0x45: "ded-read-request", 0x46: "ded-write-request", 0x4C: "ded-read-response",
    0x4D: "ded-write-response", 0x56: "ded-unconfirmed-write-request",
    0x58: "ded-information-report-request",
    0xC8: "glo-get-request", 0xC9: "glo-set-request", 0xCA: "glo-event-notification-request",
    0xCB: "glo-action-request", 0xCC: "glo-get-response", 0xCD: "glo-set-response",
    0xCF: "glo-action-response", 0xD0: "ded-get-request", 0xD1: "ded-set-request",
    0xD2: "ded-event-notification-request", 0xD3: "ded-action-request", 0xD4: "ded-get-response",
    0xD5: "ded-set-response", 0xD7: "ded-action-response", 0xDB: "general-glo-ciphering",
    0xDC: "general-ded-ciphering", 0xDD: "general-ciphering", 0xDF: "general-signing",
}  # fmt: skip
_WITH_SHORT_NAMES = (short.ReadRequest, short.WriteRequest)
_CONTEXTS = {1: "LN", 2: "SN", 3: "LN ciphered", 4: "SN ciphered"}

_DECODERS: dict[int, Callable[[bytes], Any]] = {
    acse.INITIATE_REQUEST: acse.InitiateRequest.decode,
    acse.INITIATE_RESPONSE: acse.InitiateResponse.decode,
}


def holds_secret(class_id: int, attribute: int) -> bool:
    """Whether the attribute is a password or key."""
    return (class_id, attribute) in _SECRET_ATTRIBUTES


class Tracer:
    """Writes lines to stderr, values to at most `longest` characters (0: whole). Remembers what was
    asked, to hide an answer that is a secret."""

    def __init__(self, longest: int = _LONGEST) -> None:
        self._longest = longest
        self._secret_asked = False

    def line(self, arrow: str, raw: bytes) -> None:
        text = printable(self.describe(raw)).replace("\n", "\\n")
        print("%s %s" % (arrow, text), file=sys.stderr)

    def describe(self, raw: bytes) -> str:
        """One line for one APDU."""
        if not raw:
            return "an empty APDU"
        if raw[0] in CIPHERED:
            return "%s, %d bytes" % (CIPHERED[raw[0]], len(raw))
        if p1.is_text(raw):
            return "P1 text: %s" % ", ".join(p1.lines(raw))
        try:
            decoded = _DECODERS.get(raw[0], short.decode)(raw)
        except (DlmsError, ValueError) as error:
            if raw[0] == acse.RLRE:
                return "rlre, its lengths are wrong (%s); released" % error
            return "0x%02x, %d bytes: %s" % (raw[0], len(raw), error)
        name = _kebab(type(decoded).__name__)
        return "%s %s" % (name, ", ".join(self._fields(decoded)))

    def _fields(self, decoded: Any) -> list[str]:
        if isinstance(decoded, apdu.ExceptionResponse):
            words = [decoded.state_name(), decoded.service_name()]
            return words + ([] if decoded.counter is None else ["counter %d" % decoded.counter])
        if isinstance(decoded, apdu.ConfirmedServiceError):
            return [decoded.service_name(), decoded.error_name()]
        if isinstance(decoded, apdu.GeneralBlock):
            return _block(decoded)
        hidden = self.is_secret(decoded)
        fields = [(name, getattr(decoded, name)) for name in decoded.FIELDS]
        words = [self._field(decoded, name, value, hidden) for name, value in fields]
        return [word for word in words if word]

    def _field(self, decoded: Any, name: str, value: Any, hidden: bool) -> str:
        """What one field says; "" where it is no news, or a secret."""
        if name in ("class_id", "attribute", "method", "dedicated_key") or value is None:
            return ""
        if name in _WORDS:
            return _WORDS[name](decoded, value)
        if name == "result" and not hasattr(decoded, "block"):
            return _result(decoded, value)
        if name == "data" and not hidden and not hasattr(decoded, "block"):
            return self._shortened(render.data(bytes(value)))
        if isinstance(value, (bytes, bytearray, memoryview)):
            return "%s of %d bytes" % (name, len(value)) if len(value) else ""
        if name == "items" and isinstance(decoded, _WITH_SHORT_NAMES):
            return " ".join("0x%04X" % variable for variable, _ in value)
        if isinstance(value, list):
            return "%d %s" % (len(value), name)
        if isinstance(value, (int, str)):
            return "%s %s" % (name.replace("_", "-"), value)
        return name

    def _shortened(self, text: str) -> str:
        whole = not self._longest or len(text) <= self._longest
        return text if whole else text[: self._longest] + "..."

    def is_secret(self, decoded: Any) -> bool:
        """Whether values in this APDU may be secrets, by what it or the last request names."""
        class_id = getattr(decoded, "class_id", None)
        if class_id is not None:
            index = getattr(decoded, "attribute", 0)
            self._secret_asked = (
                class_id not in cosem.CLASSES
                or holds_secret(class_id, index)
                or (hasattr(decoded, "method") and class_id in _SECRET_METHODS)
            )
        return self._secret_asked


def _kebab(name: str) -> str:
    words = "".join("-" + c.lower() if c.isupper() else c for c in name)
    return words.lstrip("-")


def _target(decoded: Any) -> str:
    kind = METHOD if hasattr(decoded, "method") else ATTRIBUTE
    index = decoded.method if kind == METHOD else decoded.attribute
    return "%s %s %s" % (
        class_name(decoded.class_id),
        obis.text(decoded.obis),
        member_name(kind, decoded.class_id, index),
    )


def _result(decoded: Any, value: int) -> str:
    if isinstance(decoded, acse.Aare):
        transient = value == acse.RESULTS.index("rejected-transient")
        return decoded.result_name() + (" (for now: try again later)" if transient else "")
    if isinstance(decoded, apdu.ActionResponse):
        return apdu.action_result_name(value)
    return apdu.access_result_name(value)


def _invoke(decoded: Any, value: int) -> str:
    """ACCESS and data-notification have a long one, of 24 bits (Green Book 9.3.10)."""
    return "invoke %d" % (value & (apdu.LONG_ID if isinstance(decoded, _LONG) else 0x0F))


def _mechanism(decoded: Any, value: int) -> str:
    if not value and decoded.value:
        return "no mechanism-name"
    return "authentication %s" % MECHANISMS.get(value, value)


def _secret(decoded: Any, value: bytes) -> str:
    """The calling or responding authentication value: a password, or a challenge of HLS."""
    kind = "password" if decoded.mechanism == acse.LOW else "challenge"
    return "a %s of %d bytes" % (kind, len(value)) if len(value) else ""


def _diagnostic(decoded: Any, value: tuple[int, int]) -> str:
    source = " (of the provider)" if value[0] == _PROVIDER else ""
    return decoded.diagnostic_name() + source if value[1] else ""


def _moment(decoded: Any, value: bytes | str) -> str:
    if isinstance(value, str):
        return value  # a GeneralizedTime
    return render.stamp(value) if value else ""


_PROVIDER = 2
_LONG = (apdu.AccessRequest, apdu.AccessResponse, apdu.DataNotification)
_WORDS: dict[str, Callable[[Any, Any], str]] = {
    "obis": lambda decoded, value: _target(decoded),
    "invoke": _invoke,
    "context": lambda decoded, value: _CONTEXTS.get(value, "context %s" % value),
    "mechanism": _mechanism,
    "value": _secret,
    "diagnostic": _diagnostic,
    "conformance": lambda decoded, value: "conformance %06x" % value,
    "vaa_name": lambda decoded, value: "" if value == acse.VAA_LN else "short names",
    "reason": lambda decoded, value: decoded.reason_name(),
    "title": lambda decoded, value: "title %s" % bytes(value).hex() if value else "",
    "date_time": _moment,
    "time": _moment,
}


def _block(block: apdu.GeneralBlock) -> list[str]:
    words = ["number %d" % block.number] if len(block.data) else []
    words += ["the last"] if block.last else []
    words += ["streaming"] if block.streaming and not block.last else []
    words += ["window %d" % block.window, "ack %d" % block.ack]
    return [*words, "%d bytes" % len(block.data)]


class TracedLink:
    """A Link that tells what passes."""

    def __init__(self, link: Link, tracer: Tracer) -> None:
        self._link = link
        self._tracer = tracer
        self.max_apdu = link.max_apdu

    async def send(self, data: bytes | memoryview) -> None:
        self._tracer.line(">", bytes(data))
        await self._link.send(data)

    async def receive(self, timeout_ms: int) -> bytes:
        data = await self._link.receive(timeout_ms)
        self._tracer.line("<", data)
        return data

    async def close(self) -> None:
        await self._link.close()


class TracedCrypto:
    """A Crypto that tells which APDUs are ciphered and deciphered; all else passes untold."""

    def __init__(self, crypto: Crypto, tracer: Tracer) -> None:
        self._crypto = crypto
        self._tracer = tracer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._crypto, name)

    def aes_gcm(self, key: bytes) -> TracedGcm:
        return TracedGcm(self._crypto.aes_gcm(key), self._tracer)


class TracedGcm:
    def __init__(self, gcm: AesGcm, tracer: Tracer) -> None:
        self._gcm = gcm
        self._tracer = tracer

    def encrypt(self, nonce: bytes, data: Any, aad: Any, tag_size: int) -> bytes:
        if len(data):
            self._tracer.line("  inside:", bytes(data))
        return self._gcm.encrypt(nonce, data, aad, tag_size)

    def decrypt(self, nonce: bytes, data: Any, aad: Any, tag_size: int) -> bytes:
        plain = self._gcm.decrypt(nonce, data, aad, tag_size)
        if plain:
            self._tracer.line("  inside:", plain)
        return plain

    def crypt(self, nonce: bytes, data: Any) -> bytes:
        # Encrypting or decrypting, the APDU is the one of both whose tag says so.
        other = self._gcm.crypt(nonce, data)
        plain = bytes(data) if bytes(data[:1]) in _PLAIN_TAGS else other
        if plain:
            self._tracer.line("  inside:", plain)
        return other


_PLAIN_TAGS = [
    bytes([tag])
    for tag in (0x01, 0x05, 0x06, 0x08, 0x0C, 0x0D, 0x16, 0xC0, 0xC1, 0xC3, 0xC4, 0xC5, 0xC7)
]
