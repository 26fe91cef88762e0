"""What meters push, opened: general blocks put together, signatures and tags checked, each counter
taken once. What cannot be proven is handed on only where the options say so, and marked.

A push comes without an association, so that its own head says how it is protected. --protection,
--policy and --signed say what it has to have at least.
"""

from __future__ import annotations

import argparse

from gateway.dlms import apdu
from gateway.dlms.apdu.gbt import GENERAL_BLOCK_TRANSFER, Incoming
from gateway.dlms.errors import DlmsError, ProtocolError, SecurityFailed
from gateway.dlms.protection import envelope, policy
from gateway.dlms.protection.keyring import TITLE_SIZE, Keys
from gateway.dlms.protection.policy import (
    DIALECTS,
    GENERAL_CIPHERING,
    GENERAL_DED,
    GENERAL_GLO,
    GLO,
    GREEN_BOOK,
    PLAIN,
    Protection,
)
from gateway.dlms.protection.security import Channel, Ciphering
from gateway.dlms.protection.tags import (
    GENERAL_CIPHERING_TAG,
    GENERAL_DED_TAG,
    GENERAL_GLO_TAG,
    GENERAL_SIGNING_TAG,
    PLAIN_OF,
    PROTECTED,
)
from hal.ports import AesGcm, Crypto
from tools.dlms.sealed import NO_TAG, Sealed, is_sound

_SENDERS = 64  # whose counters and blocks are remembered
_LONGEST = 1 << 20  # bytes of an APDU put together from blocks
_NO_KEYS = "no keys are given"
_FORMS = {GENERAL_GLO_TAG: GENERAL_GLO, GENERAL_DED_TAG: GENERAL_DED}
_KEY_SOURCES = {
    envelope.NO_KEY_INFO: policy.IDENTIFIED,
    envelope.IDENTIFIED: policy.IDENTIFIED,
    envelope.WRAPPED: policy.WRAPPED,
}


class Blocks:
    """General blocks of many senders, put together. A sender is a connection, or an address."""

    def __init__(self) -> None:
        self._begun: dict[object, Incoming] = {}

    def take(self, sender: object, raw: bytes) -> bytes | None:
        """The APDU that this one completes: itself, unless it is a block. None: more are to come.
        ProtocolError."""
        if raw[:1] != bytes((GENERAL_BLOCK_TRANSFER,)):
            return raw
        block = apdu.decode(raw)
        if block.number == 1:
            self._begun.pop(sender, None)
            if len(self._begun) >= _SENDERS:
                self._begun.pop(next(iter(self._begun)))
            self._begun[sender] = Incoming(_LONGEST)
        if sender not in self._begun:
            raise ProtocolError("block %d of an APDU whose beginning is missing" % block.number)
        incoming = self._begun[sender]
        try:
            incoming.take(block)
        except ProtocolError:
            del self._begun[sender]
            raise
        whole = incoming.whole()
        if whole is not None:
            del self._begun[sender]
        elif block.last:
            missing = incoming.received + 1
            raise ProtocolError(
                "block %d, the last, but block %d is missing" % (block.number, missing)
            )
        return whole


