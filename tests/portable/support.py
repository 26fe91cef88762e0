"""What portable tests need, on CPython and MicroPython."""

from __future__ import annotations

import asyncio

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any, TypeVar

    T = TypeVar("T")
    E = TypeVar("E", bound=BaseException)


def raises(kind: type[E], call: Callable[..., Any], *args: Any) -> E:
    """Call and return the exception of class `kind` that it must raise."""
    try:
        result = call(*args)
    except kind as error:
        return error
    raise AssertionError("expected %s, got the result %r" % (kind.__name__, result))


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end on a fresh loop."""
    if hasattr(asyncio, "Runner"):
        return asyncio.run(coroutine)
    # MicroPython's one loop keeps the tasks of the last run unless it is renewed.
    asyncio.new_event_loop()
    return asyncio.run(coroutine)


def random_bytes(seed: int, size: int) -> bytes:
    """The same pseudo-random bytes for the same seed on every runtime (xorshift32)."""
    state = (seed * 2654435761 + 0x9E3779B9) & 0xFFFFFFFF or 1
    out = bytearray(size)
    for i in range(size):
        state ^= state << 13 & 0xFFFFFFFF
        state ^= state >> 17
        state ^= state << 5 & 0xFFFFFFFF
        out[i] = state >> 11 & 0xFF
    return bytes(out)
