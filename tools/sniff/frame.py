"""What is sniffed: bytes as they came, frames as they stand in them, and the layers inside."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Chunk:
    """Bytes seen at once. `at_ms`: since 1970 where above 1e11, else since the beginning; None: not
    known. `outward`: from the host to the modem or meter; None: not known. `stream`: which line or
    connection, "" where there is one only. `peer`: the meter there, as an inventory spells it,
    where the source knows and the line does not say."""

    data: bytes
    at_ms: int | None = None
    outward: bool | None = None
    stream: str = ""
    peer: str = ""


@dataclass(frozen=True)
class Raw:
    """One frame without escapes, or what should have been one: then `damage` is its kind, and
    `why` says what was expected and what came. `offset`: bytes on the line before it. Of what is
    damaged, `size`: its bytes on the line, and `known`: what is right of it tells whose it is."""

    data: bytes
    offset: int
    damage: str = ""
    why: str = ""
    size: int = 0
    known: bool = False


@dataclass(frozen=True)
class Part:
    """Some bytes of a layer, and what they mean. `raw` is empty where they are not to be shown."""

    name: str
    raw: bytes
    text: str = ""


@dataclass
class Layer:
    """`text`: all of it in one line; `parts`: byte by byte."""

    name: str
    text: str
    parts: list[Part] = field(default_factory=list)


@dataclass(frozen=True)
class Carried:
    """An APDU on its way between a client and a server. `peer`: the node or meter, as the line
    calls it; "" where only the SAPs do."""

    apdu: bytes
    client: int
    server: int
    peer: str = ""


@dataclass
class Decoded:
    """The layers of one frame, outermost first."""

    layers: list[Layer]
    outward: bool | None = None
    carried: Carried | None = None
    damage: str = ""  # a kind, when a layer does not hold together


@dataclass
class Frame:
    """`number` counts from 1; `offset`: bytes of its stream and direction before it."""

    number: int
    at_ms: int | None
    outward: bool | None
    stream: str
    offset: int
    layers: list[Layer]
    damage: str = ""


class Reader:
    """Takes parts off the front of some bytes. ValueError where they end early."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self.parts: list[Part] = []

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, name: str, size: int, text: str = "") -> bytes:
        """The next `size` bytes, entered among the parts."""
        if size > self.left:
            raise ValueError("%s: expected %d bytes, %d are left" % (name, size, max(0, self.left)))
        raw = self._data[self._at : self._at + size]
        self._at += size
        self.parts.append(Part(name, raw, text))
        return raw

    def number(self, name: str, size: int = 1, text: str = "") -> int:
        """The same as a big-endian number; without a text it is shown in decimal."""
        value = int.from_bytes(self.take(name, size), "big")
        self.parts[-1] = Part(name, self.parts[-1].raw, text or str(value))
        return value

    def named(self, name: str, names: dict[int, str], size: int = 1) -> int:
        """A number that has a name."""
        value = self.number(name, size)
        known = names.get(value)
        self.parts[-1] = Part(name, self.parts[-1].raw, known or "%0*x" % (2 * size, value))
        return value

    def inner(self, name: str, size: int) -> bytes:
        """Bytes that are the next layer's: they are counted here, and shown there."""
        raw = self.take(name, size)
        self.parts[-1] = Part(name, b"", "%d bytes" % size)
        return raw

    def rest(self, name: str) -> bytes:
        return self.take(name, self.left) if self.left else b""
