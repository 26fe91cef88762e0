"""From chunks to frames: finds out what a line speaks, keeps each direction's bytes apart, and puts
the layers together."""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import replace

from gateway.dlms.hdlc import mode_e
from tools.sniff import framing, plc, radio
from tools.sniff.cosem import Cosem
from tools.sniff.frame import Chunk, Decoded, Frame, Layer, Part, Raw
from tools.sniff.keys import Keys
from tools.sniff.lines import HdlcLine, WrapperLine, direction
from tools.sniff.prime import Nodes

AUTO = "auto"
_ENOUGH = 24  # bytes in good frames that tell what a line speaks
_MOST_UNKNOWN = 8192  # bytes kept until then
_STREAMS = 256  # lines or connections at once
_NAMES = 1024  # of what the summary counts


class _Line:
    """One stream whose format is known."""

    def __init__(self, name: str) -> None:
        self.format = name
        self._framers: dict[bool | None, framing.Framer] = {}
        self._nodes = Nodes()
        self._wrapper = WrapperLine()
        self._hdlc = HdlcLine()
        self._with_rssi = False

    def feed(self, chunk: Chunk) -> list[Raw]:
        framer = self._framers.get(chunk.outward)
        if framer is None:
            framer = self._framers[chunk.outward] = framing.framer(self.format)
        return framer.feed(chunk.data, chunk.at_ms)

    def end(self) -> list[tuple[bool | None, Raw]]:
        return [(way, raw) for way, framer in self._framers.items() for raw in framer.end()]

    def decode(self, raw: Raw, outward: bool | None) -> Decoded:
        if raw.damage:
            return self._damaged(raw)
        if self.format == framing.USI:
            return plc.decode(raw.data, self._nodes)
        if self.format == framing.IMST:
            return radio.imst(raw.data)
        if self.format == framing.AMBER:
            learnt = radio.learn_rssi(raw.data)
            if learnt is not None:
                self._with_rssi = learnt
            return radio.module(raw.data, self._with_rssi)
        if self.format == framing.WRAPPER:
            return self._wrapper.decode(raw.data, outward)
        return self._hdlc.decode(raw.data, outward)

    def _damaged(self, raw: Raw) -> Decoded:
        """The first bytes only: what stands further in may be a secret."""
        if self.format == framing.HDLC and raw.damage == framing.NOISE:
            message = _mode_e(raw.data)
            if message:
                return Decoded([Layer("mode E", message)])
        head = raw.data[:8]
        layer = Layer(_TITLES[self.format], raw.why, [Part("begins", head)])
        return Decoded([layer], damage=raw.damage)


_TITLES = {
    framing.USI: "USI",
    framing.IMST: "IMST",
    framing.AMBER: "Amber",
    framing.WRAPPER: "wrapper",
    framing.HDLC: "HDLC",
}


def _mode_e(noise: bytes) -> str:
    """What an optical probe's opening says; "" for anything else."""
    text = bytes(byte & 0x7F for byte in noise)
    if not (text[:1] in (b"/", b"\x06") and text.endswith(b"\r\n")):
        return ""
    messages = mode_e.Messages().feed(noise)
    return (
        "".join(chr(b) if 0x20 <= b < 0x7F else "\\x%02x" % b for b in messages[0])
        if len(messages) == 1
        else ""
    )


class _Unknown:
    """A stream whose format is not known yet: all are tried side by side."""

    def __init__(self) -> None:
        self.chunks: list[Chunk] = []
        self._size = 0
        self._lines = {name: _Line(name) for name in framing.FORMATS}
        self._good: Counter[str] = Counter()

    def feed(self, chunk: Chunk) -> str:
        """The format, once it is known."""
        self.chunks.append(chunk)
        self._size += len(chunk.data)
        for name, line in self._lines.items():
            for raw in line.feed(chunk):
                self._weigh(name, raw)
        (best, size), (_, second) = ([*self._good.most_common(2), ("", 0), ("", 0)])[:2]
        if size >= _ENOUGH and size > 2 * second:
            return best
        return (self.guess() or framing.USI) if self._size > _MOST_UNKNOWN else ""

    def guess(self) -> str:
        """The best there is; "" where nothing is a frame of any kind."""
        for name, line in self._lines.items():
            for _, raw in line.end():
                self._weigh(name, raw)
        best = self._good.most_common(1)
        return best[0][0] if best else ""

    def _weigh(self, name: str, raw: Raw) -> None:
        """A wrapper has no check sequence, and Amber's is short: they count where an APDU, or a
        command that there is, stands in them."""
        if raw.damage:
            return
        if name == framing.WRAPPER and direction(raw.data[8:9]) is None:
            control = raw.data[2:6] in (b"\0\1\0\0", b"\0\0\0\1") and 1 <= raw.data[8] <= 4
            protected = raw.data[8] in (0xDB, 0xDC, 0xDD, 0xDF, 0xE0)
            if not control and not protected:
                return
        if name == framing.AMBER and raw.data[1] & 0x7F > 0x11:
            return
        if name == framing.IMST and not raw.data[1] & 0x80 and len(raw.data) > 4:
            return
        self._good[name] += len(raw.data)


