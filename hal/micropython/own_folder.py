"""A folder that is one process's alone. A board that has neither users nor processes excludes
nobody."""

from __future__ import annotations

import errno
import os

# Linux, include/uapi/asm-generic/fcntl.h
_O_NOFOLLOW = 0o400000
_O_NONBLOCK = 0o4000
_O_CLOEXEC = 0o2000000
_LOCK_EX_NB = 2 | 4
_KIND, _FILE, _FOLDER = 0o170000, 0o100000, 0o040000  # of a mode


class OwnFolder:
    """As hal/cpython/own_folder.py says. From here on whatever this process makes is its user's
    alone."""

    def __init__(self, path: str) -> None:
        self.narrowed: list[str] = []
        self._fd = -1
        try:
            import ffi  # only the unix port has it
        except ImportError:
            ffi = None
        if ffi is not None:
            libc = ffi.open(None)
            libc.func("i", "umask", "i")(0o077)
            self._open, self._close = libc.func("i", "open", "si"), libc.func("i", "close", "i")
            self._flock = libc.func("i", "flock", "ii")
            self._chmod = libc.func("i", "fchmod", "ii")
        try:
            kind = os.stat(path)[0] & _KIND
        except OSError:
            os.mkdir(path)
            kind = _FOLDER
        if kind != _FOLDER:
            raise OSError(errno.EEXIST, "%s: expected a folder, came a file" % path)
        if ffi is not None:
            self._own(path)

    def _own(self, path: str) -> None:
        self._fd = self._open(path, _O_CLOEXEC)
        if self._fd < 0:
            raise OSError(os.errno(), path)  # pyright: ignore[reportAttributeAccessIssue]
        if self._flock(self._fd, _LOCK_EX_NB) != 0:
            number = os.errno()  # pyright: ignore[reportAttributeAccessIssue]
            self.close()
            raise OSError(number, path)
        self._narrow(path, path, self._fd, 0o700)
        for name in sorted(os.listdir(path)):
            whole = path + "/" + name
            fd = self._open(whole, _O_NOFOLLOW | _O_NONBLOCK | _O_CLOEXEC)
            if fd >= 0:
                if os.stat(whole)[0] & _KIND == _FILE:
                    self._narrow(name, whole, fd, 0o600)
                self._close(fd)

    def close(self) -> None:
        if self._fd >= 0:
            self._close(self._fd)
        self._fd = -1

    def _narrow(self, name: str, path: str, fd: int, wanted: int) -> None:
        mode = os.stat(path)[0] & 0o777
        if mode & 0o077:
            text = "%s had mode %o, it has %o now" % (name, mode, wanted)
            if self._chmod(fd, wanted) != 0:
                text = "%s has mode %o, and it cannot be made %o" % (name, mode, wanted)
            self.narrowed.append(text)
