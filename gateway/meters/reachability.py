"""What is known of each path of each meter: is it reachable, since when, last heard, how good.

Seventeen bytes a path in RAM. They are written to one file of the Storage now and then (`save()`)
and read at the start; what happened since the last save is forgotten by a power cut, which costs a
few attempts over the second-best path and nothing else.

File: "AMR2", then for each meter a byte with the length of its serial, the serial, a byte with the
number of paths and the records; at the end the CRC-32 of all before it, big-endian.
"""

from __future__ import annotations

import binascii
import struct

from gateway.meters import ranking
from hal.rt import log, memory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.meters.inventory import Meter, Path
    from hal.ports import Clock, Storage

WHERE = "reachability"
FILE = "reachability"
UNKNOWN, REACHABLE, UNREACHABLE = range(3)

_NEW = "reachability.new"
_MAGIC = b"AMR2"
# since, before, heard (unix times, 0: unknown), changes, rate, flags, mark of the address, hops
_RECORD = "<IIIBBBBB"
_SIZE = 17
_STATE = 0x03
_REGISTERED = 0x04
_SILENT_SHIFT, _MOST_SILENT = 3, 31
_FRESH = struct.pack(_RECORD, 0, 0, 0, 0, ranking.PRIOR, 0, 0, 0)
_CHUNK = 2048
_TIDY_METERS = 64


class PathState:
    """One path of a meter. state: UNKNOWN, REACHABLE or UNREACHABLE `since` a date; the state
    before it had begun `before`; `changes` so far (255: or more). heard: when the meter last
    answered over it. silent: attempts in a row without an answer (31: or more). rate: delivery in
    percent. hops: how far away it was when last heard; 0: its modem does not say. Dates are
    seconds since 1970 UTC; 0: never; 1: then, but the clock was unset.
    """

    __slots__ = (
        "before",
        "changes",
        "heard",
        "hops",
        "rate",
        "registered",
        "silent",
        "since",
        "state",
    )

    def __init__(self, record: bytes | bytearray | memoryview) -> None:
        fields = struct.unpack(_RECORD, record)
        self.since, self.before, self.heard, self.changes, rate, flags, _, self.hops = fields
        self.rate = ranking.percent(rate)
        self.state = flags & _STATE
        self.registered = bool(flags & _REGISTERED)
        self.silent = flags >> _SILENT_SHIFT


