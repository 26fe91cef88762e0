"""Run the portable tests without pytest: `micropython tests/portable/run.py [topic ...]` from the
project's root.

Every `test_` function of every tests/portable/<room>/test_<topic>.py is called. Ends with "N
passed, M failed".
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys

FOLDER = "tests/portable"

if hasattr(gc, "threshold"):  # as board/heap.py, and for the same reason
    gc.threshold(65536)

if "" not in sys.path and "." not in sys.path:
    sys.path.insert(0, "")


def topics(wanted: list[str]) -> list[str]:
    """Modules to run, as "room.test_topic": all, or those asked for ("hal/cbor", "cbor", or the
    path to the file)."""
    there = []
    for room in sorted(os.listdir(FOLDER)):
        if "." not in room and room != "__pycache__" and room != "data":
            for name in sorted(os.listdir(FOLDER + "/" + room)):
                if name.startswith("test_") and name[-3:] == ".py":
                    there.append("%s.%s" % (room, name[:-3]))
    if not wanted:
        return there
    chosen = []
    for name in wanted:
        parts = name.split("/")
        topic = parts[-1][:-3] if parts[-1][-3:] == ".py" else parts[-1]
        topic = topic if topic.startswith("test_") else "test_" + topic
        room = parts[-2] if len(parts) > 1 else ""
        found = [each for each in there if each.split(".") == [room or each.split(".")[0], topic]]
        if not found:
            print("no %s in %s; there are: %s" % (name, FOLDER, ", ".join(there)))
            sys.exit(2)
        chosen += found
    return chosen


def show(error: BaseException) -> None:
    if hasattr(sys, "print_exception"):
        sys.print_exception(error)
    else:
        import traceback

        traceback.print_exception(error)


def run_module(name: str) -> tuple[int, int]:
    """(passed, failed) of one module; failing to import it is one failure."""
    passed = failed = 0
    path = FOLDER.replace("/", ".") + "." + name
    try:
        __import__(path)
        module = sys.modules[path]
    except Exception as error:
        print("FAILED %s (import)" % name)
        show(error)
        return 0, 1
    for attribute in sorted(dir(module)):
        if not attribute.startswith("test_"):
            continue
        if hasattr(sys, "print_exception"):
            asyncio.new_event_loop()  # MicroPython's one loop keeps the tasks of the last test
        gc.collect()
        try:
            getattr(module, attribute)()
            passed += 1
        except Exception as error:
            failed += 1
            print("FAILED %s.%s" % (name, attribute))
            show(error)
    del sys.modules[path]
    return passed, failed


def main() -> None:
    passed = failed = 0
    for name in topics(sys.argv[1:]):
        counts = run_module(name)
        gc.collect()
        print("%s: %d passed, %d failed" % (name, counts[0], counts[1]))
        passed += counts[0]
        failed += counts[1]
    print("%d passed, %d failed" % (passed, failed))
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
