"""The readings on the flash: a journal of numbered records, until the HES has them and their room
is needed.

Numbers count from 1 within an `epoch`, drawn at random when the journal is made. A layout is
written in each segment before the first rows that name it, so that every segment can be understood
alone. Segments go from the oldest on, first those that the HES has; where others must go, too, a
Lost record takes the place of theirs, and it is told once.
"""

from __future__ import annotations

import asyncio

from gateway.contract import reading_record
from gateway.contract.reading_record import DAMAGE, NO_ROOM, Kept, Lost
from gateway.journal import Journal, beginning_of, segment_of
from gateway.readings import entries
from gateway.readings.entries import (
    ACKNOWLEDGED,
    ASKED,
    BEGIN,
    CARRIED,
    PLAIN,
    ROWS,
    ROWS_ASKED,
    record_of,
)
from gateway.readings.series import SIZE, Series
from hal.rt import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Protocol

    from gateway.contract.reading_record import Rows
    from gateway.readings.entries import Written
    from hal.ports import Clock, Storage

    class Limits(Protocol):
        """readings_bytes: of the journal. free_bytes: to be left free on the flash."""

        @property
        def readings_bytes(self) -> int: ...
        @property
        def free_bytes(self) -> int: ...


NAME = "readings"
_WHERE = "readings"
_LAYOUT = 1  # second octet of a Layout, as encoded
_ENOSPC, _EIO = 28, 5
_AFTER_DAMAGE = 1 << 20  # numbers left out, so that none is given twice
_CARRIED_AT_ONCE = 64  # series
_DAY = 86400


