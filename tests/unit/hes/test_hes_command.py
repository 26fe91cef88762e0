"""ami-hes as people run it, and `serve` as a process that is killed."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import runpy
import signal
import subprocess
import sys
import time
import uuid
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest

from gateway.contract import envelope
from gateway.contract.job import Job
from gateway.contract.kinds import COMPARE, IMAGE
from gateway.contract.messages import Pause, Progress, Reports
from gateway.contract.reports import JobReport
from gateway.contract.window import opening
from tests.unit.hes.concentrator import Concentrator
from tests.unit.hes.orders import accepted, ended, image_file, ko, numbered, ok, package
from tools.hes.__main__ import main
from tools.hes.cli.watch import service_problem
from tools.hes.orders import order, typed
from tools.hes.store.store import Store


@pytest.fixture
def desk(tmp_path: Path, key, monkeypatch) -> Path:
    """A folder with a key and a package; the database is made by the first command."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    key.save(tmp_path / "hes.pem")
    (tmp_path / "interval.pkg").write_bytes(package(key))
    (tmp_path / "image.pkg").write_bytes(image_file(key))
    return tmp_path


SUBMIT = ["submit", "--concentrator", "c-1", "--key", "hes.pem", "--meters", "AMI01,AMI02"]


def submit(*more: str) -> int:
    return main([*SUBMIT, *(more or ("--package", "interval.pkg"))])


def test_submit_works_while_serve_is_down_and_says_so(desk, capsys) -> None:
    assert (
        submit("--package", "interval.pkg", "--priority", "9", "--for", "6h", "--tries", "2") == 0
    )
    captured = capsys.readouterr()
    job = captured.out.strip()
    assert len(job) == 36
    assert "the job is kept" in captured.err
    assert "ami-hes --db hes.sqlite serve --broker" in captured.err
    assert main(["list"]) == 0
    listed = capsys.readouterr().out
    assert job[:8] in listed
    assert "submitted" in listed
    assert main(["report", job[:8], "--json", "-"]) == 1  # not over yet
    made = json.loads(capsys.readouterr().out)
    assert (made["job"], made["priority"], made["tries"]) == (job, 9, 2)
    assert made["not_before"] == 0
    assert abs(made["not_after"] - made["submitted"] - 6 * 3600) <= 60
    assert [meter["result"] for meter in made["meters"]] == ["PENDING", "PENDING"]


def test_cancel_while_serve_is_down(desk, capsys) -> None:
    submit()
    assert main(["cancel", "last", "--key", "hes.pem"]) == 0
    assert [order.kind for order in Store("hes.sqlite").line.orders("c-1")] == ["job", "cancel"]


def test_pause_and_resume_while_serve_is_down(desk, capsys) -> None:
    submit()
    for command in ("pause", "resume"):
        assert main([command, "last", "--key", "hes.pem"]) == 0
    store = Store("hes.sqlite")
    orders = store.line.orders("c-1")
    assert [order.kind for order in orders] == ["job", "pause"]  # the last one counts
    _, payload, _ = envelope.split(orders[1].envelope)
    first = store.reports.pause(store.reports.find_job("last"))
    assert not Pause.decode(payload).paused
    assert main(["pause", "last", "--key", "hes.pem"]) == 0
    assert store.reports.pause(store.reports.find_job("last")).issued > first.issued


def test_times_of_the_day_and_a_canary(desk, capsys) -> None:
    night = ["--daily", "22:00-05:00", "--days", "mon,sun", "--zone", "+02:00"]
    assert submit("--package", "interval.pkg", *night, "--canary", "1:100") == 0
    capsys.readouterr()
    main(["report", "last"])
    shown = capsys.readouterr().out
    assert "20:00-03:00 UTC on mon, sun" in shown
    assert "1 meter, 100 % must succeed" in shown
    raw = Store("hes.sqlite").line.orders("c-1")[0].envelope
    job = Job.decode(envelope.split(raw)[1])
    assert job.daily is not None and job.canary is not None
    assert (job.daily.opens, job.daily.closes, job.daily.days) == (72000, 10800, 0x41)
    assert (job.canary.meters, job.canary.percent) == (1, 100)


