"""NTP over real UDP. Environment: NTP_PORT, where a server answers with the date of NTP_DATE."""

from __future__ import annotations

import asyncio

from gateway.kept_clock import KeptClock
from gateway.uplink.ntp import Ntp
from hal.sim.storage import MemoryStorage
from tests.contract.here import SystemClock, SystemCrypto, UdpPort
from tests.contract.portable_mqtt import env
from tests.portable.support import run


def test_a_server_is_asked_and_understood() -> None:
    async def body() -> None:
        clock = SystemClock()
        taken: list[tuple[int, bool, bool]] = []
        heard = asyncio.Event()

        def correct(date: int, vouched: bool, source: str, confirms: bool) -> None:
            taken.append((date, vouched, confirms))
            heard.set()

        kept = KeptClock(clock, MemoryStorage())
        port = int(env("NTP_PORT"))
        ntp = Ntp(UdpPort.open, "127.0.0.1", port, True, kept, SystemCrypto(), correct)
        task = asyncio.create_task(ntp.run())
        await clock.wait_for_ms(heard.wait(), 60_000)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            pass
        assert taken == [(int(env("NTP_DATE")), True, True)], taken

    run(body())
