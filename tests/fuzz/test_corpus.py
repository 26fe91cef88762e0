"""The corpus again, each input within its bounds; and with --long, a minute of fuzzing a target."""

from __future__ import annotations

import importlib.util
import time

import pytest

from tests.fuzz import bounds, corpus
from tests.fuzz.__main__ import fuzz
from tests.fuzz.targets import TARGETS


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_corpus_stays_within_bounds(name: str) -> None:
    inputs = corpus.read(name)
    assert inputs
    for data in inputs:
        bounds.measured(TARGETS[name], data)
        bounds.timed(TARGETS[name], data)


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_large_inputs_stay_within_bounds(name: str) -> None:
    """The corpus cannot hold these: one byte, and each of its inputs, over and over."""
    seeds = [bytes((byte,)) for byte in (0, 1, 2, 0x13, 0x7E, 0x81, 0x9F, 0xA5, 0xBF, 0xFF)]
    for seed in seeds + corpus.read(name)[:20]:
        data = (seed * bounds.MOST_BYTES)[: bounds.MOST_BYTES]
        bounds.measured(TARGETS[name], data)


def test_corpus_is_small() -> None:
    assert sum(path.stat().st_size for path in corpus.FOLDER.iterdir()) < 76 * 1024


def _spend(data: bytes) -> None:
    start = time.process_time()
    while time.process_time() - start <= bounds.SECONDS:
        pass


def _allocate(data: bytes) -> None:
    bytes(bounds.FREE_BYTES + 1)


def test_bounds_are_kept() -> None:
    with pytest.raises(bounds.TooLarge):
        bounds.measured(_allocate, b"")
    with pytest.raises(bounds.TooSlow):
        bounds.timed(_spend, b"")


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", sorted(TARGETS))
def test_a_minute_of_fuzzing(name: str) -> None:
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("atheris is made for CPython up to 3.13 on Linux, x86-64")
    finding, report = fuzz(name, 60)
    assert finding is None, "%s\n%s" % (finding.hex(), report)
