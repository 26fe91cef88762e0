"""The gateway on the unix port of MicroPython, which tells what its heap holds once it runs:

    micropython -X heapsize=8m tools/bench/heap_ours.py SETTINGS FOLDER

One line of JSON: code and live in bytes, what a collection leaves after the imports of the board's
file and with the gateway running; modules, the names of those loaded. The modules' bytecode, which
a board has in its flash, is in both. The gateway measured is the one on MICROPYPATH.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys

import board.heap  # noqa: F401 - as board/unix.py
from board import firmware

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

STARTED_S = 1  # by then the modem's line is open, and the broker has been tried


class _Started:
    """What firmware.run() uses of asyncio."""

    def __init__(self) -> None:
        self.live = 0

    def run(self, gateway: Coroutine[Any, Any, None]) -> None:
        asyncio.run(self._measure(gateway))

    async def _measure(self, gateway: Coroutine[Any, Any, None]) -> None:
        running = asyncio.create_task(gateway)
        await asyncio.sleep(STARTED_S)
        if not running.done():
            self.live = _live()
        running.cancel()
        try:
            await running
        except asyncio.CancelledError:
            pass


def _live() -> int:
    gc.collect()
    used: int = gc.mem_alloc()  # type: ignore[attr-defined]
    return used


def main(settings: str, folder: str) -> int:
    """1 when the gateway has ended by itself."""
    code = _live()
    started = _Started()
    firmware.asyncio = started  # type: ignore[attr-defined, assignment]
    firmware.run("gateway", settings, folder, {})
    print(json.dumps({"code": code, "live": started.live, "modules": sorted(sys.modules)}))
    return 0 if started.live else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
