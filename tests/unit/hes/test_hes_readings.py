"""`ami-hes readings` and `ami-hes events`: shown, missing, exported, balanced; safe on screens."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from gateway.contract import envelope, quality
from gateway.contract.job import Job
from gateway.contract.messages import Hello, Meters
from gateway.contract.task import ALL, DAYS, LIST, Every, Item, Task
from gateway.contract.task import PROFILE as PROFILES
from tests.unit.hes.orders import CONCENTRATOR
from tests.unit.hes.readings import (
    DAY,
    EVENT,
    LOG,
    METER,
    NOW,
    PROFILE,
    STATUS,
    T0,
    Stream,
    gap,
    layout,
    load,
    register,
    rows,
    values,
)
from tools.hes.cli.main import main
from tools.hes.cli.readings import WHY
from tools.hes.orders import task as tasks
from tools.hes.readings import energy, expected, export, profiles, quantities, reread
from tools.hes.store.problems import DatabaseTrouble
from tools.hes.store.store import Store
from tools.hes.validation.row import Column
from tools.package.keys import SigningKey

HOSTILE = "a\x1b[2J\x07\r\nb\u202e=1+1[red]"
LAYOUT = layout(register(1, scaler=-1))


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Times are shown and typed as local ones."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def now() -> list[float]:
    return [float(NOW)]


@pytest.fixture
def stream(clocked: Store) -> Stream:
    return Stream(clocked)


@pytest.fixture
def hes(clocked: Store, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a command at NOW; (exit status, what it wrote)."""
    monkeypatch.setenv("COLUMNS", "160")

    def run(*arguments: str) -> tuple[int, str]:
        capsys.readouterr()
        status = main(["--db", clocked.where, *arguments])
        said = capsys.readouterr()
        return status, said.out + said.err

    return run


def iso(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


RANGE = ("--from", iso(T0), "--to", iso(NOW))


# ---------------------------------------------------------------- show


def test_a_profile_is_shown_with_units_scalers_and_quality(stream: Stream, hes: Any) -> None:
    some = [
        [T0, 1000, 0, 0],
        [T0 + 900, 1055, 0, quality.TIME_REPAIRED],
        [T0 + 1800, 1055, 4, 0],
        [T0 + 2700, 1000, 8, 0],
        [T0 + 3600, None, 0, 0],
    ]
    of = layout(register(1, scaler=-1), STATUS)
    stream.send(of, rows(of, some))
    status, said = hes("readings", "show", METER, *RANGE)
    assert status == 0
    assert "load-profile (1.0.99.1.0) of AMI01, read by c-1" in said
    lines = said.splitlines()
    assert any("1.0.1.8.0" in line for line in lines) and any("Wh" in line for line in lines)
    (first,) = [
        line
        for line in lines
        if line.strip().startswith(time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(T0)))
    ]
    assert "100.0" in first
    for words in (
        "105.5",
        "doubtful; the concentrator had to repair or doubt its time; time repaired",
        "data not valid",
        "invalid; the meter says that it is not valid",
        "invalid; a register that only counts up is lower than before",
        "daylight saving",
        "doubtful; a value is missing",
        "1.0.1.8.0, from row to row, at most 5.5 Wh",
        "█",
    ):
        assert words in said, words


def test_what_is_not_there_is_said(stream: Stream, hes: Any) -> None:
    stream.send(LAYOUT, rows(LAYOUT, load(T0, 4)))
    status, said = hes("readings", "show", "AMI99")
    assert (
        status == 1
        and "no rows of profiles or logs of a meter AMI99 are here; for single values add --values"
        in said
    )
    status, said = hes("readings", "show", METER, "--profile", "daily-profile")
    assert status == 1 and "it has: load-profile (1.0.99.1.0)" in said
    status, said = hes("readings", "show", METER, "--from", iso(T0 + DAY), "--to", iso(NOW))
    assert status == 1 and "no rows in this time; its last row is of " in said
    status, said = hes("readings", "show", METER, "--profile", "no-such")
    assert status == 1 and "expected a profile such as load-profile or 1.0.99.1.0.255" in said
    status, said = hes("readings", "show", METER, "--from", iso(T0), "--to", iso(T0))
    assert status == 1 and "expected --from before --to" in said
    status, said = hes("readings", "show", METER, "--model", "acme", *RANGE)
    assert status == 1 and "expected --model to be one of ami" in said