def test_zones_and_days() -> None:
    def parsed(*given: str | None) -> tuple[int, int, int]:
        daily = typed.parse_daily(given[0] or "", given[1], given[2], 1_700_000_000, 1_700_086_400)
        assert not daily.shifts
        return daily.opens // 3600, daily.closes // 3600, daily.days

    assert parsed("22:00-05:00", None, "UTC") == (22, 5, 127)
    assert parsed("22:00-05:00", "mon", "-05:00") == (3, 10, 2)  # Tuesday in UTC
    assert parsed("01:00-05:00", "mon", "+02:00") == (23, 3, 64)  # Sunday in UTC
    assert parsed("0:00-24:00", "fri-mon", "UTC") == (0, 0, 0x71)
    assert parsed("22:00-05:00", None, "Europe/Madrid") == (21, 4, 127)


def test_windows_go_along_with_daylight_saving() -> None:
    """22:00 in Madrid stays 22:00 in Madrid, each day of two years."""
    madrid = ZoneInfo("Europe/Madrid")
    now = int(datetime(2026, 9, 1, tzinfo=madrid).timestamp())
    until = now + 730 * 86400
    daily = typed.parse_daily("22:00-05:00", "mon-fri", "Europe/Madrid", now, until)
    assert [seconds for _, seconds in daily.shifts] == [3600, 0, 3600, 0]
    job = SimpleNamespace(not_before=0, not_after=until, daily=daily)
    at, seen = now + 43200, 0
    while (window := opening(job, at)) is not None:
        opens, closes = (datetime.fromtimestamp(moment, madrid) for moment in window)
        assert opens.strftime("%H:%M") == "22:00" and opens.weekday() < 5
        if window[1] < until:
            assert closes.strftime("%H:%M") == "05:00" and (closes - opens).days == 0
        at, seen = window[1], seen + 1
    assert seen == 522
    assert typed.daily_text(daily).startswith(
        "20:00-03:00 UTC on mon, tue, wed, thu, fri, from 2026-10-25 on 1 h later,"
        " from 2027-03-28 on as at first, from"
    )
    with pytest.raises(order.OrderProblem, match="change too often"):
        typed.parse_daily("22:00-05:00", None, "Europe/Madrid", now, now + 3650 * 86400)
    everywhere = typed.parse_daily("22:00-05:00", None, "UTC", now, now + 3650 * 86400)
    assert not everywhere.shifts


def test_retry_orders_the_same_of_the_meters_that_ended_ko(desk, capsys) -> None:
    submit("--package", "interval.pkg", "--priority", "7")
    store = Store("hes.sqlite")
    first = store.reports.find_job("last")
    assert main(["retry", "last", "--key", "hes.pem"]) == 1
    assert "not over yet" in capsys.readouterr().err
    bodies = (accepted(first), ok(first, "AMI01"), ko(first, "AMI02", "no-answer"), ended(first))
    store.line.take_reports("c-1", Reports(1, numbered(1, *bodies)))
    assert main(["retry", "last", "--key", "hes.pem"]) == 0
    again = store.reports.find_job("last")
    assert again != first
    assert [row.serial for row in store.reports.meters(again)] == ["AMI02"]
    old, new = store.reports.job(first), store.reports.job(again)
    for column in ("kind", "concentrator", "package", "priority", "tries", "backoff"):
        assert getattr(old, column) == getattr(new, column), column
    capsys.readouterr()
    assert main(["report", "last", "--json", "-"]) == 1
    made = json.loads(capsys.readouterr().out)
    assert made["retry_of"] == str(uuid.UUID(bytes=first))
    (meter,) = made["meters"]
    (before,) = meter["earlier"]
    assert (before["job"], before["reason"]) == (made["retry_of"], "no-answer")
    assert (before["attempts"], meter["attempts_in_all"]) == (3, 3)
    raw = store.line.orders("c-1")[-1].envelope
    assert Job.decode(envelope.split(raw)[1]).retry_of == first
    done = (accepted(again), ok(again, "AMI02"), ended(again))
    store.line.take_reports("c-1", Reports(1, numbered(5, *done)))
    assert main(["retry", "last", "--key", "hes.pem"]) == 1
    assert "nothing to order again" in capsys.readouterr().err
    assert main(["report", "last"]) == 0
    shown = capsys.readouterr().out
    assert "3 + 1" in shown
    assert (
        "before, in job %s: the meter answered on none" % str(uuid.UUID(bytes=first))[:8] in shown
    )


