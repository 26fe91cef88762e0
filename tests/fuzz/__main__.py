"""Fuzz one target: see tests/fuzz/__init__.py. Exit status 1 for a finding."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fuzz import bounds, corpus
from tests.fuzz.targets import TARGETS

KEPT_BYTES = 1500  # of corpus a target, inputs of at most KEPT_INPUT bytes
KEPT_INPUT = 200


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", nargs="?", choices=sorted(TARGETS))
    parser.add_argument("--seconds", type=int, default=60, help="default %(default)s")
    parser.add_argument("--seed", type=int, default=1, help="of the mutations; default 1")
    parser.add_argument(
        "--keep", action="store_true", help="add the smallest inputs that reach more to the corpus"
    )
    options = parser.parse_args(arguments)
    if options.target is None:
        for name, target in sorted(TARGETS.items()):
            print("%-20s %s" % (name, target.__doc__ or ""))
        return 0
    finding, tail = fuzz(options.target, options.seconds, options.seed, options.keep)
    print(tail)
    if finding is None:
        return 0
    print("FINDING in %s: %s" % (options.target, finding.hex()))
    print("Mend it, and add the line to %s" % corpus.path_of(options.target).name)
    return 1


def fuzz(target: str, seconds: int, seed: int = 1, keep: bool = False) -> tuple[bytes | None, str]:
    """The input of a finding, or None, and the end of the fuzzer's own report."""
    with tempfile.TemporaryDirectory(prefix="ami-fuzz-") as folder:
        inputs = Path(folder) / "inputs"
        found = Path(folder) / "found"
        inputs.mkdir()
        found.mkdir()
        for number, data in enumerate(corpus.read(target)):
            (inputs / str(number)).write_bytes(data)
        flags = [
            "-max_total_time=%d" % seconds,
            "-seed=%d" % seed,
            "-max_len=%d" % bounds.MOST_BYTES,
            "-timeout=60",
            "-rss_limit_mb=2048",
            "-print_final_stats=1",
            "-artifact_prefix=%s/" % found,
        ]
        # No time limit here: -timeout ends a run that hangs, -max_total_time the whole.
        run = _child(target, [*flags, str(inputs)])
        artifacts = sorted(found.iterdir())
        finding = artifacts[0].read_bytes() if artifacts else None
        if finding is None and run.returncode != 0:
            finding = b""
        if keep and finding is None:
            _grow(target, [path.read_bytes() for path in inputs.iterdir()])
        lines = run.stdout.splitlines()
        return finding, "\n".join(lines[-12:] if finding is None else lines[-60:])


def _child(target: str, flags: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.fuzz.child", target, *flags],
        cwd=Path(__file__).parent.parent.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )


def _grow(target: str, inputs: list[bytes]) -> None:
    """Keep what is there, and add the shortest first as long as there is room."""
    kept = corpus.read(target)
    room = KEPT_BYTES - sum(map(len, kept))
    for data in sorted(set(inputs) - set(kept), key=len):
        if len(data) > min(room, KEPT_INPUT):
            break
        kept.append(data)
        room -= len(data)
    corpus.write(target, kept)


if __name__ == "__main__":
    sys.exit(main())