def test_values_are_shown(stream: Stream, hes: Any) -> None:
    total = [3, bytes((1, 0, 1, 8, 0, 255)), 2, b"\x06\x00\x00\x03\xe8", -1, 30]
    text = HOSTILE.encode()
    name = [1, bytes((0, 0, 96, 1, 0, 255)), 2, bytes((12, len(text))) + text, None, None]
    stream.send(values(total, name))
    status, said = hes("readings", "show", METER, "--values", *RANGE)
    assert status == 0 and "100.0 Wh" in said and "totals" in said
    assert not harmful(said)
    status, said = hes("readings", "show", "AMI99", "--values")
    assert status == 1 and "no values of AMI99 in this time" in said


def harmful(said: str) -> bool:
    return any(not each.isprintable() for each in said.replace("\n", ""))


def test_texts_of_others_do_nothing_on_a_screen(clocked: Store, stream: Stream, hes: Any) -> None:
    of = layout([1, bytes((0, 0, 96, 1, 0, 255)), 2, 0, 12, None, None])
    log = layout(EVENT, [1, bytes((0, 0, 96, 1, 0, 255)), 2, 0, 12, None, None], period=0, obis=LOG)
    stream.send(of, rows(of, [[T0, HOSTILE, 0], [T0 + 900, [HOSTILE, b"\x1b[2J"], 0]]))
    stream.send(log, rows(log, [[T0, 1, HOSTILE, 0]]), gap(T0, T0 + 900, "x\x1b[2J"))
    stream.send(rows(of, [[T0 + 3600, 1, 0]], serial="=A1[red]"))
    for command in (
        ("readings", "show", METER, *RANGE),
        ("readings", "show", "=A1[red]", *RANGE),
        ("readings", "gaps", *RANGE),
        ("readings", "gaps", "--by-day", *RANGE),
        ("readings", "export", "--csv", "-", *RANGE),
        ("readings", "balance", CONCENTRATOR, *RANGE),
        ("events", METER, *RANGE),
        ("events", METER, "--json", *RANGE),
    ):
        _, said = hes(*command)
        assert not harmful(said), command
    _, said = hes("readings", "show", "=A1[red]", *RANGE)
    assert "=A1[red]" in said
    _, said = hes("readings", "export", "--csv", "-", *RANGE)
    assert "'=A1[red]" in said and "\n=" not in said and ",=" not in said


# ---------------------------------------------------------------- gaps


