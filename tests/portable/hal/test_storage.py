"""What hal.ports.Storage promises: a folder of the host; on MicroPython also littlefs."""

from __future__ import annotations

import errno
import os
import sys

from tests.contract.here import FolderStorage
from tests.portable.places import with_folders
from tests.portable.support import raises, random_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    pass


def test_append_read_size() -> None:
    def test(folder: str) -> None:
        storage = FolderStorage(folder)
        assert storage.size("a.log") == -1
        file = storage.append("a.log")
        assert file.size() == 0
        file.write(b"one")
        file.write(memoryview(b"two"))
        file.write(b"")
        file.sync()
        assert file.size() == 6
        assert storage.read("a.log") == b"onetwo"
        file.write(b"three")
        file.sync()
        file.sync()
        file.close()
        again = storage.append("a.log")
        assert again.size() == 11
        again.write(b"!")
        assert again.size() == 12
        again.sync()
        again.close()
        again.close()
        assert storage.size("a.log") == 12
        assert storage.read("a.log", 3) == b"twothree!"
        assert storage.read("a.log", 3, 3) == b"two"
        assert storage.read("a.log", 10, 100) == b"e!"
        assert storage.read("a.log", 12) == b""
        assert storage.read("a.log", 0, 0) == b""

    with_folders(test)


def test_append_with_room_set_aside() -> None:
    def test(folder: str) -> None:
        storage = FolderStorage(folder)
        file = storage.append("a", 5000)
        assert file.size() == 0
        file.write(b"first")
        file.sync()
        file.write(b"")
        file.write(b"second")
        file.sync()
        assert file.size() == 11
        content = storage.read("a")
        assert content[:11] == b"firstsecond" and content[11:] == bytes(len(content) - 11)
        assert storage.size("a") == len(content) in (11, 5000)
        file.write(bytes([7]) * 6000)  # more than was thought
        file.sync()
        file.close()
        assert storage.read("a") == b"firstsecond" + bytes([7]) * 6000
        storage.truncate("a", 3)
        file = storage.append("a", 2)
        file.write(b"d")
        file.close()
        assert storage.read("a") == b"fird"

    with_folders(test)


def test_what_is_synced_is_there_for_the_next_one() -> None:
    def test(folder: str) -> None:
        file = FolderStorage(folder).append("a")
        file.write(b"durable")
        file.sync()
        assert FolderStorage(folder).read("a") == b"durable"
        file.close()

    with_folders(test)


def test_replace() -> None:
    def test(folder: str) -> None:
        storage = FolderStorage(folder)
        for data in (b"", b"first", random_bytes(1, 5000), b"shorter"):
            storage.replace("settings.json", data)
            assert storage.read("settings.json") == data
            assert storage.size("settings.json") == len(data)
        assert storage.names() == ["settings.json"]

    with_folders(test)


def test_rename() -> None:
    def test(folder: str) -> None:
        storage = FolderStorage(folder)
        storage.replace("new", b"new")
        storage.replace("old", b"old")
        storage.rename("new", "old")
        assert storage.names() == ["old"]
        assert storage.read("old") == b"new"
        assert raises(OSError, storage.rename, "new", "old").errno == errno.ENOENT

    with_folders(test)


def test_truncate() -> None:
    def test(folder: str) -> None:
        storage = FolderStorage(folder)
        data = random_bytes(2, 3000)
        storage.replace("a", data)
        for size in (5000, 3000, 2999, 1500, 1, 0):
            storage.truncate("a", size)
            assert storage.read("a") == data[:size]
        file = storage.append("a")
        file.write(b"after")
        file.sync()
        file.close()
        assert storage.read("a") == b"after"
        assert raises(OSError, storage.truncate, "none", 0).errno == errno.ENOENT

    with_folders(test)


def test_remove_and_absent() -> None:
    def test(folder: str) -> None:
        storage = FolderStorage(folder)
        storage.replace("a", b"1")
        storage.remove("a")
        storage.remove("a")
        assert storage.names() == []
        assert raises(OSError, storage.read, "a").errno == errno.ENOENT

    with_folders(test)


def test_names() -> None:
    def test(folder: str) -> None:
        storage = FolderStorage(folder)
        longest = "a" * 48
        for name in ("b.log", "a-1", "0", longest):
            storage.replace(name, b"")
        assert storage.names() == sorted(["b.log", "a-1", "0", longest])
        for bad in ("", ".", "..", "a/b", "../a", "A", "a b", "_new", "a\x00", "a" * 49, "\u00e9"):
            for call in (storage.read, storage.append, storage.remove, storage.size):
                raises(ValueError, call, bad)
            raises(ValueError, storage.replace, bad, b"")
            raises(ValueError, storage.truncate, bad, 0)
            raises(ValueError, storage.rename, bad, "a")
            raises(ValueError, storage.rename, "b.log", bad)

    with_folders(test)


def test_an_unfinished_replace_is_cleared_away() -> None:
    def test(folder: str) -> None:
        storage = FolderStorage(folder)
        storage.replace("a", b"kept")
        with open(folder + "/_new", "wb") as file:
            file.write(b"torn")
        assert storage.names() == ["a"]
        storage = FolderStorage(folder)
        assert "_new" not in os.listdir(folder)
        assert storage.read("a") == b"kept"

    with_folders(test)


def test_makes_its_folder() -> None:
    def test(folder: str) -> None:
        deep = folder + "/x/y"
        FolderStorage(deep).replace("a", b"1")
        assert FolderStorage(deep + "/").read("a") == b"1"

    with_folders(test)


def test_free() -> None:
    def test(folder: str) -> None:
        assert FolderStorage(folder).free() > 4096

    with_folders(test)


def test_full_medium() -> None:
    if sys.implementation.name != "micropython":
        return  # nobody fills the host's disk: littlefs in RAM plays this
    from tests.portable.places import with_littlefs

    def test(folder: str) -> None:
        storage = FolderStorage(folder)
        storage.replace("kept", b"kept")
        file = storage.append("big")
        file.write(b"synced")
        file.sync()
        synced = 6
        try:
            for _ in range(100):
                file.write(bytes(1024))
                file.sync()
                synced += 1024
            raise AssertionError("100 KiB on a medium of 32 KiB")
        except OSError as error:
            assert error.errno == 28, error  # ENOSPC
        # From here on nothing may look like a success.
        raises(OSError, file.sync)
        raises(OSError, file.write, b"x")
        file.close()
        raises(OSError, storage.replace, "kept", bytes(40000))
        assert storage.read("kept") == b"kept"
        assert storage.size("big") >= synced
        storage.remove("big")
        storage.replace("kept", bytes(10000))
        assert storage.size("kept") == 10000

    with_littlefs(test)


def test_erase() -> None:
    def test(folder: str) -> None:
        storage = FolderStorage(folder)
        storage.replace("keys", bytes(range(256)) * 20)
        storage.replace("empty", b"")
        before = open(folder + "/keys", "rb")  # noqa: SIM115 - a file that is gone can be read on
        for name in ("keys", "empty", "absent"):
            storage.erase(name)
        assert storage.names() == []
        if folder != "/ram":
            # Of a file system that writes to the same place: nothing is left of what it held.
            assert before.read() == bytes(5120)
        before.close()

    with_folders(test)
