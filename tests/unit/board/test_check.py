"""`ami-gateway --check` says what would keep a gateway from running, and touches nothing."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import subprocess
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from board import linux
from gateway.contract.meter_keys import MeterKeys, Vault
from gateway.folder import Folder
from gateway.meters.key_lines import KeyRow
from gateway.uplink.certificates import FILE, KEY_NAME
from hal.cpython.crypto import SystemCrypto
from hal.cpython.own_folder import OwnFolder
from hal.cpython.private_file import make_private_file
from hal.cpython.storage import FolderStorage
from hal.rt import cbor
from tests.conftest import ROOT, micropython_environment
from tests.portable.uplink.support import HERE
from tests.portable.uplink.test_certificates import leaf_for
from tests.unit.board.test_systemd_unit import SETTINGS

KEY = bytes(range(32))
SERIAL = "AMI0000000001"


class Box:
    """A folder as of a gateway that was started once, with one meter."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.data, self._capsys = folder, folder / "data", capsys
        self.settings(modems=[{"driver": "ip"}])
        make_private_file(str(folder / "board.key"), KEY.hex().encode())
        self.storage = FolderStorage(str(self.data))
        self.vault = Vault(SystemCrypto(), KEY)
        line = {"serial": SERIAL, "paths": [["ip", "127.0.0.1:4059"]]}
        self.storage.replace("meters.jsonl", json.dumps(line).encode())
        row = KeyRow(SERIAL)
        row.wrapped = self.vault.wrap(SERIAL, MeterKeys(bytes(16), bytes(16)))
        self.storage.replace("keys.jsonl", row.line())
        self.storage.replace("ledger.00000001", b"x")
        Folder(self.storage, self.vault, lambda: True).settle()

    def settings(self, **more: object) -> None:
        (self.folder / "gateway.json").write_text(json.dumps({**SETTINGS, **more}))

    def check(self) -> tuple[int, dict[str, tuple[str, str]]]:
        """The status, and (state, text) of each row; the last of a name."""
        before = self.files()
        status = linux.main(["--check", "--settings", str(self.folder / "gateway.json")])
        assert self.files() == before
        rows = {}
        *lines, last = self._capsys.readouterr().out.splitlines()
        for line in lines:
            state = next(each for each in ("  ok  ", "  look ", "  WRONG ") if each in line)
            what, _, text = line.partition(state)
            rows[what.strip()] = (state.strip(), text.strip())
        assert (last == "nothing is wrong") == (status == 0)
        return status, rows

    def files(self) -> dict[str, tuple[int, bytes]]:
        found = [each for each in self.folder.rglob("*") if each.is_file()]
        return {str(each): (each.stat().st_mode, each.read_bytes()) for each in found}

    def certificate(self, begins: int, ends: int) -> None:
        """Of ca, client and key; days from now."""
        key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "street-1")])
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now + datetime.timedelta(days=begins))
            .not_valid_after(now + datetime.timedelta(days=ends))
            .sign(key, hashes.SHA256())
        )
        pem = made.public_bytes(serialization.Encoding.PEM)
        for each in ("ca.pem", "client.pem"):
            (self.folder / each).write_bytes(pem)
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        (self.folder / "client.key").unlink(missing_ok=True)
        make_private_file(str(self.folder / "client.key"), private)
        files = {"ca": "ca.pem", "certificate": "client.pem", "key": "client.key"}
        self.settings(uplink={"host": "127.0.0.1", **files})


