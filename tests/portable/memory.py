"""How much memory is in use, on CPython and MicroPython."""

from __future__ import annotations

import gc
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

MICROPYTHON = sys.implementation.name == "micropython"

if not MICROPYTHON:
    import tracemalloc


class Measured:
    """`with Measured() as memory:` octets in use by `memory.used()`, all garbage collected: on
    MicroPython of the whole heap, on CPython of what was made since.
    """

    def __enter__(self) -> Measured:
        if not MICROPYTHON:
            tracemalloc.start()
        return self

    def __exit__(self, *_: object) -> None:
        if not MICROPYTHON:
            tracemalloc.stop()

    def used(self) -> int:
        gc.collect()
        if MICROPYTHON:
            used: int = gc.mem_alloc()  # type: ignore[attr-defined]
            return used
        return tracemalloc.get_traced_memory()[0]


def taken(work: Callable[[], None]) -> int:
    """Octets of memory that work() takes: on CPython those in use at once at most, on MicroPython
    all that it allocates, garbage too."""
    if MICROPYTHON:
        gc.collect()
        gc.disable()
        before: int = gc.mem_alloc()  # type: ignore[attr-defined]
        work()
        used: int = gc.mem_alloc() - before  # type: ignore[attr-defined]
        gc.enable()
        return used
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