class Decoder:
    """feed() and end() give frames in the order in which they were complete. Holds no more than
    what is not a frame yet, and of what passed no more than counts and who spoke to whom."""

    def __init__(self, format: str = AUTO, keys: Keys | None = None) -> None:
        self.format = format
        self.cosem = Cosem(keys)
        self.frames = 0
        self.bytes = 0
        self.damage: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()  # layers, and what is said in them, by name
        self.formats: dict[str, str] = {}  # of streams, as found out
        self._lines: OrderedDict[str, _Line | _Unknown] = OrderedDict()

    def feed(self, chunk: Chunk) -> list[Frame]:
        self.bytes += len(chunk.data)
        line = self._lines.get(chunk.stream)
        ended: list[Frame] = []
        if line is None:
            line = _Unknown() if self.format == AUTO else _Line(self.format)
            self._lines[chunk.stream] = line
            if len(self._lines) > _STREAMS:
                ended = self._end(*self._lines.popitem(last=False))
        if isinstance(line, _Line):
            return ended + self._frames(line, chunk)
        name = line.feed(chunk)
        return ended + (self._settle(chunk.stream, line, name) if name else [])

    def end(self) -> list[Frame]:
        """There is no more: what was not known yet is guessed, what is incomplete is given up."""
        found = []
        for stream, line in list(self._lines.items()):
            found += self._end(stream, line)
        self._lines.clear()
        return found

    def _end(self, stream: str, line: _Line | _Unknown) -> list[Frame]:
        found = []
        if isinstance(line, _Unknown):
            found += self._settle(stream, line, line.guess() or framing.USI)
            line = self._lines.pop(stream)
            assert isinstance(line, _Line)
        for outward, raw in line.end():
            found.append(self._frame(line, raw, Chunk(b"", None, outward, stream)))
        return found

    def _settle(self, stream: str, unknown: _Unknown, name: str) -> list[Frame]:
        line = self._lines[stream] = _Line(name)
        if len(self.formats) < _STREAMS:
            self.formats[stream] = name
        return [frame for chunk in unknown.chunks for frame in self._frames(line, chunk)]

    def _frames(self, line: _Line, chunk: Chunk) -> list[Frame]:
        return [self._frame(line, raw, chunk) for raw in line.feed(chunk)]

    def _frame(self, line: _Line, raw: Raw, chunk: Chunk) -> Frame:
        decoded = line.decode(raw, chunk.outward)
        outward = chunk.outward if chunk.outward is not None else decoded.outward
        carried = decoded.carried
        if carried is not None:
            if not carried.peer and chunk.peer:
                carried = replace(carried, peer=chunk.peer)
            serial = self.cosem.keys.serial(carried.peer)
            if serial:
                decoded.layers[-1].text += " [%s]" % serial
            to_meter = decoded.outward if decoded.outward is not None else outward
            if to_meter is None:
                to_meter = direction(carried.apdu)
            decoded.layers += self.cosem.layers(carried, to_meter, chunk.stream)
        self.frames += 1
        if decoded.damage:
            self.damage[decoded.damage] += 1
        for layer in decoded.layers:
            word = layer.name
            if layer.name == "COSEM" and not decoded.damage:
                word += " " + layer.text.split(" ")[0].rstrip(",")
            if word in self.kinds or len(self.kinds) < _NAMES:
                self.kinds[word] += 1
        return Frame(
            self.frames,
            chunk.at_ms,
            outward,
            chunk.stream,
            raw.offset,
            decoded.layers,
            decoded.damage,
        )
