"""Run one case of a portable suite: `PYTHON tests/contract/run_case.py portable_mqtt test_x` from
the project's root.

What a suite needs (ports, files) it takes from the environment; the pytest files next to it set it.
"""

from __future__ import annotations

import sys


def run_case(suite: str, case: str) -> None:
    path = "tests.contract." + suite
    __import__(path)
    getattr(sys.modules[path], case)()


if __name__ == "__main__":
    if "" not in sys.path and "." not in sys.path:
        sys.path.insert(0, "")
    run_case(sys.argv[1], sys.argv[2])
    print("passed")
