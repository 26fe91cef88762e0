"""Our COSE_Sign1 against the library `cwt`: each takes what the other signs, and nothing else."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cwt import COSE, COSEKey, Signer, VerifyError
from cwt.cose_key_interface import COSEKeyInterface

from gateway.contract import envelope
from gateway.contract.messages import Cancel, Pause, SignedTime
from gateway.contract.package import Package
from gateway.contract.refused import Refused
from gateway.contract.sealed import Opener, Sealer
from gateway.contract.trust_change import EVERYTHING, TrustChange, TrustKey
from hal.cpython.crypto import SystemCrypto
from tests.portable.uplink.support import HERE, KID, PUBLIC, World, package, read_job
from tests.unit.hes.orders import CONCENTRATOR, EXAMPLES, METERS
from tools.hes.__main__ import main as ami_hes
from tools.hes.store.states import UNANSWERED
from tools.hes.store.store import Store
from tools.package.__main__ import main as ami_package
from tools.package.keys import SigningKey

ALGORITHM, KEY_ID = 1, 4  # header labels, RFC 9052 3.1
ES256 = -7


def published(path: Path) -> COSEKeyInterface:
    """The public half as `ami-package keygen` writes it for gateways."""
    public = json.loads(path.read_text())
    return cose_key(bytes.fromhex(public["kid"]), bytes.fromhex(public["key"]))


def cose_key(kid: bytes, public: bytes, private: bytes | None = None) -> COSEKeyInterface:
    """An EC2 key on P-256 for ES256 (RFC 9053 7.1.1)."""
    parameters = {1: 2, 2: kid, 3: ES256, -1: 1, -2: public[:32], -3: public[32:]}
    if private is not None:
        parameters[-4] = private
    return COSEKey.new(parameters)


# ------------------------------------------------------------ what we sign


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a key and one of each order, all made by the commands."""
    folder = tmp_path_factory.mktemp("desk")
    key, package = str(folder / "key.pem"), str(folder / "interval.pkg")
    SigningKey.generate().save(folder / "new.pem")
    (folder / "board.key").write_text("42" * 16)
    meter = {"serial": METERS[0], "ek": "01" * 16, "ak": "02" * 16}
    (folder / "keys.jsonl").write_text(json.dumps(meter))
    assert ami_package(["keygen", key]) == 0
    example = str(EXAMPLES / "measurement-interval.yaml")
    assert ami_package(["build", example, "-o", package, "--key", key]) == 0
    hes = ["--db", str(folder / "hes.sqlite")]
    order = ["--meters", ",".join(METERS), "--key", key]
    here = ["--concentrator", CONCENTRATOR]
    for arguments in (
        ["submit", *here, *order, "--package", package],
        ["cancel", "last", "--key", key],
        ["pause", "last", "--key", key],
        ["trust", "add", *here, str(folder / "new.json"), "--for", "orders"],
        ["trust", "send", *here, "--key", key],
        ["keys", *here, "--key", key, "--board-key", str(folder / "board.key")]
        + ["--meter-keys", str(folder / "keys.jsonl")],
    ):
        assert ami_hes([*hes, *arguments]) == 0
    return folder


def what_was_signed(desk: Path) -> dict[str, bytes]:
    store = Store(desk / "hes.sqlite")
    found = {order.kind: order.envelope for order in store.line.orders(CONCENTRATOR)}
    found |= {row.topic: row.envelope for row in store.line.numbered(None, UNANSWERED)}
    store.close()
    key = SigningKey.load(desk / "key.pem")
    answer = SignedTime(CONCENTRATOR, bytes(16), int(time.time()))
    found["time"] = envelope.sign(answer.encode(), key.kid, key.sign)
    found["package"] = (desk / "interval.pkg").read_bytes()
    return found


@pytest.mark.parametrize("kind", ["job", "cancel", "pause", "trust", "keys", "time", "package"])
def test_what_we_sign_is_verified(desk: Path, kind: str) -> None:
    raw = what_was_signed(desk)[kind]
    payload = COSE.new(verify_kid=True).decode(raw, published(desk / "key.json"))
    assert payload == envelope.split(raw)[1]
    with pytest.raises(Exception, match="key is not found"):
        COSE.new(verify_kid=True).decode(raw, published(desk / "new.json"))
    public = SigningKey.load(desk / "new.pem").public
    with pytest.raises(VerifyError):
        COSE.new(verify_kid=True).decode(raw, cose_key(envelope.split(raw)[0], public))


