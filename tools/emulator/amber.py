"""An Amber (Würth) wireless M-Bus module and its meters; hal/modem/wmbus/amber.py faces it."""

from __future__ import annotations

from collections.abc import Mapping

from hal.modem.wmbus import amber_frames as frames
from hal.sim.channel import Channel
from tools.emulator.air import Meter, Time
from tools.emulator.wmbus import WmbusEmulator

_MEMORY = 0x80
_LEVEL = 0xF4  # -80 dBm
_OK = b"\x00"
_BAD_PLACE = b"\x02"


class AmberEmulator(WmbusEmulator):
    """`memory`: the module's parameters, which take effect with a reset."""

    def __init__(
        self,
        population: Mapping[str, Meter],
        channel: Channel | None = None,
        meter_ms: int = 50,
        speed: float = 1.0,
        clock: Time | None = None,
    ) -> None:
        super().__init__(population, channel, meter_ms, speed, clock)
        self._parser = frames.Parser()
        self.memory = bytearray(_MEMORY)
        self._factory_reset()
        self._with_rssi = True

    def overhear(self, frame: bytes) -> None:
        rssi = bytes((_LEVEL,)) if self._with_rssi else b""
        self._say(frames.frame(frames.DATA_INDICATION, frame + rssi))

    def _taken(self) -> None:
        self._confirm(frames.DATA, _OK)

    def _connected(self) -> None:
        self._parser.reset()

    def _received(self, data: bytes) -> None:
        requests = self._parser.feed(data, self._line_ms())
        if self.hanging:
            return
        for command, content in requests:
            if command == frames.DATA:
                self._send_request(content)
            else:
                self._command(command, content)

    def _command(self, command: int, content: bytes) -> None:
        if command == frames.GET and len(content) == 2:
            at, size = content
            good = size and at + size <= _MEMORY
            self._confirm(command, content + self.memory[at : at + size] if good else content)
        elif command == frames.SET and len(content) >= 2:
            at, size = content[:2]
            good = size == len(content) - 2 and at + size <= _MEMORY
            if good:
                self.memory[at : at + size] = content[2:]
            self._confirm(command, _OK if good else _BAD_PLACE)
        elif command == frames.RESET:
            self._confirm(command, _OK)
            self._with_rssi = self.memory[frames.RSSI_ENABLE] == 1
        elif command == frames.FACTORY_RESET:
            self._factory_reset()
            self._confirm(command, _OK)
        elif command == frames.SET_MODE:
            self._confirm(command, _OK)
        elif command == frames.SET_CHANNEL:
            self._confirm(command, content)
        elif command == frames.SERIAL_NUMBER:
            self._confirm(command, bytes.fromhex("06010203"))
        elif command == frames.FIRMWARE:
            self._confirm(command, bytes.fromhex("020704"))
        elif command == frames.RSSI:
            self._confirm(command, bytes((_LEVEL,)))

    def _confirm(self, command: int, content: bytes) -> None:
        self._say(frames.frame(command | frames.CONFIRM, content))

    def _factory_reset(self) -> None:
        self.memory[:] = bytes(_MEMORY)
        self.memory[frames.UART_OUTPUT] = 1
        self.memory[frames.RSSI_ENABLE] = 1
