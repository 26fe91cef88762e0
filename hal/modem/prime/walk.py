"""Which nodes has the base node? Its list is read page by page, at the start and now and then.

Nodes registered before the gateway started never announce themselves again. Management protocol
06, PIB 8250 (nodes connected at layer 4-32), 30 records at a time:

    06: 0E 8250 max(1) iterator(2)
    07: 0F 8250 records(1) size(1) [iterator(2) node(2) serial(16) serial length(1) EUI48(6)]...

`size` leaves out the iterator; a page shorter than asked for is the last; the next page is asked
for with the last iterator + 1. Source: Microchip's public PRIME host software; computed, not seen
on a wire.
"""

from __future__ import annotations

from hal.modem.prime.api import PIB_432_NODES
from hal.rt.hexed import hexed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.modem.prime.nodes import NodeTable

LIST_QUERY = 0x0E
LIST_RESPONSE = 0x0F
LIST_PAGE = 30
LIST_RECORD = 25  # node, serial, its length, EUI-48: what we need of a record
_TRIES = 3
_AGAIN = 12  # a walk without an answer is repeated after so many times answer_ms


class Walk:
    """Asks and takes in; the driver sends the queries and enters the nodes, marking each."""

    def __init__(self, nodes: NodeTable, answer_ms: int, refresh_ms: int) -> None:
        """answer_ms: how long a page may take. refresh_ms: from one walk to the next."""
        self._nodes = nodes
        self._answer_ms = answer_ms
        self._refresh_ms = refresh_ms
        self._iterator = 0
        self._tries = 0
        self.due_ms = 0  # when tick() has something to do
        self.active = False
        self.unanswered = 0  # walks given up

    def begin(self, now_ms: int) -> bytes:
        """Start anew; returns the first query, data of a frame of protocol 06."""
        self.active = True
        self._nodes.unmark()
        self._iterator = 0
        self._tries = 0
        return self._ask(now_ms)

    def hurry(self, now_ms: int) -> None:
        """There is a node we do not know: walk soon, but not more often than in `answer_ms`."""
        if not self.active:
            self.due_ms = min(self.due_ms, now_ms + self._answer_ms)

    def tick(self, now_ms: int) -> bytes:
        """The query that is due now; b"" when none is."""
        if now_ms < self.due_ms:
            return b""
        if not self.active:
            return self.begin(now_ms)
        if self._tries < _TRIES:
            return self._ask(now_ms)
        self.unanswered += 1
        self._end(now_ms)
        # The modem was not ready, or hung: until it tells of its nodes none can be reached.
        self.due_ms = now_ms + min(self._refresh_ms, _AGAIN * self._answer_ms)
        return b""

    def answer(self, data: bytes, now_ms: int) -> tuple[list[tuple[int, bytes]], bytes] | None:
        """Data of a frame of protocol 07: ([(node, EUI-48)], the next query or b"" after the last
        page). None when it was not asked for, ValueError when it is malformed."""
        if len(data) < 5 or data[0] != LIST_RESPONSE:
            raise ValueError("PRIME: expected a list, got %s" % hexed(data[:5]))
        if int.from_bytes(data[1:3], "big") != PIB_432_NODES or not self.active:
            return None
        records = data[3]
        size = 2 + data[4]
        if records and (size < 2 + LIST_RECORD or len(data) < 5 + records * size):
            raise ValueError("PRIME: %d bytes hold no %d records" % (len(data), records))
        nodes = []
        iterator = -1
        for index in range(records):
            record = data[5 + index * size :][:size]
            iterator = int.from_bytes(record[:2], "big")
            nodes.append((int.from_bytes(record[2:4], "big"), record[21:27]))
        if records >= LIST_PAGE and self._iterator <= iterator < 0x7FFF:
            self._iterator = iterator + 1
            self._tries = 0
            return nodes, self._ask(now_ms)
        self._end(now_ms)
        return nodes, b""

    def _ask(self, now_ms: int) -> bytes:
        self._tries += 1
        self.due_ms = now_ms + self._answer_ms
        query = bytes((LIST_QUERY, PIB_432_NODES >> 8, PIB_432_NODES & 0xFF, LIST_PAGE))
        return query + self._iterator.to_bytes(2, "big")

    def _end(self, now_ms: int) -> None:
        self.active = False
        self.due_ms = now_ms + self._refresh_ms