def test_neither_takes_one_bit_changed(desk: Path) -> None:
    """The key id is not signed; that it names the key is what both check."""
    raw = what_was_signed(desk)["cancel"]
    key, trust = published(desk / "key.json"), load_trust(desk)
    assert envelope.verify(raw, trust, SystemCrypto())
    for place in range(8 * len(raw)):
        changed = bytearray(raw)
        changed[place // 8] ^= 1 << place % 8
        with pytest.raises(Refused):
            envelope.verify(bytes(changed), trust, SystemCrypto())
        with pytest.raises(Exception):  # noqa: B017 - whatever the library has for it
            COSE.new(verify_kid=True).decode(bytes(changed), key)


def load_trust(desk: Path) -> list[tuple[bytes, bytes]]:
    public = json.loads((desk / "key.json").read_text())
    return [(bytes.fromhex(public["kid"]), bytes.fromhex(public["key"]))]


# ------------------------------------------------------------ what they sign

THEIRS = cose_key(KID, PUBLIC, bytes(31) + b"\x07")


def their(payload: bytes) -> bytes:
    return bytes(
        COSE.new().encode_and_sign(
            payload, THEIRS, protected={ALGORITHM: ES256}, unprotected={KEY_ID: KID}
        )
    )


def test_what_they_sign_is_carried_out() -> None:
    """A gateway takes their job, pause, cancel and change of trust."""
    world = World()
    job = read_job()
    new = SigningKey.generate()
    added = TrustKey(new.kid, new.public, EVERYTHING)
    change = TrustChange(HERE, job.issued, job.not_after, 1, [added], [])
    world.give("job", their(job.encode()))
    assert [entry.job.id for entry in world.ledger.jobs()] == [job.id]
    world.give("pause", their(Pause(job.id, HERE, job.issued, True).encode()))
    assert world.queue.take(lambda serial, job: True) is None
    world.give("cancel", their(Cancel(job.id, HERE, job.issued).encode()))
    assert world.ledger.jobs()[0].final_number
    world.give("trust", their(change.encode()))
    assert [key.kid for key in world.session.trust.trusted()] == [KID, new.kid]
    assert world.refusals() == []


def test_their_package_is_read() -> None:
    payload, kid = envelope.verify(their(package().to_payload()), [(KID, PUBLIC)], SystemCrypto())
    assert kid == KID
    assert Package.from_payload(payload).to_payload() == package().to_payload()


def by(key: COSEKeyInterface, **changes: Any) -> Callable[[], bytes]:
    """A job signed by the library with other headers or settings than an order's."""
    arguments = {"protected": {ALGORITHM: ES256}, "unprotected": {KEY_ID: KID}, **changes}
    return lambda: bytes(COSE.new().encode_and_sign(read_job().encode(), key, **arguments))


def of_several() -> bytes:
    """COSE_Sign: signatures of several signers."""
    signer = Signer.new(THEIRS, protected={ALGORITHM: ES256}, unprotected={KEY_ID: KID})
    return bytes(COSE.new().encode_and_sign(read_job().encode(), signers=[signer]))


def a_mac() -> bytes:
    key = COSEKey.generate_symmetric_key("HS256", kid=KID)
    return bytes(COSE.new(alg_auto_inclusion=True).encode_and_mac(read_job().encode(), key))


def fresh(curve: ec.EllipticCurve) -> COSEKeyInterface:
    pem = ec.generate_private_key(curve).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return COSEKey.from_pem(pem, kid=KID)


WRONG: dict[str, tuple[str, Callable[[], bytes]]] = {
    "another key under this id": ("bad-signature", by(fresh(ec.SECP256R1()))),
    "an unknown id": ("unknown-signer", by(THEIRS, unprotected={KEY_ID: b"nobody"})),
    "no id": ("malformed", by(THEIRS, unprotected={})),
    "a protected id": (
        "malformed",
        by(THEIRS, protected={ALGORITHM: ES256, KEY_ID: KID}, unprotected={}),
    ),
    "one header more": ("malformed", by(THEIRS, unprotected={KEY_ID: KID, 3: 0})),
    "ES384": ("malformed", by(fresh(ec.SECP384R1()), protected={ALGORITHM: -35})),
    "external data": ("bad-signature", by(THEIRS, external_aad=b"of another application")),
    "no tag": ("malformed", lambda: by(THEIRS)()[1:]),
    "several signers": ("malformed", of_several),
    "a MAC": ("malformed", a_mac),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_they_sign_otherwise_is_refused(case: str) -> None:
    reason, make = WRONG[case]
    world = World()
    world.give("job", make())
    assert world.refusals() == [reason]
    assert world.ledger.jobs() == []


# ------------------------------------------------------------ what is sealed


def test_sealed_as_rfc_9052_describes_it() -> None:
    """COSE_Encrypt0 put together from the RFC with `cbor2` and `cryptography`, both ways."""
    key, iv, kid, topic = bytes(range(16)), bytes(range(100, 112)), b"\x01\x02\x03\x04", "a/b"
    sealer = Sealer(SystemCrypto(), key, iv, kid)
    opener = Opener(SystemCrypto(), key, iv, kid)
    for number, size in ((1, 0), (2, 1000), (0x0100, 70000), (0x01000001, 9)):
        plain = bytes(size)
        partial = number.to_bytes((number.bit_length() + 7) // 8, "big")
        protected = cbor2.dumps({1: 1, 4: kid, 6: partial})
        nonce = bytes(a ^ b for a, b in zip(iv, partial.rjust(12, b"\0"), strict=True))
        structure = cbor2.dumps(["Encrypt0", protected, topic.encode()])
        ciphertext = AESGCM(key).encrypt(nonce, plain, structure)
        expected = cbor2.dumps(cbor2.CBORTag(16, [protected, {}, ciphertext]))
        sealer.number = number - 1
        assert sealer.seal(topic, plain) == expected
        assert opener.open(topic, expected) == plain
