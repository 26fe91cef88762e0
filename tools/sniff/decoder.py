"""From chunks to frames: finds out what a line speaks, keeps each direction's bytes apart, and puts
the layers together."""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import replace

from gateway.dlms.apdu import short
from gateway.dlms.apdu.acse import AARQ, RLRE
from gateway.dlms.errors import DlmsError
from gateway.dlms.hdlc import mode_e
from gateway.dlms.protection.tags import PROTECTED
from tools.dlms import p1
from tools.sniff import framing, kinds, mbus, plc, radio
from tools.sniff.cosem import Cosem
from tools.sniff.frame import Carried, Chunk, Decoded, Frame, Layer, Part, Raw
from tools.sniff.keys import Keys
from tools.sniff.lines import HdlcLine, WrapperLine
from tools.sniff.prime import Nodes
from tools.sniff.tags import direction

AUTO = "auto"
_ENOUGH = 24  # bytes in good frames that tell what a line speaks
_MOST_UNKNOWN = 16384  # bytes kept until then
# Chance makes frames of short check sequences: they have to be this part of all bytes, before it is
# decided early, and in the end.
_EARLY_PART, _PART = 2, 4
# Formats whose frames chance does not make, the surest first; the others in their order
_SURE = (framing.HDLC, framing.P1, framing.MBUS)
_ORDER = (*_SURE, framing.USI, framing.WRAPPER, framing.IMST, framing.AMBER)
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
        self._mbus = mbus.MbusLine()
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
        if self.format == framing.MBUS:
            return self._mbus.decode(raw.data)
        if self.format == framing.P1:
            return _p1(raw.data)
        if self.format == framing.CIPHERED_P1:
            line = Layer("P1", "ciphered, %d bytes" % len(raw.data))
            return Decoded([line], False, Carried(raw.data, 0, 0))
        return self._hdlc.decode(raw.data, outward)

    def _damaged(self, raw: Raw) -> Decoded:
        """The first bytes only: what stands further in may be a secret."""
        if raw.damage == kinds.NOISE:
            title, said = "mode E", ""
            if self.format == framing.HDLC:
                said = _mode_e(raw.data)
            elif self.format == framing.MBUS:
                title, said = "wired M-Bus", mbus.short_frames(raw.data)
            if said:
                return Decoded([Layer(title, said)])
        head = raw.data[:8]
        layer = Layer(_TITLES[self.format], raw.why, [Part("begins", head)])
        return Decoded([layer], damage=raw.damage)


_TITLES = {
    framing.USI: "USI",
    framing.IMST: "IMST",
    framing.AMBER: "Amber",
    framing.WRAPPER: "wrapper",
    framing.HDLC: "HDLC",
    framing.MBUS: "wired M-Bus",
    framing.P1: "P1",
    framing.CIPHERED_P1: "P1",
}


