"""What a package does or demands, with the place where the author wrote it."""

from __future__ import annotations

from dataclasses import dataclass

from tools.cosem.source import Item
from tools.cosem.values import Typed

WRITE, CALL, READ = "write", "call", "read"


@dataclass(frozen=True)
class Entry:
    """`index` an attribute, of a CALL a method; `typed` its value or parameter. `item` is where the
    value stands; `raw`: it is written as typed values there, element by element. `checked`: it must
    hold at the end.
    """

    kind: str
    class_id: int
    obis: bytes
    index: int
    typed: Typed | None
    item: Item
    raw: bool
    checked: bool = True

    @property
    def key(self) -> tuple[int, bytes, int]:
        return self.class_id, self.obis, self.index
