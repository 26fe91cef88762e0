"""A UART of a board as SerialLine: machine.UART, which asyncio can poll."""

from __future__ import annotations

import machine

from hal.micropython.stream_port import StreamPort
from hal.ports import PortError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PARITIES = {"N": None, "E": 0, "O": 1}
_RECEIVE_BUFFER = 2048  # the longest modem frame, while Python is busy elsewhere


class UartPort(StreamPort):
    """See hal.ports.SerialLine. Make one with `UartPort.open(...)`."""

    def __init__(self, line, settings: dict[str, Any]) -> None:
        super().__init__(line)
        self._settings = settings

    @staticmethod
    def open(number: int, pins: dict[str, Any], baud: int, format: str, rs485: bool) -> UartPort:
        """`pins`: what else machine.UART(number) takes on this board. PortError when the board
        cannot do it."""
        if rs485:
            raise PortError(
                "uart: MicroPython switches no RS-485 driver; use one that does it by itself"
            )
        settings = {
            "baudrate": baud,
            "bits": int(format[0]),
            "parity": _PARITIES[format[1]],
            "stop": int(format[2]),
            "timeout": 0,
            "rxbuf": _RECEIVE_BUFFER,
        }
        settings.update(pins)
        try:
            return UartPort(machine.UART(number, **settings), settings)
        except ValueError as error:
            raise PortError("uart %d: %s" % (number, error))

    async def set_baud(self, baud: int) -> None:
        """See hal.ports.SerialLine."""
        self._settings["baudrate"] = baud
        try:
            self._line.init(**self._settings)
        except ValueError as error:
            raise PortError("uart: %d baud: %s" % (baud, error))

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._line.deinit()
