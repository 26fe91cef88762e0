"""How time, processor time and memory grow with the number of meters."""

from __future__ import annotations

from typing import Any

from tools.bench.mass_cost import Memory
from tools.bench.mass_transfer import transfer

METERS = (10, 30, 100, 300, 1000, 2000)
LOSS = 0.02


def grown(meters: int, size: int, seed: int) -> dict[str, Any]:
    """took in ms of simulated time, gateway_cpu_s, memory in bytes: two runs, for tracing memory
    takes time."""
    memory = Memory()
    transfer(meters, size, LOSS, seed, memory=memory)
    found = transfer(meters, size, LOSS, seed).record()
    return {**found, "memory": memory.most}
