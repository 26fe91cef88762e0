"""A flash in RAM that loses power where a test says, and fills up."""

from __future__ import annotations

ENOENT, EIO, EACCES, ENOSPC, EILSEQ = 2, 5, 13, 28, 84

# What is left, after a cut, of bytes written but not synced. Real media do each of these.
SURVIVALS = ("lost", "half", "whole", "garbage", "zeros", "last-block-only")
_BLOCK = 64


class PowerCut(BaseException):
    """The power is gone: from here on every call raises this. Go on with `after_cut()`. No
    Exception, for nothing that goes on after faults goes on after this one."""


class _File:
    __slots__ = ("content", "durable", "durable_size", "named", "unreadable", "zeros")

    def __init__(self, content: bytes = b"", named: bool = False, zeros: int = 0) -> None:
        self.content = bytearray(content)
        self.zeros = zeros  # bytes set aside behind it
        self.durable = len(content)  # bytes that a cut cannot take
        self.durable_size = len(content) + zeros
        self.named = named  # the directory entry is on the medium
        self.unreadable = -1  # from this byte on, if not negative

    def size(self) -> int:
        return len(self.content) + self.zeros


class MemoryStorage:
    """The Storage port. `capacity` in bytes; `reserves`: it sets aside what append() asks it to.
    `operations` counts the calls that changed the medium, `syncs` the syncs.
    """

    def __init__(self, capacity: int = 1 << 24, reserves: bool = True) -> None:
        self._reserves = reserves
        self._files: dict[str, _File] = {}
        self._capacity = capacity
        self._cut_at = -1
        self._survival = "lost"
        self._dead = False
        self._failing: list[int] = []
        self._fail_at = (-1, 0)  # the number of a changing call, and with which errno
        self.broken = False  # a test sets it: every call fails with EIO until it is cleared
        self.operations = 0
        self.syncs = 0

    # The port.

    def append(self, name: str, reserve: int = 0) -> MemoryAppend:
        self._alive()
        _check_name(name)
        if name not in self._files:
            self._files[name] = _File()
        file = self._files[name]
        file.content.extend(bytes(file.zeros))
        file.zeros = 0
        more = reserve - len(file.content)
        if self._reserves and 0 < more <= self.free():
            self._count()
            file.zeros = more
            self._after()
        return MemoryAppend(self, file)

    def read(self, name: str, offset: int = 0, size: int = -1) -> bytes:
        file = self._file(name)
        end = file.size() if size < 0 else min(offset + size, file.size())
        if 0 <= file.unreadable < end:
            raise OSError(EILSEQ, "byte %d of %s cannot be read" % (file.unreadable, name))
        part = bytes(file.content[offset:end])
        return part + bytes(max(0, end - offset - len(part)))

    def replace(self, name: str, data: bytes) -> None:
        _check_name(name)
        before = self._files[name].size() if name in self._files else 0
        self._room(len(data) - before)
        if self._operation():
            self._files[name] = _File(data, True)
        self._after()

    def rename(self, old: str, new: str) -> None:
        file = self._file(old)
        _check_name(new)
        if self._operation():
            del self._files[old]
            self._files[new] = file
            file.named = True
        self._after()

    def truncate(self, name: str, size: int) -> None:
        file = self._file(name)
        if size > file.size():
            raise ValueError("truncate cannot make %s larger" % name)
        if self._operation():
            file.zeros = max(0, size - len(file.content))
            file.content = file.content[:size]
            file.durable, file.durable_size = len(file.content), size
            file.named = True
        self._after()

    def remove(self, name: str) -> None:
        if self._operation() and name in self._files:
            del self._files[name]
        self._after()

    def erase(self, name: str) -> None:
        self.remove(name)

    def names(self) -> list[str]:
        self._alive()
        return sorted(self._files)

    def size(self, name: str) -> int:
        self._alive()
        return self._files[name].size() if name in self._files else -1

    def free(self) -> int:
        self._alive()
        return max(0, self._capacity - sum([f.size() for f in self._files.values()]))

    # What a test does to it.

    def arm(self, calls: int, survival: str = "lost") -> None:
        """Let the power go during the changing call that comes after `calls` more (0: the very next
        one).

        A rename, replace, truncate, remove or sync cut off is done for survival "whole" and
        "garbage", else not.
        """
        if survival not in SURVIVALS:
            raise ValueError(
                "survival must be one of %s, not %r" % (", ".join(SURVIVALS), survival)
            )
        self._cut_at = self.operations + calls
        self._survival = survival

    def after_cut(self) -> MemoryStorage:
        """The same medium after the power came back, without any further cut."""
        after = MemoryStorage(self._capacity, self._reserves)
        for name in self._files:
            file = self._files[name]
            content = self._survivors(file)
            zeros = max(0, self._surviving_size(file) - len(content))
            if file.named or content or zeros:
                after._files[name] = _File(content, True, zeros)
        return after

    def fail_next(self, errno: int) -> None:
        """The next changing call fails with this errno after having done half of its work."""
        self._failing.append(errno)

    def fail_at(self, calls: int, errno: int) -> None:
        """As fail_next(), but of the changing call that comes after `calls` more."""
        self._fail_at = (self.operations + calls, errno)

    def failed(self) -> bool:
        """What fail_at() ordered has happened."""
        return self._fail_at[0] < 0

    def damage(self, name: str, offset: int) -> None:
        """Flip a bit of a byte, as an old flash does."""
        self._file(name).content[offset] ^= 0x10

    def spoil(self, name: str, offset: int) -> None:
        """From this byte on the file cannot be read any more, as littlefs finds of a lost block."""
        self._file(name).unreadable = offset

    def set_capacity(self, capacity: int) -> None:
        self._capacity = capacity

    # Inside.

    def _survivors(self, file: _File) -> bytes:
        kept = bytes(file.content[: file.durable])
        tail = bytes(file.content[file.durable :])
        if self._survival == "half":
            return kept + tail[: len(tail) // 2]
        if self._survival == "whole":
            return kept + tail
        if self._survival == "garbage":
            half = tail[: len(tail) // 2]
            return kept + half + _noise(len(tail) - len(half))
        if self._survival == "zeros":
            return kept + bytes(len(tail))
        if self._survival == "last-block-only":
            # The medium wrote the blocks in another order than they came.
            split = (len(kept) + len(tail) - 1) // _BLOCK * _BLOCK - len(kept)
            return kept + bytes(split) + tail[split:] if split > 0 else kept
        return kept

    def _surviving_size(self, file: _File) -> int:
        """Of the file, with what is left of the zeros set aside behind it."""
        if self._survival == "lost":
            return file.durable_size
        if self._survival == "half":
            return (file.durable_size + file.size()) // 2
        return file.size()

    def _file(self, name: str) -> _File:
        self._alive()
        if name not in self._files:
            raise OSError(ENOENT, "no file %s" % name)
        return self._files[name]

    def _alive(self) -> None:
        if self._dead:
            raise PowerCut("the power is gone")
        if self.broken:
            raise OSError(EIO, "the flash does not answer")

    def _room(self, more: int) -> None:
        if more > 0 and more > self.free():
            raise OSError(ENOSPC, "%d bytes wanted, %d free" % (more, self.free()))

    def _fails(self) -> bool:
        """Whether the changing call that begins is one of those that fail."""
        if 0 <= self._fail_at[0] <= self.operations:
            self._failing.append(self._fail_at[1])
            self._fail_at = (-1, 0)
        return bool(self._failing)

    def _operation(self) -> bool:
        """Count one; True when it takes effect. If the power goes during it `_after` says so."""
        self._alive()
        if self._fails():
            raise OSError(self._failing.pop(0), "as the test ordered")
        return not self._count() or self._survival in ("whole", "garbage")

    def _count(self) -> bool:
        """A changing call; True when the power goes during it."""
        self._dead = self.operations == self._cut_at
        self.operations += 1
        return self._dead

    def _after(self) -> None:
        self._alive()


class MemoryAppend:
    """The AppendFile port."""

    def __init__(self, storage: MemoryStorage, file: _File) -> None:
        self._storage = storage
        self._file = file

    def write(self, data: bytes | bytearray | memoryview) -> None:
        storage = self._storage
        data = bytes(data)
        if storage._fails():
            self._extend(data[: len(data) // 2])
        room = storage.free() + self._file.zeros
        if len(data) > room:
            self._extend(data[:room])
            raise OSError(ENOSPC, "%d bytes wanted, %d free" % (len(data), room))
        storage._operation()
        # What a cut leaves of it is for after_cut() to say: it is not synced.
        self._extend(data)
        storage._after()

    def _extend(self, data: bytes) -> None:
        self._file.content.extend(data)
        self._file.zeros = max(0, self._file.zeros - len(data))

    def sync(self) -> None:
        storage = self._storage
        storage.syncs += 1
        if storage._operation():
            self._file.durable = len(self._file.content)
            self._file.durable_size = self._file.size()
            self._file.named = True
        storage._after()

    def size(self) -> int:
        self._storage._alive()
        return len(self._file.content)

    def close(self) -> None:
        pass


def _check_name(name: str) -> None:
    good = "abcdefghijklmnopqrstuvwxyz0123456789.-"
    if not 1 <= len(name) <= 48 or [c for c in name if c not in good]:
        raise ValueError("a file's name is [a-z0-9.-]{1,48}, not %r" % name)


def _noise(size: int) -> bytes:
    state = 1
    noise = bytearray(size)
    for i in range(size):
        state = state * 1103515245 + 12345 & 0x7FFFFFFF
        noise[i] = state >> 16 & 0xFF
    return bytes(noise)
