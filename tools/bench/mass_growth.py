"""How time, processor time and memory grow with the number of meters."""

from __future__ import annotations

from typing import Any

from tools.bench.mass_cost import Memory
from tools.bench.mass_transfer import Transfer, transfer

METERS = (10, 30, 100, 300, 1000, 2000)
LOSS = 0.02
MEMORY_SIZE = 16384  # of the image while memory is traced: its blocks come from the flash


def grown(meters: int, size: int, seed: int, known: Transfer | None = None) -> dict[str, Any]:
    """took in ms of simulated time, gateway_cpu_s, memory in bytes. `known`: this transfer, if it
    has been done. Memory is traced in a shorter transfer of its own, for tracing takes time."""
    memory = Memory()
    transfer(meters, min(size, MEMORY_SIZE), LOSS, seed, memory=memory)
    found = known or transfer(meters, size, LOSS, seed)
    return {**found.record(), "memory": memory.most}
