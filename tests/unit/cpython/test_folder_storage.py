"""The folder on CPython, call by call: what has passed fsync when a method returns, and what is
left after any call of the system has failed.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hal.cpython.storage import FolderStorage

CALLS = ("fsync", "fdatasync", "replace", "unlink", "pwrite", "ftruncate", "open")


class Calls:
    """The changing calls of the system, in order, each with the names of files; one may fail."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.made: list[str] = []
        self.fails: dict[str, int] = {}  # call -> errno, once
        for name in CALLS:
            monkeypatch.setattr(os, name, self._watched(name, getattr(os, name)))

    def _watched(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*arguments: Any, **named: Any) -> Any:
            told = [name]
            for argument in arguments[: 2 if name == "replace" else 1]:
                path = (
                    os.readlink(f"/proc/self/fd/{argument}") if type(argument) is int else argument
                )
                told.append(os.path.relpath(path, self.folder))
            if name != "open":
                self.made.append(" ".join(told))
            if name in self.fails:
                number = self.fails.pop(name)
                raise OSError(number, os.strerror(number))
            return call(*arguments, **named)

        return watched

    def since(self) -> list[str]:
        made, self.made = self.made, []
        return made


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Calls:
    return Calls(tmp_path, monkeypatch)


def test_what_has_passed_fsync(tmp_path: Path, calls: Calls) -> None:
    storage = FolderStorage(str(tmp_path))
    assert calls.since() == []
    file = storage.append("a")
    file.write(b"one")
    assert calls.since() == ["pwrite a"]
    file.sync()
    # The first time, its entry in the folder as well.
    assert calls.since() == ["fdatasync a", "fsync ."]
    file.write(b"two")
    file.sync()
    assert calls.since() == ["pwrite a", "fdatasync a"]
    file.close()
    again = storage.append("a")
    again.write(b"three")
    again.sync()
    assert calls.since() == ["pwrite a", "fdatasync a"]
    again.close()
    storage.replace("b", b"x")
    assert calls.since() == ["pwrite _new", "fsync _new", "replace _new b", "fsync ."]
    storage.rename("b", "c")
    assert calls.since() == ["replace b c", "fsync ."]
    storage.truncate("a", 2)
    assert calls.since() == ["ftruncate a", "fsync a"]
    storage.truncate("a", 2)
    assert calls.since() == ["fsync a"]
    storage.remove("c")
    assert calls.since() == ["unlink c", "fsync ."]
    storage.remove("c")
    assert calls.since() == ["unlink c"]
    storage.sync_folder()
    assert calls.since() == ["fsync ."]


def test_room_is_set_aside_once(tmp_path: Path, calls: Calls) -> None:
    storage = FolderStorage(str(tmp_path))
    file = storage.append("a", 100)
    assert calls.since() == ["pwrite a"]
    assert storage.size("a") == 100
    assert file.size() == 0
    file.write(b"one")
    file.write(b"two")
    assert (storage.read("a", 0, 7), file.size()) == (b"onetwo\0", 6)
    file.close()
    calls.since()
    full = storage.append("a", 100)  # it has them already
    assert calls.since() == []
    full.close()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_without_room_to_set_aside_it_grows(tmp_path: Path, calls: Calls, number: int) -> None:
    calls.fails["pwrite"] = number
    storage = FolderStorage(str(tmp_path))
    file = storage.append("a", 100)
    assert calls.since() == ["pwrite a", "ftruncate a"]
    assert storage.size("a") == 0
    file.write(b"one")
    assert storage.read("a") == b"one"
    file.close()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EACCES])
@pytest.mark.parametrize("call", ["pwrite", "fdatasync", "fsync"])
def test_a_file_that_failed_takes_nothing_more(
    tmp_path: Path, calls: Calls, call: str, number: int
) -> None:
    storage = FolderStorage(str(tmp_path))
    file = storage.append("a")
    calls.fails[call] = number
    with pytest.raises(OSError) as told:
        file.write(b"one")
        file.sync()
    assert told.value.errno == number
    for again in (lambda: file.write(b"two"), file.sync):
        with pytest.raises(OSError, match="failed before") as told:
            again()
        assert told.value.errno == errno.EIO
    file.close()
    anew = storage.append("a")
    anew.write(b"!")
    anew.sync()
    anew.close()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EACCES])
@pytest.mark.parametrize("call", ["open", "pwrite", "fsync", "replace"])
def test_a_replace_that_fails_leaves_the_old(
    tmp_path: Path, calls: Calls, call: str, number: int
) -> None:
    storage = FolderStorage(str(tmp_path))
    storage.replace("a", b"old")
    calls.fails[call] = number
    with pytest.raises(OSError) as told:
        storage.replace("a", b"new one")
    assert told.value.errno == number
    assert storage.read("a") == b"old"
    assert storage.names() == ["a"]
    storage.replace("a", b"new")
    assert storage.read("a") == b"new"


@pytest.mark.parametrize(
    ("call", "use"),
    [
        ("unlink", lambda storage: storage.remove("a")),
        ("fsync", lambda storage: storage.remove("a")),
        ("replace", lambda storage: storage.rename("a", "b")),
        ("fsync", lambda storage: storage.rename("a", "b")),
        ("ftruncate", lambda storage: storage.truncate("a", 1)),
        ("fsync", lambda storage: storage.truncate("a", 1)),
        ("open", lambda storage: storage.append("a")),
    ],
)
def test_every_failure_comes_out(
    tmp_path: Path, calls: Calls, call: str, use: Callable[[FolderStorage], None]
) -> None:
    storage = FolderStorage(str(tmp_path))
    storage.replace("a", b"old")
    calls.fails[call] = errno.EIO
    with pytest.raises(OSError) as told:
        use(storage)
    assert told.value.errno == errno.EIO


def test_no_descriptor_is_left_open(tmp_path: Path, calls: Calls) -> None:
    storage = FolderStorage(str(tmp_path))
    before = len(os.listdir("/proc/self/fd"))
    for call in ("pwrite", "fsync", "ftruncate", "replace"):
        for use in (
            lambda: storage.replace("a", b"x"),
            lambda: storage.truncate("a", 0),
            storage.sync_folder,
        ):
            calls.fails[call] = errno.EIO
            try:
                use()
            except OSError:
                pass
            calls.fails.clear()
            storage.replace("a", b"old")
    file = storage.append("a")
    file.close()
    file.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_for_nobody_else(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    storage = FolderStorage(str(folder))
    storage.append("a").close()
    storage.replace("b", b"x")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "a").stat().st_mode & 0o777 == 0o600
    assert (folder / "b").stat().st_mode & 0o777 == 0o600


def test_short_writes_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pwrite(2) may take less than it is given."""
    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: pwrite(fd, bytes(data[:3]), at))
    storage = FolderStorage(str(tmp_path))
    file = storage.append("a")
    file.write(b"0123456789")
    file.write(memoryview(b"abc"))
    file.write(bytearray(b"defg"))
    assert storage.read("a") == b"0123456789abcdefg"
    assert file.size() == 17
    file.close()


def test_free_is_what_we_may_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Medium:
        f_bavail, f_bfree, f_frsize, f_bsize = 7, 9, 512, 4096

    monkeypatch.setattr(os, "statvfs", lambda path: Medium)
    assert FolderStorage(str(tmp_path)).free() == 7 * 512
