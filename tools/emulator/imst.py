"""An IMST wireless M-Bus module and the meters in its reach; hal/modem/wmbus/imst.py faces it."""

from __future__ import annotations

from collections.abc import Mapping

from hal.modem.wmbus import hci
from hal.sim.channel import Channel
from tools.emulator.air import Meter, Time
from tools.emulator.wmbus import WmbusEmulator

_RSSI = 85  # -80 dBm
_INFO = bytes.fromhex("332d2c7856341201310013")  # made up
_OTHER, _S2 = 0, 2


class ImstEmulator(WmbusEmulator):
    """`config`: flags and fields of the module's configuration."""

    def __init__(
        self,
        population: Mapping[str, Meter],
        channel: Channel | None = None,
        meter_ms: int = 50,
        speed: float = 1.0,
        clock: Time | None = None,
    ) -> None:
        super().__init__(population, channel, meter_ms, speed, clock)
        self.config = bytes((0x03, _OTHER, _S2, 0x00))
        self._parser = hci.Parser()

    def overhear(self, frame: bytes) -> None:
        self._say(hci.frame(hci.RADIO, hci.INDICATION, frame, self.air.now_ms(), _RSSI))

    def _taken(self) -> None:
        self._say(hci.frame(hci.RADIO, hci.SEND_RESPONSE))

    def _connected(self) -> None:
        self._parser.reset()

    def _received(self, data: bytes) -> None:
        frames = self._parser.feed(data, self._line_ms())
        if self.hanging:
            return
        for frame in frames:
            if frame.endpoint == hci.RADIO and frame.message == hci.SEND_REQUEST:
                self._send_request(frame.payload)
            elif frame.endpoint == hci.DEVICE:
                self._device(frame.message, frame.payload)

    def _device(self, message: int, payload: bytes) -> None:
        answer = b""
        if message == hci.SET_CONFIG_REQUEST:
            self.config = payload[1:]
        elif message == hci.GET_CONFIG_REQUEST:
            answer = self.config
        elif message == hci.DEVICE_INFO_REQUEST:
            answer = _INFO
        elif message not in (hci.PING_REQUEST, hci.RESET_REQUEST):
            return
        self._say(hci.frame(hci.DEVICE, message + 1, answer))
