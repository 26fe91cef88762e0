"""The channel on which `ami-bench mass` measures, and the numbers that all its figures share."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from hal.sim.channel import Channel
from tools.emulator import PrimeEmulator
from tools.meter.population import Mix, plc_address
from tools.meter.scenario import Figures, Scenario

RATE = 21400  # bit/s
OVERHEAD = 30  # bytes a frame
LATENCY_MS = 5  # a hop
HOPS = (50, 30, 20)  # per cent of the meters that are 1, 2, 3 hops away
THINK_MS = 50  # until a meter answers
ARQ_TIMEOUT_MS = 500
ARQ_TRIES = 8  # of a frame over one hop
BAUD = 921600  # of the line between gateway and modem
BLOCK = 200  # bytes of the image
SEED = 1

NOTES = (
    "%d bit/s in practice: link-layer acknowledgements are inside it, cost no airtime of their own"
    % RATE,
    "a frame: %d bytes more than its APDU, %d ms more a hop; each hop lost is repeated alone, at"
    " once where the sender knows all, else after %d ms, %d times in all"
    % (OVERHEAD, LATENCY_MS, ARQ_TIMEOUT_MS, ARQ_TRIES),
    "meters 1, 2, 3 hops away: %d, %d, %d %%; a meter thinks for %d ms" % (*HOPS, THINK_MS),
    "a broadcast costs its airtime once per level, a unicast once per hop",
    "line between gateway and modem: %d baud" % BAUD,
)


def figures(loss: float) -> Figures:
    return Figures(RATE, OVERHEAD, LATENCY_MS, HOPS, loss)


def scenario(meters: int, loss: float) -> Scenario:
    """All healthy, all behind one PRIME base node."""
    mix = Mix(plc=1, rf=0, both=0, ip=0, dead=0, refuses_write=0, other_firmware=0)
    return Scenario(meters, mix, plc=figures(loss))


def modem(
    make: type[PrimeEmulator] = PrimeEmulator, meter_ms: int = THINK_MS
) -> Callable[..., PrimeEmulator]:
    """What District takes as plc_modem."""
    return partial(
        make,
        arq_tries=ARQ_TRIES,
        arq_timeout_ms=ARQ_TIMEOUT_MS,
        ack_bytes=None,
        meter_ms=meter_ms,
    )


def channel(loss: float, seed: int) -> Channel:
    """As the gateway's meters have it in a district of the same seed."""
    return figures(loss).channel(seed)


def addresses(meters: int) -> list[str]:
    return [plc_address(number) for number in range(1, meters + 1)]
