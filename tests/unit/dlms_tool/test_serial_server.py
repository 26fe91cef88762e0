"""HDLC behind a serial server: mode E at the server's speed, and with one that RFC 2217 changes."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator

import pytest
from serial.rfc2217 import PortManager

from gateway.dlms.hdlc.mode_e import FIRST_BAUD, Identification
from hal.ports import PortError
from tests.conftest import find_free_port
from tests.unit.dlms_tool.conftest import Stand, Tool
from tools.dlms.com_port import FixedSpeed
from tools.meter.hdlc import MeterHdlc

NAME = "data 0.0.42.0.0.255 value"
PROBE = Identification("AMI", 9600, True, "E450")


@pytest.fixture
def optical(stand: Stand) -> str:
    """host:port of a meter that wants an opening by mode E."""
    return stand._start(MeterHdlc(stand.server, mode_e=PROBE), "hdlc+tcp")[11:]


def test_mode_e_at_the_speed_of_the_server(optical: str, tool: Tool) -> None:
    ran = tool("hdlc+tcp://%s?mode_e=1&baud=9600" % optical, "get", NAME)
    assert ran.status == 0, ran.err
    assert "AMI0000000001" in ran.out


def test_without_the_opening_it_is_silent(optical: str, tool: Tool) -> None:
    ran = tool("hdlc+tcp://%s" % optical, "get", NAME, "--timeout", "0.2", "--tries", "2")
    assert ran.status == 1
    assert "SNRM" in ran.err


def test_a_meter_that_goes_on_at_another_speed() -> None:
    class Port:
        async def read(self) -> bytes:
            return b""

        async def write(self, data: bytes | memoryview) -> None: ...

        async def close(self) -> None: ...

    async def play() -> None:
        line = FixedSpeed(Port(), 9600)
        await line.set_baud(FIRST_BAUD)
        await line.set_baud(9600)
        with pytest.raises(PortError, match="stays at 9600 baud, the meter goes on at 4800"):
            await line.set_baud(4800)

    asyncio.run(play())


class Line:
    """The serial side of a serial server, as pyserial's PortManager sees it."""

    port = name = "ttyS0"
    bytesize, parity, stopbits = 8, "N", 1
    rts = dtr = cts = dsr = cd = True
    ri = break_condition = rtscts = xonxoff = False
    timeout = None

    def __init__(self) -> None:
        self.speeds: list[int] = []
        self._baud = 9600

    @property
    def baudrate(self) -> int:
        return self._baud

    @baudrate.setter
    def baudrate(self, baud: int) -> None:
        self.speeds.append(baud)
        self._baud = baud

    def reset_input_buffer(self) -> None: ...

    def reset_output_buffer(self) -> None: ...


class SerialServer:
    """One connection of RFC 2217, and behind it the meter at `place` ("host:port")."""

    def __init__(self, place: str) -> None:
        host, _, port = place.rpartition(":")
        self.line = Line()
        self._meter = socket.create_connection((host, int(port)))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._client: socket.socket | None = None
        self._manager: PortManager | None = None
        threading.Thread(target=self._serve, daemon=True).start()

    def write(self, data: bytes) -> None:
        assert self._client is not None
        self._client.sendall(data)

    def close(self) -> None:
        for each in (self._listener, self._meter, self._client):
            if each is not None:
                each.close()

    def _serve(self) -> None:
        try:
            self._client, _ = self._listener.accept()
            self._manager = PortManager(self.line, self)
            threading.Thread(target=self._back, daemon=True).start()
            while data := self._client.recv(1024):
                passed = b"".join(self._manager.filter(data))
                if passed:
                    self._meter.sendall(passed)
        except OSError:
            pass

    def _back(self) -> None:
        assert self._manager is not None
        try:
            while data := self._meter.recv(1024):
                self.write(b"".join(self._manager.escape(data)))
        except OSError:
            pass


@pytest.fixture
def server(optical: str) -> Iterator[SerialServer]:
    server = SerialServer(optical)
    yield server
    server.close()


def test_mode_e_with_a_speed_set_over_the_network(server: SerialServer, tool: Tool) -> None:
    url = "hdlc+tcp://127.0.0.1:%d?mode_e=1&rfc2217=1" % server.port
    ran = tool(url, "get", NAME)
    assert ran.status == 0, ran.err
    assert "AMI0000000001" in ran.out
    assert FIRST_BAUD in server.line.speeds and server.line.speeds[-1] == 9600


def test_a_closed_port_is_told_with_the_time_it_took(tool: Tool) -> None:
    for url in (
        "tcp://127.0.0.1:%d",
        "hdlc+tcp://127.0.0.1:%d",
        "hdlc+tcp://127.0.0.1:%d?rfc2217=1",
    ):
        ran = tool(url % find_free_port(), "get", NAME)
        assert ran.status == 1
        assert "refused, after " in ran.err.lower() and " ms;" in ran.err, ran.err
        assert ran.err.count("\n") == 1
