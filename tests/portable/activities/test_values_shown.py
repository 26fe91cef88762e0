"""Values and details as a report shows them: cut to the character, and states by their names."""

from __future__ import annotations

from gateway.activities import readable, verdict
from gateway.activities.image import image_object
from gateway.dlms.data import axdr
from gateway.dlms.errors import (
    AccessRefused,
    ActionRefused,
    AssociationRefused,
    LinkLost,
    NotSupported,
    ProtocolError,
    SecurityFailed,
    ServiceRefused,
)
from tests.portable.support import raises


def shown(tag, value):
    return readable.shown(axdr.encode((tag, value)))


def test_values():
    for tag, value, text in (
        (axdr.NULL, None, "null-data"),
        (axdr.LONG_UNSIGNED, 900, "long-unsigned 900"),
        (axdr.OCTET_STRING, b"ABC", 'octet-string "ABC"'),
        (axdr.OCTET_STRING, b"", "octet-string "),
        (axdr.OCTET_STRING, b" ~", 'octet-string " ~"'),
        (axdr.OCTET_STRING, b"A\x1f", "octet-string 411f"),
        (axdr.OCTET_STRING, b"A\x7f", "octet-string 417f"),
        (axdr.ARRAY, [(axdr.UNSIGNED, 1)] * 2, "array of 2 010211011101"),
        (axdr.OCTET_STRING, b"\0" * 24, "octet-string " + "00" * 24),
        (axdr.OCTET_STRING, b"\0" * 25, "octet-string " + "00" * 22 + "0..."),
    ):
        assert shown(tag, value) == text, (tag, value)
    assert readable.shown(b"\x12\x01") == "malformed data 1201"
    assert readable.shown(b"\xff" * 60) == "malformed data " + "ff" * 22 + "f..."


def test_details():
    assert readable.one_line(" a\n b\t c ") == "a b c"
    assert readable.one_line("x" * 240) == "x" * 240
    assert readable.one_line("x" * 241) == "x" * 237 + "..."


def test_what_passes():
    for name, passes in (
        ("temporary-failure", True),
        ("object-unavailable", True),
        ("hardware-fault", False),
        ("read-write-denied", False),
        ("", False),
    ):
        assert readable.passing(name) == passes


def test_what_an_error_means():
    for error, associated, reason in (
        (AssociationRefused("no", "no"), False, "association-refused"),
        (AssociationRefused("authentication-failure", "no"), False, "association-refused"),
        (AssociationRefused("authentication-required", "no"), False, "association-unsuited"),
        (AssociationRefused("no-common-acse-version", "no"), False, "association-unsuited"),
        (AssociationRefused("authentication-failure", "no", True), False, "meter-busy"),
        (AssociationRefused("authentication-required", "no", True), False, "meter-busy"),
        (SecurityFailed("no"), True, "security-failed"),
        (AccessRefused("temporary-failure", "GET", "no", 2), True, "meter-busy"),
        (AccessRefused("object-undefined", "GET", "no", 4), True, "object-mismatch"),
        (AccessRefused("hardware-fault", "GET", "no", 1), True, "meter-defective"),
        (AccessRefused("read-write-denied", "GET", "no", 3), True, "access-denied"),
        (AccessRefused("long-get-aborted", "GET", "no", 15), True, "request-refused"),
        (AccessRefused("other-reason", "GET", "no", 250), True, "read-refused"),
        (ActionRefused("other-reason", "ACTION", "no", 250), True, "action-refused"),
        (ActionRefused("type-unmatched", "ACTION", "no", 12), True, "type-mismatch"),
        (ActionRefused("other-reason", "ACTION", "no", 250), False, "association-refused"),
        (NotSupported("no"), True, "service-refused"),
        (LinkLost("no"), False, "meter-busy"),
        (LinkLost("no"), True, "link-lost"),
        (ProtocolError("no"), True, "meter-protocol-error"),
    ):
        found = verdict.explained(error, associated)
        assert (found.outcome, found.reason, found.detail) == ("KO", reason, "no"), error