class Opener:
    """Opens pushes with the keys at hand. `ek`: the encryption key, where it is known alone;
    `dialect`: where the options name none."""

    def __init__(
        self,
        options: argparse.Namespace,
        crypto: Crypto,
        keys: Keys,
        ek: bytes,
        due: int,
        dialect: int = GREEN_BOOK,
    ) -> None:
        self._protection: str | None = options.protection
        self._source: str | None = options.key_source
        self._signed: bool = options.signed
        self._ciphered = options.policy is not None
        self._peer_title: bytes = options.peer_title or b""
        self._policy = due
        self._dialect = DIALECTS.index(options.dialect) if options.dialect else dialect
        self._crypto = crypto
        self._keys = keys
        self._ek = ek
        self._ciphering: dict[tuple[bytes, str, str, bool], Ciphering] = {}
        self._channels: dict[bytes, Channel] = {}

    def open(self, raw: bytes) -> tuple[bytes, str]:
        """(plain APDU, why it is not authenticated, "" where it is or was never protected).
        SecurityFailed, ProtocolError: they name the option that helps."""
        if not raw:
            raise ProtocolError("an empty APDU")
        signed = raw[0] == GENERAL_SIGNING_TAG
        title, content = b"", raw
        if signed:
            parties, content, _, _ = envelope.signing_parts(raw)
            title, content = bytes(parties.originator), bytes(content)
        form = _form(content)
        self._check_form(form, signed)
        if form == PLAIN and not signed:
            return raw, ""
        if form == PLAIN:
            return self._associated(title, form, policy.IDENTIFIED, signed).unprotect(raw), ""
        sealed = Sealed(content)
        self._check_policy(sealed)
        title = sealed.title or title or self._peer_title
        if not self._keys.ek and not signed:
            return self._unproven(sealed, title)
        if len(title) != TITLE_SIZE and (sealed.encrypted or self._keys.ek):
            raise SecurityFailed("the push tells no system title; give the meter's, --peer-title")
        source = self._key_source(content)
        plain = self._associated(title, form, source, signed).unprotect(raw)
        if sealed.authenticated or signed:
            return plain, ""
        if not is_sound(plain, None):
            raise SecurityFailed("nothing that is known comes out; check --ek")
        return plain, NO_TAG

    def _check_form(self, form: str, signed: bool) -> None:
        if self._signed and not signed:
            raise SecurityFailed("a push without signature where --signed says that one is due")
        if self._ciphered and form == PLAIN:
            raise SecurityFailed(
                "a push that is not ciphered where --policy says that it has to be"
            )
        if self._protection is not None and form != self._protection:
            raise SecurityFailed(
                "a push under %s where --protection says %s" % (form, self._protection)
            )

    def _check_policy(self, sealed: Sealed) -> None:
        if sealed.why and sealed.control & policy.COMPRESSED:
            raise SecurityFailed("a compressed push, which is not supported; switch it off there")
        if sealed.control & self._policy != self._policy:
            raise SecurityFailed(
                "a push with security control 0x%02x; --policy %s takes it"
                % (sealed.control, "encrypted" if sealed.encrypted else "authenticated")
            )

    def _key_source(self, content: bytes) -> str:
        """Of general-ciphering; with --key-source anything else is refused."""
        if content[0] != GENERAL_CIPHERING_TAG or self._source is not None:
            return self._source or policy.IDENTIFIED
        _, info, _ = envelope.ciphering_parts(content)
        agreed = policy.STATIC if info.parameters == envelope.STATIC else policy.ONE_PASS
        return _KEY_SOURCES.get(info.kind, agreed)

    def _associated(self, title: bytes, form: str, source: str, signed: bool) -> Ciphering:
        """What checks the pushes of one meter, made as for an association with it. As responder it
        takes each transaction once; where counters tell what is new, meters need not count them."""
        if not self._keys.ek and form != PLAIN:
            raise SecurityFailed("a ciphered push came; give --ek and --ak")
        key = title, form, source, signed
        if key not in self._ciphering:
            if len(self._ciphering) >= _SENDERS:
                self._ciphering.pop(next(iter(self._ciphering)))
            due = self._policy or policy.AUTHENTICATED_ENCRYPTED
            try:
                self._ciphering[key] = Ciphering(
                    self._crypto,
                    self._keys,
                    _never,
                    title,
                    protection=Protection(form, due, source, dialect=self._dialect),
                    responder=signed or source != policy.IDENTIFIED,
                )
            except ValueError as error:
                helps = _OPTIONS.get(source, "see --help")
                raise SecurityFailed("%s: %s" % (error, helps)) from None
        return self._ciphering[key]

    def _unproven(self, sealed: Sealed, title: bytes) -> tuple[bytes, str]:
        """With the encryption key alone, or with none what is not encrypted."""
        if sealed.why:
            raise SecurityFailed(sealed.why)
        if not sealed.encrypted:
            return sealed.body, sealed.unproven(b"") if self._ek else _NO_KEYS
        if not self._ek:
            raise SecurityFailed("a ciphered push came; give --ek and --ak")
        if len(title) != TITLE_SIZE:
            raise SecurityFailed("the push tells no system title; give the meter's, --peer-title")
        plain = sealed.plausible(self._gcm(title), title)
        if plain is None:
            raise SecurityFailed("nothing that is known comes out; check --ek")
        self._channels[title].take(int.from_bytes(sealed.counter, "big"))
        return plain, sealed.unproven(b"")

    def _gcm(self, title: bytes) -> AesGcm:
        if title not in self._channels:
            if len(self._channels) >= _SENDERS:
                self._channels.pop(next(iter(self._channels)))
            self._channels[title] = Channel(self._crypto.aes_gcm(self._ek))
        return self._channels[title].gcm


_OPTIONS = {
    policy.WRAPPED: "give --master",
    policy.ONE_PASS: (
        "give --agreement-key, --peer-agreement, --signing-key and --peer-signing, and --suite"
    ),
    policy.STATIC: "give --agreement-key and --peer-agreement, and --suite",
}


def _form(content: bytes) -> str:
    if not content or content[0] not in PROTECTED:
        return PLAIN
    if content[0] == GENERAL_CIPHERING_TAG:
        return GENERAL_CIPHERING
    if content[0] in _FORMS:
        return _FORMS[content[0]]
    return GLO if content[0] in PLAIN_OF else policy.DED


def _never() -> int:
    raise DlmsError("nothing is sent here")
