"""A record of what happened that survives a power cut: append-only segments on flash.

Records go to the newest segment (`<name>.<number>`); a commit makes all since the last one durable
with one sync. Room is won back by whole segments from the oldest on, so the work for it is bounded
and nothing is ever moved.

    segment = "AMIJ" version(1)=2 flags(1) reserved(2) record*
    record  = first(1 bit) length(31 bits) crc32(4) payload(length)                    big-endian

The CRC-32 is over the payload and starts with the value of the first four bytes, so it covers them
too. The first record of each commit has its bit set: when it was
written, everything before it was on the medium.

Where the medium gains by it, the newest segment is filled with zeros beforehand: a commit then
goes over blocks that the file has already, and its sync writes them and nothing else.

Recovery reads all segments in order. Zeros up to the end of the newest one are room not used yet.
Anything else that does not check out ends its segment there. If nothing was ever committed after
it, it is the tail of a write the power cut off, and is removed; otherwise it is damage, and the
file is kept as `<name>.bad.<number>`, for people to look into. Nothing behind such a spot is taken
for a record: the payload of one record may hold bytes that look like another.
"""

from __future__ import annotations

from binascii import crc32
from struct import pack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from hal.ports import AppendFile, Storage

    Apply = Callable[["int", bytes], None]

MAX_RECORD = 1 << 20
SEGMENT_SIZE = 65536

_MAGIC = b"AMIJ\x02"
_HEADER = 8
_FRAME = 8
_FIRST = 1 << 31  # in the first four bytes of a record
_BASE = 1  # flag: all older segments are void
_READ_SIZE = 4096
_SEARCH_SIZE = 16384
_FLUSH_SIZE = 16384  # bytes kept in RAM at most before they are written (not yet synced)
# A position is segment number * 2^31 + offset: ordered like the records.
_OFFSET_BITS = 31
_ENOSPC = 28
# EBADMSG, EILSEQ (littlefs: LFS_ERR_CORRUPT), EUCLEAN: damage that the file system itself found.
_CORRUPT = (74, 84, 117)
_OFFSET_MASK = (1 << _OFFSET_BITS) - 1


class JournalError(Exception):
    """The journal cannot do what was asked; says what was expected."""


def segment_of(position: int) -> int:
    """The number of the segment a record's position lies in."""
    return position >> _OFFSET_BITS


def beginning_of(segment: int) -> int:
    """Where records() begins to read it."""
    return segment << _OFFSET_BITS


class Recovery:
    """What recovery found: `records` good ones, `cut` bytes not readable, `notes` one line each for
    the log. `damaged`: records that were durable once are lost, by more than a power cut.
    """

    __slots__ = ("cut", "damaged", "notes", "records")

    def __init__(self) -> None:
        self.records = 0
        self.cut = 0
        self.damaged = False
        self.notes: list[str] = []


