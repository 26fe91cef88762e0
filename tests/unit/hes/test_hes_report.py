"""The remote-work report: each meter's result, reason and next step; the technician's list."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from gateway.contract import envelope
from gateway.contract.envelope import digest_of
from gateway.contract.job import State
from gateway.contract.messages import Progress, Reports
from gateway.contract.package import Package
from gateway.contract.reasons import MEANINGS, STEPS
from gateway.contract.reports import JobReport, Refusal
from tests.unit.hes.orders import (
    CONCENTRATOR,
    METERS,
    accepted,
    configure,
    ended,
    image_file,
    ko,
    numbered,
    ok,
    package,
    read,
    terms,
    value,
)
from tools.hes import report
from tools.hes.cli import show
from tools.hes.orders import order
from tools.hes.store.records import Order

BOTH = True  # engines, see conftest.py


def take(store, *bodies) -> None:
    first = store.line.position(CONCENTRATOR, 1) + 1
    store.line.take_reports(CONCENTRATOR, Reports(1, numbered(first, *bodies)))


def shown(made) -> str:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(show.render_report(made))
    return console.export_text()


def test_configuration(store, key) -> None:
    job_id = configure(store, key)
    take(
        store,
        accepted(job_id),
        ok(job_id, "AMI01", "already-as-wanted"),
        ko(job_id, "AMI02", "no-answer", "no answer to the AARQ on plc, rf"),
        ko(job_id, "AMI03", "wrong-firmware", "expected V02., the meter has V01.08.00"),
        ended(job_id, State.FAILED),
    )
    made = report.build(store.reports, job_id)
    assert made["finished"]
    assert made["package"]["name"] == "measurement-interval"
    assert made["summary"] == {
        "meters": 3,
        "ok": 1,
        "value": 0,
        "ko": 2,
        "pending": 0,
        "reasons": {"already-as-wanted": 1, "no-answer": 1, "wrong-firmware": 1},
    }
    assert [(m["serial"], m["result"], m["next_step"]) for m in made["meters"]] == [
        ("AMI01", "OK", "nothing"),
        ("AMI02", "KO", "technician"),
        ("AMI03", "KO", "fix-package"),
    ]
    assert [entry["serial"] for entry in made["technician"]] == ["AMI02"]
    text = shown(made)
    for expected in (
        "nothing written",
        "the meter answered on none of its paths",
        "no answer to the AARQ on plc, rf",
        "next: send a technician",
        "next: correct the package",
        "Work order for the field technician: 1 meter",
        "1 OK  2 KO",
        "9.0 s",
        "3 tries",
    ):
        assert expected in text, expected


def test_values_are_decoded_and_named(store, key) -> None:
    job_id = read(store, key, "clock 0.0.1.0.0.255 time", "register 1.0.1.8.0.255 value")
    clock = bytes.fromhex("090c 07ea0b1701 0c000000 00b4 00")
    take(
        store,
        accepted(job_id),
        value(job_id, "AMI01", clock, bytes.fromhex("0600000bb8")),
        value(job_id, "AMI02", b"\xff", b"\x06\x00"),
    )
    made = report.build(store.reports, job_id)
    first, second, third = made["meters"]
    assert [v["object"] for v in first["values"]] == [
        "clock 0.0.1.0.0.255 time",
        "register 1.0.1.8.0.255 value",
    ]
    assert first["values"][1]["type"] == "double-long-unsigned"
    assert first["values"][1]["value"] == 3000
    assert second["values"][1]["value"] is None
    assert third["result"] == report.PENDING
    assert not made["finished"]
    text = shown(made)
    assert "clock 0.0.1.0.0.255 time = octet-string 2026-11-23-mon 12:00:00 -03:00 ok" in text
    assert "register 1.0.1.8.0.255 value = double-long-unsigned 3000" in text
    assert "not A-XDR" in text
    assert "2 VALUE  1 pending" in text
    json.dumps(made)


def test_one_meter_with_a_date_that_is_none_hides_no_other(store, key) -> None:
    job_id = read(store, key, "data 0.0.96.1.0.255 value")
    take(
        store,
        accepted(job_id),
        value(job_id, "AMI01", b"\x19" + bytes(12)),  # date-time of twelve zeros: never
        value(job_id, "AMI02", bytes.fromhex("1907eb0105000c000a00800000")),  # day of week 0
        value(job_id, "AMI03", bytes.fromhex("1b19000000")),  # hour 25
    )
    text = shown(report.build(store.reports, job_id))
    assert "= date-time 0x000000000000000000000000" in text
    assert "= date-time 2027-01-05 12:00:10 ok" in text
    assert "= time 0x19000000" in text


def test_a_dry_run_shows_what_would_change(store, key) -> None:
    raw = package(key, "measurement-interval")
    job_id = order.configure(store.orders, key, CONCENTRATOR, METERS, terms(), raw, dry_run=True)
    differs, fits = bytes.fromhex("0600000e10"), bytes.fromhex("0600000384")
    take(
        store,
        accepted(job_id),
        value(job_id, "AMI01", differs),
        value(job_id, "AMI02", fits),
        value(job_id, "AMI03", b"\x00"),
        ended(job_id),
    )
    made = report.build(store.reports, job_id)
    assert made["kind"] == "compare"
    values = [meter["values"][0] for meter in made["meters"]]
    assert [v["differs"] for v in values] == [True, False, True]
    assert values[0]["wanted"] == "double-long-unsigned 900"
    text = shown(made)
    assert "Dry run of" in text and "measurement-interval" in text
    assert "is     double-long-unsigned 3600" in text
    assert "wanted double-long-unsigned 900" in text
    assert text.count("1 of 1 values as wanted") == 1
    json.dumps(made)


def test_a_dry_run_of_a_calendar_shows_the_elements_that_would_change(store, key) -> None:
    raw = package(key, "tariff")
    job_id = order.configure(store.orders, key, CONCENTRATOR, METERS, terms(), raw, dry_run=True)
    checks = Package.from_payload(envelope.split(raw)[1]).checks
    values = [check.data for check in checks]
    at = next(n for n, check in enumerate(checks) if (check.class_id, check.attribute) == (20, 5))
    late = list(values)
    late[at] = values[at].replace(bytes.fromhex("090412000000"), bytes.fromhex("090413000000"))
    none = list(values)
    none[at] = b"\x01\x00"
    special = next(n for n, check in enumerate(checks) if check.class_id == 11)
    other = list(values)
    row = "0203 120001 0905ffff%02x01ff 1102"
    rows = bytes.fromhex("".join(row % month for month in range(2, 12)))
    other[special] = b"\x01\x0a" + rows
    take(
        store,
        accepted(job_id),
        value(job_id, "AMI01", *late),
        value(job_id, "AMI02", *none),
        value(job_id, "AMI03", *other),
    )
    made = report.build(store.reports, job_id)
    (changes,) = [v["changes"] for v in made["meters"][0]["values"] if v["differs"]]
    place = "day 1, day_schedule, action 2, start_time: "
    assert changes == [place + "octet-string 19:00:00 -> octet-string 18:00:00"]
    text = shown(made)
    for expected in (
        "activity_calendar 0.0.13.0.0.255 day_profile_table_active",
        "day 1, day_schedule, action 2, start_time: octet-string 19:00:00 -> octet-string 18:00",
        "day 2: nothing -> structure {unsigned 2, array [",
        "special_days_table 0.0.11.0.0.255 entries",
        "special day 2, index: long-unsigned 1 -> long-unsigned 2",
        "... and %d more" % (len(made["meters"][2]["values"][special]["changes"]) - 8),
    ):
        assert expected in text, text


def test_a_dry_run_of_a_meter_that_sends_no_value_hides_no_other(store, key) -> None:
    raw = package(key, "measurement-interval")
    job_id = order.configure(store.orders, key, CONCENTRATOR, METERS, terms(), raw, dry_run=True)
    take(
        store,
        accepted(job_id),
        value(job_id, "AMI01", b"\xff"),
        value(job_id, "AMI02", bytes.fromhex("0600000384")),
    )
    made = report.build(store.reports, job_id)
    assert [m["values"][0]["differs"] for m in made["meters"] if m["values"]] == [True, False]


def test_what_a_meter_sends_is_no_markup(store, key) -> None:
    job_id = read(store, key, "data 0.0.96.1.0.255 value")
    take(store, value(job_id, "AMI01", b"\x09\x0b[bold]x[/ok"))
    take(store, ko(job_id, "AMI02", "no-answer", "[/]"))
    text = shown(report.build(store.reports, job_id))
    assert "[bold]x[/ok" in text
    assert "[/]" in text


def test_the_last_result_may_come_while_the_report_is_made(
    store, key, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = configure(store, key)
    take(store, accepted(job_id), *[ok(job_id, serial) for serial in METERS[:-1]])
    look = store.reports.meters

    def looked_at_just_before(job_id: bytes):
        rows = look(job_id)
        monkeypatch.undo()
        take(store, ok(job_id, METERS[-1]), ended(job_id, State.SUCCEEDED))
        return rows

    monkeypatch.setattr(store.reports, "meters", looked_at_just_before)
    made = report.build(store.reports, job_id)
    assert made["summary"]["pending"] == 1 and not made["finished"]
    made = report.build(store.reports, job_id)
    assert made["summary"]["pending"] == 0 and made["finished"]


def test_a_refused_job_is_a_ko_for_each_meter(store, key) -> None:
    job_id = configure(store, key)
    digest = digest_of(store.reports.job(job_id).envelope)
    store.line.sent(Order("job", job_id, b""))
    take(store, Refusal("job", digest, None, "unknown-signer", "key id 00"))
    made = report.build(store.reports, job_id)
    assert made["finished"]
    assert [(m["result"], m["reason"]) for m in made["meters"]] == 3 * [("KO", "unknown-signer")]
    assert made["technician"] == []
    assert "next: check who signs" in shown(made)


def test_a_job_that_no_meter_could_take_was_not_refused_itself(store, key) -> None:
    job_id = configure(store, key)
    rejected = [ko(job_id, serial, "wrong-firmware") for serial in METERS]
    for each in rejected:
        each.state = State.NAMES[State.REJECTED]
    take(store, accepted(job_id), *rejected, ended(job_id, State.REJECTED))
    text = shown(report.build(store.reports, job_id))
    assert "over, 3 of 3 meters not done" in text and "rejected:" not in text


def test_a_job_nobody_answered(store, key) -> None:
    made = report.build(store.reports, configure(store, key))
    assert made["summary"]["pending"] == len(METERS)
    assert "the concentrator has not answered yet" in shown(made)


@pytest.mark.parametrize("reason", sorted(MEANINGS))
def test_every_reason_has_a_sentence_and_a_next_step(store, key, reason: str) -> None:
    job_id = configure(store, key)
    take(store, ko(job_id, "AMI01", reason))
    made = report.build(store.reports, job_id)["meters"][0]
    step, sentence = MEANINGS[reason]
    assert (made["sentence"], made["next_step"], made["who"]) == (sentence, step, STEPS[step][1])


def test_a_reason_of_a_newer_gateway_is_shown_as_it_is(store, key) -> None:
    job_id = configure(store, key)
    take(store, ko(job_id, "AMI01", "eaten-by-a-grue"))
    assert "eaten-by-a-grue" in shown(report.build(store.reports, job_id))


def test_how_far_it_is_and_when_it_is_likely_to_end(store, key) -> None:
    job_id = configure(store, key)
    take(store, accepted(job_id))
    assert report.build(store.reports, job_id)["progress"] is None
    there = int(store.now()) - 7200  # the concentrator's clock is slow
    standing = [job_id, "blocks", 431, 1, 2, 0, [["activation-waits", 1]], there + 4800]
    store.line.take_progress("another", Progress(there, [standing]))
    assert report.build(store.reports, job_id)["progress"] is None
    store.line.take_progress(CONCENTRATOR, Progress(there, [standing, [bytes(16), *standing[1:]]]))
    made = report.build(store.reports, job_id)
    progress = made["progress"]
    assert (progress["phase"], progress["percent"], progress["in_hand"]) == ("blocks", 43.1, 2)
    assert abs(progress["expected_end"] - store.now() - 4800) < 10
    text = " ".join(shown(made).split())
    assert "State in-progress" in text
    assert "broadcasting the blocks, 43 %" in text and "(1 h " in text
    assert "1 meter: the image is verified and waits for its time" in text
    assert store.reports.jobs()[0].ends == progress["expected_end"]
    take(store, ok(job_id, "AMI01"), ok(job_id, "AMI02"), ok(job_id, "AMI03"))
    take(store, ended(job_id))
    assert "expected" not in shown(report.build(store.reports, job_id))


def test_what_was_in_the_way_is_told_in_words(store, key) -> None:
    job_id = configure(store, key)
    take(store, ko(job_id, "AMI01", "not-tried", "hindered: radio-budget"))
    text = " ".join(shown(report.build(store.reports, job_id)).split())
    assert "hindered: the radio's time on air is used up" in text and "order it again" in text


def test_who_is_hindered_and_until_when(store, key) -> None:
    job_id = configure(store, key)
    take(store, JobReport(job_id, "queued", "accepted", "expected to end in 35 min"))
    assert "expected to end in 35 min" in shown(report.build(store.reports, job_id))
    there = int(store.now()) - 7200  # the concentrator's clock is slow
    waiting = [["radio-budget", 2, there + 3420], ["no-answer", 1]]
    standing = [job_id, "", 0, 3, 0, 0, waiting, there + 3500]
    store.line.take_progress(CONCENTRATOR, Progress(there, [standing]))
    made = report.build(store.reports, job_id)
    assert made["progress"]["waiting"] == {"radio-budget": 2, "no-answer": 1}
    assert abs(made["progress"]["until"].pop("radio-budget") - store.now() - 3420) < 10
    assert made["progress"]["until"] == {}
    made = report.build(store.reports, job_id)
    text = " ".join(shown(made).split())
    assert "2 meters: the radio's time on air is used up for this hour, until" in text
    assert text.count("expected to end") == 1 and "35 min" not in text, "one number on one screen"


def test_when_an_image_is_to_become_active(store, key) -> None:
    at = int(store.now()) + 600
    raw = image_file(key)
    to = (store.orders, key, CONCENTRATOR, METERS, terms(), raw)
    made = report.build(store.reports, order.transfer_image(*to, activation=at))
    assert made["activation"] == at and show.date(at) in shown(made)
    assert report.build(store.reports, order.transfer_image(*to))["activation"] is None


def test_words_for_a_time_to_come() -> None:
    assert show.ends(1000, 990.0).endswith("(less than a minute)")
    assert show.ends(4800, 0.0).endswith("(1 h 20 min)")
    assert show.ends(93600, 0.0).startswith("1970-01-02") and show.duration(93600) == "1 d 2 h"
    assert show.ends(5, 900.0).endswith("(less than a minute)")
