"""What an error of the client carries besides its text."""

from __future__ import annotations

from gateway.dlms.errors import (
    AccessRefused,
    ActionRefused,
    AssociationRefused,
    DlmsError,
    LinkSilent,
    NoAnswer,
    ProtocolError,
    Replayed,
    SecurityFailed,
    ServiceRefused,
)


def test_refusals():
    for kind in (AccessRefused, ActionRefused):
        refused = kind("other-reason", "clock.time", "the text")
        assert (refused.result, refused.object, refused.number) == (
            "other-reason",
            "clock.time",
            250,
        )
        assert str(refused) == "the text"
        assert kind("read-write-denied", "x", "y", 3).number == 3
    refused = ServiceRefused("service-not-allowed", "deciphering-error", 7, "the text")
    assert (refused.state, refused.service) == ("service-not-allowed", "deciphering-error")
    assert refused.counter == 7 and str(refused) == "the text"
    refused = AssociationRefused("no-reason-given", "the text")
    assert refused.diagnostic == "no-reason-given" and str(refused) == "the text"


def test_who_catches_what():
    for kind in (AccessRefused, ActionRefused, AssociationRefused, NoAnswer, ProtocolError):
        assert issubclass(kind, DlmsError)
    assert issubclass(Replayed, SecurityFailed) and issubclass(SecurityFailed, DlmsError)
    assert issubclass(LinkSilent, NoAnswer)
    assert not issubclass(DlmsError, OSError)