@pytest.fixture
def box(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Box:
    return Box(tmp_path, capsys)


def test_all_is_well_while_a_gateway_runs(box: Box) -> None:
    owned = OwnFolder(str(box.data))
    status, rows = box.check()
    owned.close()
    assert status == 0
    assert rows["keys"] == ("ok", "1 open")
    assert rows["inventory"] == ("ok", "1 meters")
    assert "started 1 times" in rows["data"][1]
    assert {rows[each][0] for each in ("files", "permissions", "clock", "board_key")} == {"ok"}


def test_a_box_that_was_never_started(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "gateway.json").write_text(json.dumps(SETTINGS))
    assert linux.main(["--check", "--settings", str(tmp_path / "gateway.json")]) == 0
    assert "the first start makes it" in capsys.readouterr().out
    assert [each.name for each in tmp_path.iterdir()] == ["gateway.json"]


def test_settings(box: Box) -> None:
    box.settings(workers="many")
    status, rows = box.check()
    assert status == 1 and "workers: expected" in rows["settings"][1]
    (box.folder / "gateway.json").unlink()
    status, rows = box.check()
    assert status == 1 and "--settings says where they are" in rows["settings"][1]


def test_lines(box: Box) -> None:
    master, slave = os.openpty()
    there = os.ttyname(slave)
    modems = [
        {"driver": "prime-usi", "url": "serial:%s?baud=115200" % there},
        {"driver": "imst", "url": "serial:/dev/none?baud=57600"},
        {"driver": "dlms-o-tcp", "url": "tcp://127.0.0.1:9"},
    ]
    box.settings(modems=modems)
    status, rows = box.check()
    os.close(master)
    os.close(slave)
    assert status == 1
    assert rows["line of prime-usi"] == ("ok", there)
    assert (
        rows["line of imst"][0] == "WRONG" and "/dev/none is not there" in rows["line of imst"][1]
    )
    assert rows["line of dlms-o-tcp"][0] == "ok"


@pytest.mark.parametrize(
    ("begins", "ends", "state", "text"),
    [
        (-1, 400, "ok", "until"),
        (-1, 20, "look", "time for a new one"),
        (-20, -1, "WRONG", "ended at"),
        (2, 400, "WRONG", "is the clock right?"),
    ],
)
def test_certificates(box: Box, begins: int, ends: int, state: str, text: str) -> None:
    box.certificate(begins, ends)
    status, rows = box.check()
    assert status == (state == "WRONG")
    for each in ("uplink.ca", "uplink.certificate"):
        assert rows[each][0] == state and text in rows[each][1]
    assert rows["uplink.key"][0] == "ok"


def test_the_key_of_another_certificate(box: Box) -> None:
    box.certificate(-1, 400)
    other = (box.folder / "client.key").read_bytes()
    box.certificate(-1, 400)
    (box.folder / "client.key").write_bytes(other)
    status, rows = box.check()
    # Two rows have this name: whether others may read it, and whether it fits.
    assert status == 1 and rows["uplink.key"][0] == "ok"
    (box.folder / "client.key").write_bytes(b"no key")
    assert box.check()[0] == 1
    (box.folder / "ca.pem").write_bytes(b"no certificate")
    status, rows = box.check()
    assert (
        rows["uplink.ca"][0] == "WRONG" and "expected certificates in PEM" in rows["uplink.ca"][1]
    )


def test_keys(box: Box) -> None:
    (box.folder / "board.key").write_text("11" * 32)
    status, rows = box.check()
    assert status == 1 and "of 1 meters they do not open (%s)" % SERIAL in rows["keys"][1]
    (box.folder / "board.key").chmod(0o644)
    assert "chmod 600" in box.check()[1]["board_key"][1]
    (box.folder / "board.key").unlink()
    status, rows = box.check()
    assert status == 1 and "put its copy back" in rows["keys"][1]


def test_plain_keys_and_none(box: Box) -> None:
    plain = {"serial": SERIAL, "ek": "00" * 16, "ak": "11" * 16}
    box.storage.replace("keys.jsonl", json.dumps(plain).encode())
    status, rows = box.check()
    assert status == 0 and rows["keys"][0] == "look" and "not wrapped yet" in rows["keys"][1]
    box.storage.replace("keys.jsonl", b"")
    assert "1 meters have none (%s)" % SERIAL in box.check()[1]["keys"][1]


def test_what_is_lost_and_what_is_open(box: Box) -> None:
    box.storage.remove("ledger.00000001")
    box.storage.replace("meters.jsonl", b"not JSON\n")
    (box.data / "keys.jsonl").chmod(0o640)
    box.data.chmod(0o755)
    status, rows = box.check()
    assert status == 1
    assert rows["files"][0] == "WRONG" and rows["files"][1].startswith("ledger is gone")
    assert rows["permissions"][0] == "look" and "keys.jsonl" in rows["permissions"][1]
    assert rows["inventory"][0] == "WRONG" and "meters.jsonl line 1" in rows["inventory"][1]


def test_space_and_clock(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    box.settings(storage={"free_bytes": 1 << 30, "ledger_bytes": 65536})
    monkeypatch.setattr("board.checked.ReadFolder.free", lambda self: 1 << 20)
    monkeypatch.setattr(time, "time", lambda: 1_000_000_000.0)
    status, rows = box.check()
    assert status == 1 and "no job would be taken" in rows["space"][1]
    assert rows["clock"][0] == "look" and "counts as unset" in rows["clock"][1]


def keep(box: Box, public: bytes, private: bytes, days: int) -> None:
    """The file of a board that has enrolled for its certificate."""
    now = int(time.time())
    leaf = leaf_for(public, begins=now - 86400 * 30, ends=now + days * 86400)
    one = [box.vault.wrap_secret(KEY_NAME, private), [leaf]]
    body = cbor.encode([1, one, None, None])
    box.storage.replace(FILE, hashlib.sha256(body).digest() + body)


def test_the_certificate_that_was_enrolled_for(box: Box) -> None:
    private, public = SystemCrypto().ec_generate("P-256")
    _, other = SystemCrypto().ec_generate("P-256")
    for of, days, state, text in (
        (public, 300, "ok", "CN=%s, until" % HERE),
        (public, 20, "look", "time for a new one"),
        (public, -1, "WRONG", "ended at"),
        (other, 300, "WRONG", "is not the key of CN=%s" % HERE),
    ):
        keep(box, of, private, days)
        status, rows = box.check()
        assert rows[FILE][0] == state and text in rows[FILE][1]
        assert status == (state == "WRONG")
    box.vault = Vault(SystemCrypto(), bytes(32))
    keep(box, public, private, 300)
    assert "does not open: is board.key the right one" in box.check()[1][FILE][1]
    box.storage.replace(FILE, b"x" * 40)
    assert "is damaged" in box.check()[1][FILE][1]
    body = cbor.encode([1, None, None, None])
    box.storage.replace(FILE, hashlib.sha256(body).digest() + body)
    assert "has not come" in box.check()[1][FILE][1]


def test_a_board_with_micropython_says_the_same(
    box: Box, micropython: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = box.folder / "gateway.json"

    def said() -> tuple[int, list[str]]:
        before = box.files()
        ran = subprocess.run(
            [micropython, "-m", "board.unix", "--check", str(path)],
            cwd=ROOT,
            env=micropython_environment(),
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert box.files() == before and ran.stderr == ""
        return ran.returncode, words(ran.stdout)

    def words(text: str) -> list[str]:
        """Of the clock's row and of the room only how it begins: time goes on."""
        lines = [" ".join(line.split()) for line in text.splitlines()]
        lines = [line for line in lines if not line.startswith("uplink.key WRONG")]
        return [line[:8] if line[:5] in ("clock", "space") else line for line in lines]

    private, public = SystemCrypto().ec_generate("P-256")
    keep(box, public, private, 20)
    (box.folder / "secret").write_text("x")
    for uplink in ({"host": "127.0.0.1"}, {"host": "127.0.0.1", "password_file": "secret"}):
        box.settings(uplink={**uplink, "username": "u"} if len(uplink) > 1 else uplink)
        status = linux.main(["--check", "--settings", str(path)])
        assert said() == (status, words(capsys.readouterr().out))
    (box.folder / "board.key").unlink()
    box.storage.replace("meters.jsonl", b"not JSON\n")
    assert linux.main(["--check", "--settings", str(path)]) == 1
    assert said() == (1, words(capsys.readouterr().out))
    path.write_text("{")
    status, (row, last) = said()
    assert status == 1 and row.startswith("settings WRONG") and last == "1 of 1 are wrong"
