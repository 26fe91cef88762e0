"""The opening sequence of an optical probe (IEC 62056-21, protocol mode E), which ends in HDLC.

At 300 baud, 7E1, the client asks "/?address!"; the meter says who it is, how fast it can, and by
"\\2" that it speaks HDLC. The client selects that with ACK 2 Z 2; both change to the speed Z, the
meter acknowledges with the same message, and from then on the line is 8N1 and HDLC's.

7E1 is 8N1 with an even parity bit in bit 7: it is made and dropped here, so that the line need not
change its format.
"""

from __future__ import annotations

import asyncio

from gateway.dlms.errors import NoAnswer, NotSupported, ProtocolError
from hal.rt.hexed import hexed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.ports import Clock, SerialLine

FIRST_BAUD = 300
BAUDS = {"0": 300, "1": 600, "2": 1200, "3": 2400, "4": 4800, "5": 9600, "6": 19200}
_ACK = b"\x06"
_END = b"\r\n"
_HDLC = "2"
_LONGEST = 80  # bytes of one message with all its parts, and some noise before it
_IDENTIFICATION_MS = 4000  # reaction time 1.5 s, and some 30 characters at 300 baud
_REACTION_MS = 1500
_TRIES = 2


def request(address: str = "") -> bytes:
    """The request message to the meter with this address (up to 32 letters, digits and spaces;
    none: whichever is under the probe). ValueError for another."""
    if len(address) > 32 or not all(c == " " or _is_alphanumeric(c) for c in address):
        raise ValueError("mode E: a meter address is up to 32 letters, digits and spaces")
    return b"/?" + address.encode() + b"!" + _END


def option_select(baud: int) -> bytes:
    """ACK 2 Z 2: HDLC at this speed. ValueError when there is no Z for it."""
    for letter, speed in BAUDS.items():
        if speed == baud:
            return _ACK + (_HDLC + letter + _HDLC).encode() + _END
    raise ValueError("mode E: %d is not one of %s" % (baud, sorted(BAUDS.values())))


def with_parity(message: bytes) -> bytes:
    """7E1 characters as they look on an 8N1 line: the even parity in bit 7."""
    out = bytearray()
    for byte in message:
        ones = sum([byte >> i & 1 for i in range(7)])
        out.append(byte & 0x7F | (ones & 1) << 7)
    return bytes(out)


class Identification:
    """What a meter says of itself: `manufacturer` (its three FLAG letters), the `baud` it offers,
    whether it speaks `hdlc` (mode E), and its own text."""

    __slots__ = ("baud", "hdlc", "manufacturer", "text")

    def __init__(self, manufacturer: str, baud: int, hdlc: bool, text: str) -> None:
        self.manufacturer = manufacturer
        self.baud = baud
        self.hdlc = hdlc
        self.text = text

    def encode(self) -> bytes:
        letter = option_select(self.baud)[2:3].decode()
        enhanced = "\\" + _HDLC if self.hdlc else ""
        return ("/" + self.manufacturer + letter + enhanced + self.text).encode() + _END

    @staticmethod
    def decode(message: bytes) -> Identification:
        """`message` without its CR LF. ProtocolError when it is no identification message.

        A baud character that is none of 0..6 (modes A and B) counts as no change of speed."""
        try:
            line = message.decode()
        except UnicodeError:
            line = ""
        if len(line) < 5 or line[0] != "/" or not all(" " <= c <= "~" for c in line):
            raise ProtocolError("mode E: no identification message: %s" % hexed(message[:40]))
        text = line[5:]
        hdlc = False
        while len(text) >= 2 and text[0] == "\\":  # there may be several such pairs
            hdlc = hdlc or text[1] == _HDLC
            text = text[2:]
        return Identification(line[1:4], BAUDS.get(line[4], FIRST_BAUD), hdlc, text)


class Messages:
    """Bytes of a 7E1 line in, whole messages out (without CR LF, and from their "/" or ACK on).
    Never holds more than one message."""

    def __init__(self) -> None:
        self._line = b""

    def feed(self, data: bytes) -> list[bytes]:
        messages = []
        for byte in data:
            self._line = (self._line + bytes((byte & 0x7F,)))[-_LONGEST:]
            if self._line[-2:] == _END:
                start = max(self._line.rfind(b"/"), self._line.rfind(_ACK))
                if start >= 0:
                    messages.append(self._line[start:-2])
                self._line = b""
        return messages


