"""Scenario files: read with the place of every mistake; carried out in any time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import tools.simulation
from hal.sim.channel import Bursts
from tools.cosem import source
from tools.emulator.line import MemoryLine
from tools.meter.population import build_population
from tools.meter.scenario import Happening, Problem, Scenario, parse_scenario, read_scenario
from tools.meter.street import Street
from tools.simulation import SimulatedClock, run

EXAMPLES = sorted((Path(tools.simulation.__file__).parent / "scenarios").glob("*.yaml"))


def parse(text: str) -> Scenario:
    return parse_scenario(source.parse(text, "street.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_examples_can_be_read(path: Path) -> None:
    assert read_scenario(path).meters >= 24


def test_everything_that_can_stand_in_one() -> None:
    scene = parse(
        """
starts: 17:30
population:
  meters: 50
  shares: {plc: 3, both: 1}
  trouble: {dead: 2, refuses-write: 1}
  late: {share: 7.5 %, within: 2h}
plc:
  rate: 5600
  hops: [50 %, 30 %, 20 %]
  bursts: {good: {loss: 2 %, lasts: 1m-10m}, bad: {loss: 40 %, lasts: 5s-60s}}
  evening: {from: 18:00, to: 23:30, factor: 2.5}
rf: {loss: 3%, overhead: 12, latency: 7ms}
timeline:
  - {at: 1d 2h 3m, every: 1d, do: leave, share: 5 %, for: 6h}
  - {at: 90s, do: hang, modem: plc, for: 20m}
  - {at: 0s, do: reset, modem: rf}
"""
    )
    assert (scene.meters, scene.starts_ms, scene.late) == (50, 63_000_000, (0.075, 7_200_000))
    mix = scene.mix
    assert (mix.plc, mix.rf, mix.both, mix.ip) == (3, 0, 1, 0)
    assert (mix.dead, mix.refuses_write, mix.other_firmware) == (2, 1, 0)
    assert (scene.plc.rate, scene.plc.hops, scene.plc.evening) == (
        5600,
        (50, 30, 20),
        (1080, 1410, 2.5),
    )
    assert isinstance(scene.plc.bursts, Bursts)
    assert scene.plc.bursts.good_ms == (60_000, 600_000) and scene.plc.bursts.bad_loss == 0.4
    assert (scene.rf.rate, scene.rf.loss, scene.rf.overhead, scene.rf.latency_ms) == (
        4800,
        0.03,
        12,
        7,
    )
    assert scene.timeline == (
        Happening(93_780_000, "leave", "", 0.05, 21_600_000, 86_400_000),
        Happening(90_000, "hang", "plc", 0.0, 1_200_000),
        Happening(0, "reset", "rf"),
    )


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("meters: 5", 1, "expected one of population"),
        ("population: {meters: 0}", 1, "a number of meters, 1 to 2000, got '0'"),
        ("population:\n  meters: many", 2, "got 'many'"),
        ("population: {meters: 5}\nstarts: noon", 2, "a time of the day"),
        ("population: {meters: 5}\nplc:\n  hops: [50 %, 40 %]", 3, "add up to 100"),
        ("population: {meters: 5}\nplc: {loss: 2}", 2, "a share such as 2 %"),
        ("population: {meters: 5}\nplc: {loss: 200 %}", 2, "at most 100 %"),
        ("population: {meters: 5}\nplc:\n  loss: 2 %\n  bursts: {}", 3, "both"),
        ("population: {meters: 5}\nplc: {latency: soon}", 2, "a duration"),
        ("population: {meters: 5}\nplc: {rats: 9600}", 2, "did you mean 'rate'"),
        ("population: {meters: 5, shares: {plc: 0}}", 1, "a share above 0"),
        ("population: {meters: 5}\ntimeline:\n  - {at: 1h, do: dance}", 3, "one of leave"),
        ("population: {meters: 5}\ntimeline:\n  - {at: 1h, do: hang}", 3, "'modem:' with hang"),
        ("population: {meters: 5}\ntimeline:\n  - {at: 1h, do: reset, modem: fax}", 3, "plc, rf"),
        (
            "population: {meters: 5}\ntimeline:\n  - {at: 1h, do: reset, modem: rf, for: 1h}",
            3,
            "no 'for:' with reset",
        ),
        (
            "population: {meters: 5}\ntimeline:\n  - {at: 1h, every: 5ms, do: reset, modem: rf}",
            3,
            "at least 1s",
        ),
        ("population: [", 1, "expected YAML"),
        ("- 1", 1, "a scenario, got a list"),
    ],
)
def test_mistakes_are_told_with_their_place(text: str, line: int, what: str) -> None:
    with pytest.raises(Problem) as problem:
        parse(text)
    assert problem.value.line == line and what in str(problem.value)
    assert str(problem.value).startswith("street.yaml:%d:" % line)


def test_a_timeline_is_carried_out_in_its_time() -> None:
    scene = parse(
        """
population: {meters: 40, shares: {plc: 1, both: 1}, late: {share: 10 %, within: 30m}}
timeline:
  - {at: 1h, every: 1h, do: leave, share: 25 %, for: 20m}
  - {at: 1h, do: hang, modem: plc, for: 10m}
  - {at: 2h, do: wrong-crc, modem: plc, share: 50 %, for: 10m}
  - {at: 2h, do: lost-bytes, modem: rf, share: 50 %, for: 10m}
  - {at: 3h, do: noise, modem: rf, share: 100 %, for: 10m}
  - {at: 4h, do: reset, modem: plc}
"""
    )

    async def play() -> None:
        clock = SimulatedClock()
        street = Street(build_population(40, 1, scene.mix), scene, 1, clock=clock)
        lines = {"plc": MemoryLine(), "rf": MemoryLine()}
        await street.start(lines)
        assert street.plc is not None and street.rf is not None
        registered = [node.registered for node in street.plc.nodes]
        assert registered.count(False) == 4
        await asyncio.sleep(1800)
        assert all(node.registered for node in street.plc.nodes)
        await asyncio.sleep(1800 + 60)
        assert len(street.away) == 10 and street.plc.hanging
        away = [node.address for node in street.plc.nodes if not node.registered]
        assert len(away) == 10
        await asyncio.sleep(1800 - 60)
        assert not street.away and not street.plc.hanging
        assert all(node.registered for node in street.plc.nodes)
        await asyncio.sleep(1800 + 60)
        assert lines["plc"].damage.wrong == lines["rf"].damage.lost == 0.5
        await asyncio.sleep(3600)
        assert lines["plc"].damage.wrong == lines["rf"].damage.lost == 0
        assert not street.rf.air.channel.delivered("x", clock.ticks_ms())
        await asyncio.sleep(6 * 3600)
        assert street.rf.air.channel.delivered("x", clock.ticks_ms())
        assert street.happened["leave"] == 9 and street.happened["reset"] == 1
        await street.stop()

    run(play())
