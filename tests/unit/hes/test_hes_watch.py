"""What people see while a job runs, and in the list; each thing once."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console

from gateway.contract import reasons
from gateway.contract.job import State as JobState
from gateway.contract.messages import Progress, Reports, State
from gateway.contract.reports import JobReport, Refusal
from tests.unit.hes.orders import (
    CONCENTRATOR,
    METERS,
    accepted,
    configure,
    ended,
    ko,
    numbered,
    ok,
    read,
    value,
)
from tools.hes import report
from tools.hes.__main__ import main
from tools.hes.cli import show, watch
from tools.hes.orders import order
from tools.hes.store.store import Store


def take(store: Store, *bodies: Any) -> None:
    first = store.line.position(CONCENTRATOR, 1) + 1
    store.line.take_reports(CONCENTRATOR, Reports(1, numbered(first, *bodies)))


def watched(
    store: Store, job_id: bytes, steps: list[Callable[[], Any]], monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """The lines of `watch` on a pipe, when between two looks one of the steps happens."""
    waiting = list(steps)
    monkeypatch.setattr(time, "sleep", lambda _: waiting.pop(0)())
    console = Console(width=200, file=io.StringIO(), record=True)
    final = watch.watch(store.reports, job_id, console)
    monkeypatch.undo()
    assert final["finished"] and not waiting
    return console.export_text().splitlines()


def test_each_change_is_a_line(store: Store, key: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = configure(store, key)
    standing = [job_id, "", 0, 2, 1, 0, [], 0]
    nothing = lambda: None  # noqa: E731
    lines = watched(
        store,
        job_id,
        [
            nothing,
            lambda: store.line.beat("mqtt://b", "not connected (why)"),
            nothing,
            lambda: store.line.beat("mqtt://b", "connected"),
            lambda: take(store, accepted(job_id)),
            lambda: store.line.take_progress(CONCENTRATOR, Progress(0, [standing])),
            nothing,
            lambda: take(store, ok(job_id, "AMI01")),
            nothing,
            lambda: take(store, ko(job_id, "AMI02", "no-answer"), ok(job_id, "AMI03")),
        ],
        monkeypatch,
    )
    assert lines == [
        watch.service_problem(Store(":memory:").reports).replace(":memory:", store.where),
        "`ami-hes serve` has no connection to mqtt://b: not connected (why)",
        "1 meter in hand",
        "AMI01 OK done as ordered, and confirmed by the meter",
        "AMI02 KO the meter answered on none of its paths",
        "AMI03 OK done as ordered, and confirmed by the meter",
    ]


def test_serve_is_silent_after_ten_seconds(clocked: Store, now: list[float]) -> None:
    clocked.line.beat("mqtt://b", "connected")
    now[0] += 10
    assert watch.service_problem(clocked.reports) is None
    now[0] += 0.5
    problem = watch.service_problem(clocked.reports)
    assert problem is not None and "is not running on %s" % clocked.where in problem
    assert "ami-hes --db %s serve --broker" % clocked.where in problem


def _live(store: Store, job_id: bytes) -> list[str]:
    console = Console(width=100, file=io.StringIO(), record=True)
    console.print(watch.progress(report.build(store.reports, job_id), store.reports))
    return [line.rstrip() for line in console.export_text().splitlines()]


def test_the_live_view(store: Store, key: Any) -> None:
    meters = ["M%02d" % number for number in range(15)]
    job_id = configure(store, key, meters)
    store.line.beat("mqtt://b", "connected")
    take(store, accepted(job_id), *(ok(job_id, each) for each in meters[:13]))
    lines = _live(store, job_id)
    assert lines[0] == "Job %s on c-1: in-progress" % show_id(job_id)
    assert lines[1].endswith(" 13 of 15 meters")
    # The last ones that changed, the newest at the end.
    shown = [line.split() for line in lines[2:14]]
    assert [words[0] for words in shown] == meters[1:13]
    assert shown[0][1:5] == ["OK", "plc", "1", "try"]
    assert lines[14].startswith("15 meters  13 OK  2 pending")


def show_id(job_id: bytes) -> str:
    return job_id.hex()[:8]


def state_line(store: Store, job_id: bytes) -> str:
    return show.state_line(report.build(store.reports, job_id)).plain


def test_where_a_job_stands_in_words(store: Store, key: Any) -> None:
    job_id = configure(store, key)
    assert state_line(store, job_id) == "submitted; the concentrator has not answered yet"
    take(store, JobReport(job_id, "queued", "window-not-open", "opens at 22:00"))
    assert state_line(store, job_id) == "accepted, waits for its window; opens at 22:00"
    take(store, accepted(job_id))
    assert state_line(store, job_id) == "queued"
    store.line.take_progress(CONCENTRATOR, Progress(0, [[job_id, "", 0, 2, 1, 0, [], 0]]))
    assert state_line(store, job_id) == "in-progress"
    order.pause(store.orders, key, job_id, True)
    assert state_line(store, job_id) == "in-progress; pause ordered"
    take(store, JobReport(job_id, "in-progress", "paused", ""))
    assert state_line(store, job_id) == "in-progress; paused"
    order.pause(store.orders, key, job_id, False)
    digest = report_digest(store, job_id)
    for each in store.line.orders(CONCENTRATOR):  # a refusal counts for what was sent
        store.line.sent(each)
    take(store, Refusal("pause", digest, job_id, "expired", ""))
    refused = "in-progress; paused; resume refused: %s" % reasons.sentence("expired")
    assert state_line(store, job_id) == refused
    order.cancel(store.orders, key, job_id)
    assert state_line(store, job_id) == refused + "; cancel ordered"
    canceled = [ko(job_id, each, "canceled") for each in METERS]
    take(store, *canceled, ended(job_id, JobState.CANCELED))
    assert state_line(store, job_id).startswith("over, 3 of 3 meters not done")
    assert state_line(store, job_id).endswith("; canceled")


def report_digest(store: Store, job_id: bytes) -> bytes:
    from gateway.contract.envelope import digest_of

    pause = store.reports.pause(job_id)
    assert pause is not None
    return digest_of(pause.envelope)


def test_a_job_that_went_well(store: Store, key: Any) -> None:
    job_id = configure(store, key)
    take(store, accepted(job_id), *(ok(job_id, each) for each in METERS), ended(job_id))
    assert state_line(store, job_id) == "over, every meter done"


def test_how_long_it_lasts_in_words() -> None:
    assert [
        show.duration(seconds) for seconds in (0, 59, 60, 3599, 3600, 86399, 86400, 180000)
    ] == [
        "less than a minute",
        "less than a minute",
        "1 min",
        "59 min",
        "1 h 0 min",
        "23 h 59 min",
        "1 d 0 h",
        "2 d 2 h",
    ]
    assert show.date(0) == "-" and show.date(1).startswith("19")
    assert (show.meters(1), show.meters(2)) == ("1 meter", "2 meters")
    assert (show.tries(1), show.tries(0)) == ("1 try", "0 tries")
    now = 1_800_000_000
    assert show.ends(now + 12 * 3600 - 1, now)[2] == ":"  # without a date
    assert show.ends(now + 12 * 3600, now)[4] == "-"


def test_the_list(store: Store, key: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setenv("COLUMNS", "150")
    first, second = configure(store, key), read(store, key, "clock 0.0.1.0.0.255 time")
    third = configure(store, key)
    ends = int(time.time()) + 3600
    for job_id in (first, second, third):
        standing = [job_id, "", 0, 2, 1, 0, [], ends]
        store.line.take_progress(CONCENTRATOR, Progress(0, [standing]))
    take(store, accepted(first), ok(first, "AMI01"), ko(first, "AMI02", "no-answer"))
    take(store, *(value(second, each, b"\x00") for each in METERS), ended(second))
    order.cancel(store.orders, key, third)
    birth = State(CONCENTRATOR, 1, True, 1, 1, 1, 0, "1.2", "cpython", 2, 5, 4)
    store.line.take_state(CONCENTRATOR, birth)
    store.line.take_state("c-2", State("c-2", 1, False, 1, 1, 1, 0, "1.3", "mp", 0, 6, 1))
    for number in range(12):
        store.line.add_event(CONCENTRATOR, "happened", "no %02d" % number)
    assert main(["--db", store.where, "list"]) == 0
    shown = capsys.readouterr().out
    rows = {line.split()[0]: line.split() for line in shown.splitlines() if line.strip()}
    assert rows["Job"] == [
        "Job",
        "Submitted",
        "Concentrator",
        "Kind",
        "State",
        "Meters",
        "OK",
        "KO",
        "Ends",
    ]
    titles = [line.strip() for line in shown.splitlines()]
    assert [each for each in titles if each in ("Jobs", "Concentrators", "Last events")] == [
        "Jobs",
        "Concentrators",
        "Last events",
    ]
    assert "Concentrator   Line      Last heard" in shown and "When" in rows
    job = rows[show_id(first)]
    clock = show.ends(ends, time.time()).split()[0]
    assert job[3:6] == [CONCENTRATOR, "configure", "in-progress"]
    assert job[6:10] == ["3", "1", "1", clock]
    assert rows[show_id(second)][4:] == ["read", "succeeded", "3", "3", "0", "-"]
    assert rows[show_id(third)][5:] == ["submitted,", "cancel", "submitted", "3", "0", "0"] + (
        show.ends(ends, time.time()).split()
    )
    assert rows["c-1"][1] == "online" and rows["c-1"][4:] == [
        "1.2",
        "cpython",
        "2",
        "4",
        "of",
        "5",
    ] + ["reachable"]
    assert rows["c-2"][1] == "offline"
    events = [line.split("no ")[1].strip() for line in shown.splitlines() if "happened" in line]
    assert events == ["%02d" % number for number in range(2, 12)]
    assert "is not running" in shown
    store.line.beat("mqtt://b", "connected")
    assert main(["--db", store.where, "list"]) == 0
    assert "`ami-hes serve` is connected to the broker." in capsys.readouterr().out


def test_on_a_screen_it_is_live_until_the_end(
    store: Store, key: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = configure(store, key)
    steps = [lambda: take(store, accepted(job_id), *(ok(job_id, each) for each in METERS))]
    paces: list[float] = []

    def sleep(seconds: float) -> None:
        paces.append(seconds)
        steps.pop(0)()

    monkeypatch.setattr("tools.hes.cli.watch.time.sleep", sleep)
    console = Console(force_terminal=True, width=100, file=io.StringIO())
    final = watch.watch(store.reports, job_id, console)
    assert final["finished"] and not steps and paces == [watch.EVERY]