class Journal:
    """Not usable before `recover()`. Names start with `name`, 1..24 of [a-z0-9-].

    OSError of the storage comes out as it is; then nothing since the last good commit is in the
    journal, and it can be used further (after ENOSPC once there is room).
    """

    def __init__(self, storage: Storage, name: str, segment_size: int = SEGMENT_SIZE) -> None:
        self._storage = storage
        self._name = name
        self._segment_size = segment_size
        self._segments: list[int] = []
        self._sizes: list[int] = []  # durable bytes of each
        self._file: AppendFile | None = None
        self._pending = bytearray()
        self._first = _FIRST  # or 0, of the next record
        self._end = 0  # of the newest segment, the pending records included
        self._written = 0  # bytes of the newest segment handed to the storage
        self._damaged: list[int] = []  # segments with damage that there was no room to copy

    def recover(self, apply: Apply) -> Recovery:
        """Call `apply(position, payload)` for every record in order; then the journal is ready to
        append.
        """
        recovery = Recovery()
        self._close()
        self._remove_if_there(self._name + ".new")
        self._damaged = []
        self._segments, self._sizes = self._find_segments(recovery), []
        for segment in list(self._segments):
            good, damage = self._replay(segment, apply, recovery)
            if damage:
                good = self._repair(segment, good, damage, recovery)
            self._sizes.append(good)
        if self._segments and self._segments[-1] in self._damaged:
            # Nothing may be written behind damage.
            self._segments.append(self._segments[-1] + 1)
            self._sizes.append(0)
        if not self._segments:
            self._segments, self._sizes = [1], [0]
        self._forget()
        return recovery

    def append(self, payload: bytes) -> int:
        """Add a record, durable after `commit()`; returns its position."""
        size = len(payload)
        if not 0 < size <= MAX_RECORD:
            raise JournalError("a record has 1..%d bytes, not %d" % (MAX_RECORD, size))
        pending, end = self._pending, self._end
        if end == 0:
            pending += _header(0)
            end = _HEADER
        word = size | self._first
        pending += pack(">II", word, crc32(payload, word))
        pending += payload
        self._first = 0
        self._end = end + _FRAME + size
        if len(pending) >= _FLUSH_SIZE:
            self.flush()
        return self._segments[-1] << _OFFSET_BITS | end

    def commit(self) -> None:
        """Everything appended is on the medium when this returns: one sync, or none if there is
        nothing new.
        """
        self.flush()
        if self._written == self._sizes[-1]:
            return
        try:
            self._open_file().sync()
        except OSError:
            self._undo()
            raise
        self._sizes[-1] = self._written
        self._first = _FIRST

    def flush(self) -> None:
        """Hand what was appended to the storage, without a sync."""
        if not self._pending:
            return
        try:
            self._open_file().write(self._pending)
        except OSError:
            self._undo()
            raise
        self._written += len(self._pending)
        self._pending = bytearray()

    def abandon(self) -> None:
        """What was appended since the last commit is not in the journal."""
        self._undo()

    def pending(self) -> bool:
        """Something was appended that no commit has made durable yet."""
        return self._end != self._sizes[-1]

    def full(self) -> bool:
        """The newest segment has reached its size: time to `roll()`."""
        return self._end >= self._segment_size

    def newest_size(self) -> int:
        """Bytes in the newest segment, durable or not."""
        return self._end

    def roll(self) -> None:
        """Start a new segment: what is appended from here on may outlive all before."""
        self.commit()
        if self._written:
            self._close()
            self._trim()  # zeros at the end of an older segment are damage
            self._segments.append(self._segments[-1] + 1)
            self._sizes.append(0)
            self._forget()

    def oldest(self) -> int:
        """The number of the oldest segment."""
        return self._segments[0]

    def newest(self) -> int:
        """The number of the segment that is appended to."""
        return self._segments[-1]

    def drop_before(self, segment: int) -> None:
        """Remove the segments with smaller numbers, oldest first; the newest stays."""
        while len(self._segments) > 1 and self._segments[0] < segment:
            if self._segments[0] in self._damaged:
                self._remove_if_there(self._bad_name(self._segments[0]))
                self._storage.rename(
                    self._file_name(self._segments[0]), self._bad_name(self._segments[0])
                )
            else:
                self._storage.remove(self._file_name(self._segments[0]))
            self._segments.pop(0)
            self._sizes.pop(0)

    def rewrite(self, payloads: Iterable[bytes]) -> None:
        """Replace all by these records, atomically: after a power cut it is all of the old or all
        of the new.
        """
        self.commit()
        self._close()
        self._trim()
        temporary = self._name + ".new"
        self._remove_if_there(temporary)
        file = self._storage.append(temporary)
        size = _HEADER
        try:
            file.write(_header(_BASE))
            for payload in payloads:
                if not 0 < len(payload) <= MAX_RECORD:
                    raise JournalError("a record has 1..%d bytes" % MAX_RECORD)
                file.write(_frame(payload, _FIRST if size == _HEADER else 0) + payload)
                size += _FRAME + len(payload)
            file.sync()
        finally:
            file.close()
        number = self._segments[-1] + 1
        self._storage.rename(temporary, self._file_name(number))
        # All older ones are void from here on, also where one cannot be removed now.
        self._sizes = [0] * len(self._segments)
        self._segments.append(number)
        self._sizes.append(size)
        self._forget()
        self.drop_before(number)

    def records(self, position: int = 0) -> Iterator[tuple[int, bytes]]:
        """(position, payload) of the durable records from `position` on: 0 or what append() or this
        returned.
        """
        for segment, size in list(zip(self._segments, self._sizes)):  # noqa: B905
            if segment < segment_of(position) or size == 0:
                continue
            offset = position & _OFFSET_MASK if segment == segment_of(position) else 0
            reader = _Reader(self._storage, self._file_name(segment), max(offset, _HEADER), size)
            while True:
                at = reader.offset
                payload = reader.next()
                if payload is None:
                    break
                yield segment << _OFFSET_BITS | at, payload

    def read(self, position: int) -> bytes:
        """The payload at a position; JournalError when there is no good record (any more)."""
        for at, payload in self.records(position):
            if at == position:
                return payload
            break
        raise JournalError("no record at %s position %d" % (self._name, position))

    def size(self) -> int:
        """Bytes on the medium and those waiting for a commit."""
        return sum(self._sizes[:-1]) + self._end

    # Writing.

    def _open_file(self) -> AppendFile:
        if self._file is None:
            self._trim()
            self._file = self._storage.append(
                self._file_name(self._segments[-1]), self._segment_size
            )
        return self._file

    def _undo(self) -> None:
        """Back to the last commit: half a record must not stand before the next one."""
        self._close()
        self._forget()
        self._trim()

    def _forget(self) -> None:
        """What is not durable in the newest segment is no part of it."""
        self._pending, self._first = bytearray(), _FIRST
        self._end = self._written = self._sizes[-1]

    def _trim(self) -> None:
        """Cut the newest segment off behind what is written."""
        name = self._file_name(self._segments[-1])
        if self._storage.size(name) > self._written:
            self._storage.truncate(name, self._written)

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    # Recovery.

    def _find_segments(self, recovery: Recovery) -> list[int]:
        """Numbers of the segments that count, oldest first."""
        prefix = self._name + "."
        found = []
        for name in self._storage.names():
            digits = name[len(prefix) :]
            if name.startswith(prefix) and len(digits) == 8 and digits.isdigit():
                found.append(int(digits))
        found.sort()
        for i in range(len(found) - 1, 0, -1):
            if self._header_of(self._file_name(found[i])) == _header(_BASE):
                # A rewrite whose clearing away of the old was cut off.
                for number in found[:i]:
                    self._storage.remove(self._file_name(number))
                recovery.notes.append("%d segments before a rewrite removed" % i)
                return found[i:]
        return found

    def _replay(self, segment: int, apply: Apply, recovery: Recovery) -> tuple[int, str]:
        """(end of the last good record, what is wrong after it or "")."""
        name = self._file_name(segment)
        size = self._storage.size(name)
        if size == 0:
            return 0, ""  # made, and then the power went
        newest = segment == self._segments[-1]
        header = self._header_of(name)
        if header != _header(0) and header != _header(_BASE):
            if newest and header and self._used(name, 0) == 0:
                return 0, ""
            return 0, "expected a segment's header, came %s" % (header.hex() or "nothing")
        reader = _Reader(self._storage, name, _HEADER, size)
        while True:
            at = reader.offset
            try:
                payload = reader.next()
            except OSError as error:
                if error.errno not in _CORRUPT:
                    raise
                return at, "nothing that can be read: %s" % error
            if payload is None:
                if reader.damage and newest and self._used(name, at) == at:
                    return at, ""
                return at, reader.damage
            recovery.records += 1
            apply(segment << _OFFSET_BITS | at, payload)

    def _repair(self, segment: int, good: int, damage: str, recovery: Recovery) -> int:
        """Make the file end at `good`; returns its size then."""
        name = self._file_name(segment)
        size, torn = self._storage.size(name), False
        if segment == self._segments[-1]:
            try:
                size = self._used(name, good)
                torn = not self._committed_behind(name, good)
            except OSError as error:
                if error.errno not in _CORRUPT:
                    raise
        recovery.cut += size - good
        recovery.notes.append(
            "%s: %s at byte %d of %d: %s"
            % (
                name,
                damage,
                good,
                size,
                "the tail of a write the power cut off is removed"
                if torn
                else "damaged; kept as %s" % self._bad_name(segment),
            )
        )
        if not torn:
            recovery.damaged = True
            try:
                self._keep_copy(name, self._bad_name(segment), size)
            except OSError as error:
                if error.errno != _ENOSPC and error.errno not in _CORRUPT:
                    raise
                # The file itself is kept as it is; it becomes the copy when its turn to go comes.
                self._remove_if_there(self._bad_name(segment))
                self._damaged.append(segment)
                return good
        self._storage.truncate(name, good)
        return good

    def _header_of(self, name: str) -> bytes:
        """What stands there, b"" if it cannot be read."""
        try:
            return self._storage.read(name, 0, _HEADER)
        except OSError as error:
            if error.errno not in _CORRUPT:
                raise
            return b""

    def _used(self, name: str, offset: int) -> int:
        """The end of the last byte from `offset` on that is not zero; `offset` if all are."""
        used = offset
        while True:
            part = self._storage.read(name, offset, _READ_SIZE)
            if not part:
                return used
            left = len(part.rstrip(b"\x00"))
            if left:
                used = offset + left
            offset += len(part)

    def _committed_behind(self, name: str, offset: int) -> bool:
        """Does a commit begin behind? Then what is at `offset` was once on the medium."""
        tail = self._storage.read(name, offset, _SEARCH_SIZE)
        # The commit that a segment begins with includes the header.
        nearest = 1 if offset else _HEADER + 1
        for start in range(nearest, len(tail) - _FRAME):
            length = _length(tail[start : start + 4])
            if tail[start] & 0x80 and 0 < length <= len(tail) - start - _FRAME:
                payload = tail[start + _FRAME : start + _FRAME + length]
                if tail[start : start + _FRAME] == _frame(payload, _FIRST):
                    return True
        return False

    def _keep_copy(self, name: str, copy: str, size: int) -> None:
        self._remove_if_there(copy)
        file = self._storage.append(copy)
        try:
            for offset in range(0, size, _READ_SIZE):
                file.write(self._storage.read(name, offset, _READ_SIZE))
            file.sync()
        finally:
            file.close()

    def _remove_if_there(self, name: str) -> None:
        if self._storage.size(name) >= 0:
            self._storage.remove(name)

    def _file_name(self, segment: int) -> str:
        return "%s.%08d" % (self._name, segment)

    def _bad_name(self, segment: int) -> str:
        return "%s.bad.%08d" % (self._name, segment)