class ModeEServer:
    """The meter's end. Once the client has chosen, `hdlc` is True and `baud` the new speed; the
    answer that feed() gives then is sent at that speed, and all after it is HDLC's."""

    def __init__(self, identification: Identification, address: str = "") -> None:
        self._identification = identification
        self._address = address
        self._messages = Messages()
        self.baud = FIRST_BAUD
        self.hdlc = False

    def feed(self, data: bytes) -> bytes:
        """What to answer, at the speed that `baud` has when this returns."""
        answer = b""
        for message in self._messages.feed(data):
            if message in (b"/?!", request(self._address)[:-2]):
                answer = self._identification.encode()
            elif message[:2] == _ACK + b"2" and len(message) == 4 and self._identification.hdlc:
                baud = BAUDS.get(chr(message[2]), 0)
                if message[3:] == b"2" and 0 < baud <= self._identification.baud:
                    self.hdlc = True
                    self.baud = baud
                    answer = message + _END
        return answer


async def open_mode_e(
    line: SerialLine,
    clock: Clock,
    address: str = "",
    fastest: int = 19200,
    fallback_baud: int = 0,
    parity: bool = True,
) -> Identification | None:
    """Bring the meter at the end of `line` to HDLC, at its speed but none above `fastest`.

    When it does not identify itself, or offers no mode E, and `fallback_baud` is not 0: None, and
    the line has that speed, for HDLC without an opening. Else NoAnswer or NotSupported. `parity`
    False leaves bit 7 alone, for converters that make the parity themselves."""
    opening = _Opening(line, clock, parity)
    try:
        found = await opening.identify(address)
        if not found.hdlc:
            raise NotSupported(
                "mode E: the meter offers none, it says %s; try HDLC without it" % found.text
            )
    except (NoAnswer, NotSupported):
        if not fallback_baud:
            raise
        await line.set_baud(fallback_baud)
        return None
    baud = max([speed for speed in BAUDS.values() if speed <= min(found.baud, fastest)])
    await opening.select(baud)
    found.baud = baud
    return found


class _Opening:
    def __init__(self, line: SerialLine, clock: Clock, parity: bool) -> None:
        self._line = line
        self._clock = clock
        self._parity = parity

    async def identify(self, address: str) -> Identification:
        await self._line.set_baud(FIRST_BAUD)
        for _ in range(_TRIES):
            await self._send(request(address))
            message = await self._message(b"/", _IDENTIFICATION_MS)
            try:
                if message:
                    return Identification.decode(message)
            except ProtocolError:
                pass  # damaged: ask again
        raise NoAnswer(
            "mode E: no identification at %d baud, asked %d times; check probe and meter"
            % (FIRST_BAUD, _TRIES)
        )

    async def select(self, baud: int) -> None:
        chosen = option_select(baud)
        await self._send(chosen)
        await self._line.set_baud(baud)
        # Not every meter acknowledges, and some do so before they change their speed.
        message = await self._message(_ACK, _REACTION_MS)
        if message and message != chosen[:-2]:
            raise NotSupported(
                "mode E: %s was selected, the meter answers %s"
                % (chosen[1:4].decode(), hexed(message[1:]))
            )

    async def _send(self, message: bytes) -> None:
        """Returns when it has left the line, which every answer must wait for."""
        await self._line.write(with_parity(message) if self._parity else message)
        await self._clock.sleep_ms(len(message) * 10_000 // FIRST_BAUD)

    async def _message(self, start: bytes, limit_ms: int) -> bytes:
        """The next message that begins with `start`; b"" when none comes in time. Our own is passed
        over, for probes may send it back."""
        messages = Messages()
        until = self._clock.ticks_ms() + limit_ms
        while True:
            left = until - self._clock.ticks_ms()
            if left <= 0:
                return b""
            try:
                data = await self._clock.wait_for_ms(self._line.read(), left)
            except asyncio.TimeoutError:
                return b""
            if not data:
                raise OSError("mode E: the line is gone")
            for message in messages.feed(data):
                if message[:1] == start and message[:2] != b"/?":
                    return message


def _is_alphanumeric(character: str) -> bool:
    return "0" <= character <= "9" or "A" <= character <= "Z" or "a" <= character <= "z"
