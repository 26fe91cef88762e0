"""A folder that is one process's alone."""

from __future__ import annotations

import errno
import fcntl
import os
import stat


class OwnFolder:
    """Made (mode 0700) if absent, and locked until close() or the end of the process, however it
    ends. OSError EAGAIN when another process has it, of whichever runtime.

    `narrowed`: a line for each file that others than its owner had rights to.
    """

    def __init__(self, path: str) -> None:
        os.makedirs(path, mode=0o700, exist_ok=True)
        self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._fd)
            raise OSError(error.errno, os.strerror(error.errno or errno.EAGAIN), path) from None
        self.narrowed = _narrowed(path, self._fd, 0o700)
        for name in sorted(os.listdir(self._fd)):
            try:
                fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=self._fd)
            except OSError:
                continue  # a link, or not to be read
            if stat.S_ISREG(os.fstat(fd).st_mode):
                self.narrowed.extend(_narrowed(name, fd, 0o600))
            os.close(fd)

    def close(self) -> None:
        os.close(self._fd)


def _narrowed(name: str, fd: int, wanted: int) -> list[str]:
    mode = os.fstat(fd).st_mode & 0o777
    if not mode & 0o077:
        return []
    try:
        os.fchmod(fd, wanted)
    except OSError as error:
        return ["%s has mode %o, and it cannot be made %o: %s" % (name, mode, wanted, error)]
    return ["%s had mode %o, it has %o now" % (name, mode, wanted)]