def gaps_of(store: Store, start: int = T0, until: int = NOW) -> list[tuple[int, int, int, str]]:
    some = store.readings.series()
    found = expected.missing(store.readings, some, start, {each.id: until for each in some})
    return [
        ((each.start - T0) // 900, (each.end - T0) // 900, each.rows, each.reason) for each in found
    ]


def test_what_is_missing_between_and_after(clocked: Store, stream: Stream) -> None:
    stream.send(LAYOUT, rows(LAYOUT, load(T0, 96)))
    assert gaps_of(clocked, until=T0 + DAY) == []
    assert gaps_of(clocked, until=T0 + DAY + 1800) == [(96, 97, 2, "")]
    stream.send(rows(LAYOUT, load(T0 + DAY + 3600, 92)))  # the first hour of the second day not
    assert gaps_of(clocked, until=T0 + 2 * DAY) == [(96, 99, 4, "")]
    stream.send(rows(LAYOUT, load(T0 + 4 * DAY, 96)))
    assert gaps_of(clocked, until=T0 + 5 * DAY) == [(96, 99, 4, ""), (192, 383, 192, "")]
    # Not before the time that is asked for.
    assert (
        gaps_of(clocked, T0 + 3 * DAY, T0 + 5 * DAY) == [(288, 383, 96, "")]
        or gaps_of(clocked, T0 + 3 * DAY, T0 + 5 * DAY) == []
    )


def test_what_the_meter_itself_has_not_is_told_apart(clocked: Store, stream: Stream) -> None:
    stream.send(LAYOUT, rows(LAYOUT, load(T0, 4)), rows(LAYOUT, load(T0 + 24 * 900, 72)))
    assert gaps_of(clocked, until=T0 + DAY) == [(4, 23, 20, "")]
    stream.send(gap(T0 + 8 * 900, T0 + 11 * 900), gap(T0 + 20 * 900, T0 + 40 * 900, "not-captured"))
    assert gaps_of(clocked, until=T0 + DAY) == [
        (4, 7, 4, ""),
        (8, 11, 4, "overwritten"),
        (12, 19, 8, ""),
        (20, 23, 4, "not-captured"),
    ]


def test_a_daily_profile_across_daylight_saving(clocked: Store, stream: Stream) -> None:
    of = layout(register(1), period=DAY)
    at, some = T0, []
    for hours in (24, 25, 24, 23, 24):
        some.append([at, 1, 0])
        at += hours * 3600
    stream.send(of, rows(of, some))
    assert gaps_of(clocked, until=at) == []


def test_when_rows_are_due(clocked: Store, stream: Stream, key: SigningKey) -> None:
    """A task that reads once a week makes nothing late after a day."""
    stream.send(LAYOUT, rows(LAYOUT, load(T0, 4)))
    some = clocked.readings.series()

    def due() -> int:
        (at,) = expected.due_until(clocked.readings, clocked.trust, some, NOW).values()
        return (NOW - at) // 3600

    assert due() == 24 + 6
    give(clocked, key, Every(DAYS, 7, 0, 0), [ALL, []])
    assert due() == 24 + 6  # not taken yet
    clocked.line.take_hello(CONCENTRATOR, Hello(1, 0, [], changes=1))
    assert due() == 7 * 24 + 6


def give(store: Store, key: SigningKey, every: Every, meters: list[Any]) -> None:
    task = Task("night", T0, every, 4, meters, [Item(PROFILES, "load-profile")], 1000, 40, 0)
    tasks.send(store.trust, key, [CONCENTRATOR], task, int(time.time()))
    for message in store.line.numbered(CONCENTRATOR):
        store.line.numbered_sent(message)


def test_gaps_on_the_screen(clocked: Store, stream: Stream, key: SigningKey, hes: Any) -> None:
    stream.send(LAYOUT, rows(LAYOUT, load(T0, 4)), rows(LAYOUT, load(T0 + 24 * 900, 72)))
    stream.send(gap(T0 + 8 * 900, T0 + 11 * 900))
    status, said = hes("readings", "gaps", CONCENTRATOR, "--from", iso(T0), "--to", iso(T0 + DAY))
    assert status == 1
    assert "not received" in said and "the meter's buffer has gone over them" in said
    assert "16 rows can be read again, 4 are gone from the meters themselves." in said
    status, said = hes("readings", "gaps", "--by-day", "--from", iso(T0), "--to", iso(T0 + DAY))
    assert status == 1 and "76 of 96 rows, 79.17 %." in said
    stream.send(rows(LAYOUT, load(T0 + 4 * 900, 20)))
    status, said = hes("readings", "gaps", CONCENTRATOR, "--from", iso(T0), "--to", iso(T0 + DAY))
    assert (status, "Nothing is missing." in said) == (0, True)
    status, said = hes("readings", "gaps", "--by-day", "--from", iso(T0), "--to", iso(T0 + DAY))
    assert status == 0 and "96 of 96 rows, 100.00 %." in said

    # A meter of the task of which nothing came is named.
    give(clocked, key, Every(DAYS, 1, 10, 0), [LIST, [METER, "AMI02"]])
    clocked.line.take_hello(CONCENTRATOR, Hello(1, 0, [], changes=1))
    status, said = hes("readings", "gaps", "--from", iso(T0), "--to", iso(T0 + DAY))
    assert status == 1 and "AMI02: nothing of load-profile was ever received (task night)" in said
    assert "AMI01: nothing" not in said
    stream.send(b"\x01")
    _, said = hes("readings", "gaps", CONCENTRATOR)
    assert "1 records of readings could not be taken" in said


def test_meters_that_the_concentrator_has_told_of_count(
    clocked: Store, stream: Stream, key: SigningKey
) -> None:
    clocked.line.take_meters(CONCENTRATOR, Meters("", False, [["AMI01", []], ["AMI07", []]]))
    stream.send(LAYOUT, rows(LAYOUT, load(T0, 4)))
    give(clocked, key, Every(DAYS, 1, 10, 0), [ALL, []])
    clocked.line.take_hello(CONCENTRATOR, Hello(1, 0, [], changes=1))
    found = expected.never_read(clocked.readings, clocked.trust, CONCENTRATOR, ["AMI01", "AMI07"])
    assert found == [("AMI07", "load-profile", "night")]


# ---------------------------------------------------------------- read again


def holes(stream: Stream, meters: Sequence[str]) -> None:
    """An hour is missing of the first day, of all meters the same; of the last one also a later
    hour, of which one row is gone from the meter itself."""
    stream.send(LAYOUT)
    for serial in meters:
        last = serial == meters[-1]
        stream.send(rows(LAYOUT, load(T0, 4), serial))
        stream.send(rows(LAYOUT, load(T0 + 8 * 900, 20 if last else 88, 1400), serial))
    stream.send(rows(LAYOUT, load(T0 + 32 * 900, 64, 2600), meters[-1]))
    stream.send(gap(T0 + 28 * 900, T0 + 28 * 900, serial=meters[-1]))


def jobs_of(store: Store) -> list[tuple[list[str], int, int, int]]:
    """(meters, first period, last period after T0, priority) of the jobs, the oldest first."""
    found = []
    for counted in reversed(store.reports.jobs()):
        job = Job.decode(envelope.split(store.reports.job(counted.id).envelope)[1])
        assert counted.kind == "readings" and job.span is not None
        assert job.objects == [(7, PROFILE, 2)]
        span = ((job.span.start - T0) // 900, (job.span.end - T0) // 900)
        serials = [row.serial for row in store.reports.meters(counted.id)]
        found.append((serials, *span, job.priority))
    return found


def test_what_is_missing_is_ordered_again_together(
    clocked: Store, stream: Stream, key: SigningKey, now: list[float], hes: Any
) -> None:
    now[0] = T0 + DAY + 30 * 3600  # the rows of the first day are due, and no others
    holes(stream, ["A1", "A2", "A3"])
    assert reread.order_again(clocked, key) == 2
    assert jobs_of(clocked) == [(["A1", "A2", "A3"], 4, 7, 2), (["A3"], 29, 31, 2)]
    status, said = hes("readings", "gaps", "--from", iso(T0), "--to", iso(T0 + DAY))
    assert status == 1 and "4 of these gaps were asked for again" in said
    assert (
        "ami-hes submit --concentrator c-1 --readings 'profile_generic 1.0.99.1.0.255'"
        " --rows-from %s --rows-to %s --meters A1,A2,A3 --key KEY.pem"
        % (iso(T0 + 3600), iso(T0 + 7 * 900))
    ) in said


def test_it_is_ordered_three_times_at_most_and_further_and_further_apart(
    clocked: Store, stream: Stream, key: SigningKey, now: list[float]
) -> None:
    now[0] = T0 + DAY + 30 * 3600
    holes(stream, ["A1"])
    begun = now[0]
    ordered = []
    for hours in range(0, 240, 6):
        now[0] = begun + hours * 3600
        before = len(jobs_of(clocked))
        reread.order_again(clocked, key)
        if (["A1"], 4, 7, 2) in jobs_of(clocked)[before:]:
            ordered.append(hours)
    assert ordered == [0, 24, 72]


def test_what_has_come_is_not_asked_for_again(
    clocked: Store, stream: Stream, key: SigningKey, now: list[float]
) -> None:
    now[0] = T0 + DAY + 30 * 3600
    holes(stream, ["A1"])
    assert reread.order_again(clocked, key) == 2
    stream.send(rows(LAYOUT, load(T0 + 3600, 4, 1200), "A1"))
    now[0] += DAY
    reread.order_again(clocked, key)
    asked = [(first, last) for _, first, last, _ in jobs_of(clocked)]
    assert asked.count((4, 7)) == 1 and asked.count((29, 31)) == 2


def test_jobs_for_missing_rows_are_bounded(
    clocked: Store, stream: Stream, key: SigningKey, now: list[float], monkeypatch: Any
) -> None:
    monkeypatch.setattr(reread, "MOST_JOBS", 3)
    now[0] = T0 + DAY + 30 * 3600
    stream.send(LAYOUT)
    for at in range(8):
        stream.send(rows(LAYOUT, load(T0 + at * 9000, 5)))
    assert [reread.order_again(clocked, key) for _ in range(2)] == [3, 0]
    assert [first for _, first, _, _ in jobs_of(clocked)] == [5, 15, 25]
    now[0] += DAY + 1
    assert reread.order_again(clocked, key) == 3


def test_a_database_in_trouble_is_no_end_of_it(
    clocked: Store, key: SigningKey, monkeypatch: Any, capsys: Any
) -> None:
    def trouble(*_: Any) -> Any:
        raise DatabaseTrouble("locked")

    monkeypatch.setattr(reread, "order_again", trouble)
    reread.look(clocked, key)
    assert "missing rows: locked; it is tried again" in capsys.readouterr().err


# ---------------------------------------------------------------- export


def test_export_as_csv(clocked: Store, stream: Stream, hes: Any, tmp_path: Path) -> None:
    of = layout(register(1, scaler=-1), STATUS)
    stream.send(of, rows(of, [[T0, 1000, 0, 0], [T0 + 900, 900, None, 1]]))
    file = tmp_path / "r.csv"
    status, said = hes("readings", "export", "--csv", str(file), "--meter", METER, *RANGE)
    assert status == 0 and "4 values in" in said
    found = list(csv.DictReader(io.StringIO(file.read_text())))
    assert found[0] == {
        "concentrator": "c-1",
        "meter": METER,
        "profile": "1.0.99.1.0",
        "time": iso(T0) + "Z",
        "object": "1.0.1.8.0",
        "attribute": "2",
        "text": "100.0",
        "value": "100.0",
        "unit": "Wh",
        "validity": "valid",
        "reasons": "",
        "flags": "",
        "read_at": iso(NOW - 100) + "Z",
    }
    assert found[2]["validity"] == "invalid" and "lower than before" in found[2]["reasons"]
    assert found[2]["flags"] == "time repaired" and found[3]["text"] == ""
    status, said = hes("readings", "export", "--csv", "-", "--profile", "daily-profile", *RANGE)
    assert status == 1 and said.startswith("concentrator,meter,") and "0 values" in said
    for arguments in ((), ("--csv", "a", "--parquet", "b")):
        status, said = hes("readings", "export", *arguments)
        assert status == 1 and "expected either --csv FILE or --parquet FILE" in said


def test_export_as_parquet(
    clocked: Store, stream: Stream, hes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(export, "AT_ONCE", 7)
    of = layout(register(1, scaler=-1), [1, bytes(6), 2, 0, 9, None, None])
    some = [[T0 + 900 * at, 1000 + at, None if at else b"A", 0] for at in range(10)]
    stream.send(of, rows(of, some))
    file = tmp_path / "r.parquet"
    status, said = hes("readings", "export", "--parquet", str(file), *RANGE)
    assert status == 0 and "20 values in" in said
    table = parquet.read_table(file)
    assert table.column_names == list(export.Line._fields)
    found = table.to_pylist()
    assert len(found) == 20
    assert found[0]["time"].timestamp() == T0 and found[0]["value"] == 100.0
    assert found[0]["read_at"].timestamp() == NOW - 100 and found[0]["unit"] == "Wh"
    assert found[1]["text"] == '"A"' and found[1]["value"] is None and found[3]["text"] == ""


def test_without_pyarrow_it_is_said_what_to_install(
    stream: Stream, hes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    stream.send(LAYOUT, rows(LAYOUT, load(T0, 1)))
    status, said = hes("readings", "export", "--parquet", str(tmp_path / "r.parquet"), *RANGE)
    assert status == 1 and "Parquet needs pyarrow, which is not installed" in said


# ---------------------------------------------------------------- balance


def street(stream: Stream, silent: str = "") -> None:
    """Two meters of 1 kWh an hour, one of 0.5 that gives back 0.1; 2.6 go in."""
    both = layout(register(1), register(2))
    by_period = layout(register(1, 29))
    stream.send(both, by_period)
    for serial, add, back in (("SUP", 2600, 0), ("A1", 1000, 0), ("A2", 500, 100)):
        some = [
            [T0 + 900 * at, 7_000_000 + add * at // 4, back * at // 4, 0]
            for at in range(9)
            if serial != silent or at < 4
        ]
        stream.send(rows(both, some, serial=serial))
    stream.send(rows(by_period, [[T0 + 900 * at, 250, 0] for at in range(9)], serial="A3"))


def test_energy_balance(clocked: Store, stream: Stream, hes: Any) -> None:
    street(stream)
    transformer = energy.Transformer("T1", "SUP", None)
    end = T0 + 2 * 3600
    first, second = energy.balances(clocked.readings, CONCENTRATOR, transformer, [], T0, end)
    for hour in (first, second):
        assert (hour.supervised, hour.metered) == (2600, 2400)
        assert (hour.told, hour.meters, hour.silent) == (3, 3, [])
        assert hour.lost == 200 and hour.percent == pytest.approx(7.692, abs=1e-3)
    command = ("readings", "balance", CONCENTRATOR, "--from", iso(T0), "--to", iso(end))
    status, said = hes(*command, "--supervisor", "SUP")
    assert status == 0 and "7.7 %" in said and "3 of 3" in said
    assert "2 complete hours: 5.200 kWh in, 4.800 kWh metered, 7.7 % lost" in said
    status, said = hes(*command)
    assert status == 0 and "4 of 4" in said and "5.000" in said


def test_a_meter_that_is_silent_makes_an_hour_incomplete(
    clocked: Store, stream: Stream, hes: Any
) -> None:
    street(stream, silent="A1")
    transformer = energy.Transformer("T1", "SUP", ["A1", "A2"])
    end = T0 + 2 * 3600
    first, second = energy.balances(clocked.readings, CONCENTRATOR, transformer, [], T0, end)
    assert (first.told, first.silent, first.metered) == (1, ["A1"], 400)
    assert (second.told, second.meters) == (1, 2)
    status, said = hes(
        "readings",
        "balance",
        CONCENTRATOR,
        "--supervisor",
        "SUP",
        "--from",
        iso(T0),
        "--to",
        iso(end),
    )
    assert status == 0 and "2 of 3" in said and "complete hours" not in said


def test_what_is_invalid_is_not_added_up(clocked: Store, stream: Stream) -> None:
    stream.send(LAYOUT, rows(LAYOUT, load(T0, 9)), rows(LAYOUT, [[T0 + 3600, 5, 0]]))
    (each,) = clocked.readings.series()
    found = list(clocked.readings.rows(each.id, 0, NOW))
    assert energy.by_hour(found, energy.IMPORT) == {}


def test_a_file_of_transformers(stream: Stream, hes: Any, tmp_path: Path) -> None:
    street(stream)
    file = tmp_path / "t.jsonl"
    file.write_text(
        '# the street\n{"transformer": "T1", "supervisor": "SUP", "meters": ["A1", "A2"]}\n'
        '{"transformer": "T2"}\n'
    )
    assert energy.read_transformers(file) == [
        energy.Transformer("T1", "SUP", ["A1", "A2"]),
        energy.Transformer("T2", "", None),
    ]
    command = ("readings", "balance", CONCENTRATOR, "--from", iso(T0), "--to", iso(T0 + 7200))
    status, said = hes(*command, "--transformers", str(file))
    assert status == 0 and "Behind T1, supervised by SUP" in said and "Behind T2" in said
    status, said = hes(*command, "--transformers", str(file), "--supervisor", "SUP")
    assert status == 1 and "expected --supervisor or --transformers, got both" in said
    for line in ("{}", "[]", "x", '{"transformer": 1}', '{"transformer": "a", "meters": "A1"}'):
        file.write_text(line)
        status, said = hes(*command, "--transformers", str(file))
        assert status == 1 and 't.jsonl:1: expected {"transformer": NAME' in said, line
    file.write_text("\n")
    assert "expected at least one transformer" in hes(*command, "--transformers", str(file))[1]


# ---------------------------------------------------------------- events


def test_events_have_their_models_words(stream: Stream, hes: Any, tmp_path: Path) -> None:
    log = layout(EVENT, register(32, 7, -1, 35), period=0, obis=LOG)
    stream.send(log, rows(log, [[T0, 48, 2301, 0], [T0 + 1, 999, None, 64]]))
    status, said = hes("events", METER, *RANGE)
    assert status == 0 and "0.0.99.98.0" in said and "48" in said
    assert "One code is not the same thing in all models: say --model" in said
    assert "1.0.32.7.0: 230.1 V" in said and "read after a gap" in said
    status, said = hes("events", METER, "--model", "idis", *RANGE)
    assert "48: global keys changed" in said and "standard-log" in said and "One code" not in said
    status, said = hes("events", METER, "--model", "idis", "--language", "es", *RANGE)
    assert "48: claves globales cambiadas" in said
    inventory = tmp_path / "meters.jsonl"
    inventory.write_text('{"serial": "%s", "model": "idis", "paths": []}\n' % METER)
    status, said = hes(
        "events", "--concentrator", CONCENTRATOR, "--inventory", str(inventory), "--json", *RANGE
    )
    found = json.loads(said)
    assert [each["event"] for each in found] == ["48: global keys changed", "999"]
    assert found[0]["time"] == T0 and found[0]["meter"] == METER
    inventory.write_text("{}")
    status, said = hes("events", METER, "--inventory", str(inventory))
    assert status == 1 and 'meters.jsonl:1: expected {"serial": ..., "model": ...}' in said


def test_events_of_nobody(stream: Stream, hes: Any) -> None:
    status, said = hes("events")
    assert status == 1 and "expected a meter, or --concentrator" in said
    status, said = hes("events", METER, "--log", "fraud-log")
    assert status == 0 and "no entries of event logs in this time" in said


# ---------------------------------------------------------------- words


def test_words_of_columns() -> None:
    column = Column(3, bytes((1, 0, 1, 8, 0, 255)), 2, 0, 6, -3, 30)
    assert quantities.name(column) == "1.0.1.8.0" and quantities.unit(column) == "Wh"
    assert quantities.text(column, 1234) == "1.234" and quantities.text(column, None) == "-"
    assert quantities.number(column, 1234) == pytest.approx(1.234)
    assert quantities.number(column, True) is None
    other = Column(4, bytes((1, 0, 1, 6, 0, 255)), 5, 2, 6, None, 255)
    assert quantities.name(other) == "1.0.1.6.0 attribute 5[2]" and quantities.unit(other) == ""
    assert quantities.flags_text(quality.CLOCK_OFF | 1 << 20) == (
        "the meter's clock was off; flags 1048576"
    )
    assert set(quantities.FLAG_WORDS) == set(quality.FLAGS)
    assert quantities.value_text(b"\x06\x00", -1, 30).startswith("0x0600 (not A-XDR")
    assert quantities.value_text(b"\x12\x00\x07", None, None) == "long-unsigned 7"


def test_every_cause_of_a_gap_has_its_words() -> None:
    assert {*quality.GAPS, ""} == set(WHY)


def test_a_plot() -> None:
    assert quantities.plot([0, 1, None, 2]) == "▁▅ █" or quantities.plot([0, 1, None, 2]) == "▁▄ █"
    assert quantities.plot([None]) == "" and quantities.plot([]) == ""
    assert quantities.plot([-1.0, 1.0]) == "▁█" and quantities.plot([5, 5]) == "██"


def test_names_of_profiles() -> None:
    assert profiles.parse("load-profile") == [(7, bytes((1, 0, 99, 1, 0, 255)))]
    assert len(profiles.parse("daily-profile")) > 1  # not the same in all models
    assert profiles.parse("1.0.99.9.0.255") == [(7, bytes((1, 0, 99, 9, 0, 255)))]
    assert profiles.word_of(bytes((1, 0, 99, 1, 0, 255))) == "load-profile"
    assert profiles.word_of(bytes((9, 9, 9, 9, 9, 9))) == ""
