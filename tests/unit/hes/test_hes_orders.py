"""What cannot be ordered, and what is said then: nothing is kept of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.contract import envelope
from gateway.contract.job import Job, Span
from gateway.contract.key_change import KeyChange
from gateway.contract.limits import MAX_KEYED, MAX_MESSAGE, MAX_METERS
from gateway.contract.meter_keys import MeterKeys
from tests.unit.hes.orders import (
    CONCENTRATOR,
    METERS,
    accepted,
    configure,
    ended,
    image_file,
    ok,
    package,
    read,
    terms,
)
from tests.unit.hes.test_hes_report import take
from tools.hes.__main__ import main
from tools.hes.line.broker import Broker, BrokerProblem
from tools.hes.orders import order, security, typed
from tools.hes.orders.security import SecurityProblem
from tools.hes.orders.typed import OrderProblem
from tools.hes.store.store import Store


def test_a_package_that_is_too_large(store: Store, key: Any, monkeypatch: Any) -> None:
    raw = package(key)
    monkeypatch.setattr(order, "MAX_PACKAGE", len(raw))
    configure(store, key)
    monkeypatch.setattr(order, "MAX_PACKAGE", len(raw) - 1)
    said = "at most %d bytes, got %d; split it" % (len(raw) - 1, len(raw))
    with pytest.raises(OrderProblem, match=said):
        configure(store, key)
    assert len(store.reports.jobs()) == 1


def test_an_image_that_is_none_or_too_late(store: Store, key: Any) -> None:
    to = (store.orders, key, CONCENTRATOR, METERS, terms())
    with pytest.raises(OrderProblem, match="expected an image from `ami-package image`"):
        order.transfer_image(*to, package(key))
    raw, until = image_file(key), terms().not_after
    with pytest.raises(OrderProblem, match="expected --activate within the job's window"):
        order.transfer_image(*to, raw, activation=until + 5)
    order.transfer_image(*to, raw, activation=until - 5)
    assert len(store.reports.jobs()) == 1


def test_what_is_over_is_neither_paused_nor_ordered_again(store: Store, key: Any) -> None:
    job_id = configure(store, key)
    with pytest.raises(OrderProblem, match="the job is not over yet"):
        order.retry(store.orders, key, job_id, 0)
    take(store, accepted(job_id), *(ok(job_id, serial) for serial in METERS))
    for paused in (True, False):  # all meters are, although the job did not say so
        with pytest.raises(OrderProblem, match="the job is over"):
            order.pause(store.orders, key, job_id, paused)
    with pytest.raises(OrderProblem, match="nothing to cancel"):
        order.cancel(store.orders, key, job_id)
    take(store, ended(job_id))
    with pytest.raises(OrderProblem, match="no meter of the job ended KO"):
        order.retry(store.orders, key, job_id, 0)
    assert store.reports.pause(job_id) is None


def test_meters_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "many"
    path.write_text("".join("A%d\n" % number for number in range(MAX_METERS)))
    assert len(typed.parse_meters(str(path))) == MAX_METERS
    path.write_text("".join("A%d\n" % number for number in range(MAX_METERS + 1)))
    said = "at most %d meters for one job, got %d" % (MAX_METERS, MAX_METERS + 1)
    with pytest.raises(OrderProblem, match=said):
        typed.parse_meters(str(path))


@pytest.mark.parametrize(
    ("text", "seconds"), [("5", 5), ("90s", 90), ("30m", 1800), ("6h", 21600), ("2d", 172800)]
)
def test_durations(text: str, seconds: int) -> None:
    assert typed.parse_duration(" %s " % text) == seconds


def test_canaries() -> None:
    for text, meters, percent in (("1:1", 1, 1), ("10:90%", 10, 90), ("9999:100", 9999, 100)):
        canary = typed.parse_canary(text)
        assert (canary.meters, canary.percent) == (meters, percent)
    for wrong in ("0:90", "10:0", "10:101", "10000:1", "a:1"):
        with pytest.raises(OrderProblem, match="expected a canary"):
            typed.parse_canary(wrong)


def test_windows_end_in_the_future_and_after_they_begin() -> None:
    day = "1970-01-02T00:00:00Z"
    assert typed.window(None, day, None, 86399) == (0, 86400)
    for start, now in ((None, 86400), (day, 0)):
        with pytest.raises(OrderProblem, match="ends in the future and after it begins"):
            typed.window(start, day, None, now)


@pytest.mark.parametrize("wrong", ["24:00-01:00", "01:00-25:00", "01:60-02:00", "1-2", "noon"])
def test_hours_that_are_none(wrong: str) -> None:
    with pytest.raises(OrderProblem, match="expected times of the day"):
        typed.parse_daily(wrong, None, "UTC", 0, 1)


def test_days_in_words() -> None:
    every = typed.parse_daily("10:30-12:05", None, "UTC", 0, 1)
    assert typed.daily_text(every) == "10:30-12:05 UTC every day"
    some = typed.parse_daily("10:30-12:05", "sat-mon,wed", "UTC", 0, 1)
    assert typed.daily_text(some) == "10:30-12:05 UTC on mon, wed, sat, sun"
    east = typed.parse_daily("01:00-02:00", None, "+01:30", 0, 1)
    assert typed.daily_text(east) == "23:30-00:30 UTC every day"


def test_keys_are_sent_in_as_many_messages_as_they_need(store: Store, key: Any) -> None:
    keys = [("A%d" % number, MeterKeys(bytes(16), bytes(16))) for number in range(MAX_KEYED + 1)]
    trust = store.trust
    numbers = security.send_keys(trust, key, CONCENTRATOR, bytes(32), keys, 1_800_000_000)
    assert numbers == [1, 2]
    found = trust.numbered(CONCENTRATOR, ("submitted",))
    assert [(m.topic, m.what) for m in found] == [
        ("keys", "keys of %d meters" % MAX_KEYED),
        ("keys", "keys of 1 meters"),
    ]
    changes = [KeyChange.decode(envelope.split(m.envelope)[1]) for m in found]
    assert [(each.number, len(each.keys)) for each in changes] == [(1, MAX_KEYED), (2, 1)]
    keys = [
        ("%032d" % number, MeterKeys(bytes(32), bytes(32), 2, bytes(64), 0xFFFFFFFF))
        for number in range(MAX_KEYED)
    ]
    assert security.send_keys(trust, key, "other", bytes(32), keys, 1_800_000_000) == [1, 2]
    for each in trust.numbered("other", ("submitted",)):
        assert len(each.envelope) <= MAX_MESSAGE
    with pytest.raises(SecurityProblem, match="16 or 32 bytes"):
        security.send_keys(trust, key, CONCENTRATOR, bytes(5), keys, 0)
    with pytest.raises(SecurityProblem, match=r"\[a-z0-9-\]"):
        security.send_keys(trust, key, "NO SUCH", bytes(32), keys, 0)
    assert trust.next_number("keys", CONCENTRATOR) == 3


def test_files_of_keys(tmp_path: Path) -> None:
    path = tmp_path / "k"
    path.write_text("not hex\n")
    with pytest.raises(SecurityProblem, match="expected 32 or 64 hex digits, nothing else"):
        security.load_board_key(path)
    path.write_text(" %s \n" % ("0a" * 32))
    assert security.load_board_key(path) == b"\x0a" * 32
    path.write_text("\n\n")
    with pytest.raises(SecurityProblem, match="expected the keys of at least one meter"):
        security.load_meter_keys(path)
    good = {"serial": "A1", "ek": "0b" * 16, "ak": "0c" * 16}
    path.write_text(json.dumps(good) + "\n\n" + json.dumps({**good, "serial": "A" * 65}) + "\n")
    with pytest.raises(SecurityProblem, match=r"k:3: expected"):
        security.load_meter_keys(path)
    path.write_text(json.dumps(good) + "\n\n" + json.dumps({**good, "suite": 1}) + "\n")
    found = security.load_meter_keys(path)
    assert [(serial, keys.suite) for serial, keys in found] == [("A1", 0), ("A1", 1)]
    assert (found[0][1].ek, found[0][1].ak) == (b"\x0b" * 16, b"\x0c" * 16)


def test_ids_of_keys_that_are_to_go(tmp_path: Path, capsys: Any) -> None:
    command = ["--db", str(tmp_path / "a.sqlite"), "trust"]
    where = ["--concentrator", CONCENTRATOR]
    for good in ("00", "ab" * 32):
        assert main([*command, "remove", *where, good]) == 0
    for wrong in ("", "ab" * 33, "0"):
        assert main([*command, "remove", *where, wrong]) == 1
    capsys.readouterr()
    assert main([*command, "show", *where]) == 0
    shown = capsys.readouterr().out
    assert shown.splitlines() == [
        "%s was not heard of yet" % CONCENTRATOR,
        "staged: -00",
        "staged: -" + "ab" * 32,
    ]


def test_certificates_that_do_not_belong_together(tmp_path: Path) -> None:
    with pytest.raises(BrokerProblem, match="--cert-key needs the certificate it belongs to"):
        Broker.parse("mqtts://x", key=tmp_path / "k.pem")
    with pytest.raises(BrokerProblem, match="certificates are for mqtts"):
        Broker.parse("mqtt://x", key=tmp_path / "k.pem")
    broker = Broker.parse("mqtts://x:1234/")
    assert (broker.port, broker.name, broker.username) == (1234, "mqtts://x:1234", None)
    assert broker.tls is not None and Broker.parse("mqtt://x").tls is None


def test_a_report_for_machines_as_it_is_written(
    store: Store, key: Any, capsys: Any, tmp_path: Path
) -> None:
    read(store, key, "clock 0.0.1.0.0.255 time")
    path = tmp_path / "r.json"
    assert main(["--db", store.where, "report", "last", "--json", str(path)]) == 1
    assert "Remote work" in capsys.readouterr().out
    text = path.read_text()
    assert text.startswith('{\n  "job": "') and text.endswith("\n}\n")
    made = json.loads(text)
    assert made["read"] == ["clock 0.0.1.0.0.255 time"] and made["package"] is None
    assert made["summary"] == {
        "meters": 3,
        "ok": 0,
        "value": 0,
        "ko": 0,
        "pending": 3,
        "reasons": {},
    }
    assert main(["--db", store.where, "report", "last", "--json", "-"]) == 1
    assert json.loads(capsys.readouterr().out) == made


def test_rows_of_a_profile_are_asked_for(store: Store, key: Any) -> None:
    to = (store.orders, key, CONCENTRATOR, METERS, terms())
    job_id = order.readings(*to, "load-profile", 1_800_000_000, 1_800_086_400)
    job = Job.decode(envelope.split(store.orders.order_of(job_id))[1])
    assert (job.objects, job.span) == ([], Span("load-profile", 1_800_000_000, 1_800_086_400))
    job_id = order.readings(*to, "profile_generic 1.0.99.1.0.255", 0, 1)
    job = Job.decode(envelope.split(store.orders.order_of(job_id))[1])
    assert (job.objects, job.span) == ([(7, bytes((1, 0, 99, 1, 0, 255)), 2)], Span("", 0, 1))
    for profile in ("clock 0.0.1.0.0.255", "profile_generic x", "profile_generic 1.2 3"):
        with pytest.raises(OrderProblem):
            order.readings(*to, profile, 0, 1)
    with pytest.raises(OrderProblem, match="span"):
        order.readings(*to, "load-profile", 2, 1)
    assert len(store.reports.jobs()) == 2
