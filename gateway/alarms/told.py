"""Which alarms of which meters have been told, and are still set: what is told once is told again
only after it has been gone.

One small file, replaced as a whole whenever it changes; before a meter is written to. Of more
meters than MOST the one that changed longest ago is forgotten, and told once more.
"""

from __future__ import annotations

from hal.rt import cbor, log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hal.ports import Storage

WHERE = "alarms"
FILE = "alarms"
MOST = 512  # meters
_MAX_FILE = 1 << 16


class Told:
    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._bits: dict[str, dict[str, list[int]]] = {}  # by serial and source
        self._order: list[str] = []  # serials, the one that changed last at the end
        self._read()

    def fresh(self, serial: str, source: str, bits: list[int]) -> list[int]:
        """Those of `bits` that were not told."""
        told = self._bits.get(serial, {}).get(source, [])
        return [bit for bit in bits if bit not in told]

    def add(self, serial: str, source: str, bits: list[int]) -> None:
        """They have been told, durably. OSError."""
        before = self._bits.get(serial, {}).get(source, [])
        self._put(serial, source, sorted(set(before + bits)))

    def stay(self, serial: str, source: str, bits: list[int]) -> None:
        """So much is set now; what is not may be told again once it is. OSError."""
        before = self._bits.get(serial, {}).get(source, [])
        kept = [bit for bit in before if bit in bits]
        if kept != before:
            self._put(serial, source, kept)

    def _put(self, serial: str, source: str, bits: list[int]) -> None:
        of_meter = self._bits.setdefault(serial, {})
        if bits:
            of_meter[source] = bits
        else:
            of_meter.pop(source, None)
        if serial in self._order:
            self._order.remove(serial)
        if of_meter:
            self._order.append(serial)
        else:
            del self._bits[serial]
        if len(self._order) > MOST:
            del self._bits[self._order.pop(0)]
        rows = [[each, self._rows(each)] for each in self._order]
        self._storage.replace(FILE, cbor.encode([1, rows]))

    def _rows(self, serial: str) -> list[Any]:
        of_meter = self._bits[serial]
        return [[source, of_meter[source]] for source in sorted(of_meter)]

    def _read(self) -> None:
        try:
            if not 0 < self._storage.size(FILE) <= _MAX_FILE:
                return
            _, rows = cbor.decode(self._storage.read(FILE))
            for serial, sources in rows[:MOST]:
                self._bits[serial] = {}
                for source, bits in sources:
                    self._bits[serial][source] = list(bits)
                self._order.append(serial)
        except (OSError, ValueError, TypeError):
            self._bits, self._order = {}, []
            log.warning(WHERE, "%s is damaged: alarms that are set may be told again" % FILE)