class Store:
    """`random(n)` gives n random bytes; `tell(name, detail)` takes an event.

    OSError of the storage comes out of every method as it is; then nothing has happened, but that
    older segments may have gone.

    keep_days: what the HES has had for so long goes even if there is room; 0: it stays.
    """

    def __init__(
        self,
        storage: Storage,
        clock: Clock,
        random: Callable[[int], bytes],
        limits: Limits,
        tell: Callable[[str, str], None],
    ) -> None:
        self.epoch = 0  # 0: nothing was ever written
        self.acknowledged = 0
        self.last_number = 0  # of the newest record that is durable
        self.released = 0  # those up to this number may go to the HES
        self.keep_days = 0
        self.series = Series()
        self._storage = storage
        self._clock = clock
        self._limits = limits
        self._tell = tell
        self._new_epoch = int.from_bytes(random(4), "big") % 0xFFFFFFFF + 1
        size = min(max(limits.readings_bytes // 32, 4096), 65536)
        self._segment_size = size
        self.journal = Journal(storage, NAME, size)
        self._begins: list[tuple[int, int, int]] = []  # segment, its first number, its date
        self._next = 1
        self._layouts: set[int] = set()  # that the newest segment has
        self._new_layouts: list[int] = []  # not yet durable
        self._undo: list[tuple[int, bytes]] = []  # of series, likewise
        self._release = 0
        self._failures = 0
        self._group: Group | None = None
        self._losing = False  # it was told
        self._to_carry = False  # series whose segment went before they were
        self._room_in = 0  # the segment that there was found to be room for
        self._read_last = (0, 0)  # number and position of the record that records() gave last
        self._recover()

    # Writing.

    def write(self, records: Sequence[Written], asked: bool = False, wait: bool = False) -> None:
        """Append these; `await durable()` straight after it. asked: they stay here until the HES
        asks for them; wait: until release() or others are sent."""
        try:
            self._make_room()
            for one in records:
                if one.layout is not None and one.layout[0] not in self._layouts:
                    # It goes up whatever it was first used for: others may need it next.
                    self._append(entries.plain(one.layout[1], False))
                    self._layouts.add(one.layout[0])
                    self._new_layouts.append(one.layout[0])
                self._append_one(one, asked)
        except OSError as error:
            self._lost(error)
            raise
        if not wait:
            self._release = self._next - 1

    async def durable(self) -> None:
        """Returns when all that was written so far is durable: everybody who calls this in the same
        turn of the loop shares one sync. After an OSError none of it is."""
        group = self._group
        if group is not None:
            await group.over.wait()
        elif self.journal.pending():
            group = self._group = Group(self._failures)
            try:
                await asyncio.sleep(0)
            finally:
                self._group = None
                self._end_group(group)
        if group is not None and group.error is not None:
            raise OSError(group.error, "not written")

    def commit(self) -> None:
        """All so far is durable, with one sync."""
        self._sync()
        if self.journal.full():
            try:
                self._roll()
            except OSError as error:  # another time
                log.warning(_WHERE, "no new segment: %s" % error)

    def release(self) -> None:
        """All that waits may go to the HES."""
        self.released = self.last_number

    def acknowledge(self, number: int) -> None:
        """The HES has all records up to and with `number` for good."""
        number = min(number, self.last_number)
        if number <= self.acknowledged:
            return
        try:
            if not self.journal.newest_size():
                self._begin()
            self.journal.append(entries.acknowledged(number))
        except OSError as error:
            self._lost(error)
            raise
        self.commit()
        self.acknowledged = number
        self._losing = self._losing and number < self.last_number

    def begin_epoch(self) -> None:
        """The numbers go on in another epoch, durably: under those that follow the HES has other
        records already. Once in a life is enough."""
        if not self.epoch or self.epoch == self._new_epoch:
            return
        before = self.epoch
        try:
            self._roll()
            self.epoch = self._new_epoch
            self._begin()
            self.commit()
        except OSError as error:
            self._lost(error)
            self.epoch = before
            raise

    # What is here.

    @property
    def first(self) -> int:
        """The oldest number that is not acknowledged, and if none waits the next."""
        return self.acknowledged + 1

    @property
    def next(self) -> int:
        """The number that the next record will get."""
        return self.last_number + 1

    def records(self, after: int, size: int) -> tuple[list[bytes], int]:
        """The records with numbers above `after`, oldest first, of `size` octets in all unless a
        single one is larger, and the last number that they account for. What is lost has a Lost
        record; what is to be asked for a Kept one."""
        found: list[bytes] = []
        kept = 0  # the last of those that stay here, none of them in `found` yet
        number, total = max(after, self.acknowledged), 0
        for last, kind, position, octets in self._numbered(number):
            if last > self.released:
                break
            if kind in (ASKED, ROWS_ASKED):
                kept = number = last
                continue
            more = len(octets) + 12
            if found and total + more > size:
                break
            if kept:
                found.append(reading_record.encode(Kept(kept)))
                kept = 0
            found.append(octets)
            number, total = last, total + more
            if position:
                self._read_last = (last, position)
            if total >= size:
                break
        if kept:
            found.append(reading_record.encode(Kept(kept)))
        return found, number

    def stored(self, key: bytes) -> Iterator[Rows]:
        """All rows of a series that are on the flash, as they came."""
        for _, payload in self.journal.records():
            if entries.is_of(payload, key):
                yield reading_record.decode(record_of(payload))  # type: ignore[misc]

    def with_layouts(self, key: bytes) -> Iterator[tuple[Rows, bytes]]:
        """As stored(), each with the octets of its Layout."""
        layouts: dict[int, bytes] = {}
        for _, payload in self.journal.records():
            if payload[0] in (PLAIN, ASKED) and payload[2] == _LAYOUT:
                layouts[reading_record.layout_id(payload[1:])] = payload[1:]
            elif entries.is_of(payload, key):
                found = reading_record.decode(record_of(payload))
                assert isinstance(found, reading_record.Rows)
                yield found, layouts[found.layout]

    def size(self) -> int:
        """Octets on the flash."""
        return self.journal.size()

    # Inside.

    def _numbered(self, after: int) -> Iterator[tuple[int, int, int, bytes]]:
        """(last number, kind, position, record) of the records above `after`."""
        number, start = self._read_last
        skip = number == after and start > 0
        if not skip:
            number, start = self._place_of(after)
        for position, payload in self.journal.records(start):
            kind = payload[0]
            if skip:
                skip = False
                continue
            if kind == BEGIN:
                first = entries.begun(payload)[1]
                if first > number + 1 and first > after + 1:
                    reason = DAMAGE if number else NO_ROOM
                    yield first - 1, PLAIN, 0, reading_record.encode(Lost(first - 1, reason))
                number = first - 1
            elif kind <= ROWS_ASKED:
                number += 1
                if number > after:
                    yield number, kind, position, record_of(payload)

    def _place_of(self, after: int) -> tuple[int, int]:
        """A number, and where those that follow it stand: not behind the one after `after`."""
        place = (0, 0)
        for segment, first, _ in self._begins:
            if first > after + 1:
                break
            place = (first - 1, beginning_of(segment))
        return place

    def _append_one(self, one: Written, asked: bool) -> None:
        if one.rows is None:
            self._append(entries.plain(one.octets, asked))
            return
        key, last, digest, counts = one.rows
        position = self._append(entries.rows(one.rows, one.octets, asked))
        self._undo.append(self.series.note(key, last, digest, segment_of(position), counts))

    def _append(self, payload: bytes) -> int:
        position = self.journal.append(payload)
        self._next += 1
        return position

    def _begin(self) -> None:
        """A segment begins."""
        now = self._clock.unix_time()
        entry = entries.begin(self.epoch, self._next, self.acknowledged, now)
        position = self.journal.append(entry)
        self._begins.append((segment_of(position), self._next, now))

    def _sync(self) -> None:
        try:
            self.journal.commit()
        except OSError as error:
            self._lost(error)
            raise
        self.last_number = self._next - 1
        self.released = max(self.released, min(self._release, self.last_number))
        self._undo, self._new_layouts = [], []

    def _roll(self) -> None:
        self._sync()
        self.journal.roll()
        self._layouts, self._new_layouts = set(), []

    def _make_room(self) -> None:
        """The newest segment has its beginning, and there is room for it."""
        limits, journal = self._limits, self.journal
        if not self.epoch:
            self.epoch = self._new_epoch
        if not journal.newest_size():
            self._begin()
        if self._to_carry:
            self._carry(self._begins[0][0])
        if self._room_in == journal.newest():
            return
        while (
            journal.size() + 2 * self._segment_size > limits.readings_bytes
            or self._is_too_old()
            or self._storage.free() < limits.free_bytes + self._segment_size
        ):
            if not self._drop_oldest():
                if self._storage.free() < limits.free_bytes:
                    raise OSError(_ENOSPC, "no room for readings")
                break
        self._room_in = journal.newest()

    def _is_too_old(self) -> bool:
        begins = self._begins
        if not self.keep_days or len(begins) < 2 or begins[1][1] > self.acknowledged + 1:
            return False
        return begins[1][2] < self._clock.unix_time() - self.keep_days * _DAY

    def _drop_oldest(self, carry: bool = True) -> bool:
        """False: there is none but the newest. Its series are written again first."""
        oldest, journal = self._begins[0][0] if self._begins else 0, self.journal
        if len(self._begins) < 2 or oldest == journal.newest():
            return False
        if carry:
            self._carry(self._begins[1][0])
        last = self._begins[1][1] - 1
        journal.drop_before(self._begins[1][0])
        self._begins.pop(0)
        self._read_last = (0, 0)
        if last > self.acknowledged and not self._losing:
            self._losing = True
            what = "no room for those up to %d, and the HES has those up to %d"
            self._tell("readings-lost", what % (last, self.acknowledged))
        return True

    def _carry(self, segment: int) -> None:
        """Write again, in the newest segment, the series whose last record is in one before."""
        series = list(self.series.before(segment))
        for start in range(0, len(series), _CARRIED_AT_ONCE):
            part = series[start : start + _CARRIED_AT_ONCE]
            self.journal.append(bytes([CARRIED]) + b"".join(part))
        # In any case: a series whose new record is not durable yet must not lose the one before.
        self._sync()
        for raw in series:
            self.series.carried(raw, self.journal.newest())
        self._to_carry = False

    def _lost(self, error: OSError) -> None:
        """What was not durable yet is not in the journal any more."""
        self._failures += 1
        while self._undo:
            self.series.undo(self._undo.pop())
        self._layouts.difference_update(self._new_layouts)
        self._new_layouts = []
        self._next = self.last_number + 1
        self._release = self.released
        self._room_in = 0
        try:
            self.journal.abandon()
        except OSError:
            pass  # it is cut off before the next record
        begun = self._begins and self._begins[-1][0] == self.journal.newest()
        if begun and not self.journal.newest_size():
            self._begins.pop()
        if not self._begins:
            self.epoch = 0
        if error.errno == _ENOSPC:
            self._make_room_at_any_price()

    def _make_room_at_any_price(self) -> None:
        """For the next try: there is not even room to write its series again. That is done with
        the next record; if the power goes before, they are read from the beginning."""
        try:
            if self._drop_oldest(False):
                self._to_carry = True
        except OSError as error:
            log.error(_WHERE, "storage: %s" % error)

    def _end_group(self, group: Group) -> None:
        try:
            self.commit()
            if group.failures == self._failures:
                group.error = None
            # else somebody else's write failed, and took this one with it
        except OSError as error:
            group.error = error.errno
        finally:
            group.over.set()

    # Recovery.

    def _recover(self) -> None:
        recovery = self.journal.recover(self._replay)
        for note in recovery.notes:
            log.warning(_WHERE, note)
        self.last_number = self._release = self.released = self._next - 1
        if not recovery.damaged:
            return
        self._next += _AFTER_DAMAGE
        self.last_number = self.released = self._next - 1
        self._tell("readings-cut", "; ".join(recovery.notes)[:200])
        try:
            self._roll()
            self._begin()
            self.commit()
        except OSError as error:
            log.error(_WHERE, "storage: %s" % error)

    def _replay(self, position: int, payload: bytes) -> None:
        kind = payload[0]
        try:
            if kind == BEGIN:
                self.epoch, self._next, acknowledged, began = entries.begun(payload)
                self.acknowledged = max(self.acknowledged, acknowledged)
                self._begins.append((segment_of(position), self._next, began))
                self._layouts = set()
            elif kind == ACKNOWLEDGED:
                self.acknowledged = entries.number_of(payload)
            elif kind == CARRIED:
                for start in range(1, len(payload), SIZE):
                    self.series.carried(payload[start : start + SIZE], segment_of(position))
            else:
                self._replay_record(position, kind, payload)
        except entries.NOT_UNDERSTOOD as error:
            # Its CRC is right: another version of the firmware wrote it.
            log.error(_WHERE, "record at %d is not understood: %r" % (position, error))

    def _replay_record(self, position: int, kind: int, payload: bytes) -> None:
        self._next += 1
        if kind in (ROWS, ROWS_ASKED):
            key, last, digest, counts = entries.head_of(payload)
            self.series.note(key, last, digest, segment_of(position), counts)
        elif payload[1:3] and payload[2] == 1:  # an array whose first is 1
            self._layouts.add(reading_record.layout_id(payload[1:]))


class Group:
    """Those who share a sync."""

    __slots__ = ("error", "failures", "over")

    def __init__(self, failures: int) -> None:
        self.failures = failures  # the store's count when it began
        self.over = asyncio.Event()
        self.error: int | None = _EIO  # errno
