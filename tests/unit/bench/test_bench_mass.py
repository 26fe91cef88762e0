"""`ami-bench mass` at small scale: the work is done right, the sums are right, the same seed gives
the same figures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hal.sim.channel import Channel
from tests.conftest import find_micropython
from tools.bench import (
    mass_channel,
    mass_configure,
    mass_growth,
    mass_micropython,
    mass_model,
    mass_plots,
    mass_sizes,
)
from tools.bench.__main__ import main
from tools.bench.mass_sizes import Sizes
from tools.bench.mass_transfer import FIRMWARE, image, transfer

SIZES = Sizes(240, (240, 20), (50, 20), (30, 30), (30, 20), (40, 80), (30, 20), (30, 30))


def test_quick(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "figures.json"
    assert main(["mass", "--quick", "--json", str(file), "--plots", str(tmp_path)]) == 0
    report = json.loads(file.read_text())
    assert [row["loss"] for row in report["transfer"]] == [0.02, 0.1, 0.2]
    for row in report["transfer"]:
        assert 1 <= row["ratio"] < 3 and row["busy"] <= row["took"] < row["unicast_ms"]
        assert sum(row["phases"].values()) == row["took"]
        assert row["blocks_sent"]["broadcast"] >= row["blocks"] == 41
    fast, slow, single = report["configure"]
    assert fast["busy"] >= 0.9 * fast["took"] and fast["took"] <= 1.3 * fast["least"]
    assert single["took"] > 2 * slow["took"]
    assert 0 <= report["urgent"]["urgent_starts"] <= 10000
    assert "meters finished" in (tmp_path / "mass-timeline.svg").read_text()
    printed = capsys.readouterr().out
    assert "O = sum over the blocks" in printed and "21400 bit/s" in printed


def test_the_same_seed_gives_the_same_figures() -> None:
    def figures(seed: int) -> list[tuple[int, str]]:
        return transfer(12, 2000, 0.1, seed).sends

    assert figures(5) == figures(5) != figures(6)


def test_time_and_memory_grow_with_the_meters(tmp_path: Path) -> None:
    rows = [mass_growth.grown(meters, 1000, 1) for meters in (3, 30)]
    assert 0 < rows[0]["took"] < rows[1]["took"] and 0 < rows[0]["memory"] < rows[1]["memory"]
    mass_plots.growth(rows, tmp_path)
    assert (tmp_path / "mass-growth.svg").stat().st_size > 5000


@pytest.mark.skipif(not find_micropython(), reason="no micropython: run ./tools/test once")
def test_the_heap_of_micropython_is_measured() -> None:
    found = mass_micropython.measure(5, 1000)
    assert 200_000 < found["code"] < found["live"] < found["heap"] <= 2 << 20


def test_sizes_are_those_of_real_frames() -> None:
    content = image(4096)
    assert len(content) == 4096
    sizes = mass_sizes.measure(content, FIRMWARE.encode(), 1)
    # tag, length, security header, plain APDU with the block and its descriptor, tag of GCM
    assert 200 + 12 + 5 < sizes.broadcast == sizes.block[0] < 260
    assert all(12 < size < 120 for pair in (sizes.status, sizes.firmware) for size in pair)


def test_the_oracle_pays_no_more_than_it_must() -> None:
    nodes = mass_channel.addresses(50)
    clean = Channel(1, 0.0, hops=mass_channel.HOPS)
    spent = mass_model.oracle(clean, nodes, 10, 0.0, SIZES)
    assert (spent.broadcasts, spent.unicasts) == (10, 0)
    assert spent.blocks_ms == 10 * clean.broadcast_ms(nodes, 240)
    hops = sum(clean.hops(node) for node in nodes)
    assert spent.exchanges_ms == hops * sum(clean.hop_ms(size) for size in (40, 80, 30, 30))
    alone = mass_model.oracle(Channel(), nodes[:1], 10, 0.0, SIZES)
    assert alone.blocks_ms == 10 * Channel().hop_ms(240)
    lossy = mass_model.oracle(mass_channel.channel(0.2, 1), nodes, 10, 0.2, SIZES)
    assert lossy.broadcasts > 15 and lossy.unicasts > 0


def test_one_by_one_is_every_exchange_in_turn() -> None:
    took = mass_model.one_by_one(Channel(), ["a", "b"], 3, SIZES)
    sizes = [50, 20, 30, 30, 30, 20, 40, 80, 30, 20, 30, 30] + 3 * [240, 20]
    hop_ms = Channel().hop_ms
    assert took == 2 * (sum(hop_ms(size) for size in sizes) + 9 * mass_channel.THINK_MS)


def test_the_configuration_has_its_size() -> None:
    package = mass_configure.package()
    assert sum(len(step.data or b"") for step in package.steps) == mass_configure.BYTES