class Reachability:
    """Without a storage it starts from nothing and save() does nothing. `serials`: whose records
    are read from the file, None: everybody's.
    """

    def __init__(
        self, clock: Clock, storage: Storage | None = None, serials: list[str] | None = None
    ) -> None:
        self._clock = clock
        self._storage = storage
        self._records: dict[str, bytearray] = {}  # serial -> a record for each path
        self._changed = False
        if storage is not None:
            self._load(storage, serials)

    # ------------------------------------------------------------ what is known

    def state(self, meter: Meter, path: Path) -> PathState:
        return PathState(self._record(meter, path))

    def worth(self, meter: Meter, path: Path) -> int:
        """What paths are ranked by; see ranking.py."""
        return ranking.worth(path[0], self._record(meter, path)[13])

    def cost(self, meter: Meter, path: Path) -> int:
        """What an exchange over the path is likely to take of the medium; see ranking.py."""
        record = self._record(meter, path)
        silent = record[14] >> _SILENT_SHIFT
        return ranking.cost(record[13], record[16], silent)

    # ------------------------------------------------------------ what happens

    def answered(self, meter: Meter, path: Path, percent: int = 100, hops: int = 0) -> None:
        """An attempt had answers to `percent` of its requests, from so many hops away."""
        self._note(meter, path, REACHABLE, percent, 0, hops)

    def fell_silent(self, meter: Meter, path: Path) -> None:
        """An attempt had no answer at all."""
        silent = self._record(meter, path)[14] >> _SILENT_SHIFT
        self._note(meter, path, UNREACHABLE, 0, min(silent + 1, _MOST_SILENT))

    def registered(self, meter: Meter, path: Path, registered: bool) -> None:
        """Whether the path's modem has the meter in its list of nodes."""
        record = self._record(meter, path)
        was = bool(record[14] & _REGISTERED)
        if was == registered and (registered or record[14] & _STATE != UNKNOWN):
            return
        record = self._own(meter, path)
        self._change(record, REACHABLE if registered else UNREACHABLE)
        flags = record[14] & ~_REGISTERED
        record[14] = flags | (_REGISTERED if registered else 0)
        self._put(meter, path, record)

    def age(self) -> None:
        """An hour has passed."""
        for records in self._records.values():
            for at in range(13, len(records), _SIZE):
                rate = ranking.aged(records[at])
                if rate != records[at]:
                    records[at] = rate
                    self._changed = True

    # ------------------------------------------------------------ the file

    def save(self) -> None:
        """Durable when it returns, and the old file until then. OSError of the storage."""
        storage = self._storage
        if storage is None or not self._changed:
            return
        storage.remove(_NEW)
        try:
            file = storage.append(_NEW)
            try:
                crc = 0
                for piece in self._pieces():
                    file.write(piece)
                    crc = binascii.crc32(piece, crc)
                file.write(crc.to_bytes(4, "big"))
                file.sync()
            finally:
                file.close()
            storage.rename(_NEW, FILE)
        except OSError:
            storage.remove(_NEW)
            raise
        self._changed = False

    def _pieces(self) -> Iterator[bytes]:
        yield _MAGIC
        piece = bytearray()
        for serial, records in self._records.items():
            name = serial.encode()
            piece.append(len(name))
            piece.extend(name)
            piece.append(len(records) // _SIZE)
            piece.extend(records)
            if len(piece) >= _CHUNK:
                yield bytes(piece)
                piece = bytearray()
        yield bytes(piece)

    def _load(self, storage: Storage, serials: list[str] | None) -> None:
        size = storage.size(FILE)
        if size < 0:
            return
        if not self._intact(storage, size):
            log.warning(WHERE, "%s is damaged: starting from nothing" % FILE)
            return
        # The inventory has these texts already: no second copy of each.
        known = None if serials is None else {serial: serial for serial in serials}
        position, rest = len(_MAGIC), b""
        meters = 0
        while position < size - 4:
            chunk = storage.read(FILE, position, min(_CHUNK, size - 4 - position))
            if not chunk:
                break
            position += len(chunk)
            rest += chunk
            at = 0
            while True:
                end = _entry_end(rest, at)
                if end < 0:
                    break
                begin = at + 1 + rest[at]
                serial = str(rest[at + 1 : begin], "utf-8")
                if known is None or serial in known:
                    serial = serial if known is None else known[serial]
                    self._records[serial] = bytearray(rest[begin + 1 : end])
                at = end
                meters += 1
                if meters % _TIDY_METERS == 0:
                    memory.tidy()
            rest = rest[at:]

    def _intact(self, storage: Storage, size: int) -> bool:
        if storage.read(FILE, 0, 4) != _MAGIC:
            return False
        crc, position = 0, 0
        while position < size - 4:
            chunk = storage.read(FILE, position, min(_CHUNK, size - 4 - position))
            if not chunk:
                return False
            crc = binascii.crc32(chunk, crc)
            position += len(chunk)
        return storage.read(FILE, size - 4, 4) == crc.to_bytes(4, "big")

    # ------------------------------------------------------------ records

    def _record(self, meter: Meter, path: Path) -> bytes | bytearray:
        """A copy of the path's record; a fresh one if the inventory has another address there
        now."""
        records = self._records.get(meter.serial)
        at = meter.paths.index(path) * _SIZE
        if records is not None and at < len(records) and records[at + 15] == _mark(path):
            return records[at : at + _SIZE]
        return _FRESH

    def _own(self, meter: Meter, path: Path) -> bytearray:
        record = bytearray(self._record(meter, path))
        record[15] = _mark(path)
        return record

    def _put(self, meter: Meter, path: Path, record: bytearray) -> None:
        records = self._records.get(meter.serial)
        if records is None or len(records) != len(meter.paths) * _SIZE:
            made = bytearray()
            for other in meter.paths:
                made.extend(self._own(meter, other))
            records = self._records[meter.serial] = made
        at = meter.paths.index(path) * _SIZE
        records[at : at + _SIZE] = record
        self._changed = True

    def _note(
        self, meter: Meter, path: Path, state: int, percent: int, silent: int, hops: int = 0
    ) -> None:
        record = self._own(meter, path)
        self._change(record, state)
        record[13] = ranking.learned(record[13], percent)
        record[14] = record[14] & (_STATE | _REGISTERED) | silent << _SILENT_SHIFT
        if state == REACHABLE:
            struct.pack_into("<I", record, 8, self._now())
            record[16] = min(hops, 255) or record[16]
        self._put(meter, path, record)

    def _change(self, record: bytearray, state: int) -> None:
        """The path's state from now on."""
        if record[14] & _STATE == state:
            return
        since = struct.unpack_from("<I", record, 0)[0]
        struct.pack_into("<II", record, 0, self._now(), since)
        record[12] = min(record[12] + 1, 255)
        record[14] = record[14] & ~_STATE | state

    def _now(self) -> int:
        return min(max(self._clock.unix_time(), 1), 0xFFFFFFFF)


def _mark(path: Path) -> int:
    """1..255, so that the record of another address is hardly ever taken for this one's."""
    return binascii.crc32(("%s=%s" % path).encode()) % 255 + 1


def _entry_end(data: bytes, at: int) -> int:
    """Where the entry that begins at `at` ends; -1 when it is not all there."""
    if at >= len(data):
        return -1
    count_at = at + 1 + data[at]
    if count_at >= len(data):
        return -1
    end = count_at + 1 + data[count_at] * _SIZE
    return end if end <= len(data) else -1
