"""One meter that floods beside honest ones: what it costs them, in events and octets that are taken
before they are done, not in time."""

from __future__ import annotations

import asyncio

from hal.modem.ip import Ip
from hal.modem.wrapper import Unwrapper, wrap
from hal.ports import Misbehaves, Rx, TxDone
from hal.sim.clock import ManualClock
from tests.portable.modem.modem_wire import Wire
from tests.portable.support import run

HONEST = 10
EXCHANGES = 100  # of each
ANSWER = bytes(200)
FLOOD = wrap(1, 16, b"\x0f" + bytes(6)) * 270  # 4 KB


class Answering(Wire):
    """An honest meter. `octets`: of all of them."""

    def __init__(self, bench):
        super().__init__()
        self._bench = bench
        self._unwrapper = Unwrapper()

    async def write(self, data):
        for source, destination, _ in self._unwrapper.feed(bytes(data)):
            self.say(wrap(destination, source, ANSWER))

    async def read(self):
        data = await super().read()
        self._bench.octets += len(data)
        return data


class Flooding(Answering):
    """As fast as it is read."""

    async def read(self):
        if self.closed:
            return b""
        await asyncio.sleep(0)
        self._bench.octets += len(FLOOD)
        return FLOOD


class Bench:
    def __init__(self):
        self.clock = ManualClock()
        self.modem = Ip(self.connect, self.clock)
        self.octets = 0
        self.events = 0
        self.of_flood = 0
        self.waiting = {}

    async def connect(self, host, port):
        return Flooding(self) if host == "192.0.2.99" else Answering(self)

    async def dispatch(self):
        while True:
            event = await self.modem.event()
            self.events += 1
            if isinstance(event, Rx) and event.address in self.waiting:
                self.waiting[event.address].set()
            elif not isinstance(event, TxDone):
                self.of_flood += 1

    async def converse(self, address):
        came = self.waiting[address] = asyncio.Event()
        for _ in range(EXCHANGES):
            await self.modem.send(address, b"\xc0\x01", 16, 1)
            await came.wait()
            came.clear()
            # A conversation takes some time: another request every 100 ms.
            await self.clock.sleep_ms(100)

    async def pester(self):
        """Somebody wants to speak with the one that floods, whenever that is possible."""
        while True:
            try:
                await self.modem.send("192.0.2.99:4059", b"\xc0\x01", 16, 1)
            except Misbehaves:
                pass
            await self.clock.sleep_ms(50)


def played(flooded):
    async def play():
        bench = Bench()
        tasks = [asyncio.create_task(bench.dispatch())]
        if flooded:
            tasks.append(asyncio.create_task(bench.pester()))
        honest = [
            asyncio.create_task(bench.converse("192.0.2.%d:4059" % (each + 1)))
            for each in range(HONEST)
        ]
        while not all(task.done() for task in honest):
            await bench.clock.run(50)
        took_ms = bench.clock.ticks_ms()
        for task in tasks:
            task.cancel()
        await bench.modem.close()
        return bench, took_ms

    return run(play())


def test_honest_meters_keep_their_times():
    alone, alone_ms = played(False)
    beside, beside_ms = played(True)
    assert alone.of_flood == 0 < beside.of_flood
    print(
        "alone: %d events, %d octets, %d ms; beside a flood: %d events, %d octets, %d ms"
        % (alone.events, alone.octets, alone_ms, beside.events, beside.octets, beside_ms)
    )
    assert beside.events <= alone.events * 12 // 10
    assert beside.octets <= alone.octets * 12 // 10
    assert beside_ms <= alone_ms * 12 // 10
