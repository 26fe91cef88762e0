"""Texts of others reach no screen, log or file as they came; packages and claims are looked at by
whom they concern.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.contract.messages import Hello, Meters, Reports, State
from gateway.contract.reports import Event
from hal.rt import log
from tests.unit.hes.orders import CONCENTRATOR, configure, ko, numbered, package
from tools.cosem import render
from tools.hes import report
from tools.hes.cli.main import main
from tools.hes.store.store import Store
from tools.package.keys import SigningKey

# clears the screen, rings, goes back, begins a line, turns the writing, is not seen
HOSTILE = "a\x1b[2J\x07\r\nb\u202ec\u2066\u200b\x9bd\x7f\u2028[red]e"
SAFE = "a\\x1b[2J\\x07\\x0d\\x0ab\\u202ec\\u2066\\u200b\\x9bd\\x7f\\u2028[red]e"


def seen(text: str) -> set[str]:
    """Whatever of it is no plain character, lines and rich's own colours aside."""
    return {each for each in text if each in HOSTILE and not each.isprintable()} - {"\n"}


def test_every_text_of_the_store_is_safe(store: Store, key: SigningKey) -> None:
    job_id = configure(store, key)
    bodies = (ko(job_id, "AMI01", "no-answer", HOSTILE), Event("stranger", HOSTILE))
    store.line.take_reports(CONCENTRATOR, Reports(7, numbered(1, *bodies)))
    modems: list[list[Any]] = [["plc", True, 1, {HOSTILE: 3}]]
    born = State(CONCENTRATOR, 1, True, 7, 1, 3, 0, HOSTILE, HOSTILE, 0, 1, 1, modems)
    store.line.take_state(CONCENTRATOR, born)
    assert store.reports.meters(job_id)[0].detail == SAFE
    assert store.reports.events()[0].detail == SAFE
    assert store.street.strangers(CONCENTRATOR)[0].what == SAFE
    assert store.reports.concentrators()[0].firmware == SAFE
    assert list(store.street.modems(CONCENTRATOR)[0].counters) == [SAFE]
    assert not seen(json.dumps(report.build(store.reports, job_id), ensure_ascii=False))


def test_no_screen_gets_them(store: Store, key: SigningKey, capsys: Any) -> None:
    job_id = configure(store, key)
    bodies = (ko(job_id, "AMI01", "no-answer", HOSTILE), Event("stranger", HOSTILE))
    store.line.take_reports(CONCENTRATOR, Reports(7, numbered(1, *bodies)))
    born = State(CONCENTRATOR, 1, True, 7, 1, 3, 0, HOSTILE, HOSTILE, 0, 1, 1)
    store.line.take_state(CONCENTRATOR, born)
    store.line.take_meters(CONCENTRATOR, Meters("", False, [["A\x1b[2J", []]]))
    store.line.add_event("x\x1b[2J", "malformed", HOSTILE)
    for command in (
        ["list"],
        ["report", "last"],
        ["report", "last", "--json", "-"],
        ["meters", CONCENTRATOR, "--stored"],
        ["meters", CONCENTRATOR, "--stored", "--json"],
        ["security", "list"],
        ["security", "list", "--json"],
        ["concentrator", "list"],
    ):
        main(["--db", store.where, *command])
        assert not seen(capsys.readouterr().out), command


def test_what_a_meter_says_of_itself_is_safe_too() -> None:
    raw = b"\x0c" + bytes([len(HOSTILE.encode())]) + HOSTILE.encode()
    assert render.data(raw) == 'utf8-string "%s"' % SAFE


def test_the_log_is_safe(capsys: Any) -> None:
    log.warning("hes", HOSTILE)
    assert not seen(capsys.readouterr().err)
    assert log.printable("Zähler Nº 7 ok") == "Zähler Nº 7 ok"


def test_a_package_is_for_who_has_a_job_with_it(store: Store, key: SigningKey) -> None:
    job_id = configure(store, key)
    digest = store.reports.job(job_id).package
    assert digest is not None
    whole = len(package(key))
    size, piece = store.line.package_for(CONCENTRATOR, digest, 0, 10)
    assert size > 0 and len(piece) == 10 and abs(size - whole) < 10
    assert store.line.package_for("c-2", digest, 0, 10) == (0, b"")
    [event] = store.reports.events()
    assert (event.concentrator, event.name) == ("c-2", "package-not-ordered")


def test_a_claim_is_believed_when_somebody_has_looked(store: Store, capsys: Any) -> None:
    command = ["--db", store.where, "concentrator", "believe", CONCENTRATOR]
    assert main(command) == 1
    assert "has not said where its reports begin" in capsys.readouterr().err
    store.line.take_reports(CONCENTRATOR, Reports(7, numbered(1, Event("stranger", "plc 1"))))
    store.line.take_hello(CONCENTRATOR, Hello(1, 0, [], epoch=7, first=900_000, next=900_000))
    assert store.line.position(CONCENTRATOR, 7) == 1
    assert main(command) == 0
    assert capsys.readouterr().out == "reports of c-1 count from 900000 of epoch 00000007\n"
    assert store.line.position(CONCENTRATOR, 7) == 899_999
    assert store.reports.events()[0].name == "reports-lost"


@pytest.mark.parametrize("name", ["claim-beyond-bounds", "same-identity", "numbers-ahead"])
def test_the_alarms_are_in_the_catalogue(name: str) -> None:
    from tools.hes.monitoring import catalogue

    assert catalogue._EVENTS[name].severity == catalogue.ALERT
