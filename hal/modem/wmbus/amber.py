"""Amber Wireless, now Würth Elektronik, modules in command mode: DLMS in wireless M-Bus
(hal/modem/wmbus/module.py).

The module must be commissioned to hand over what it receives (UART_CMD_Out_Enable, 05, is 1) and to
send link frames whose first block comes from the host (MBUS_Bl_Add_Disable, 30, is 1). Whether it
puts an RSSI behind what it receives, the driver asks it: its question for all parameters is also
how it learns whether the module lives.

Parameters: those in the module's memory by position and length in hex, "45" or "00.80"; "serial",
"firmware" and "rssi" can only be read, "mode", "channel" and "factory" only written ("factory"
with b"": as delivered, from the next reset on). A parameter in memory takes effect with a reset.
"""

from __future__ import annotations

from hal.modem.wmbus import amber_frames as frames
from hal.modem.wmbus.module import OWN_ADDRESS, STATUS_OK, Module
from hal.modem.wmbus.wmbus import MODES
from hal.ports import PortError
from hal.rt.hexed import hexed

_ALL = b"\x00\x80"  # position, length
_RESTART_MS = 1000  # not in evidence: how long a restart takes; the public driver waits 300 ms
_READ = {"serial": frames.SERIAL_NUMBER, "firmware": frames.FIRMWARE, "rssi": frames.RSSI}
_WRITTEN = {
    "mode": frames.SET_MODE,
    "channel": frames.SET_CHANNEL,
    "factory": frames.FACTORY_RESET,
}
_SETTINGS = (frames.SET, frames.SET_MODE, frames.FACTORY_RESET)  # their confirms are a status


class Amber(Module):
    """Driver of one module."""

    def __init__(
        self,
        own: str = OWN_ADDRESS,
        bit_rate: int = 16384,
        duty_permille: int = 10,
        silence_ms: int = 60000,
        answer_ms: int = 5000,
    ) -> None:
        self._parser = frames.Parser()
        super().__init__(
            own, bit_rate, duty_permille, silence_ms, answer_ms, self._parser, "bad-xor"
        )
        self._with_rssi = False
        self._learnt = False  # _with_rssi, since the module started
        self._ask_at: int | None = None  # when it will have restarted

    def _begin_line(self) -> None:
        super()._begin_line()
        self._learnt = False
        self._ask_at = None

    def _read(self, data: bytes, now_ms: int) -> None:
        if self._ask_at is not None and now_ms >= self._ask_at:
            self._ask_at = None
            self._write(self._probe())
        for command, content in self._parser.feed(data, now_ms):
            self._supervisor.heard(now_ms)
            if command == frames.DATA_INDICATION:
                rssi = None
                if self._with_rssi and content:
                    rssi = frames.dbm(content[-1])
                    content = content[:-1]
                self._received_frame(content, rssi)
            elif not command & frames.CONFIRM:
                self._unexpected += 1
            elif command == frames.RESET | frames.CONFIRM:
                self._learnt = False
                self._ask_at = now_ms + _RESTART_MS
                self._restarted()
            else:
                self._confirmed(command & 0x7F, content)

    def _confirmed(self, command: int, content: bytes) -> None:
        if command == frames.DATA:
            self._taken(content[0] if content else STATUS_OK)
        elif command == frames.GET:
            self._learn(content)
            value = content[2:] if len(content) > 2 else None
            self._answered((command, content[:2]), value, "refused")
        elif command in _SETTINGS:
            refused = content[:1] != b"\x00"
            error = "refused with status %s" % hexed(content)
            self._answered(command, None if refused else b"", error)
        elif command == frames.SET_CHANNEL:
            self._answered(command, b"")  # the confirm repeats the channel
        elif command in _READ.values():
            self._answered(command, content)
        else:
            self._unexpected += 1

    def _learn(self, content: bytes) -> None:
        """Whether frames come with their RSSI, if these parameters tell. Only the first time: what
        is changed in memory takes effect with a reset."""
        place = frames.RSSI_ENABLE - content[0] + 2 if content else -1
        if 2 <= place < len(content) and not self._learnt:
            self._learnt = True
            self._with_rssi = content[place] == 1

    def _stalled_ms(self) -> int | None:
        stalled = super()._stalled_ms()
        if stalled is None or (self._ask_at is not None and self._ask_at < stalled):
            return self._ask_at
        return stalled

    def _probe(self) -> bytes:
        return frames.frame(frames.GET, _ALL)

    def _restart(self) -> bytes:
        return frames.frame(frames.RESET)

    def _transmission(self, frame: bytes) -> bytes:
        return frames.frame(frames.DATA, frame)

    def _reading(self, parameter: str) -> tuple[object, bytes]:
        command = _READ.get(parameter)
        if command is not None:
            return command, frames.frame(command)
        place = _place(parameter)
        return (frames.GET, place), frames.frame(frames.GET, place)

    def _writing(self, parameter: str, value: bytes) -> tuple[object, bytes]:
        command = _WRITTEN.get(parameter)
        if command is not None:
            if len(value) != (0 if command == frames.FACTORY_RESET else 1):
                raise PortError("Amber: %s does not take %d bytes" % (parameter, len(value)))
            return command, frames.frame(command, value)
        place = _place(parameter)
        if len(value) != place[1]:
            raise PortError("Amber: %d bytes, %s has %d" % (len(value), parameter, place[1]))
        return frames.SET, frames.frame(frames.SET, place + value)


def _place(text: str) -> bytes:
    """ "45" or "00.80": position and length."""
    position, _, length = text.partition(".")
    try:
        place = int(position, 16), int(length or "1", 16)
    except ValueError:
        place = -1, 0
    if not (0 <= place[0] <= 0x7F and 1 <= place[1] <= 0x80 and sum(place) <= 0x80):
        raise PortError(
            'Amber: a parameter is "serial", "firmware", "rssi", "mode", "channel", "factory", or a'
            ' position in hex as "45", or with a length as "00.80"; not %r' % text
        )
    return bytes(place)


def for_mode(link_mode: str) -> Amber:
    """The driver of a module that is commissioned for this link mode, a key of wmbus.MODES."""
    bit_rate, duty_permille = MODES[link_mode]
    return Amber(bit_rate=bit_rate, duty_permille=duty_permille)
