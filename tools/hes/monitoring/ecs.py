"""A security event as JSON in the fields of the Elastic Common Schema 8."""

from __future__ import annotations

import datetime
import json

from gateway.version import VERSION
from tools.hes.monitoring.catalogue import FAILURE, INTRUSION, meaning
from tools.hes.store.records import SecurityEvent


def rendered(event: SecurityEvent, host: str) -> str:
    told = meaning(event)
    at = datetime.datetime.fromtimestamp(event.time, datetime.UTC)
    fields: dict[str, object] = {
        "@timestamp": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "ecs.version": "8.11.0",
        "message": told.sentence + (" " + event.detail if event.detail else ""),
        "event.kind": "alert" if told.category == INTRUSION else "event",
        "event.category": [told.category],
        "event.type": ["denied" if told.outcome == FAILURE else "info"],
        "event.action": event.name,
        "event.outcome": told.outcome,
        "event.sequence": event.sequence,
        "event.severity": told.severity,
        "observer.vendor": "AMI",
        "observer.product": "ami-hes",
        "observer.version": VERSION,
        "observer.hostname": host,
    }
    if event.reason:
        fields["event.reason"] = event.reason
    if event.concentrator:
        fields["host.name"] = event.concentrator
    return json.dumps(fields, ensure_ascii=False)
