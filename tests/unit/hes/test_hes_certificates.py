"""Certificates of the line: what concentrators say of theirs, who asks, and how one is issued, by
openssl's CA or with its key."""

from __future__ import annotations

import datetime
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.contract import envelope
from gateway.contract.envelope import digest_of
from gateway.contract.line_certificate import LineCertificate, LineStatus
from gateway.contract.messages import Hello, Reports
from gateway.contract.reports import Refusal, Report
from gateway.uplink.certificate_request import request
from hal.cpython.crypto import SystemCrypto
from tests.mosquitto import Mosquitto
from tests.openssl_ca import OpensslCa
from tests.unit.hes.concentrator import Concentrator
from tests.unit.hes.orders import CONCENTRATOR
from tests.unit.hes.test_hes_service import run, serving
from tools.hes.cli.main import main
from tools.hes.store.line import CERTIFICATE
from tools.hes.store.states import PUBLISHED, REJECTED, SUBMITTED, TAKEN
from tools.hes.store.store import Store
from tools.package.keys import SigningKey

CRYPTO = SystemCrypto()
PRIVATE, PUBLIC = CRYPTO.ec_generate("P-256")
REQUEST = request(CONCENTRATOR, PRIVATE, PUBLIC, CRYPTO)


class Desk:
    """An operator's, with a database that knows of the concentrator's request."""

    def __init__(self, folder: Path, asked: bytes = REQUEST) -> None:
        self.folder = folder
        self.store = Store(str(folder / "hes.sqlite"))
        self.key = SigningKey.generate()
        self.key.save(folder / "operator.pem")
        self.store.line.take_certificates(CONCENTRATOR, LineStatus(0, b"", 0, asked))

    def types(self, *arguments: str) -> int:
        return main(["--db", self.store.where, "certificate", *arguments])

    def issues(self, *arguments: str) -> int:
        key = ("--key", str(self.folder / "operator.pem"))
        return self.types("issue", CONCENTRATOR, *key, *arguments)

    def sent(self) -> list[x509.Certificate]:
        """The chain in the last message."""
        (*_, last) = self.store.trust.numbered(CONCENTRATOR, (SUBMITTED, PUBLISHED))
        content, _ = envelope.verify(last.envelope, [(self.key.kid, self.key.public)], CRYPTO)
        message = LineCertificate.decode(content)
        assert message.concentrator == CONCENTRATOR
        assert message.issued <= time.time() < message.not_after
        return [x509.load_der_x509_certificate(raw) for raw in message.chain]


def public_of(certificate: x509.Certificate) -> bytes:
    numbers = certificate.public_key()
    assert isinstance(numbers, ec.EllipticCurvePublicKey)
    form = serialization.PublicFormat.UncompressedPoint
    return numbers.public_bytes(serialization.Encoding.X962, form)[1:]


