"""What `ami-bench contract` measures, on either runtime and of either of two checkouts: messages
from octets and into octets again.

Run as a program with a checkout on its path and the file of golden messages as argument. It takes
each line of its input for one round, and answers with a line of JSON: by class, how many
microseconds it took to decode all that is held of it, and how many to encode it.
"""

from __future__ import annotations

import gc
import json
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Case = tuple[str, Callable[[], None], Callable[[], None]]

ROOMS = ("contract", "uplink", "jobs")  # those of the contract, today and before it was one room
MODULES = (
    "messages",
    "key_change",
    "trust_change",
    "trust",
    "job",
    "package",
    "image_file",
    "model",
    "line_certificate",
)
ENOUGH_US = 500  # of one measurement: enough for the clock, and seldom interrupted
MEASUREMENTS = 7

if TYPE_CHECKING or hasattr(time, "process_time_ns"):

    def now_us() -> int:
        return time.process_time_ns() // 1000

else:
    now_us = time.ticks_us


def classes() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for room in ROOMS:
        for name in MODULES:
            path = "gateway.%s.%s" % (room, name)
            try:
                __import__(path)
            except ImportError:
                continue
            module = sys.modules[path]
            for each in dir(module):
                if each not in found:
                    found[each] = getattr(module, each)
    return found


def cases(file_name: str) -> list[Case]:
    """(class, decode all that is held of it, encode it all)."""
    with open(file_name) as file:
        held = json.load(file)
    known = classes()
    names: list[str] = []
    for case in held:
        if case["class"] != "envelope" and case["class"] not in names:
            names.append(case["class"])
    made = []
    for name in names:
        octets = [bytes.fromhex(case["hex"]) for case in held if case["class"] == name]
        made.append((name,) + both_ways(known[name], octets))
    return made


def both_ways(kind: Any, octets: list[bytes]) -> tuple[Callable[[], None], Callable[[], None]]:
    whole = hasattr(kind, "to_payload")  # a package has a decode() that wants it signed
    from_octets = kind.from_payload if whole else kind.decode
    encoders = []
    for raw in octets:
        message = from_octets(raw)
        encoders.append(message.to_payload if whole else message.encode)
        if encoders[-1]() != raw:
            raise ValueError("%s: other octets came out" % kind.__name__)

    def decode() -> None:
        for raw in octets:
            from_octets(raw)

    def encode() -> None:
        for encoder in encoders:
            encoder()

    return decode, encode


def timed(work: Callable[[], None], times: int) -> float:
    """Microseconds once: the least of some measurements; what else the machine does only adds. Each
    is one call deeper than the one before: on MicroPython the same work takes half as long again
    where its frames happen to lie badly in the processor's cache.
    """
    gc.collect()
    return min([_at_depth(depth, work, times) for depth in range(MEASUREMENTS)])


def _at_depth(depth: int, work: Callable[[], None], times: int) -> float:
    if depth:
        return _at_depth(depth - 1, work, times)
    began = now_us()
    for _ in range(times):
        work()
    return (now_us() - began) / times


def main() -> None:
    found = cases(sys.argv[1])
    times: list[list[int]] = []
    for _, decode, encode in found:
        times.append([int(ENOUGH_US // max(timed(work, 3), 1)) + 1 for work in (decode, encode)])
    while sys.stdin.readline():
        report = {}
        for place in range(len(found)):
            name, decode, encode = found[place]
            report[name] = [timed(decode, times[place][0]), timed(encode, times[place][1])]
        print(json.dumps(report))
        if hasattr(sys.stdout, "flush"):
            sys.stdout.flush()


if __name__ == "__main__":
    main()
