"""Every authentication and every form of protection, from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from gateway.dlms.apdu import acse
from tests.unit.dlms_tool.conftest import KEYS, PASSWORD, SERIAL, Stand, Tool, World
from tools.dlms import key_files
from tools.dlms.failure import CallProblem
from tools.meter.device import MeterKeys, build_meter, derive_test_keys
from tools.meter.protection import Demand

PERIOD = "profile_generic 1.0.99.1.0.255 capture_period"
CURVES: dict[int, ec.EllipticCurve] = {1: ec.SECP256R1(), 2: ec.SECP384R1()}


def symmetric(keys: MeterKeys) -> list[str]:
    master = ["--master", keys.master.hex()]
    return ["--ek", keys.ek.hex(), "--ak", keys.ak.hex(), "--suite", str(keys.suite), *master]


def asymmetric(keys: MeterKeys, folder: Path) -> list[str]:
    """The client's private and the meter's public keys, as PEM files."""
    options = []
    for what in ("signing", "agreement"):
        own = ec.derive_private_key(
            int.from_bytes(getattr(keys, "client_" + what), "big"), CURVES[keys.suite]
        )
        path = folder / (what + ".pem")
        path.write_bytes(own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        options += ["--%s-key" % what, str(path)]
        theirs = ec.EllipticCurvePublicKey.from_encoded_point(
            CURVES[keys.suite], b"\x04" + keys.public(what)
        )
        path = folder / ("peer-%s.pem" % what)
        path.write_bytes(theirs.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        options += ["--peer-" + what, str(path)]
    return options


@pytest.mark.parametrize(
    ("auth", "mechanism"),
    [
        ("low", acse.LOW),
        ("high", acse.HIGH),
        ("md5", acse.HIGH_MD5),
        ("sha1", acse.HIGH_SHA1),
        ("sha256", acse.HIGH_SHA256),
    ],
)
@pytest.mark.parametrize("ciphered", [True, False])
def test_by_secret(world: World, tool: Tool, auth: str, mechanism: int, ciphered: bool) -> None:
    meter = build_meter(
        SERIAL,
        keys=KEYS if ciphered else None,
        password=PASSWORD.encode(),
        mechanism=mechanism,
    )
    stand = Stand(world, meter)
    options = ["--auth", auth, *(symmetric(KEYS) if ciphered else [])]
    ran = tool(stand.tcp, "get", PERIOD, "--trace", "--password", PASSWORD, *options)
    assert ran.status == 0, ran.err
    assert "double-long-unsigned 3600" in ran.out
    # Late answers to what has failed are waited for before the second try.
    ran = tool(stand.tcp, "get", PERIOD, "--password", "wrong secret", "--timeout", "1", *options)
    assert ran.status == 1
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize("suite", [0, 1, 2])
@pytest.mark.parametrize("form", ["glo", "ded", "general-glo", "general-ded"])
def test_gmac(world: World, tool: Tool, suite: int, form: str) -> None:
    keys = derive_test_keys(7, SERIAL, suite)
    stand = Stand(world, build_meter(SERIAL, keys=keys, demand=Demand(form)))
    ran = tool(stand.tcp, "get", PERIOD, "--trace", "--protection", form, *symmetric(keys))
    assert ran.status == 0, ran.err
    assert "double-long-unsigned 3600" in ran.out
    name = form if form.startswith("general") else form + "-get-request"
    assert "> " + name in ran.err
    for secret in (keys.ek, keys.ak, keys.master):
        assert secret.hex() not in ran.err


@pytest.mark.parametrize("suite", [1, 2])
@pytest.mark.parametrize(
    "more",
    [
        ["--auth", "ecdsa"],
        ["--auth", "ecdsa", "--signed"],
        ["--auth", "gmac", "--protection", "general-ciphering"],
        ["--protection", "general-ciphering", "--key-source", "wrapped"],
        ["--protection", "general-ciphering", "--key-source", "one-pass"],
        ["--protection", "general-ciphering", "--key-source", "static"],
    ],
)
def test_public_keys(world: World, tool: Tool, tmp_path: Path, suite: int, more: list[str]) -> None:
    keys = derive_test_keys(7, SERIAL, suite)
    by_signature = "ecdsa" in more
    meter = build_meter(
        SERIAL,
        keys=keys,
        mechanism=acse.HIGH_ECDSA if by_signature else acse.HIGH_GMAC,
        demand=Demand(None, signed="--signed" in more),
    )
    stand = Stand(world, meter)
    ran = tool(
        stand.tcp,
        "get",
        PERIOD,
        "--trace",
        *symmetric(keys),
        *asymmetric(keys, tmp_path),
        *more,
    )
    assert ran.status == 0, ran.err
    assert "double-long-unsigned 3600" in ran.out
    for secret in (keys.ek, keys.ak, keys.master, keys.client_signing, keys.client_agreement):
        assert secret.hex() not in ran.err


@pytest.mark.parametrize("suite", [1, 2])
def test_signatures_alone(world: World, tool: Tool, tmp_path: Path, suite: int) -> None:
    """No symmetric key at all: the transactions are numbered for the signing key."""
    keys = derive_test_keys(7, SERIAL, suite)
    meter = build_meter(
        SERIAL, keys=keys, mechanism=acse.HIGH_ECDSA, demand=Demand("plain", signed=True)
    )
    stand = Stand(world, meter)
    options = ["--auth", "ecdsa", "--signed", "--suite", str(suite), *asymmetric(keys, tmp_path)]
    for _ in range(2):
        ran = tool(stand.tcp, "get", PERIOD, *options)
        assert ran.status == 0, ran.err
        assert "double-long-unsigned 3600" in ran.out
    ran = tool(stand.tcp, "get", PERIOD, *options[:2], *options[3:])
    assert ran.status == 1


def test_secrets_that_are_written_are_not_shown(lls_stand: Stand, tool: Tool) -> None:
    secret = "association_ln 0.0.40.0.0.255 secret"
    options = ["--password", PASSWORD, "--trace"]
    ran = tool(lls_stand.tcp, "set", secret, "octet-string: new secret 99", *options)
    assert ran.status == 0, ran.err
    assert "set-request" in ran.err
    assert "new secret 99" not in ran.out + ran.err
    assert b"new secret 99".hex() not in ran.out + ran.err
    options = ["--password", "new secret 99"]
    assert tool(lls_stand.tcp, "get", PERIOD, *options).status == 0


def test_authenticated_only(world: World, tool: Tool) -> None:
    meter = build_meter(SERIAL, keys=KEYS, demand=Demand(None, 0x10))
    stand = Stand(world, meter)
    ran = tool(stand.tcp, "get", PERIOD, "--trace", "--policy", "authenticated", *symmetric(KEYS))
    assert ran.status == 0, ran.err


def test_less_than_the_meter_demands(stand: Stand, tool: Tool) -> None:
    ran = tool(stand.tcp, "get", PERIOD, "--policy", "authenticated", *symmetric(KEYS))
    assert ran.status == 1
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--auth", "ecdsa", "--suite", "1"], "signing keys"),
        (["--auth", "ecdsa"], "signing keys"),
        (["--auth", "md5"], "secret"),
        (["--protection", "glo"], "glo needs keys"),
        (["--ek", "00" * 16, "--ak", "00" * 16, "--suite", "2"], "32 bytes"),
        (["--signed", *symmetric(KEYS)], "signing keys"),
        (["--protection", "general-ciphering", "--key-source", "static", *symmetric(KEYS)],
         "agreement keys"),
    ],
)  # fmt: skip
def test_what_is_missing_is_named(tool: Tool, options: list[str], words: str) -> None:
    ran = tool("tcp://127.0.0.1:1", "get", PERIOD, *options)
    assert ran.status == 2
    assert words in ran.err


def test_wrong_key_files(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    path = tmp_path / "key.pem"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    assert len(key_files.private(path, "P-256")) == 32
    with pytest.raises(CallProblem, match="a private key on P-384"):
        key_files.private(path, "P-384")
    with pytest.raises(CallProblem, match="suite 0 has no such keys"):
        key_files.private(path, "")
    with pytest.raises(CallProblem, match="a public key or certificate"):
        key_files.public(path, "P-256")
    path.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
    )
    with pytest.raises(CallProblem, match="without a password"):
        key_files.private(path, "P-256")
    path.write_bytes(b"not PEM")
    with pytest.raises(CallProblem, match="PEM"):
        key_files.private(path, "P-256")
    with pytest.raises(CallProblem, match="No such file"):
        key_files.public(tmp_path / "none", "P-256")
    assert key_files.public(None, "P-256") == b""
