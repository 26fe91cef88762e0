"""Alarms of meters and outages at the HES: kept, in words, acknowledged; who tampers is named."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.contract.messages import Reports
from gateway.contract.reports import MeterAlarm, Outage, Report
from tests.unit.hes.orders import CONCENTRATOR
from tools.hes.cli.main import main
from tools.hes.store.store import Store

ALARM = MeterAlarm("AMI1", "alarm-descriptor-1", [0, 13], 0, "", b"\x06\x00\x00\x20\x01")
PUSH = MeterAlarm("AMI2", "data-notification", [], 1700000000, "a\x1b[2J push", b"")


@pytest.fixture
def hes(store: Store, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("COLUMNS", "160")
    return lambda *arguments: main(["--db", store.where, *arguments])


def take(store: Store, *bodies: Any) -> None:
    found = [Report(number, 1700000100, body) for number, body in enumerate(bodies, 1)]
    store.line.take_reports(CONCENTRATOR, Reports(7, found))


def test_alarms_are_kept_once_and_shown_in_words(hes: Any, store: Store, capsys: Any) -> None:
    assert hes("alarms") == 0
    assert "no alarm was reported yet" in capsys.readouterr().out
    take(store, ALARM, PUSH)
    take(store, ALARM)  # a second copy
    assert [each.serial for each in store.alarms.raised()] == ["AMI2", "AMI1"]
    assert hes("alarms", "--meter", "AMI1", "--model", "idis", "--json") == 0
    (shown,) = json.loads(capsys.readouterr().out)["alarms"]
    assert shown["words"] == "clock invalid, fraud attempt"
    assert (shown["bits"], shown["noticed"], shown["data"]) == ([0, 13], 1700000100, "0600002001")
    assert hes("alarms", "--model", "idis", "--language", "es") == 0
    said = capsys.readouterr().out
    assert "intento de fraude" in said and "push" in said and "\x1b[2J" not in said
    assert hes("alarms", "--concentrator", "c-2", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"alarms": [], "outages": []}


def test_they_are_open_until_somebody_attends(hes: Any, store: Store, capsys: Any) -> None:
    take(store, ALARM, PUSH)
    assert hes("alarms", "acknowledge", "1") == 0
    assert hes("alarms", "acknowledge", "1", "2", "9") == 1
    assert "9: no open alarm has this number" in capsys.readouterr().out
    assert store.alarms.raised(only_open=True) == []
    assert hes("alarms", "--open") == 0
    assert "no alarm was reported that nobody attends to" in capsys.readouterr().out
    assert hes("alarms", "acknowledge") != 0


def test_who_tampers_with_a_meter_is_an_event_of_security(store: Store) -> None:
    take(store, ALARM, MeterAlarm("AMI3", "alarm-descriptor-1", [0], 0, "", b""), PUSH)
    (event,) = [x for x in store.security.newest(9) if x.name == "meter-tampered"]
    assert event.detail == "AMI1: fraud attempt (alarm-descriptor-1)"


def test_outages_are_shown(hes: Any, store: Store, capsys: Any) -> None:
    take(
        store,
        Outage(False, 1700000000, 1700000030, 33, 33, ["AMI7"]),
        Outage(True, 1700000300, 1700000330, 1, 1, ["AMI7"]),
    )
    assert hes("alarms", "--json") == 0
    found = json.loads(capsys.readouterr().out)["outages"]
    assert [(each["over"], each["meters"]) for each in found] == [(True, 1), (False, 33)]
    assert hes("alarms") == 0
    said = capsys.readouterr().out
    assert "power is back" in said and "33 to 33 of 33: AMI7" in said