def test_an_image_and_a_dry_run_are_ordered_by_the_same_words(desk, capsys) -> None:
    assert submit("--package", "image.pkg", "--to", "2080-01-01", "--activate", "2079-01-01") == 0
    assert submit("--package", "interval.pkg", "--dry-run") == 0
    orders = Store("hes.sqlite").line.orders("c-1")
    jobs = [Job.decode(envelope.split(each.envelope)[1]) for each in orders]
    assert {job.kind for job in jobs} == {IMAGE, COMPARE}
    image = next(job for job in jobs if job.kind == IMAGE)
    assert image.activation == typed.parse_moment("2079-01-01")
    raw = Path("image.pkg").read_bytes()
    assert image.package is not None and image.package.size == len(raw)
    assert image.package.digest == hashlib.sha256(raw).digest()
    capsys.readouterr()
    for job in jobs:
        main(["report", job.id.hex()[:8]])
    shown = capsys.readouterr().out
    assert "Image" in shown and "firmware 3.0" in shown and "Dry run of" in shown


def test_report_to_a_file(desk, capsys) -> None:
    submit()
    assert main(["report", "last", "--json", "report.json"]) == 1
    assert "AMI01" in capsys.readouterr().out
    assert json.loads((desk / "report.json").read_text())["concentrator"] == "c-1"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--package", "none.pkg"], "none.pkg: No such file"),
        (["--package", "hes.pem"], "expected a package from `ami-package build`"),
        (["--read", "clock 0.0.1.0.0.255 tiem"], "did you mean 'time'?"),
        (["--read", "clock"], "expected a class, an OBIS code and an attribute"),
        (["--package", "interval.pkg", "--for", "soon"], "expected a duration such as"),
        (["--package", "interval.pkg", "--to", "2020-01-01T00:00"], "ends in the future"),
        (["--package", "interval.pkg", "--to", "x"], "expected a time such as"),
        (["--package", "interval.pkg", "--tries", "0"], "max_attempts: expected 1..20"),
        (["--package", "interval.pkg", "--backoff", "2d"], "backoff_s 0..86400"),
        (["--package", "interval.pkg", "--meters", "A,A"], "each serial once"),
        (["--package", "interval.pkg", "--meters", ","], "expected 1..2000 serials"),
        (["--package", "interval.pkg", "--meters", "./none"], "./none is no file"),
        (["--package", "interval.pkg", "--concentrator", "C 1"], "[a-z0-9-]{1,64}"),
        (["--package", "interval.pkg", "--key", "none.pem"], "none.pem: No such file"),
        (["--package", "interval.pkg", "--daily", "22-5"], "such as 22:00-05:00"),
        (["--package", "interval.pkg", "--daily", "22:00-05:60"], "such as 22:00-05:00"),
        (["--package", "interval.pkg", "--zone", "UTC"], "go with --daily"),
        (["--package", "interval.pkg", "--activate", "2030-01-01"], "goes with an image"),
        (["--package", "image.pkg", "--dry-run"], "goes with a configuration"),
        (["--package", "image.pkg", "--activate", "2090-01-01"], "within the job's window"),
        (["--read", "clock 0.0.1.0.0.255 time", "--dry-run"], "go with --package"),
        (
            ["--package", "interval.pkg", "--daily", "1:00-5:00", "--zone", "Atlantis"],
            "expected a zone such as",
        ),
        (
            ["--package", "interval.pkg", "--daily", "1:00-5:00", "--days", "today"],
            "expected days such as",
        ),
        (["--package", "interval.pkg", "--canary", "10"], "expected a canary such as 10:90"),
        (["--package", "interval.pkg", "--canary", "2:90"], "fewer meters than the job has"),
    ],
)
def test_a_wrong_order_is_explained_and_not_kept(desk, capsys, more: list[str], said: str) -> None:
    assert submit(*more) == 1
    assert said in capsys.readouterr().err
    assert Store("hes.sqlite").reports.jobs() == []


def test_a_database_that_is_none(desk, capsys) -> None:
    assert main(["--db", "hes.pem", "list"]) == 1
    assert "give another file with --db" in capsys.readouterr().err
    assert main(["report", "12ab"]) == 1
    assert "`ami-hes list` shows them" in capsys.readouterr().err


