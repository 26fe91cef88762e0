"""How a security event reads in RFC 5424, CEF and ECS, and that its texts cannot break out."""

from __future__ import annotations

import json
import re

import pytest

from gateway.contract.result import OF_MESSAGES
from tools.hes.monitoring import catalogue, cef, ecs, rfc5424
from tools.hes.store.records import SecurityEvent

FORGED = SecurityEvent(
    7, 1796000000, "street-7", "refused", "bad-signature", "job: key 0102 did not sign this"
)
NASTY = SecurityEvent(8, 1796000000, 'a"b]c\\d|e=f', "refused", "malformed", 'x\ny|z=1\\ "] \r')


def test_rfc5424() -> None:
    assert rfc5424.rendered(FORGED, "hes-1").decode() == (
        "<82>1 2026-11-30T00:53:20Z hes-1 ami-hes - refused"
        ' [meta sequenceId="7"][timeQuality tzKnown="1" isSynced="1"]'
        '[origin software="ami-hes" swVersion="0.1.0"]'
        '[ami@32473 concentrator="street-7" reason="bad-signature" outcome="failure"]'
        " \ufeffA message had a signature that is not its signer's."
        " job: key 0102 did not sign this"
    )


def test_rfc5424_escapes_what_ends_a_value() -> None:
    text = rfc5424.rendered(NASTY, "a host\n", enterprise=4711).decode()
    assert '[ami@4711 concentrator="a\\"b\\]c\\\\d|e=f" reason="malformed"' in text
    assert text.startswith("<84>1 2026-11-30T00:53:20Z ahost ami-hes - refused [meta")


def test_the_sequence_begins_again_as_the_standard_says() -> None:
    last = SecurityEvent(2147483647, 1, "", "refused", "", "")
    first = SecurityEvent(2147483648, 1, "", "refused", "", "")
    assert b'sequenceId="2147483647"' in rfc5424.rendered(last, "h")
    assert b'sequenceId="1"' in rfc5424.rendered(first, "h")


def test_cef() -> None:
    assert cef.rendered(FORGED) == (
        "CEF:0|AMI|ami-hes|0.1.0|bad-signature"
        "|A message had a signature that is not its signer's.|9"
        "|rt=1796000000000 externalId=7 cat=intrusion_detection outcome=failure dhost=street-7"
        " reason=bad-signature msg=job: key 0102 did not sign this"
    )


def test_cef_escapes_what_ends_a_value() -> None:
    text = cef.rendered(NASTY)
    assert "\n" not in text and "\r" not in text
    assert len(re.findall(r"(?<!\\)\|", text)) == 7 + text.partition("msg=")[2].count("|") + 1
    assert 'dhost=a"b]c\\\\d|e\\=f' in text
    assert text.endswith('msg=x\\ny|z\\=1\\\\ "] \\r')


def test_ecs() -> None:
    fields = json.loads(ecs.rendered(FORGED, "hes-1"))
    assert fields["@timestamp"] == "2026-11-30T00:53:20Z"
    assert fields["event.action"] == "refused" and fields["event.reason"] == "bad-signature"
    assert fields["event.kind"] == "alert" and fields["event.outcome"] == "failure"
    assert fields["event.sequence"] == 7 and fields["host.name"] == "street-7"
    assert json.loads(ecs.rendered(NASTY, "h"))["message"].endswith('x\ny|z=1\\ "] \r')


def test_the_catalogue_speaks_of_reasons_that_there_are() -> None:
    assert set(catalogue._REFUSALS) <= set(OF_MESSAGES)


@pytest.mark.parametrize(
    ("name", "reason", "severity"),
    [
        ("refused", "bad-signature", catalogue.CRITICAL),
        ("refused", "duplicate", catalogue.NOTICE),
        ("audit-trail-cut", "", catalogue.ALERT),
        ("trust-changed", "", catalogue.WARNING),
        ("of-another-version", "", catalogue.NOTICE),
    ],
)
def test_severities(name: str, reason: str, severity: int) -> None:
    assert catalogue.meaning(SecurityEvent(1, 1, "", name, reason, "")).severity == severity
