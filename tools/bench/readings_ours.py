"""What `ami-bench readings` measures on either runtime: rows into octets and back. A file of rows
is the argument.

It takes each line of its input for one round, and answers with a line of JSON: by profile, how many
microseconds a row takes to encode, and to decode. With the word `heap` as argument it tells at once
what a store of readings holds of the heap: MicroPython only.
"""

from __future__ import annotations

import gc
import json
import sys
import time

from gateway.contract import block

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

ENOUGH_US = 20_000

if TYPE_CHECKING or hasattr(time, "process_time_ns"):

    def now_us() -> int:
        return time.process_time_ns() // 1000

else:
    now_us = time.ticks_us


def main(path: str) -> None:
    with open(path) as file:
        profiles = json.load(file)
    while sys.stdin.readline():
        told = {name: _both(rows) for name, rows in profiles}
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()


def _both(rows: list[list[Any]]) -> list[float]:
    octets = block.encode(rows)
    if block.decode(octets) != rows:
        raise ValueError("other rows came out")
    return [
        _us(lambda: block.encode(rows)) / len(rows),
        _us(lambda: block.decode(octets)) / len(rows),
    ]


def _us(work: Callable[[], Any]) -> float:
    gc.collect()
    times, began = 0, now_us()
    while now_us() - began < ENOUGH_US:
        work()
        times += 1
    return (now_us() - began) / times


# The heap.

METERS, SERIES, DAYS = 300, 4, 7
NOW = 1_700_006_400


class Limits:
    readings_bytes = 4 << 20
    free_bytes = 0


def heap() -> dict[str, int]:
    """Octets of the heap: of the modules, of an empty store, and of one that was opened with a week
    of METERS meters; `octets` of it on the flash, and milliseconds that it took to open."""
    # These are there without readings, too.
    import gateway.contract.messages
    import gateway.journal  # noqa: F401
    from hal.sim.clock import ManualClock
    from hal.sim.storage import MemoryStorage

    storage, clock = MemoryStorage(), ManualClock(NOW)
    before = _live()
    from gateway.readings.recorder import Recorder
    from gateway.readings.store import Store
    from gateway.uplink.readings import ReadingsStream

    modules = _live()

    def opened() -> Any:
        store = Store(storage, clock, lambda n: b"\x01" * n, Limits, lambda name, detail: None)
        return ReadingsStream(store, clock)

    stream = opened()
    empty = _live()
    for day in range(DAYS):
        for meter in range(METERS):
            _a_day(Recorder(stream.store), meter, day)
            stream.store.commit()
    stream = None
    flash = sum([storage.size(name) for name in storage.names()])
    left = _live()
    began = time.time() * 1000
    stream = opened()
    took = time.time() * 1000 - began
    full = _live() - left
    if stream.store.series.count != METERS * SERIES:
        raise ValueError("%d series" % stream.store.series.count)
    return {
        "modules": modules - before,
        "empty": empty - modules,
        "full": full,
        "octets": flash,
        "open_ms": int(took),
    }


def _a_day(recorder: Any, meter: int, day: int) -> None:
    serial = "AMI%010d" % meter
    columns = [(3, b"\x01\x00\x01\x08\x00\xff", 2, 0, 6, 0, 30)] * 5
    for series in range(SERIES):
        obis = bytes((1, 0, 99, 1 + series, 0, 255))
        rows = []
        for i in range(96 if series == 0 else 1):
            energy = (meter + day * 96 + i) * 911
            rows.append([NOW + 86400 * day + 900 * i, energy, 0, energy // 7, i * i % 77, 0])
        layout = recorder.layout(serial, 7, obis, 900, columns)
        recorder.rows(layout, serial, "daily", NOW, rows)
    recorder._close()
    recorder._store.write(recorder._waiting)


def _live() -> int:
    gc.collect()
    used: int = gc.mem_alloc()  # type: ignore[attr-defined]
    return used


if __name__ == "__main__":
    if sys.argv[1] == "heap":
        print(json.dumps(heap()))
    else:
        main(sys.argv[1])