def test_lists_of_meters(tmp_path) -> None:
    path = tmp_path / "meters"
    path.write_text('# my street\nAMI01\n\n{"serial": "AMI02", "paths": []}\n  AMI03\n')
    assert typed.parse_meters(str(path)) == ["AMI01", "AMI02", "AMI03"]
    assert typed.parse_meters(" AMI01, AMI02,") == ["AMI01", "AMI02"]
    path.write_text('{"serial": 1\n')
    with pytest.raises(order.OrderProblem, match=r"meters:1: expected \{\"serial\": \.\.\.\}"):
        typed.parse_meters(str(path))
    path.write_text("# nobody\n")
    with pytest.raises(order.OrderProblem, match="at least one serial"):
        typed.parse_meters(str(path))


def test_lists_of_meters_as_other_programs_write_them(tmp_path) -> None:
    path = tmp_path / "meters"
    path.write_bytes(b'\xef\xbb\xbfAMI01\r\n{"serial": "AMI02"}\r\n{"serial": 3}\r\n')
    assert typed.parse_meters(str(path)) == ["AMI01", "AMI02", "3"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x90\x00", "meters: expected lines of text in UTF-8, but byte 1 is none"),
        ("AMI01".encode("utf-16"), "meters: expected lines of text in UTF-8, but byte 1 is none"),
        (b"A1\nA2\nA1\n", r"meters:3: expected each serial once, but A1 is in .*meters:1 already"),
        (b"0001020304050607" * 4, "meters:1: expected a serial of .*, got 64 characters"),
        (b"A1\nA 2\n", "meters:2: expected a serial of 1..32 printable ASCII .*, got 'A 2'"),
        ("A1\nÄ2\n".encode(), r"meters:2: expected a serial of .*, got '\\xc42'"),
        (b"A" * 33, "meters:1: expected a serial of 1..32"),
        (b'{"serial": null}', "meters:1: expected {"),
        (b'{"serial": ["A1"]}', "meters:1: expected {"),
        (b'{"serial": true}', "meters:1: expected {"),
        (b"[1, 2]", "meters:1: expected {"),
        (b'{"serial":' * 100000, "meters:1: expected {"),
        (b"A1\n" * 5000, "meters: expected at most 2000 meters for one job, got 5000"),
    ],
)
def test_lists_of_meters_that_are_none(tmp_path, content: bytes, said: str) -> None:
    path = tmp_path / "meters"
    path.write_bytes(content)
    with pytest.raises(order.OrderProblem, match=said):
        typed.parse_meters(str(path))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected 1..2000 serials, found none"),
        (" , ", "expected 1..2000 serials, found none"),
        (",".join("A%d" % number for number in range(5000)), "at most 2000 meters"),
        ("A1,\udcff", r"--meters, serial 2: expected a serial of .*, got '\\udcff'"),
        ("A1,A1", "serial 2: expected each serial once, but A1 is in --meters, serial 1 already"),
        ("none/meters.jsonl", "expected serials or a file for --meters"),
    ],
)
def test_serials_as_typed_that_are_none(text: str, said: str) -> None:
    with pytest.raises(order.OrderProblem, match=said):
        typed.parse_meters(text)


@pytest.mark.parametrize("zone", ["+99:99", "-15:00", "+02:60"])
def test_zones_that_are_nowhere(zone: str) -> None:
    with pytest.raises(order.OrderProblem, match="expected a zone such as UTC"):
        typed.parse_daily("22:00-05:00", None, zone, 0, 1)


def test_keys_of_meters_in_no_text(desk, capsys) -> None:
    Path("keys").write_bytes(b"\xff\xfe")
    terms = ["--concentrator", "c-1", "--key", "hes.pem", "--board-key", "none"]
    assert main(["keys", *terms, "--meter-keys", "keys"]) == 1
    assert "keys: expected lines of text in UTF-8" in capsys.readouterr().err


@pytest.mark.parametrize("wait", ["nan", "-1", "inf", "soon"])
def test_a_wait_that_is_none(wait: str, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["meters", "c-1", "--wait=" + wait])
    assert (
        ended.value.code == 2
        and "argument --wait: expected 0..86400 seconds" in capsys.readouterr().err
    )


