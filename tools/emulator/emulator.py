"""What all modem emulators have in common: a channel in some time, a line, work in progress, and
the ways a modem fails."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

from hal.sim.channel import Channel
from tools.emulator.air import Air, RealTime, Time
from tools.emulator.line import Line, TcpLine


class Emulator:
    """One modem's other end. A kind of modem gives _received() and _connected().

    speed: how much faster than real time all this runs; clock: run in its time instead.
    `hanging` True: the modem neither hears nor answers. `requests`: frames taken from the host."""

    def __init__(self, channel: Channel, speed: float = 1.0, clock: Time | None = None) -> None:
        self.air = Air(channel, clock or RealTime(speed))
        self.line: Line = TcpLine()
        self.hanging = False
        self.requests = 0
        self._speed = 1.0 if clock else speed
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, port: int = 0, host: str = "127.0.0.1") -> int:
        """Serve the line on TCP; returns the port, which is the system's choice for 0."""
        line = TcpLine(port, host)
        await self.serve(line)
        return line.port

    async def serve(self, line: Line) -> None:
        """Be at the end of this line from now on."""
        self.line = line
        await line.start(self._received, self._connected)

    async def stop(self) -> None:
        await self._end_work()
        await self.line.stop()

    def drop_line(self) -> None:
        """Close the connection, as if the cable were pulled for a moment."""
        self.line.drop()

    def _received(self, data: bytes) -> None:
        """Bytes from the host."""
        raise NotImplementedError

    def _connected(self) -> None:
        """Another host took the line: what was half received is void."""
        raise NotImplementedError

    def _line_ms(self) -> int:
        """The line's time: it is as fast as ever, however fast the air."""
        return int(self.air.now_ms() / self._speed)

    def _say(self, frame: bytes) -> None:
        """To the host, unless the modem hangs."""
        if not self.hanging:
            self.line.send(frame)

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        """Do something that takes time."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.result()  # a fault of the emulator or a meter is not kept silent

    async def _end_work(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
