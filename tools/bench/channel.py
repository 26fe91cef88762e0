"""How much of a core a gateway's meter side takes while its PRIME channel is full.

Real processes and a real TCP line: here the DLMS clients with their ciphering, the links, the
driver; in another process the emulated base node with virtual meters, whose channel has the highest
rate that PRIME has. Started as a program it is that other process.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from itertools import count

from gateway.dlms.client.client import HIGH_GMAC, Association, Client
from gateway.dlms.errors import DlmsError
from gateway.dlms.protection.keyring import Keys
from gateway.meters.inventory import Meter
from gateway.meters.network import Network
from hal.cpython.clock import SystemClock
from hal.cpython.crypto import SystemCrypto
from hal.cpython.ports import open_port
from hal.modem.attached import Attached
from hal.modem.prime.prime import Prime
from tools.bench.wrong import WrongWork
from tools.emulator.line import TcpLine
from tools.meter.device import derive_test_keys
from tools.meter.model import MANAGEMENT
from tools.meter.population import PLC, Member, Mix, build_population
from tools.meter.scenario import Figures, Scenario
from tools.meter.street import Street

BIT_RATE = 130000
METERS = 16
_SEED = 3
_MIX = Mix(plc=1, rf=0, both=0, dead=0, refuses_write=0, other_firmware=0)
_TITLE = b"AMIBENCH"
_LOAD_PROFILE = (7, bytes.fromhex("0100630100ff"), 3)


def measure(seconds: int) -> dict[str, float]:
    """share: per cent of one core; full: per cent of the time that the channel was occupied;
    frames: a second, both ways; reads: attributes a second."""
    street = subprocess.Popen(
        [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert street.stdin is not None and street.stdout is not None
    try:
        port = int(street.stdout.readline())

        def busy_ms() -> int:
            assert street.stdin is not None and street.stdout is not None
            street.stdin.write("\n")
            street.stdin.flush()
            return int(street.stdout.readline())

        return asyncio.run(_read_all(port, seconds, busy_ms))
    except ValueError as error:
        raise WrongWork("the emulated base node died: %s" % error) from error
    finally:
        street.stdin.close()
        street.wait(10)


async def _read_all(port: int, seconds: int, busy_ms: Callable[[], int]) -> dict[str, float]:
    clock = SystemClock()
    network = Network(clock)
    modem = Attached(Prime(), partial(open_port, "tcp://127.0.0.1:%d" % port, clock), clock)
    network.add(modem, METERS)
    reading = asyncio.create_task(network.run())
    members = build_population(METERS, _SEED, _MIX)
    meters = [Meter(member.serial, member.paths) for member in members]
    while network.reachable(meters) < METERS:  # noqa: ASYNC110 (they register one by one)
        await asyncio.sleep(0.05)
    clients = [await _associated(network, member) for member in members]
    before, busy = modem.statistics(), busy_ms()
    began, spent = time.monotonic(), time.process_time()
    reads = await asyncio.gather(*(_read(client, began + seconds) for client in clients))
    took, spent = time.monotonic() - began, time.process_time() - spent
    busy = busy_ms() - busy
    after = modem.statistics()
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    await modem.close()
    frames = sum(after[way] - before[way] for way in ("sent", "received"))
    return {
        "share": 100 * spent / took,
        "full": busy / took / 10,
        "frames": frames / took,
        "reads": sum(reads) / took,
    }


async def _associated(network: Network, member: Member) -> Client:
    link = await network.open(Meter(member.serial, member.paths), member.paths[0])
    keys = derive_test_keys(_SEED, member.serial)
    association = Association(
        MANAGEMENT, authentication=HIGH_GMAC, keys=Keys(_TITLE, keys.ek, keys.ak)
    )
    counter = count(1)
    client = Client(
        link, SystemClock(), SystemCrypto(), association, lambda: next(counter), timeout_ms=5000
    )
    try:
        await client.associate()
    except DlmsError as error:
        raise WrongWork("%s: %s" % (member.serial, error)) from error
    return client


async def _read(client: Client, until: float) -> int:
    done = 0
    while time.monotonic() < until:
        await client.get(*_LOAD_PROFILE)
        done += 1
    return done


async def _serve() -> None:
    """The base node: tells its port, then for each line asked how long its air was occupied."""
    scene = Scenario(METERS, _MIX, plc=Figures(BIT_RATE, 10, 1))
    street = Street(build_population(METERS, _SEED, _MIX), scene, _SEED)
    line = TcpLine()
    await street.start({PLC: line})
    print(line.port, flush=True)
    loop = asyncio.get_running_loop()
    while await loop.run_in_executor(None, sys.stdin.readline):
        assert street.plc is not None
        print(street.plc.air.busy_ms, flush=True)
    await street.stop()


if __name__ == "__main__":
    asyncio.run(_serve())
