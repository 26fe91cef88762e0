"""`ami-hes time`: what it prints is what a concentrator takes at its local port."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.kept_clock import KeptClock
from gateway.uplink.hes_time import LOCAL, HesTime
from hal.cpython.crypto import SystemCrypto
from hal.sim.clock import ManualClock
from hal.sim.storage import MemoryStorage
from tools.hes.cli.main import main
from tools.package.keys import SigningKey


class Ledger:
    def note_if_possible(self, kind: str, details: list[object]) -> None: ...

    def event(self, name: str, detail: str) -> None: ...


def test_it_sets_a_clock_whose_floor_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = SigningKey.generate()
    key.save(tmp_path / "operator.pem")
    storage = MemoryStorage()
    wrong = KeptClock(ManualClock(4_000_000_000), storage)
    wrong.confirm()
    manual = ManualClock()
    clock = KeptClock(manual, storage)
    signers = [(key.kid, key.public)]
    ledger: object = Ledger()
    time = HesTime("street-1", signers, clock, SystemCrypto(), ledger)  # type: ignore[arg-type]
    nonce = time.nonce(LOCAL)
    time.nonce()  # that of a hello meanwhile is another
    manual.advance(3_500_000)
    command = ["time", "--concentrator", "street-1", "--nonce", nonce.hex()]
    assert main([*command, "--key", str(tmp_path / "operator.pem")]) == 0
    time.take(bytes.fromhex(capsys.readouterr().out))
    assert 0 < clock.unix_time() < 4_000_000_000 and clock.floor < clock.unix_time()


def test_what_is_no_nonce(capsys: pytest.CaptureFixture[str]) -> None:
    for nonce in ("", "00" * 15, "zz" * 16):
        with pytest.raises(SystemExit):
            main(["time", "--concentrator", "c1", "--nonce", nonce, "--key", "k.pem"])
        assert "expected 32 hex digits" in capsys.readouterr().err
