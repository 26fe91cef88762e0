"""A folder of any mounted file system (littlefs on a board, the host's on unix) as Storage.

On every MicroPython port flush() of a file is an fsync, and os.rename overwrites atomically.

The littlefs of MicroPython 1.25 writes a file's blocks and then the metadata that refer to them,
with one sync after both: the medium must not store the latter without the former. Flash chips do
not; of a card with a write cache of its own it has to be known.
"""

from __future__ import annotations

import errno
import os

from hal.rt.names import checked, is_valid

# Outside the alphabet of names, so it is never listed and never collides.
_NEW = "_new"
_CHUNK = 1024
_FOLDER = 0x4000  # of a file's mode


class FolderStorage:
    """The files of one folder, made if absent. See hal.ports.Storage."""

    def __init__(self, path: str) -> None:
        self._path = path.rstrip("/")
        made = ""
        for part in self._path.split("/"):
            made += part
            if made and not _is_there(made):
                os.mkdir(made)
            made += "/"
        if not os.stat(self._path or "/")[0] & _FOLDER:
            raise OSError(errno.EEXIST, "%s: expected a folder, came a file" % path)
        if _is_there(self._at(_NEW)):  # left by a power cut within replace()
            os.remove(self._at(_NEW))

    def append(self, name: str, reserve: int = 0) -> FolderAppendFile:
        # Nothing is set aside: littlefs writes to other blocks anyway, it gains nothing by it.
        return FolderAppendFile(self, self._at(checked(name)), max(0, self.size(name)))

    def read(self, name: str, offset: int = 0, size: int = -1) -> bytes:
        with open(self._at(checked(name)), "rb") as file:
            file.seek(offset)
            return file.read(size)

    def replace(self, name: str, data: bytes) -> None:
        checked(name)
        with open(self._at(_NEW), "wb") as file:
            write_all(file, data)
            file.flush()
        os.rename(self._at(_NEW), self._at(name))
        self.sync_folder()

    def rename(self, old: str, new: str) -> None:
        os.rename(self._at(checked(old)), self._at(checked(new)))
        self.sync_folder()

    def truncate(self, name: str, size: int) -> None:
        """By copying what stays: MicroPython's files cannot be cut."""
        path = self._at(checked(name))
        if os.stat(path)[6] <= size:
            return
        with open(path, "rb") as old, open(self._at(_NEW), "wb") as new:
            while size:
                chunk = old.read(min(size, _CHUNK))
                write_all(new, chunk)
                size -= len(chunk)
            new.flush()
        os.rename(self._at(_NEW), path)
        self.sync_folder()

    def remove(self, name: str) -> None:
        path = self._at(checked(name))
        if _is_there(path):
            os.remove(path)
            self.sync_folder()

    def erase(self, name: str) -> None:
        left = self.size(name)
        if left > 0:
            with open(self._at(name), "r+b") as file:
                while left > 0:
                    write_all(file, bytes(min(left, _CHUNK)))
                    left -= _CHUNK
                file.flush()
        self.remove(name)

    def names(self) -> list[str]:
        return sorted([name for name in os.listdir(self._path or "/") if is_valid(name)])

    def size(self, name: str) -> int:
        path = self._at(checked(name))
        return os.stat(path)[6] if _is_there(path) else -1

    def free(self) -> int:
        medium = os.statvfs(self._path or "/")
        return medium[1] * medium[4]  # f_frsize, f_bavail

    def sync_folder(self) -> None:
        """Make names durable. littlefs has done so already and cannot open a folder; a POSIX file
        system has not, and can."""
        try:
            folder = open(self._path or "/", "rb")  # noqa: SIM115 - closed below
        except OSError:
            return
        with folder:
            folder.flush()

    def _at(self, name: str) -> str:
        return self._path + "/" + name


class FolderAppendFile:
    """See hal.ports.AppendFile. After an error nothing more can be written: littlefs drops all of a
    file since its last sync and calls the next sync a success. Open it anew."""

    def __init__(self, storage: FolderStorage, path: str, size: int) -> None:
        self._storage = storage
        self._new = not _is_there(path)
        self._file = open(path, "ab")  # noqa: SIM115 - closed by close()
        self._size = size
        self._failed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._check()
        try:
            write_all(self._file, data)
        except OSError:
            self._failed = True
            raise
        self._size += len(data)

    def sync(self) -> None:
        self._check()
        try:
            self._file.flush()
            if self._new:
                self._storage.sync_folder()
                self._new = False
        except OSError:
            self._failed = True
            raise

    def size(self) -> int:
        return self._size

    def close(self) -> None:
        self._file.close()

    def _check(self) -> None:
        if self._failed:
            raise OSError(errno.EIO, "the file failed before; open it anew")


def write_all(file, data: bytes | bytearray | memoryview) -> None:
    """write() until nothing is left; it may take less than all."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def _is_there(path: str) -> bool:
    try:
        os.stat(path)
    except OSError as error:
        if error.errno == errno.ENOENT:
            return False
        raise
    return True
