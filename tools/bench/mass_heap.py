"""The gateway on the unix port of MicroPython, telling on stderr how much of the heap it uses:

    micropython -X heapsize=2m -m tools.bench.mass_heap SETTINGS FOLDER

A line "heap LIVE HEAP" in bytes whenever more lives than before; LIVE is what a collection leaves.
The modules' bytecode, which a board has in its flash, is in it; "code BYTES" tells how much.
"""

from __future__ import annotations

import asyncio
import gc
import sys

import board.heap  # noqa: F401 - as board/unix.py
from board import firmware

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

LOOK_MS = 250


class _Watched:
    """What firmware.run() uses of asyncio."""

    @staticmethod
    def run(gateway: Coroutine[Any, Any, None]) -> None:
        asyncio.run(_both(gateway))


async def _both(gateway: Coroutine[Any, Any, None]) -> None:
    watching = asyncio.create_task(_watch())
    try:
        await gateway
    finally:
        watching.cancel()


async def _watch() -> None:
    most = 0
    while True:
        live = _live()
        if live > most:
            most = live
            print("heap %d %d" % (live, live + gc.mem_free()), file=sys.stderr)  # type: ignore[attr-defined]
        await asyncio.sleep(LOOK_MS / 1000)


def _live() -> int:
    gc.collect()
    used: int = gc.mem_alloc()  # type: ignore[attr-defined]
    return used


def main(settings: str, folder: str) -> int:
    print("code %d" % _live(), file=sys.stderr)
    firmware.asyncio = _Watched  # type: ignore[attr-defined, assignment]
    return firmware.run("gateway", settings, folder, {})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
