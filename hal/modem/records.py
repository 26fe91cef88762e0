"""Records of equal size in one block of memory: no heap fragments however long they come and go."""

from __future__ import annotations


def index_of(table: bytearray, record: bytes) -> int:
    """Position of a record, counted in records; -1 when it is not there."""
    size = len(record)
    position = table.find(record)
    while position >= 0:
        if position % size == 0:
            return position // size
        position = table.find(record, position + 1)
    return -1


class AddressSet:
    """Addresses of `size` bytes, the first `limit` that were added. None is all zeros."""

    def __init__(self, size: int, limit: int) -> None:
        self._size = size
        self._limit = limit
        self._table = bytearray(size * limit)
        self._count = 0

    def add(self, address: bytes) -> None:
        if self._count >= self._limit or index_of(self._table, address) >= 0:
            return
        start = self._count * self._size
        self._table[start : start + self._size] = address
        self._count += 1

    def remove(self, address: bytes) -> bool:
        """False when it is not there. The last one takes its place."""
        index = index_of(self._table, address)
        if index < 0:
            return False
        size = self._size
        self._count -= 1
        last = self._count * size
        self._table[index * size : (index + 1) * size] = self._table[last : last + size]
        self._table[last : last + size] = bytes(size)
        return True

    def texts(self) -> list[str]:
        """All of them as hex digits, in the order they came."""
        size = self._size
        return [self._table[i * size : (i + 1) * size].hex() for i in range(self._count)]