def _p1(telegram: bytes) -> Decoded:
    """A telegram whose CRC is right, if it has one."""
    lines = p1.lines(telegram)
    parts = [Part("line", b"", line) for line in lines]
    if p1.crc(telegram) is None:
        lines.append("no CRC")
    return Decoded([Layer("P1", ", ".join(lines), parts)], False)


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
        self.size = 0
        self._lines = {name: _Line(name) for name in framing.FORMATS}
        self._bytes: dict[bool | None, bytearray] = {}
        self._good: Counter[str] = Counter()  # bytes in frames that are right
        self._known: Counter[str] = Counter()  # and in damaged ones that are of the format
        self._short: list[tuple[str, bool | None, Raw]] = []  # to be judged by what follows
        self._bare: list[int] = []  # sizes of APDUs without frames: they stand in frames too

    def feed(self, chunk: Chunk) -> str:
        """The format, once it is known."""
        self.chunks.append(chunk)
        self.size += len(chunk.data)
        self._bytes.setdefault(chunk.outward, bytearray()).extend(chunk.data)
        for name, line in self._lines.items():
            for raw in line.feed(chunk):
                self._weigh(name, raw, chunk.outward)
        (best, size), (_, second) = ([*self._good.most_common(2), ("", 0), ("", 0)])[:2]
        if not size and len(self._bare) > 1 and sum(self._bare) * _EARLY_PART >= self.size:
            return framing.CIPHERED_P1
        sure = best in _SURE or size * _EARLY_PART >= self.size
        return best if sure and size >= _ENOUGH and size > 2 * second else ""

    @property
    def full(self) -> bool:
        """It has been long enough: guess() tells."""
        return self.size > _MOST_UNKNOWN

    def guess(self) -> str:
        """The best there is once no more comes; "" where it is not recognised."""
        for name, line in self._lines.items():
            for outward, raw in line.end():
                self._weigh(name, raw, outward)
        for name, outward, raw in self._short:
            behind = self._bytes[outward][raw.offset + raw.size :]
            if not behind or behind.startswith(framing.sync(name)):
                self._known[name] += raw.size
        found = ""
        for name in _ORDER:
            size = self._good[name] + self._known[name]
            enough = size > 0 if name in _SURE else size * _PART >= max(1, self.size)
            if enough and size > self._good[found] + self._known[found]:
                found = name
        if not found and self._bare and sum(self._bare) * _PART >= self.size:
            return framing.CIPHERED_P1
        return found

    def _weigh(self, name: str, raw: Raw, outward: bool | None) -> None:
        """A wrapper has no check sequence, and Amber's is short: they count where an APDU, or a
        command that there is, stands in them. What is damaged counts where enough of it is right,
        and of formats that chance makes, where it begins the capture or the next one follows."""
        if name == framing.CIPHERED_P1:
            if not raw.damage or (raw.known and raw.damage == kinds.CUT_SHORT and not raw.offset):
                self._bare.append(raw.size or len(raw.data))
            return
        if raw.damage:
            if not raw.known:
                return
            if name in _SURE:
                self._known[name] += raw.size
            elif raw.damage == kinds.CUT_SHORT:
                self._known[name] += raw.size if raw.offset <= len(framing.sync(name)) else 0
            elif name == framing.USI:
                self._known[name] += raw.size
            else:
                self._short.append((name, outward, raw))
            return
        if name == framing.WRAPPER:
            control = raw.data[2:6] in (b"\0\1\0\0", b"\0\0\0\1") and 1 <= raw.data[8] <= 4
            if not control and not _holds_together(raw.data[8:]):
                return
        if name == framing.AMBER and raw.data[1] & 0x7F > 0x11:
            return
        if name == framing.IMST and not raw.data[1] & 0x80 and len(raw.data) > 4:
            return
        self._good[name] += len(raw.data)


def _holds_together(data: bytes) -> bool:
    """Whether an APDU stands in a wrapper, as far as it can be told without keys."""
    if data[0] in PROTECTED:
        return mbus.is_whole(data)
    if AARQ <= data[0] <= RLRE or p1.begins(data):
        return True
    try:
        short.decode(data)
    except DlmsError:
        return False
    return True


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
        self._skipped: Counter[tuple[str, bool | None]] = Counter()  # bytes not recognised

    @property
    def recognised(self) -> bool:
        """Whether anything was, of what has come."""
        return self.format != AUTO or bool(self.formats) or not self.bytes

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
        if name or line.full:
            ended += self._settle(chunk.stream, line, name or line.guess())
        return ended

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
            found += self._settle(stream, line, line.guess())
            known = self._lines.pop(stream, None)
            if not isinstance(known, _Line):
                return found
            line = known
        for outward, raw in line.end():
            found.append(self._frame(line, raw, Chunk(b"", None, outward, stream)))
        return found

    def _settle(self, stream: str, unknown: _Unknown, name: str) -> list[Frame]:
        """All that came so far; `name` "": it is not recognised, and what comes is looked at
        anew."""
        if not name:
            self._lines[stream] = _Unknown()
            return [self._not_recognised(unknown, stream)] if unknown.size else []
        line = self._lines[stream] = _Line(name)
        if len(self.formats) < _STREAMS:
            self.formats[stream] = name
        return [frame for chunk in unknown.chunks for frame in self._frames(line, chunk)]

    def _not_recognised(self, unknown: _Unknown, stream: str) -> Frame:
        data = b"".join(chunk.data for chunk in unknown.chunks)
        text = "%d bytes are no frames of a format that is known here" % len(data)
        layer = Layer("not recognised", text, [Part("begins", data[:8])])
        self.frames += 1
        self.damage[kinds.NOT_RECOGNISED] += 1
        first = unknown.chunks[0]
        offset = self._skipped[stream, first.outward]
        for chunk in unknown.chunks:
            self._skipped[stream, chunk.outward] += len(chunk.data)
        return Frame(self.frames, first.at_ms, None, stream, offset, [layer], kinds.NOT_RECOGNISED)

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
            layers, to_meter = self.cosem.layers(carried, to_meter, chunk.stream)
            decoded.layers += layers
            outward = outward if outward is not None else to_meter
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
            raw.offset + self._skipped[chunk.stream, chunk.outward],
            decoded.layers,
            decoded.damage,
        )
