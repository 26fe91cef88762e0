"""The nodes of a PRIME network: 4-32 address (12 bits) to EUI-48 and back.

One block of memory taken once: 2,000 nodes coming and going over weeks fragment no small heap.
"""

from __future__ import annotations

from hal.modem.records import index_of

MAX_NODES = 2000
FIRST_RESERVED = 0x0FFE  # from here on: the base node's own and broadcast
_SIZE = 6
_EMPTY = bytes(_SIZE)


class NodeTable:
    """At most 2,000 nodes. An EUI-48 is text, 12 lower-case hex digits; a node's number its 4-32
    address.
    """

    def __init__(self) -> None:
        self._table = bytearray(FIRST_RESERVED * _SIZE)
        self._marks = bytearray(FIRST_RESERVED)
        self._count = 0
        self._top = 0  # all nodes ever entered are below

    def __len__(self) -> int:
        return self._count

    def address(self, node: int) -> str | None:
        """The EUI-48 of a node."""
        if not 0 <= node < FIRST_RESERVED:
            return None
        eui48 = self._table[node * _SIZE : (node + 1) * _SIZE]
        return None if eui48 == _EMPTY else eui48.hex()

    def node(self, address: str) -> int | None:
        """The node of an EUI-48; None also when the text is none."""
        try:
            eui48 = bytes.fromhex(address)
        except ValueError:
            return None
        if len(eui48) != _SIZE or eui48 == _EMPTY:
            return None
        node = index_of(self._table, eui48)
        return None if node < 0 else node

    def put(self, node: int, address: str) -> bool:
        """Enter a node whose number and EUI-48 are both free; False when the table is full."""
        if self._count >= MAX_NODES:
            return False
        self._table[node * _SIZE : (node + 1) * _SIZE] = bytes.fromhex(address)
        self._count += 1
        self._top = max(self._top, node + 1)
        return True

    def remove(self, node: int) -> str | None:
        """Take a node out; its EUI-48, or None when there was none."""
        address = self.address(node)
        if address is not None:
            self._table[node * _SIZE : (node + 1) * _SIZE] = _EMPTY
            self._count -= 1
        return address

    def clear(self) -> None:
        for node in range(self._top):
            self.remove(node)

    def addresses(self) -> list[str]:
        found = []
        for node in range(self._top):
            address = self.address(node)
            if address is not None:
                found.append(address)
        return found

    # Which nodes a walk through the modem's own list has seen

    def unmark(self) -> None:
        for node in range(self._top):
            self._marks[node] = 0

    def mark(self, node: int) -> None:
        self._marks[node] = 1

    def unmarked(self) -> list[int]:
        """Nodes entered but not marked."""
        return [
            node
            for node in range(self._top)
            if not self._marks[node] and self.address(node) is not None
        ]
