"""certificate: requests, import, export and what is wrong with a certificate, by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tests.unit.dlms_tool.conftest import SERIAL, Ran, Stand, Tool, World
from tests.unit.dlms_tool.test_security import CURVES, PERIOD, asymmetric, symmetric
from tools.meter.device import build_meter, derive_test_keys

NOW = datetime.now(UTC)
SUITE = 1
KEYS = derive_test_keys(7, SERIAL, SUITE)


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Authority:
    """A root of its own."""

    def __init__(self, folder: Path, called: str = "AMI TEST ROOT", suite: int = SUITE) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(CURVES[suite])
        self._name = name(called)
        self.path = self.sign(self._key.public_key(), called, root=True)

    def sign(
        self,
        key: Any,
        text: str,
        usages: tuple[str, ...] = ("digital_signature",),
        days: tuple[int, int] = (-1, 10),
        root: bool = False,
    ) -> Path:
        wanted = ("key_cert_sign", "crl_sign") if root else usages
        flags = dict.fromkeys(
            (
                "digital_signature",
                "content_commitment",
                "key_encipherment",
                "data_encipherment",
                "key_agreement",
                "key_cert_sign",
                "crl_sign",
                "encipher_only",
                "decipher_only",
            ),
            False,
        )
        flags.update(dict.fromkeys(wanted, True))
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(text))
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW + timedelta(days=days[0]))
            .not_valid_after(NOW + timedelta(days=days[1]))
            .add_extension(x509.KeyUsage(**flags), critical=True)
            .add_extension(x509.BasicConstraints(root, None), critical=True)
        )
        path = self._folder / ("%s-%d.pem" % (text, len(list(self._folder.iterdir()))))
        path.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))
        return path


@pytest.fixture
def ca(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def stand(world: World) -> Stand:
    return Stand(world, build_meter(SERIAL, keys=KEYS))


@pytest.fixture
def run(stand: Stand, tool: Tool) -> Callable[..., Ran]:
    def certificate(*words: object) -> Ran:
        texts = [str(word) for word in words]
        return tool(stand.tcp, "certificate", *texts, *symmetric(KEYS))

    return certificate


def listed(run: Callable[..., Ran]) -> list[dict[str, str]]:
    ran = run("list", "--json")
    assert ran.status == 0, ran.err
    rows: list[dict[str, str]] = json.loads(ran.out)
    return rows


def test_from_a_request_to_use(
    run: Callable[..., Ran], stand: Stand, tool: Tool, ca: Authority, tmp_path: Path
) -> None:
    """The meter gets a new signing key, and signs with it once its certificate is there."""
    assert listed(run) == []
    assert run("import", ca.path, "--ca", ca.path).status == 0
    csr = tmp_path / "it.csr"
    ran = run("request", "--new-key", "-o", csr)
    assert ran.status == 0, ran.err
    request = x509.load_pem_x509_csr(csr.read_bytes())
    title = KEYS.title.hex().upper()
    assert request.subject == name(title)
    signed = ca.sign(request.public_key(), title)
    ran = run("import", signed, "--ca", ca.path)
    assert ran.status == 0, ran.err
    assert [(row["entity"], row["type"], row["subject"]) for row in listed(run)] == [
        ("ca", "signing", "AMI TEST ROOT"),
        ("meter", "signing", title),
    ]
    back = tmp_path / "back.pem"
    ran = run("export", "-o", back, "--ca", ca.path)
    assert ran.status == 0, ran.err
    assert back.read_bytes() == signed.read_bytes()
    own = [*symmetric(KEYS), *asymmetric(KEYS, tmp_path)]
    how = ["--protection", "general-ciphering", "--key-source", "one-pass"]
    ran = tool(stand.tcp, "get", PERIOD, "--timeout", "1", *own, *how)
    assert ran.status == 1, "the old key verifies no longer"
    own[own.index("--peer-signing") + 1] = str(back)
    ran = tool(stand.tcp, "get", PERIOD, *own, *how)
    assert ran.status == 0, ran.err
    assert run("remove").status == 0
    assert [row["entity"] for row in listed(run)] == ["ca"]
    assert run("export", "-o", back).status == 1


def test_a_client_becomes_known(
    run: Callable[..., Ran], stand: Stand, tool: Tool, ca: Authority, tmp_path: Path
) -> None:
    assert run("import", ca.path, "--ca", ca.path).status == 0
    key = ec.generate_private_key(CURVES[SUITE])
    title = "414D490000000077"
    assert run("import", ca.sign(key.public_key(), title), "--ca", ca.path).status == 0
    assert [row["entity"] for row in listed(run)] == ["ca", "client"]
    back = tmp_path / "client.pem"
    for of in (title, title.lower()):
        ran = run("export", "--entity", "client", "--of", of, "-o", back)
        assert ran.status == 0, ran.err
    nowhere = run("export", "--entity", "client", "--of", title, "-o", tmp_path / "no/such.pem")
    assert nowhere.status == 2
    assert nowhere.err.startswith("ami-dlms: %s: No such file" % (tmp_path / "no/such.pem"))
    assert "not checked (no --ca)" in ran.out


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"days": (-9, -1)}, "not now"),
        ({"days": (1, 9)}, "not now"),
        ({"usages": ("digital_signature", "key_agreement")}, "key usage: expected either"),
        ({"usages": ()}, "key usage: expected either"),
        ({"text": "meter seven"}, "no system title"),
        ({"curve": 2}, "a key on P-256"),
        ({"stranger": True}, "no --ca has signed"),
    ],
)
def test_what_is_wrong_does_not_reach_the_meter(
    run: Callable[..., Ran], ca: Authority, tmp_path: Path, how: dict[str, Any], told: str
) -> None:
    key = ec.generate_private_key(CURVES[how.pop("curve", SUITE)])
    other = Authority(tmp_path, "SOMEBODY ELSE")
    signer = other if how.pop("stranger", False) else ca
    wrong = signer.sign(key.public_key(), how.pop("text", "414D490000000077"), **how)
    ran = run("import", wrong, "--ca", ca.path)
    assert ran.status == 1
    assert told in ran.err
    assert ran.err.count("\n") == 1
    assert listed(run) == []


def test_a_meter_refuses_what_nobody_it_knows_has_signed(
    run: Callable[..., Ran], ca: Authority, tmp_path: Path
) -> None:
    assert run("import", ca.path, "--ca", ca.path).status == 0
    other = Authority(tmp_path, "SOMEBODY ELSE")
    key = ec.generate_private_key(CURVES[SUITE])
    ran = run("import", other.sign(key.public_key(), "414D490000000077"), "--ca", other.path)
    assert ran.status == 1
    assert "ACTION security_setup.import_certificate" in ran.err
    assert len(listed(run)) == 1


def test_what_is_missing_is_named(
    run: Callable[..., Ran], world: World, tool: Tool, ca: Authority, tmp_path: Path
) -> None:
    assert run("import").status == 2
    assert "give --ca" in run("import", ca.path).err
    assert "--output" in run("export").err
    assert run("import", tmp_path / "none.pem", "--ca", ca.path).status == 2
    (tmp_path / "noise.pem").write_bytes(b"noise")
    assert "expected a certificate" in run("import", tmp_path / "noise.pem", "--ca", ca.path).err
    plain = derive_test_keys(7, SERIAL, 0)
    stand = Stand(world, build_meter(SERIAL, keys=plain))
    ran = tool(stand.tcp, "certificate", "list", *symmetric(plain))
    assert "security suite 0, which has no certificates" in ran.err
