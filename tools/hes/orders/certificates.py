"""A certificate for the line of a concentrator: checked against its request, or made by a CA whose
key is at hand, and signed for its way down.
"""

from __future__ import annotations

import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway.contract import envelope
from gateway.contract.line_certificate import MAX_CERTIFICATE, MAX_CHAIN, LineCertificate
from hal.rt.log import printable
from tools.hes.orders.security import SecurityProblem
from tools.package.keys import SigningKey

VALID_S = 30 * 86400  # how long the message may be on its way
_EARLIER = datetime.timedelta(hours=1)  # clocks differ


def request_of(concentrator: str, raw: bytes) -> x509.CertificateSigningRequest:
    """SecurityProblem if who sent it has not the key that it names, or names another one: an
    authority that takes the name as it stands would make it a certificate of that.
    """
    try:
        request = x509.load_der_x509_csr(raw)
        good = request.is_signature_valid
    except ValueError as error:
        raise SecurityProblem("the request is no PKCS#10: %s" % error) from None
    if not good:
        raise SecurityProblem("the request is not signed by the key that it names")
    if request.subject != _named(concentrator):
        raise SecurityProblem(
            "expected a request for CN=%s, got one for %s; look at this concentrator"
            % (concentrator, printable(request.subject.rfc4514_string()))
        )
    return request


def load_chain(path: Path, request: x509.CertificateSigningRequest) -> list[x509.Certificate]:
    """From a PEM file, the one for this request first. SecurityProblem."""
    try:
        chain = x509.load_pem_x509_certificates(path.read_bytes())
    except ValueError as error:
        raise SecurityProblem("%s: expected certificates in PEM: %s" % (path, error)) from None
    if _key(chain[0]) != _key(request):
        raise SecurityProblem(
            "%s: expected first a certificate for the key of the concentrator's request, got one"
            " for another; see `ami-hes certificate requests`" % path
        )
    return chain


def made(
    concentrator: str,
    request: x509.CertificateSigningRequest,
    ca: Path,
    ca_key: Path,
    days: int,
    now: datetime.datetime,
) -> list[x509.Certificate]:
    """By the authority of these two PEM files. SecurityProblem."""
    try:
        authority = x509.load_pem_x509_certificate(ca.read_bytes())
        key = serialization.load_pem_private_key(ca_key.read_bytes(), None)
    except (ValueError, TypeError) as error:
        raise SecurityProblem("expected PEM files for --ca and --ca-key: %s" % error) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != (
        authority.public_key()
    ):
        raise SecurityProblem("expected --ca-key to be the key of --ca, on an elliptic curve")
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_named(concentrator))
        .issuer_name(authority.subject)
        .public_key(request.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(min(now + datetime.timedelta(days), authority.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(False, None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    return [certificate]


def signed(concentrator: str, chain: list[x509.Certificate], key: SigningKey, now: int) -> bytes:
    """The message that brings it. SecurityProblem for what no message can hold."""
    raw = [each.public_bytes(serialization.Encoding.DER) for each in chain]
    if len(raw) > MAX_CHAIN or max(map(len, raw)) > MAX_CERTIFICATE:
        raise SecurityProblem(
            "expected at most %d certificates of %d octets each" % (MAX_CHAIN, MAX_CERTIFICATE)
        )
    message = LineCertificate(concentrator, now, now + VALID_S, raw)
    return envelope.sign(message.encode(), key.kid, key.sign)


def _named(concentrator: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, concentrator)])


def digest(certificate: x509.Certificate) -> bytes:
    return certificate.fingerprint(hashes.SHA256())


def _key(holder: x509.Certificate | x509.CertificateSigningRequest) -> bytes:
    return holder.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
