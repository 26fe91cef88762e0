"""The process that atheris takes over: `python -m tests.fuzz.child TARGET [libFuzzer flags]`."""

from __future__ import annotations

import os
import sys

import atheris

with atheris.instrument_imports(include=["gateway", "hal", "tools"]):
    from tests.fuzz.targets import TARGETS

from tests.fuzz import bounds


def main() -> None:
    play = TARGETS[sys.argv[1]]
    # libFuzzer speaks on descriptor 2; a target's own log would drown it
    os.environ["PYTHONWARNINGS"] = "ignore"
    atheris.Setup(
        [sys.argv[0], *sys.argv[2:]],
        lambda data: bounds.timed(play, data),
        internal_libfuzzer=True,
    )
    bounds.limit_process()
    atheris.Fuzz()


if __name__ == "__main__":
    main()
