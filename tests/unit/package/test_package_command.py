"""ami-package as people run it: keys, build, sign, show, and a tampered package."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from gateway.contract.image_file import ImageFile
from gateway.contract.package import Package
from gateway.contract.refused import Refused
from hal.cpython.crypto import SystemCrypto
from hal.cpython.storage import FolderStorage
from tools.package.__main__ import EXAMPLES, main
from tools.package.keys import KeyProblem, SigningKey, load_trust


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "vendor.pem"
    assert main(["keygen", str(path)]) == 0
    return path


def build(key: Path, name: str) -> Path:
    output = key.parent / (name + ".pkg")
    file = EXAMPLES / (name + ".yaml")
    assert main(["build", str(file), "-o", str(output), "--key", str(key)]) == 0
    return output


def test_private_key_is_for_its_owner_only_and_never_overwritten(key: Path, capsys) -> None:
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    before = key.read_bytes()
    assert main(["keygen", str(key)]) == 1
    assert "already exists" in capsys.readouterr().err
    assert key.read_bytes() == before


def test_public_key_is_what_the_gateways_settings_take(key: Path) -> None:
    entry = json.loads(key.with_suffix(".json").read_text())
    assert set(entry) == {"kid", "key"}
    assert load_trust(key.with_suffix(".json")) == [
        (SigningKey.load(key).kid, SigningKey.load(key).public)
    ]
    assert len(bytes.fromhex(entry["key"])) == 64


@pytest.mark.parametrize("name", sorted(path.stem for path in EXAMPLES.glob("*.yaml")))
def test_example_checks_builds_shows_and_the_gateway_takes_it(key: Path, name: str, capsys) -> None:
    assert main(["check", str(EXAMPLES / (name + ".yaml"))]) == 0
    package = build(key, name)
    trust = key.with_suffix(".json")
    assert main(["show", str(package), "--trust", str(trust)]) == 0
    shown = capsys.readouterr().out
    assert "good, by key " + SigningKey.load(key).kid.hex() in shown
    assert "AMI-E450, firmware V02.*" in shown
    taken = Package.decode(package.read_bytes(), load_trust(trust), SystemCrypto())
    assert taken.name == name


def test_show_decodes_names_and_values(key: Path, capsys) -> None:
    assert main(["show", str(build(key, "tariff-calendar"))]) == 0
    shown = capsys.readouterr().out
    for text in (
        "activate_passive_calendar",
        "season_profile_active",
        '"CHILE-2027.1"',
        "*-09-02-sun 00:00:00",
        "18:00:00",
        "0.0.10.0.100.255",
        "not checked, --trust",
    ):
        assert text in shown


def test_every_changed_byte_is_noticed(key: Path) -> None:
    raw = build(key, "measurement-interval").read_bytes()
    trust = load_trust(key.with_suffix(".json"))
    for at in range(len(raw)):
        tampered = raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]
        with pytest.raises(Refused):
            Package.decode(tampered, trust, SystemCrypto())


def test_tampering_is_shown(key: Path, capsys) -> None:
    package = build(key, "measurement-interval")
    raw = package.read_bytes()
    at = raw.index(bytes.fromhex("0600000384"))
    package.write_bytes(raw[:at] + bytes.fromhex("060000003c") + raw[at + 5 :])
    assert main(["show", str(package), "--trust", str(key.with_suffix(".json"))]) == 1
    shown = capsys.readouterr().out
    assert "NOT GOOD: bad-signature" in shown
    assert "double-long-unsigned 60" in shown


def test_signing_again_changes_the_signer_and_nothing_else(
    key: Path, tmp_path: Path, capsys
) -> None:
    other = tmp_path / "other.pem"
    main(["keygen", str(other)])
    package = build(key, "alarms")
    assert main(["show", str(package), "--trust", str(other.with_suffix(".json"))]) == 1
    assert "unknown-signer" in capsys.readouterr().out
    assert main(["sign", str(package), "--key", str(other)]) == 0
    assert main(["show", str(package), "--trust", str(other.with_suffix(".json"))]) == 0


@pytest.mark.parametrize(
    "content", [b"", b"not a package", b"\xd2\x84\x00\x00\x00\x00", b"\xff" * 99]
)
def test_what_is_no_package_is_refused(tmp_path: Path, content: bytes, capsys) -> None:
    path = tmp_path / "x.pkg"
    path.write_bytes(content)
    assert main(["show", str(path)]) == 1
    assert "malformed: envelope" in capsys.readouterr().err


def test_missing_file_and_wrong_key_are_told(key: Path, tmp_path: Path, capsys) -> None:
    assert main(["check", str(tmp_path / "none.yaml")]) == 1
    assert "none.yaml: No such file" in capsys.readouterr().err
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("hello")
    file = str(EXAMPLES / "alarms.yaml")
    assert main(["build", file, "-o", str(tmp_path / "x.pkg"), "--key", str(wrong)]) == 1
    assert "expected a private key in PEM" in capsys.readouterr().err
    assert not (tmp_path / "x.pkg").exists()


def test_problems_go_to_stderr_with_their_place(tmp_path: Path, capsys) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("name: x\nversion: 1\nfor: []\nsteps: []\n")
    assert main(["check", str(path)]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("%s:3:6: expected a list such as" % path)
    assert lines[1].startswith("%s:4:8: expected a list of steps" % path)
    assert lines[-1] == "2 places to correct"


def test_other_curves_are_refused(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    pem = ec.generate_private_key(ec.SECP384R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path = tmp_path / "p384.pem"
    path.write_bytes(pem)
    with pytest.raises(KeyProblem, match="expected a P-256 key"):
        SigningKey.load(path)


@pytest.fixture
def image(key: Path) -> Path:
    content = key.parent / "firmware.bin"
    content.write_bytes(bytes(range(256)) * 20)
    words = ["--version", "3.0", "--for", "AMI-E450:V02.,V03.", "--for", "AMI-X"]
    words += ["--identifier", "0x563033", "--firmware", "V03.00.00", "--delivery", "ciphered"]
    assert main(["image", str(content), *words, "--key", str(key)]) == 0
    return content.with_suffix(".pkg")


def test_image_is_signed_shown_and_taken(key: Path, image: Path, capsys) -> None:
    assert main(["show", str(image), "--trust", str(key.with_suffix(".json"))]) == 0
    shown = capsys.readouterr().out
    for text in ("firmware 3.0", "V02.* or V03.*", "AMI-X, firmware any", '"V03"', "5120 bytes"):
        assert text in shown
    assert "broadcast key" in shown and "good, by key" in shown
    storage = FolderStorage(str(key.parent))
    trust = load_trust(key.with_suffix(".json"))
    taken = ImageFile.open(storage, image.name, trust, SystemCrypto())
    assert taken.identifier == b"V03" and taken.block(0, 256) == bytes(range(256))


def test_image_is_signed_again_by_another(key: Path, image: Path, tmp_path: Path, capsys) -> None:
    other = tmp_path / "other.pem"
    main(["keygen", str(other)])
    assert main(["sign", str(image), "--key", str(other)]) == 0
    assert main(["show", str(image), "--trust", str(other.with_suffix(".json"))]) == 0
    assert main(["show", str(image), "--trust", str(key.with_suffix(".json"))]) == 1
    assert "NOT GOOD" in capsys.readouterr().out


def test_a_changed_image_is_no_longer_the_signed_one(image: Path, capsys) -> None:
    raw = bytearray(image.read_bytes())
    raw[-1] ^= 1
    image.write_bytes(raw)
    assert main(["show", str(image)]) == 1
    assert "not the one of its manifest" in capsys.readouterr().err


def test_image_words_that_make_no_sense(key: Path, tmp_path: Path, capsys) -> None:
    content = tmp_path / "f"
    content.write_bytes(b"")
    words = ["--version", "3", "--for", "M", "--identifier", "x", "--firmware", "f"]
    assert main(["image", str(content), *words, "--key", str(key)]) == 1
    assert "expected an image of 1 to" in capsys.readouterr().err
    content.write_bytes(b"firmware")
    words[5] = "0xZ"
    assert main(["image", str(content), *words, "--key", str(key)]) == 1
    assert "hex digits" in capsys.readouterr().err
    words[5] = "x" * 65
    assert main(["image", str(content), *words, "--key", str(key)]) == 1
    assert "identifier to be 1..64 octets" in capsys.readouterr().err