def test_meters_in_a_folder(desk, capsys) -> None:
    Path("folder").mkdir()
    terms = ["--concentrator", "c-1", "--key", "hes.pem", "--read", "clock 0.0.1.0.0.255 time"]
    assert main(["submit", *terms, "--meters", "folder"]) == 1
    assert capsys.readouterr().err == "ami-hes: folder: Is a directory\n"


@pytest.mark.parametrize("command", ["list", "report last", "report last --json -"])
def test_whoever_reads_the_output_may_stop(desk, command: str) -> None:
    assert submit("--package", "interval.pkg") == 0
    reads, writes = os.pipe()
    os.close(reads)
    ended = subprocess.run(
        [sys.executable, "-m", "tools.hes", "--db", str(desk / "hes.sqlite"), *command.split()],
        cwd=Path(__file__).parents[3],
        stdout=writes,
        stderr=subprocess.PIPE,
    )
    os.close(writes)
    assert (ended.returncode, ended.stderr) == (1, b"")


def test_a_full_disk_for_the_output(desk) -> None:
    assert submit("--package", "interval.pkg") == 0
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "tools.hes", "--db", str(desk / "hes.sqlite"), "list"],
            cwd=Path(__file__).parents[3],
            stdout=full,
            stderr=subprocess.PIPE,
        )
    assert ended.returncode != 0
    assert ended.stderr.startswith(b"ami-hes: No space left on device\n")
    assert b"Traceback" not in ended.stderr


def test_a_list_in_80_columns_is_not_cut(desk, monkeypatch, capsys) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert submit("--package", "interval.pkg") == 0
    assert main(["cancel", "last", "--key", "hes.pem"]) == 0
    store = Store("hes.sqlite")
    job = store.reports.job(store.reports.find_job("last"))
    ends = int(store.now()) - 10
    told = Progress(0, [[job.id, "", 0, 1, 1, 0, [], ends]])
    store.line.take_progress(job.concentrator, told)
    store.close()
    capsys.readouterr()
    assert main(["list"]) == 0
    shown = capsys.readouterr().out
    assert "…" not in shown and max(map(len, shown.splitlines())) <= 80
    for whole in ("Submitted", "Concentrator", job.id.hex()[:8], "configure", "overdue"):
        assert whole in shown
    assert shown.count("submitted") == 2  # the job, and its cancel


def test_a_clock_that_was_put_back_hides_no_serve_that_ended(tmp_path) -> None:
    now = [1_800_000_000.0]
    store = Store(tmp_path / "hes.sqlite", lambda: now[0])
    store.line.beat("mqtt://b", "connected")
    now[0] -= 10
    assert service_problem(store.reports) is None
    now[0] -= 3600
    assert "is not running" in str(service_problem(store.reports))
    store.line.beat("mqtt://b", "connected")
    assert service_problem(store.reports) is None
    store.close()


def test_an_interrupt_while_the_command_is_loaded(monkeypatch, capsys) -> None:
    class Interrupting:
        def find_spec(self, name: str, path: object, target: object = None) -> None:
            if name == "tools.hes.cli.main":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "tools.hes.cli.main")
    monkeypatch.delitem(sys.modules, "tools.hes.__main__")
    monkeypatch.setattr(sys, "meta_path", [Interrupting(), *sys.meta_path])
    with pytest.raises(SystemExit) as stopped:
        runpy.run_module("tools.hes", run_name="__main__")
    assert stopped.value.code == 1
    assert capsys.readouterr().err == "ami-hes: stopped; the orders stand\n"


def test_the_meters_of_a_refused_job_are_ko_in_the_list(desk, capsys) -> None:
    assert submit("--package", "interval.pkg") == 0
    store = Store("hes.sqlite")
    job_id = store.reports.find_job("last")
    refused = JobReport(job_id, "rejected", "unknown-signer", "")
    store.line.take_reports("c-1", Reports(1, numbered(1, refused)))
    (job,) = store.reports.jobs()
    store.close()
    capsys.readouterr()
    assert job.state == "rejected" and job.meters > 0
    assert main(["list"]) == 0
    assert "rejected %d 0 %d -" % (job.meters, job.meters) in " ".join(
        capsys.readouterr().out.split()
    )


