"""A security event as a message of RFC 5424, with UTF-8 text and structured data."""

from __future__ import annotations

import datetime

from gateway.version import VERSION
from tools.hes.monitoring.catalogue import meaning
from tools.hes.store.records import SecurityEvent

AUTHPRIV = 10  # the facility: security and authorization
APP = "ami-hes"
DOCUMENTATION = 32473  # a private enterprise number for examples only (RFC 5612)
LAST_SEQUENCE = 2147483647  # RFC 5424 7.3.1: then it begins again at 1
_BOM = "\ufeff"


def rendered(
    event: SecurityEvent, host: str, text: str = "", enterprise: int = DOCUMENTATION
) -> bytes:
    """`host` is this machine's name. `text` is what people or a machine read after the structured
    data; a sentence if there is none. `enterprise` is the utility's number in the name of our own
    structured data, `ami@NUMBER`.
    """
    told = meaning(event)
    at = datetime.datetime.fromtimestamp(event.time, datetime.UTC)
    head = "<%d>1 %s %s %s - %s" % (
        AUTHPRIV * 8 + told.severity,
        at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        _name(host, 255),
        APP,
        _name(event.name, 32),
    )
    data = [
        _element("meta", [("sequenceId", str(1 + (event.sequence - 1) % LAST_SEQUENCE))]),
        _element("timeQuality", [("tzKnown", "1"), ("isSynced", "1")]),
        _element("origin", [("software", APP), ("swVersion", VERSION)]),
        _element(
            "ami@%d" % enterprise,
            [
                ("concentrator", event.concentrator),
                ("reason", event.reason),
                ("outcome", told.outcome),
            ],
        ),
    ]
    text = text or told.sentence + (" " + event.detail if event.detail else "")
    return ("%s %s %s%s" % (head, "".join(data), _BOM, text)).encode()


def _element(name: str, parameters: list[tuple[str, str]]) -> str:
    told = ['%s="%s"' % (key, _escaped(value)) for key, value in parameters if value]
    return "[%s]" % " ".join([name, *told])


def _escaped(value: str) -> str:
    """RFC 5424 6.3.3."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")


def _name(text: str, longest: int) -> str:
    """A field of the header: printable ASCII without spaces; "-" if nothing is left."""
    return "".join(c for c in text if 33 <= ord(c) <= 126)[:longest] or "-"
