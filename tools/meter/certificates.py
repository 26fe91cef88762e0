"""The meter's certificates: methods 4 to 8 of the security setup (Blue Book 4.4.7), for signatures
and key agreement.

A new key pair is in use once a certificate for it has come. A client's certificate makes its key
known. What is not valid now, is not signed by an authority that the meter holds, or has another
curve than its suite is refused; the first authority is taken as it is (its own signature counts).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from gateway.dlms.data import axdr
from tools.meter import kinds, protection
from tools.meter.kinds import Typed
from tools.meter.model import Refused

if TYPE_CHECKING:
    from tools.meter.association import SecuritySetup

METER, CLIENT, AUTHORITY = 0, 1, 2  # certificate_entity
SIGNING, AGREEMENT = 0, 1  # certificate_type
_KEYS = ("signing", "agreement")
_MOST = 8
_BY_ENTITY = kinds.structure(kinds.enum(0, 1, 2, 3), kinds.enum(0, 1, 2, 3), kinds.OCTETS)
_BY_SERIAL = kinds.structure(kinds.OCTETS, kinds.OCTETS)
_IDENTIFICATION = kinds.structure(kinds.enum(0, 1), kinds.either(_BY_ENTITY, _BY_SERIAL))


class Held:
    """A certificate with what it is for."""

    def __init__(self, entity: int, kind: int, title: bytes, certificate: x509.Certificate) -> None:
        self.entity = entity
        self.kind = kind
        self.title = title
        self.certificate = certificate

    def typed(self) -> Typed:
        found = self.certificate
        size = (found.serial_number.bit_length() + 8) // 8
        fields = [
            (axdr.ENUM, self.entity),
            (axdr.ENUM, self.kind),
            (axdr.OCTET_STRING, found.serial_number.to_bytes(size, "big")),
            (axdr.OCTET_STRING, found.issuer.public_bytes()),
            (axdr.OCTET_STRING, found.subject.public_bytes()),
            (axdr.OCTET_STRING, b""),
        ]
        return (axdr.STRUCTURE, fields)


class Certificates:
    """Adds its methods to the security setup."""

    def __init__(self, setup: SecuritySetup) -> None:
        self._setup = setup
        self._held: list[Held] = []
        self._coming: dict[int, ec.EllipticCurvePrivateKey] = {}
        setup.attribute(
            6, kinds.array(kinds.ANY), get=lambda: (axdr.ARRAY, [h.typed() for h in self._held])
        )
        setup.publish(6)
        setup.method(4, kinds.enum(SIGNING, AGREEMENT), self._generate)
        setup.method(5, kinds.enum(SIGNING, AGREEMENT), self._request)
        setup.method(6, kinds.OCTETS, self._import)
        setup.method(7, _IDENTIFICATION, self._export)
        setup.method(8, _IDENTIFICATION, self._remove)

    def _generate(self, typed: Typed) -> None:
        self._coming[typed[1]] = protection.generate(self._setup.suite)

    def _request(self, typed: Typed) -> Typed:
        kind = typed[1]
        key = self._coming.get(kind)
        if key is None:
            try:
                key = protection.private_key(self._setup.suite, getattr(self._setup, _KEYS[kind]))
            except protection.Damaged:
                raise Refused("object-unavailable") from None
        name = x509.NameAttribute(NameOID.COMMON_NAME, self._setup.title.hex().upper())
        builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([name]))
        digest = hashes.SHA384() if self._setup.suite == 2 else hashes.SHA256()
        made = builder.sign(key, digest)
        return (axdr.OCTET_STRING, made.public_bytes(Encoding.DER))

    def _import(self, typed: Typed) -> None:
        try:
            found = x509.load_der_x509_certificate(typed[1])
        except ValueError:
            raise Refused("type-unmatched") from None
        held = self._judged(found)
        if len(self._held) >= _MOST:
            raise Refused("object-unavailable")
        self._held = [
            h
            for h in self._held
            if (h.entity, h.kind, h.title) != (held.entity, held.kind, held.title)
        ]
        self._held.append(held)

    def _judged(self, found: x509.Certificate) -> Held:
        setup, key = self._setup, found.public_key()
        curve = protection.CURVES[setup.suite]
        assert curve is not None
        now = datetime.now(UTC)
        if (
            not isinstance(key, ec.EllipticCurvePublicKey)
            or key.curve.name != curve.name
            or not found.not_valid_before_utc <= now <= found.not_valid_after_utc
        ):
            raise Refused("other-reason")
        authority = _is_authority(found)
        known = [h.certificate for h in self._held if h.entity == AUTHORITY]
        if not any(_signed_by(found, each) for each in (known or [found] * authority)):
            raise Refused("other-reason")
        names = found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        if authority:
            return Held(AUTHORITY, SIGNING, str(names[0].value).encode(), found)
        try:
            usage = found.extensions.get_extension_for_class(x509.KeyUsage).value
            title = bytes.fromhex(str(names[0].value))
        except (x509.ExtensionNotFound, ValueError, IndexError):
            raise Refused("other-reason") from None
        kind = SIGNING if usage.digital_signature else AGREEMENT
        numbers, size = key.public_numbers(), (curve.key_size + 7) // 8
        public = numbers.x.to_bytes(size, "big") + numbers.y.to_bytes(size, "big")
        if title != setup.title:
            setattr(setup, "client_" + _KEYS[kind], public)
            return Held(CLIENT, kind, title, found)
        coming = self._coming.get(kind)
        if coming is not None and protection.public_of(coming) == public:
            private = coming.private_numbers().private_value.to_bytes(size, "big")
            setattr(setup, _KEYS[kind], private)
            del self._coming[kind]
        elif (
            protection.public_of(protection.private_key(setup.suite, getattr(setup, _KEYS[kind])))
            != public
        ):
            raise Refused("other-reason")  # it is for a key that the meter does not have
        return Held(METER, kind, title, found)

    def _export(self, typed: Typed) -> Typed:
        found = self._found(typed).certificate
        return (axdr.OCTET_STRING, found.public_bytes(Encoding.DER))

    def _remove(self, typed: Typed) -> None:
        self._held.remove(self._found(typed))

    def _found(self, typed: Typed) -> Held:
        (_, by_serial), (_, fields) = typed[1]
        wanted = [value for _, value in fields]
        for held in self._held:
            if by_serial:
                number = int.from_bytes(wanted[0], "big")
                issuer = held.certificate.issuer.public_bytes()
                if (held.certificate.serial_number, issuer) == (number, wanted[1]):
                    return held
            elif wanted == [held.entity, held.kind, held.title]:
                return held
        raise Refused("object-unavailable")


def _is_authority(found: x509.Certificate) -> bool:
    try:
        return found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _signed_by(found: x509.Certificate, signer: x509.Certificate) -> bool:
    try:
        found.verify_directly_issued_by(signer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
