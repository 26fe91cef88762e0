"""Where the bytes come from: a capture file of whatever kind, or a port that is listened to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from hal.cpython.clock import SystemClock
from hal.cpython.ports import open_port
from hal.rt import port_url
from tools.sniff import framing, pcap, recording
from tools.sniff.decoder import AUTO
from tools.sniff.frame import Chunk

ATPLSF = b"ATPLSF\x00\x01"  # how the files of Microchip's sniffer program begin
_CHUNK = 4096


def is_url(text: str) -> bool:
    """Whether it names a port rather than a file."""
    kinds = (port_url.SERIAL, port_url.USB, port_url.UART)
    return text.startswith(("tcp://", *(kind + ":" for kind in kinds)))


class Capture:
    """A file. `format`: what it is known to hold, or AUTO. OSError, and what chunks() says."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            beginning = file.read(64)
        self.format = AUTO
        self._skip = 0
        if recording.is_recording(beginning):
            self.kind = "recording"
        elif pcap.is_pcap(beginning):
            self.kind, self.format = "pcap", framing.WRAPPER
        elif beginning.startswith(ATPLSF):
            self.kind, self.format, self._skip = "ATPLSF", framing.USI, len(ATPLSF)
        else:
            self.kind = "raw"

    def chunks(self) -> Iterator[Chunk]:
        """RecordingProblem, PcapProblem, OSError."""
        if self.kind == "recording":
            yield from recording.chunks(self.path)
        elif self.kind == "pcap":
            yield from pcap.chunks(self.path)
        else:
            with self.path.open("rb") as file:
                file.seek(self._skip)
                while data := file.read(_CHUNK):
                    yield Chunk(data)


async def listen(url: str, seconds: float) -> AsyncIterator[Chunk]:
    """What comes from a port until it closes or the time is over (0: never). PortError, OSError,
    asyncio.TimeoutError."""
    clock = SystemClock()
    port = await open_port(url, clock)
    until = time.monotonic() + seconds if seconds else float("inf")
    reading: asyncio.Task[bytes] | None = None
    try:
        while (left := until - time.monotonic()) > 0:
            reading = reading or asyncio.create_task(port.read())
            # a pause says that a frame has ended
            done, _ = await asyncio.wait([reading], timeout=min(left, 2.5))
            if not done:
                yield Chunk(b"", _now_ms())
                continue
            data = reading.result()
            reading = None
            if not data:
                return
            yield Chunk(data, _now_ms())
    finally:
        if reading is not None:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
        await port.close()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
