"""What one run may cost."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable

SECONDS = 1.0  # of CPU time, for an input of at most MOST_BYTES
MOST_BYTES = 4096
FREE_BYTES = 2 << 20  # what a run may allocate whatever its input ...
BYTES_PER_BYTE = 2048  # ... and for each byte of it: a Python object or two a nibble
ADDRESS_SPACE = 512 << 20  # on top of what the fuzzer has at its start


class TooSlow(Exception):
    """A run went over the time bound."""


class TooLarge(Exception):
    """A run went over the memory bound."""


def timed(play: Callable[[bytes], None], data: bytes) -> None:
    start = time.process_time()
    play(data)
    spent = time.process_time() - start
    if spent > SECONDS:
        raise TooSlow("%d bytes took %.1f s of CPU time" % (len(data), spent))


def measured(play: Callable[[bytes], None], data: bytes) -> None:
    """The memory bound, exactly; too slow to be part of each run of the fuzzer."""
    bound = FREE_BYTES + BYTES_PER_BYTE * len(data)
    tracemalloc.start()
    try:
        play(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    if peak > bound:
        raise TooLarge("%d bytes took %d bytes of memory, %d allowed" % (len(data), peak, bound))


def limit_process() -> None:
    """From here on a large allocation is a MemoryError, in whichever run it happens."""
    import resource  # not everywhere, and needed by the fuzzer only

    with open("/proc/self/statm") as status:
        pages = int(status.read().split()[0])
    limit = pages * resource.getpagesize() + ADDRESS_SPACE
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
