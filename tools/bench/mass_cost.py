"""What a district in one process costs: how much of its time the gateway's share is, and how much
of the memory the gateway's objects are."""

from __future__ import annotations

import asyncio
import gc
import signal
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

_ROOT = Path(__file__).resolve().parents[2]
_GATEWAY = tuple("%s/%s/" % (_ROOT, name) for name in ("gateway", "hal"))
_OTHERS = (str(_ROOT / "tools") + "/", str(_ROOT / "hal/sim/channel.py"))
_LOOP = str(_ROOT / "tools/simulation/loop.py")
# on the stack below the gateway: they look on, or give it the time
_ASIDE = (str(_ROOT / "tools/bench") + "/", str(_ROOT / "tools/simulation/clock.py"))
SAMPLE_S = 0.005
SNAPSHOTS_MS = 60_000


class CpuShare:
    """A context in whose time it is sampled whether the gateway or the world around it computes.

    What a sample belongs to is told by its call stack above the event loop: to the world once a
    module of tools/ is in it (virtual meters use the gateway's codec), else to the gateway."""

    def __init__(self) -> None:
        self._gateway = self._others = 0
        self._began = 0.0
        self.total_s = 0.0

    @property
    def gateway_s(self) -> float:
        return self.total_s * self._gateway / max(self._gateway + self._others, 1)

    def __enter__(self) -> Self:
        self._began = time.process_time()
        signal.signal(signal.SIGPROF, self._sample)
        signal.setitimer(signal.ITIMER_PROF, SAMPLE_S, SAMPLE_S)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, signal.SIG_IGN)
        self.total_s = time.process_time() - self._began

    def _sample(self, number: int, frame: FrameType | None) -> None:
        ours = False
        while frame is not None and frame.f_code.co_filename != _LOOP:
            file = frame.f_code.co_filename
            if file.startswith(_OTHERS) and not file.startswith(_ASIDE):
                self._others += 1
                return
            ours = ours or file.startswith(_GATEWAY)
            frame = frame.f_back
        if ours:
            self._gateway += 1
        else:
            self._others += 1


class Memory:
    """`most`: bytes that the gateway's modules had allocated and not freed when it was looked."""

    def __init__(self) -> None:
        self.most = 0
        self._task: asyncio.Task[None] | None = None

    def begin(self, sleep_ms: Callable[[int], Awaitable[None]]) -> None:
        """Trace from now on, and look each SNAPSHOTS_MS of simulated time."""
        gc.collect()
        tracemalloc.start()
        self._task = asyncio.create_task(self._watch(sleep_ms))

    def end(self) -> None:
        if self._task is not None:
            self._look()
            tracemalloc.stop()
            self._task.cancel()

    async def _watch(self, sleep_ms: Callable[[int], Awaitable[None]]) -> None:
        while True:
            await sleep_ms(SNAPSHOTS_MS)
            self._look()

    def _look(self) -> None:
        wanted = [tracemalloc.Filter(True, folder + "*") for folder in _GATEWAY]
        wanted.append(tracemalloc.Filter(False, "*/hal/sim/*"))
        kept = tracemalloc.take_snapshot().filter_traces(wanted)
        self.most = max(self.most, sum(trace.size for trace in kept.traces))
