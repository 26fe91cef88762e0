"""A folder of a POSIX file system as Storage: everything said to be durable has passed fsync
or fdatasync."""

from __future__ import annotations

import errno
import os

from hal.rt.names import checked, is_valid

# Outside the alphabet of names, so it is never listed and never collides.
_NEW = "_new"


class FolderStorage:
    """The files of one folder, made (mode 0700) if absent. See hal.ports.Storage."""

    def __init__(self, path: str) -> None:
        self._path = path
        os.makedirs(path, mode=0o700, exist_ok=True)
        if os.path.exists(self._at(_NEW)):  # left by a power cut within replace()
            os.unlink(self._at(_NEW))

    def append(self, name: str, reserve: int = 0) -> FolderAppendFile:
        return FolderAppendFile(self, self._at(checked(name)), reserve)

    def read(self, name: str, offset: int = 0, size: int = -1) -> bytes:
        with open(self._at(checked(name)), "rb") as file:
            file.seek(offset)
            return file.read(size)

    def replace(self, name: str, data: bytes) -> None:
        fd = os.open(self._at(_NEW), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            write_all(fd, data)
            os.fsync(fd)
        finally:
            os.close(fd)
        os.replace(self._at(_NEW), self._at(checked(name)))
        self.sync_folder()

    def rename(self, old: str, new: str) -> None:
        os.replace(self._at(checked(old)), self._at(checked(new)))
        self.sync_folder()

    def truncate(self, name: str, size: int) -> None:
        fd = os.open(self._at(checked(name)), os.O_WRONLY)
        try:
            if size < os.fstat(fd).st_size:
                os.ftruncate(fd, size)
            os.fsync(fd)
        finally:
            os.close(fd)

    def remove(self, name: str) -> None:
        try:
            os.unlink(self._at(checked(name)))
        except FileNotFoundError:
            return
        self.sync_folder()

    def erase(self, name: str) -> None:
        try:
            fd = os.open(self._at(checked(name)), os.O_WRONLY)
        except FileNotFoundError:
            return
        try:
            write_all(fd, bytes(os.fstat(fd).st_size))
            os.fsync(fd)
        finally:
            os.close(fd)
        self.remove(name)

    def names(self) -> list[str]:
        return sorted(name for name in os.listdir(self._path) if is_valid(name))

    def size(self, name: str) -> int:
        try:
            return os.stat(self._at(checked(name))).st_size
        except FileNotFoundError:
            return -1

    def free(self) -> int:
        medium = os.statvfs(self._path)
        return medium.f_bavail * medium.f_frsize

    def sync_folder(self) -> None:
        """Make names durable: a file's own fsync does not cover its entry in the folder."""
        fd = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def _at(self, name: str) -> str:
        return os.path.join(self._path, name)


class FolderAppendFile:
    """See hal.ports.AppendFile. After an error nothing more can be written: the kernel may have
    dropped what it could not store and would call the next fsync a success. Open it anew."""

    def __init__(self, storage: FolderStorage, path: str, reserve: int) -> None:
        self._storage = storage
        self._new = not os.path.exists(path)
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        self._end = os.fstat(self._fd).st_size
        self._failed = False
        if reserve > self._end:
            self._set_aside(reserve - self._end)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._check()
        try:
            write_all(self._fd, data, self._end)
        except OSError:
            self._failed = True
            raise
        self._end += len(data)

    def sync(self) -> None:
        self._check()
        try:
            # A file that does not grow has no metadata to be written: that is what `reserve` gains.
            os.fdatasync(self._fd)
            if self._new:
                self._storage.sync_folder()
                self._new = False
        except OSError:
            self._failed = True
            raise

    def size(self) -> int:
        return self._end

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    def _set_aside(self, size: int) -> None:
        """Zeros, not fallocate(2): the first write to blocks that were only allocated is journalled
        like growth."""
        try:
            write_all(self._fd, bytes(size), self._end)
        except OSError:  # no room to spare: then it grows as it is written
            os.ftruncate(self._fd, self._end)

    def _check(self) -> None:
        if self._failed:
            raise OSError(errno.EIO, "the file failed before; open it anew")


def write_all(fd: int, data: bytes | bytearray | memoryview, offset: int = 0) -> None:
    """pwrite(2) from `offset` on until nothing is left."""
    written = os.pwrite(fd, data, offset)
    rest = memoryview(data)
    while written < len(rest):
        written += os.pwrite(fd, rest[written:], offset + written)