def test_a_request_in_anothers_name_is_named_and_keeps_no_other_from_asking(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = Desk(tmp_path, request("street-2", PRIVATE, PUBLIC, CRYPTO))
    for name, asked in (
        ("a-bad", b"no request"),
        ("street-9", request("street-9", PRIVATE, PUBLIC, CRYPTO)),
    ):
        desk.store.line.take_certificates(name, LineStatus(0, b"", 0, asked))
    assert desk.types("requests", "--out", str(tmp_path)) == 1
    said = capsys.readouterr()
    assert "expected a request for CN=%s, got one for CN=street-2" % CONCENTRATOR in said.err
    assert "a-bad: the request is no PKCS#10" in said.err
    assert [path.name for path in tmp_path.glob("*.csr")] == ["street-9.csr"]
    assert desk.issues("--ca", "x", "--ca-key", "y") == 1
    assert "expected a request for CN=" in capsys.readouterr().err


def test_a_request_that_openssls_ca_signs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = Desk(tmp_path)
    authority = OpensslCa(tmp_path / "authority")
    assert desk.types("requests", "--out", str(authority.folder)) == 0
    assert CONCENTRATOR in capsys.readouterr().out
    authority.sign(CONCENTRATOR)
    made = authority.folder / (CONCENTRATOR + ".pem")
    assert desk.issues("--certificate", str(made)) == 0
    assert "is kept" in capsys.readouterr().out
    (leaf,) = desk.sent()
    assert public_of(leaf) == PUBLIC and leaf.issuer.rfc4514_string() == "CN=ca"


def test_one_made_with_the_authoritys_key(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    authority = OpensslCa(tmp_path / "authority").folder
    files = ["--ca", str(authority / "ca.pem"), "--ca-key", str(authority / "ca.key.pem")]
    assert desk.issues(*files, "--days", "90") == 0
    (leaf,) = desk.sent()
    assert public_of(leaf) == PUBLIC and leaf.subject.rfc4514_string() == "CN=" + CONCENTRATOR
    left = leaf.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    assert 89 <= left.days <= 90
    above = x509.load_pem_x509_certificate((authority / "ca.pem").read_bytes())
    leaf.verify_directly_issued_by(above)


def test_what_is_not_issued(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    desk = Desk(tmp_path)
    authority = OpensslCa(tmp_path / "authority")
    authority.issue("other")
    ca, ca_key = str(authority.folder / "ca.pem"), str(authority.folder / "ca.key.pem")
    other_key = str(authority.folder / "other.key.pem")
    for arguments, words in (
        (("--certificate", str(authority.folder / "other.pem")), "one for another"),
        (("--certificate", other_key), "expected certificates in PEM"),
        ((), "expected --certificate FILE, or --ca and --ca-key"),
        (("--ca", ca), "expected --certificate FILE, or --ca and --ca-key"),
        (("--ca", ca, "--ca-key", other_key), "to be the key of --ca"),
        (("--ca", other_key, "--ca-key", ca_key), "expected PEM files"),
    ):
        assert desk.issues(*arguments) == 1
        assert words in capsys.readouterr().err
    desk.store.line.take_certificates(CONCENTRATOR, LineStatus(0, b"", 0, b""))
    assert desk.issues("--ca", ca, "--ca-key", ca_key) == 1
    assert "asks for no certificate" in capsys.readouterr().err
    spoilt = REQUEST[:-1] + bytes([REQUEST[-1] ^ 1])
    for asked, words in ((spoilt, "not signed by the key"), (b"\x30\x00", "no PKCS#10")):
        desk.store.line.take_certificates(CONCENTRATOR, LineStatus(0, b"", 0, asked))
        assert desk.issues("--ca", ca, "--ca-key", ca_key) == 1
        assert words in capsys.readouterr().err
    assert desk.store.trust.numbered(CONCENTRATOR, (SUBMITTED,)) == []


def test_what_ends_soon_is_status_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    desk = Desk(tmp_path, b"")
    now = int(time.time())
    for until, broker, words, status in (
        (now + 40 * 86400, now + 40 * 86400, "", 0),
        (now + 20 * 86400 + 60, 0, "in 20 days", 1),
        (now + 40 * 86400, now - 60, "has ended", 1),
        (0, 0, "none", 0),
    ):
        desk.store.line.take_certificates(CONCENTRATOR, LineStatus(until, b"", broker, b""))
        assert desk.types("list") == status
        assert words in " ".join(capsys.readouterr().out.split())


def test_it_is_sent_until_it_is_shown_or_refused(store: Store, broker: Mosquitto) -> None:
    message = LineCertificate(CONCENTRATOR, 1, 2, [b"\x30"])
    key = SigningKey.generate()
    raw = envelope.sign(message.encode(), key.kid, key.sign)
    digest = bytes(range(32))

    async def scenario() -> None:
        async with serving(store, broker.url), Concentrator(broker.port) as there:
            await there.birth()
            await there.send("certificates", LineStatus(0, b"", 0, REQUEST).encode())
            store.trust.add_numbered(CERTIFICATE, CONCENTRATOR, 1, digest.hex(), raw)
            assert await there.next("certificate") == raw
            await there.send("certificates", LineStatus(5, digest, 6, b"").encode())
            await there.send("hello", Hello(1, 0, []).encode())
            await there.next("time")

    run(scenario())
    (told,) = store.trust.certificates()
    assert (told.concentrator, told.until, told.broker) == (CONCENTRATOR, 5, 6)
    assert [each.state for each in store.trust.numbered(CONCENTRATOR, (TAKEN,))] == [TAKEN]
    other = envelope.sign(message.encode() + b"", key.kid, key.sign)
    store.trust.add_numbered(CERTIFICATE, CONCENTRATOR, 2, "00" * 32, other)
    (sent,) = store.line.numbered(CONCENTRATOR, ("submitted",))
    store.line.numbered_sent(sent)
    body = Refusal("certificate", digest_of(other), None, "unknown-key", "for the test")
    store.line.take_reports(CONCENTRATOR, Reports(7, [Report(1, 0, body)]))
    (refused,) = store.trust.numbered(CONCENTRATOR, (REJECTED,))
    assert (refused.number, refused.reason) == (2, "unknown-key")
