"""Setting up says exactly what to install where it may not help itself."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tools import bootstrap, programs


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without Mosquitto and apt, and a user who is not root."""
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)


def test_mosquitto_without_root(bare: None) -> None:
    with pytest.raises(
        SystemExit, match=r"As root: apt-get install .* mosquitto mosquitto-clients"
    ):
        bootstrap.ensure_programs()


def test_other_brokers_without_root(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody is held up for want of them."""
    here = [program.name for program in programs.PROGRAMS if not program.skipped]
    monkeypatch.setattr(shutil, "which", lambda name, **_: name if name in here else None)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    bootstrap.ensure_programs()
    said = capsys.readouterr().out.splitlines()
    for what, packages in (
        ("what goes over RabbitMQ", "rabbitmq-server erlang-base"),
        ("what goes over NATS", "nats-server"),
        ("meters behind IPv6 links", "util-linux iproute2"),
        ("what systemd says of the gateway's unit", "systemd"),
        ("set-up on a bare Debian, of --long", "debootstrap"),
    ):
        command = "As root: apt-get install --no-install-recommends -y " + packages
        assert [line for line in said if what in line and line.endswith(command)], said


def test_micropython_without_apt(
    bare: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(bootstrap, "VENV", tmp_path / "venv")
    monkeypatch.setattr(bootstrap, "CACHE", tmp_path / "cache")
    with pytest.raises(SystemExit, match=r"MicroPython >= 1\.25 is needed"):
        bootstrap.ensure_micropython()


def test_an_old_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap.sys, "version_info", (3, 10, 4))
    with pytest.raises(SystemExit, match=r"Python 3\.11 or later is needed"):
        bootstrap.ensure_venv("requirements.txt")


def test_the_locks_name_no_host_and_hash_everything() -> None:
    for name in ("requirements.txt", "requirements-test.txt", "requirements-stubs.txt"):
        text = (bootstrap.ROOT / "tools" / name).read_text()
        assert "://" not in text
        pinned = [line for line in text.splitlines() if "==" in line and not line.startswith(" ")]
        assert pinned
        assert text.count("--hash=sha256:") >= len(pinned)
