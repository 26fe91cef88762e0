"""A private file: for its owner from the beginning, durable, whole."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from hal.cpython.private_file import make_private_file


def test_mode_content_and_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    fsync, replace = os.fsync, os.replace

    def watched_fsync(fd: int) -> None:
        name = os.readlink(f"/proc/self/fd/{fd}")
        made.append(f"fsync {Path(name).name} of {os.fstat(fd).st_size}")
        fsync(fd)

    def watched_replace(old: str, new: str) -> None:
        made.append("replace")
        replace(old, new)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(os, "replace", watched_replace)
    path = tmp_path / "key"
    before = os.umask(0)
    try:
        make_private_file(str(path), b"secret")
    finally:
        os.umask(before)
    assert path.read_bytes() == b"secret"
    assert path.stat().st_mode & 0o777 == 0o600
    assert made == ["fsync key.new of 6", "replace"]
    assert os.listdir(tmp_path) == ["key"]


def test_what_an_interruption_left_is_not_built_upon(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"old")
    left = tmp_path / "key.new"
    left.write_bytes(b"half of a longer key")
    left.chmod(0o644)
    make_private_file(str(path), b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_failure_leaves_the_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"old")

    def fails(fd: int) -> None:
        raise OSError(errno.EIO, "as the test ordered")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fails)
        with pytest.raises(OSError):
            make_private_file(str(path), b"new")
    assert path.read_bytes() == b"old"
    make_private_file(str(path), b"new")
    assert path.read_bytes() == b"new"
