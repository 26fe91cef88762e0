"""Keep MicroPython's heap in one piece. CPython needs none of it."""

from __future__ import annotations

import gc

_NEEDED = hasattr(gc, "mem_free")


def tidy() -> None:
    """Collect garbage now, so that what is kept next lies close to what was kept before.

    MicroPython collects only when its heap is used up and never moves an object: whatever is kept
    among much garbage ends up spread over the whole heap, and no long piece stays free. For loops
    that keep many small objects.
    """
    if _NEEDED:
        gc.collect()