def test_what_a_refused_service_means():
    """exception-response (state, service), confirmed-service-error (service, group and name)."""
    for state, service, associated, reason in (
        ("service-not-allowed", "operation-not-possible", True, "association-lost"),
        ("service-not-allowed", "operation-not-possible", False, "meter-busy"),
        ("service-not-allowed", "service-not-supported", True, "service-refused"),
        ("service-unknown", "other-reason", True, "service-refused"),
        ("service-not-allowed", "other-reason", True, "request-refused"),
        ("service-not-allowed", "pdu-too-long", True, "service-refused"),
        ("service-unknown", "deciphering-error", True, "security-failed"),
        ("service-not-allowed", "invocation-counter-error", False, "security-failed"),
        ("initiate", "initiate/incompatible-conformance", False, "association-unsuited"),
        ("initiate", "initiate/refused-by-the-VDE-handler", False, "association-refused"),
        ("initiate", "application-reference/deciphering-error", False, "security-failed"),
        ("initiate", "application-reference/other", False, "meter-busy"),
        ("read", "hardware-resource/memory-unavailable", True, "meter-busy"),
        ("read", "access/object-unavailable", True, "meter-busy"),
        ("read", "access/hardware-fault", True, "meter-defective"),
        ("write", "access/scope-of-access-violated", True, "access-denied"),
        ("write", "access/other", True, "request-refused"),
        ("read", "definition/object-undefined", True, "object-mismatch"),
        ("read", "vde-state-error/no-dlms-context", True, "association-lost"),
        ("get-status", "task/other", True, "request-refused"),
    ):
        error = ServiceRefused(state, service, None, "no")
        assert verdict.explained(error, associated).reason == reason, service


def test_states_and_results_of_an_image_by_name():
    names = [image_object.state_name(status) for status in range(8)]
    assert names == [
        "not initiated",
        "initiated",
        "verification initiated",
        "verification successful",
        "verification failed",
        "activation initiated",
        "activation successful",
        "activation failed",
    ]
    for status in range(8):
        assert image_object.status(axdr.encode((axdr.ENUM, status))) == status
    for none in ((axdr.ENUM, 8), (axdr.ENUM, 99), (axdr.ENUM, 255)):
        error = raises(ProtocolError, image_object.status, axdr.encode(none))
        assert str(error) == "image_transfer_status: expected 0..7, came %d" % none[1]
    assert image_object.result_name(0) == ""
    assert image_object.result_name(2) == "temporary-failure"
    assert image_object.result_name(250) == "other-reason"


def test_numbers_of_an_image():
    for tag in (axdr.ENUM, axdr.UNSIGNED, axdr.LONG_UNSIGNED, axdr.DOUBLE_LONG_UNSIGNED):
        assert image_object.number(axdr.encode((tag, 6)), "status") == 6
    assert image_object.number(axdr.encode((axdr.BOOLEAN, True)), "enabled") == 1
    error = raises(ProtocolError, image_object.number, axdr.encode((axdr.NULL, None)), "status")
    assert str(error) == "status: expected a number, came null-data"


def test_what_would_be_activated():
    def info(*images):
        rows = []
        for size, name in images:
            fields = [(axdr.DOUBLE_LONG_UNSIGNED, size), (axdr.OCTET_STRING, name)]
            rows.append((axdr.STRUCTURE, fields + [(axdr.OCTET_STRING, b"")]))
        return axdr.encode((axdr.ARRAY, rows))

    for images, text in (
        (((100, b"V03"),), ""),
        (((7, b"A"), (100, b"V03")), ""),
        (((99, b"V03"),), "563033 of 99 bytes"),
        (((100, b"V04"),), "563034 of 100 bytes"),
        (((100, b""),), " of 100 bytes"),
        (((7, b"A"), (8, b"B")), "41 of 7 bytes and 42 of 8 bytes"),
        ((), "nothing"),
    ):
        assert image_object.would_activate(info(*images), b"V03", 100) == text


def test_a_difference_names_the_first_element_with_both_values():
    def structure(*fields):
        return (axdr.STRUCTURE, list(fields))

    def array(*elements):
        return (axdr.ARRAY, list(elements))

    def told(wanted, came):
        return readable.difference(axdr.encode(wanted), axdr.encode(came))

    one, two, other = (axdr.UNSIGNED, 1), (axdr.UNSIGNED, 2), (axdr.LONG_UNSIGNED, 1)
    text = (axdr.OCTET_STRING, b"PEAK")
    assert told(one, two) == "expected unsigned 1, came unsigned 2"
    assert told(one, other) == "expected unsigned 1, came long-unsigned 1"
    assert told(array(one, two), array(one, one)) == (
        "array[1]: expected unsigned 2, came unsigned 1"
    )
    assert told(
        array(structure(text, one), structure(text, one, two)),
        array(structure(text, one), structure(text, two, one)),
    ) == ("array[1].structure[1]: expected unsigned 1, came unsigned 2")
    assert told(array(one, two), array(one)) == (
        "array: expected 2 elements, came 1; [1] unsigned 2 is missing"
    )
    assert told(array(array(text)), array(array(text, one, two))) == (
        "array[0].array: expected 1 elements, came 3; [1] unsigned 1 is too much"
    )
    assert told(array(one), structure(one)) == (
        "expected array of 1 01011101, came structure of 1 02011101"
    )
    assert readable.difference(b"\x11\x01", b"\x12\x01") == (
        "expected unsigned 1, came malformed data 1201"
    )
