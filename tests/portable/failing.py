"""A storage whose n-th changing call fails, for whoever has to live with that."""

from __future__ import annotations

from hal.sim.storage import MemoryAppend, MemoryStorage

EIO, EACCES, ENOSPC = 5, 13, 28
ERRORS = (EIO, EACCES, ENOSPC)


class FailingStorage(MemoryStorage):
    """As MemoryStorage. fail_at(n, errno): the n-th changing call from now on (0: the next) fails,
    once. Where that is room to be set aside, which nobody relies on, the one after it fails. A
    write has done half of its work then, others nothing.
    """

    def __init__(self):
        MemoryStorage.__init__(self)
        self.fails_at = -1
        self._error = 0
        self.failed = 0

    def fail_at(self, calls, error):
        self.fails_at, self._error = self.operations + calls, error

    def append(self, name, reserve=0):
        return _Append(self, MemoryStorage.append(self, name, reserve)._file)

    def _operation(self):
        if 0 <= self.fails_at <= self.operations:
            self.fails_at = -1
            self.failed += 1
            raise OSError(self._error, "as the test ordered")
        return MemoryStorage._operation(self)


class _Append(MemoryAppend):
    def write(self, data):
        if 0 <= self._storage.fails_at <= self._storage.operations:
            self._extend(bytes(data)[: len(data) // 2])
        MemoryAppend.write(self, data)