class _Reader:
    """Records of one file one after the other, through a small window."""

    def __init__(self, storage: Storage, name: str, offset: int, end: int) -> None:
        self._storage = storage
        self._name = name
        self._end = end
        self._window = b""
        self._window_at = offset
        self.offset = offset  # of the next record
        self.damage = ""

    def next(self) -> bytes | None:
        """The next payload; None at the end or, with `damage` set, at what is no record."""
        left = self._end - self.offset
        if left == 0:
            return None
        if left < _FRAME:
            self.damage = "%d bytes where a record's head has %d" % (left, _FRAME)
            return None
        head = self._bytes(self.offset, _FRAME)
        length = _length(head)
        if not 0 < length <= MAX_RECORD or length > left - _FRAME:
            self.damage = "a record of %d bytes where %d are left" % (length, left - _FRAME)
            return None
        payload = self._bytes(self.offset + _FRAME, length)
        if head != _frame(payload, head[0] << 24 & _FIRST):
            self.damage = "a record whose CRC does not match"
            return None
        self.offset += _FRAME + length
        return payload

    def _bytes(self, offset: int, size: int) -> bytes:
        start = offset - self._window_at
        if start < 0 or start + size > len(self._window):
            try:
                self._window = self._storage.read(self._name, offset, max(size, _READ_SIZE))
            except OSError as error:
                if error.errno not in _CORRUPT:
                    raise
                # The damage may lie behind what is wanted.
                self._window = self._storage.read(self._name, offset, size)
            self._window_at = offset
            start = 0
        return self._window[start : start + size]


def _header(flags: int) -> bytes:
    return _MAGIC + bytes([flags, 0, 0])


def _frame(payload: bytes, first: int) -> bytes:
    """What stands before a payload; `first` is _FIRST or 0."""
    word = len(payload) | first
    return pack(">II", word, crc32(payload, word))


def _length(head: bytes) -> int:
    return int.from_bytes(head[:4], "big") & 0x7FFFFFFF
