"""A security event in the Common Event Format, version 0, as the text of a syslog message."""

from __future__ import annotations

from gateway.version import VERSION
from tools.hes.monitoring.catalogue import meaning
from tools.hes.store.records import SecurityEvent

_SEVERITY = {1: 10, 2: 9, 3: 7, 4: 5, 5: 3}  # of RFC 5424: 0 to 10 here, 10 the gravest


def rendered(event: SecurityEvent) -> str:
    told = meaning(event)
    identity = event.reason if event.name == "refused" and event.reason else event.name
    head = ["CEF:0", "AMI", "ami-hes", VERSION, identity, told.sentence]
    extension = [
        ("rt", str(event.time * 1000)),
        ("externalId", str(event.sequence)),
        ("cat", told.category),
        ("outcome", told.outcome),
        ("dhost", event.concentrator),
        ("reason", event.reason),
        ("msg", event.detail),
    ]
    return "|".join(
        [
            *(part if part == "CEF:0" else _in_head(part) for part in head),
            str(_SEVERITY[told.severity]),
            " ".join("%s=%s" % (key, _in_extension(value)) for key, value in extension if value),
        ]
    )


def _in_head(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("\r", " ")


def _in_extension(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("=", "\\=")
    return escaped.replace("\n", "\\n").replace("\r", "\\r")
