"""IMST iM871A (868 MHz) and iM170A (169 MHz) over HCI: DLMS in wireless M-Bus
(hal/modem/wmbus/module.py).

Parameters: "config" (set: whether to keep it, then flags and fields as in the module's HCI manual;
get: flags and fields) and "info" (module type, own address, firmware; only get). Not in evidence: a
status byte in the module's answers to a send request, a set or a reset; any answer counts.
"""

from __future__ import annotations

from hal.modem.wmbus import hci
from hal.modem.wmbus.module import OWN_ADDRESS, STATUS_OK, Module
from hal.modem.wmbus.wmbus import MODES
from hal.ports import PortError

_READ = {"config": hci.GET_CONFIG_REQUEST, "info": hci.DEVICE_INFO_REQUEST}
_ANSWERS = (hci.GET_CONFIG_RESPONSE, hci.DEVICE_INFO_RESPONSE)


class Imst(Module):
    """Driver of one module."""

    def __init__(
        self,
        own: str = OWN_ADDRESS,
        bit_rate: int = 4800,
        duty_permille: int = 100,
        silence_ms: int = 60000,
        answer_ms: int = 5000,
    ) -> None:
        self._parser = hci.Parser()
        super().__init__(
            own, bit_rate, duty_permille, silence_ms, answer_ms, self._parser, "bad-crc"
        )

    def _read(self, data: bytes, now_ms: int) -> None:
        for frame in self._parser.feed(data, now_ms):
            self._supervisor.heard(now_ms)
            if frame.endpoint == hci.RADIO and frame.message == hci.INDICATION:
                self._received_frame(frame.payload, frame.rssi)
            elif frame.endpoint == hci.RADIO and frame.message == hci.SEND_RESPONSE:
                self._taken(STATUS_OK)
            elif frame.endpoint != hci.DEVICE:
                self._unexpected += 1
            elif frame.message == hci.RESET_RESPONSE:
                self._restarted()
            elif frame.message in _ANSWERS:
                self._answered(frame.message, frame.payload)
            elif frame.message == hci.SET_CONFIG_RESPONSE:
                self._answered(frame.message, b"")
            elif frame.message != hci.PING_RESPONSE:
                self._unexpected += 1

    def _probe(self) -> bytes:
        return hci.frame(hci.DEVICE, hci.PING_REQUEST)

    def _restart(self) -> bytes:
        return hci.frame(hci.DEVICE, hci.RESET_REQUEST)

    def _transmission(self, frame: bytes) -> bytes:
        return hci.frame(hci.RADIO, hci.SEND_REQUEST, frame)

    def _reading(self, parameter: str) -> tuple[object, bytes]:
        message = _READ.get(parameter)
        if message is None:
            raise PortError('IMST: a parameter is "config" or "info", not %r' % parameter)
        return message + 1, hci.frame(hci.DEVICE, message)

    def _writing(self, parameter: str, value: bytes) -> tuple[object, bytes]:
        if parameter != "config" or not 1 <= len(value) <= hci.MAX_PAYLOAD:
            raise PortError(
                'IMST: only "config" can be set, to 1..%d bytes; not %r to %d'
                % (hci.MAX_PAYLOAD, parameter, len(value))
            )
        request = hci.frame(hci.DEVICE, hci.SET_CONFIG_REQUEST, value)
        return hci.SET_CONFIG_RESPONSE, request


def for_mode(link_mode: str) -> Imst:
    """The driver of a module that is commissioned for this link mode, a key of wmbus.MODES."""
    bit_rate, duty_permille = MODES[link_mode]
    return Imst(bit_rate=bit_rate, duty_permille=duty_permille)
