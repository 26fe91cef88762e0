"""Where the members of a meter's objects stand among its short names (Blue Book 4.1.2, and the
column "Short name" of each class).

An attribute stands at the base name + 8 * (attribute - 1); the methods begin where the class's
table says, in steps of 8.
"""

from __future__ import annotations

from gateway.dlms.data import axdr
from gateway.dlms.errors import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.dlms.data.axdr import Typed

NEXT = 8  # from one attribute or method to the next one

# class << 8 | version: offset of the first method << 16 | its number << 8 | the last one's number
_METHODS = {
    0x0300: 0x280101,  # register
    0x0400: 0x380101,
    0x0500: 0x480102,
    0x0600: 0x300103,
    0x0700: 0x580104,  # profile generic
    0x0701: 0x580104,
    0x0800: 0x600106,  # clock
    0x0900: 0x200101,
    0x0A00: 0x200103,
    0x0B00: 0x100102,
    0x0C00: 0x200108,  # association SN; since version 1 methods 1 and 2 are reserved
    0x0C01: 0x300308,
    0x0C02: 0x300308,
    0x0C03: 0x30030A,
    0x0C04: 0x30030A,
    0x1100: 0x200101,
    0x1200: 0x400104,  # image transfer
    0x1400: 0x500101,
    0x2800: 0x380101,
    0x2A00: 0x600103,
    0x3D00: 0x280102,
    0x4000: 0x280102,  # security setup
    0x4001: 0x300108,
    0x4100: 0x200102,
    0x4300: 0x800101,
    0x4600: 0x200102,  # disconnect control
    0x4800: 0x600108,
    0x4801: 0x700108,
}
# class << 8 | method: read_by_logicalname, reply_to_HLS_authentication; key_agreement,
# generate_certificate_request, export_certificate
_RETURNING = (0x0C03, 0x0C08, 0x4003, 0x4005, 0x4007)

_ROW = 11  # class, logical name, version, base name


def methods_of(class_id: int, version: int) -> tuple[int, int, int] | None:
    """(offset of the first method, its number, the last one's number); None where the class has no
    methods, or is not known in this version."""
    found = _METHODS.get(class_id << 8 | version)
    return None if found is None else (found >> 16, found >> 8 & 0xFF, found & 0xFF)


def returns(class_id: int, method: int) -> bool:
    """Whether the method has something to give back."""
    return class_id << 8 | method in _RETURNING


class BaseNames:
    """The base names of a meter's objects, in 11 bytes each: 1000 objects take 11 kB, and twice
    that for a moment while the list is read."""

    def __init__(self) -> None:
        self._coming = bytearray()
        self._rows = b""

    def __len__(self) -> int:
        return self.size // _ROW

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self._coming) + len(self._rows)

    def add(self, typed: list[Typed]) -> None:
        """One element of the object list (Blue Book 4.4.3); ProtocolError where it is not one."""
        if [tag for tag, _ in typed] != [
            axdr.LONG,
            axdr.LONG_UNSIGNED,
            axdr.UNSIGNED,
            axdr.OCTET_STRING,
        ]:
            raise ProtocolError("an element is not base name, class, version, logical name")
        base, class_id, version, name = [value for _, value in typed]
        if len(name) != 6:
            raise ProtocolError("a logical name of %d bytes" % len(name))
        # signed in the list, and unsigned everywhere else
        base &= 0xFFFF
        self._coming.extend(bytes((class_id >> 8, class_id & 0xFF)))
        self._coming.extend(name)
        self._coming.extend(bytes((version, base >> 8, base & 0xFF)))

    def complete(self) -> None:
        self._rows = bytes(self._coming)
        self._coming = bytearray()

    def find(self, class_id: int, name: bytes) -> tuple[int, int] | None:
        """(base name, version)."""
        pos = self._aligned(bytes((class_id >> 8 & 0xFF, class_id & 0xFF)) + name, 0)
        if pos < 0:
            return None
        return self._base(pos), self._rows[pos + 8]

    def named(self, name: bytes) -> bool:
        """Whether an object of any class has this logical name."""
        return self._aligned(name, 2) >= 0

    def next_base(self, base: int) -> int:
        """The lowest base name above this one; 0x10000 where there is none."""
        found = 0x10000
        for pos in range(0, len(self._rows), _ROW):
            if base < self._base(pos) < found:
                found = self._base(pos)
        return found

    def _base(self, pos: int) -> int:
        return self._rows[pos + 9] << 8 | self._rows[pos + 10]

    def _aligned(self, wanted: bytes, offset: int) -> int:
        """Where the row begins that has `wanted` at `offset`; -1: there is none."""
        pos = self._rows.find(wanted)
        while pos >= 0 and pos % _ROW != offset:
            pos = self._rows.find(wanted, pos + 1)
        return pos - offset if pos >= 0 else -1
