"""Run the portable tests without pytest: `micropython tests/portable/run.py [topic ...]` from the
project's root.

Every `test_` function of every tests/portable/test_<topic>.py is called. Ends with "N passed, M
failed".
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
    """Module names to run: all, or those of the topics asked ("cbor", "test_cbor" or a path to the
    file)."""
    there = sorted(
        [n[:-3] for n in os.listdir(FOLDER) if n.startswith("test_") and n[-3:] == ".py"]
    )
    if not wanted:
        return there
    chosen = []
    for name in wanted:
        name = name.split("/")[-1]
        name = name[:-3] if name[-3:] == ".py" else name
        name = name if name.startswith("test_") else "test_" + name
        if name not in there:
            print("no %s/%s.py; there are: %s" % (FOLDER, name, ", ".join(there)))
            sys.exit(2)
        chosen.append(name)
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