def test_a_list_in_80_columns_of_many_meters(desk, monkeypatch, capsys) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    Path("many").write_text("".join("A%04d\n" % number for number in range(2000)))
    terms = ["--concentrator", "c-1", "--key", "hes.pem", "--meters", "many"]
    assert main(["submit", *terms, "--package", "interval.pkg"]) == 0
    store = Store("hes.sqlite")
    job_id = store.reports.find_job("last")
    ends = int(store.now()) + 59
    store.line.take_progress("c-1", Progress(0, [[job_id, "", 0, 1, 1, 0, [], ends]]))
    done = [ok(job_id, "A%04d" % number) for number in range(1900)]
    done += [ko(job_id, "A%04d" % number, "no-answer") for number in range(1900, 1990)]
    store.line.take_reports("c-1", Reports(1, numbered(1, accepted(job_id), *done)))
    store.close()
    capsys.readouterr()
    assert main(["list"]) == 0
    shown = capsys.readouterr().out
    for whole in ("Concentrator", "configure", "in-progress", " 2000 ", " 1900 ", " 90 "):
        assert whole in shown
    clock = datetime.fromtimestamp(ends).strftime("%H:%M")
    assert [line.rstrip()[-5:] for line in shown.splitlines() if "in-progress" in line] == [clock]
    assert max(map(len, shown.splitlines())) <= 80


def test_windows() -> None:
    assert typed.window(None, None, None, 1000.5) == (0, 1000 + 86400)
    assert typed.window(None, None, "90s", 1000) == (0, 1090)
    assert typed.window("1970-01-02T00:00:00+00:00", None, "2h", 0) == (86400, 86400 + 7200)
    assert typed.window(None, "1970-01-01T01:00:00Z", None, 0) == (0, 3600)
    with pytest.raises(order.OrderProblem, match="got both"):
        typed.window(None, "1970-01-01T01:00:00Z", "1h", 0)


class Serve:
    """`ami-hes serve` as a process."""

    def __init__(self, desk: Path, url: str) -> None:
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tools.hes",
                "--db",
                str(desk / "hes.sqlite"),
                "serve",
                "--plain",
            ],
            cwd=Path(__file__).parents[3],
            env={**os.environ, "AMI_HES_BROKER": url},
            stderr=subprocess.PIPE,
        )

    def kill(self) -> bytes:
        self.process.send_signal(signal.SIGKILL)
        assert self.process.stderr is not None
        said = self.process.stderr.read()
        self.process.wait()
        self.process.stderr.close()
        return said


def connected(store: Store) -> None:
    for _ in range(1000):
        service = store.reports.service()
        if service is not None and service.status == "connected" and service.silent < 3:
            return
        time.sleep(0.02)
    raise AssertionError("serve did not connect: %s" % (store.reports.service(),))


def test_submit_watch_with_a_serve_that_is_killed(desk, broker, capsys) -> None:
    store = Store("hes.sqlite")
    submit()
    job_id = store.reports.find_job("last")
    first = Serve(desk, broker.url)
    connected(store)
    second = Serve(desk, broker.url)
    assert second.process.wait(60) == 1
    assert b"already running" in second.kill()

    async def scenario() -> None:
        async with Concentrator(broker.port) as there:
            await there.birth()
            await there.hello()
            await there.next("job")
            await there.report(1, accepted(job_id), ok(job_id, "AMI01"))
            await there.acknowledged_up_to(2)
            first.kill()
            third = Serve(desk, broker.url)
            await there.acknowledged_up_to(2)
            await there.report(3, ok(job_id, "AMI02"), ended(job_id))
            await there.acknowledged_up_to(4)
            third.kill()

    asyncio.run(asyncio.wait_for(scenario(), 120))
    capsys.readouterr()
    assert main(["watch", "last"]) == 0
    shown = capsys.readouterr().out
    assert "AMI01 OK done as ordered, and confirmed by the meter" in shown
    assert "2 meters  2 OK" in shown
    assert main(["list"]) == 0
    listed = capsys.readouterr().out
    assert "succeeded" in listed
    assert "online" in listed


def test_the_password_shows_nowhere(desk, broker) -> None:
    store = Store("hes.sqlite")
    serve = Serve(desk, broker.url.replace("//", "//me:s3cret@"))
    connected(store)
    said = serve.kill()
    assert b"connected" in said
    assert b"s3cret" not in said
    for path in desk.glob("hes.sqlite*"):
        assert b"s3cret" not in path.read_bytes()
