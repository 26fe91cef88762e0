"""What each security event means to who watches: how grave it is, what kind, and what happened in
one sentence. The one table; all renderings take it from here.

Severities are those of RFC 5424 6.2.1. A refusal is judged by its reason. What is not in the table
is a notice.
"""

from __future__ import annotations

from typing import NamedTuple

from tools.hes.store.records import SecurityEvent

ALERT, CRITICAL, ERROR, WARNING, NOTICE = range(1, 6)
NAMES = ("emergency", "alert", "critical", "error", "warning", "notice")

# `event.category` and `event.outcome` of the Elastic Common Schema
AUTHENTICATION, CONFIGURATION, INTRUSION, HOST = (
    "authentication",
    "configuration",
    "intrusion_detection",
    "host",
)
SUCCESS, FAILURE, UNKNOWN = "success", "failure", "unknown"


class Meaning(NamedTuple):
    severity: int
    category: str
    outcome: str
    sentence: str


_REFUSALS = {
    "bad-signature": Meaning(
        CRITICAL, INTRUSION, FAILURE, "A message had a signature that is not its signer's."
    ),
    "unknown-signer": Meaning(
        CRITICAL, INTRUSION, FAILURE, "A message was signed by a key that is not trusted."
    ),
    "replayed": Meaning(CRITICAL, INTRUSION, FAILURE, "An old message was sent again."),
    "out-of-order": Meaning(
        WARNING, INTRUSION, FAILURE, "A numbered message came out of its turn."
    ),
    "unwrap-failed": Meaning(
        CRITICAL, AUTHENTICATION, FAILURE, "Keys of meters did not open under the board's key."
    ),
    "unsigned-time": Meaning(
        ERROR, INTRUSION, FAILURE, "Somebody tried to move the clock without a signature."
    ),
    "stale-time": Meaning(ERROR, INTRUSION, FAILURE, "An old signed time was sent again."),
    "wrong-concentrator": Meaning(
        ERROR, INTRUSION, FAILURE, "An order for another concentrator was sent to this one."
    ),
    "last-trust-key": Meaning(
        WARNING, CONFIGURATION, FAILURE, "A change would have left nobody who may change the trust."
    ),
    "unknown-key": Meaning(
        WARNING, CONFIGURATION, FAILURE, "A change of the trust spoke of a key that is not there."
    ),
    "malformed": Meaning(WARNING, INTRUSION, FAILURE, "Something came that is no message of ours."),
    "oversized": Meaning(WARNING, INTRUSION, FAILURE, "A message was larger than any may be."),
    "bad-digest": Meaning(ERROR, INTRUSION, FAILURE, "A file was not the one that was ordered."),
    "bad-package": Meaning(ERROR, INTRUSION, FAILURE, "A package was not what its order said."),
    "conflicting-duplicate": Meaning(
        ERROR, INTRUSION, FAILURE, "Two different orders had the same id."
    ),
}

_EVENTS = {
    "claim-beyond-bounds": Meaning(
        ALERT, INTRUSION, FAILURE, "A concentrator claims what cannot be; nothing was changed."
    ),
    "numbers-ahead": Meaning(
        ALERT, INTRUSION, UNKNOWN, "Messages were taken that are not in the head-end's database."
    ),
    "same-identity": Meaning(
        ALERT, INTRUSION, UNKNOWN, "Two boards speak with the identity of one concentrator."
    ),
    "handshakes-in-vain": Meaning(
        WARNING, AUTHENTICATION, FAILURE, "A concentrator takes none of the head-end's answers."
    ),
    "other-hes": Meaning(
        ERROR, INTRUSION, UNKNOWN, "Another head-end, or who plays one, answers a concentrator."
    ),
    "restless": Meaning(
        WARNING, HOST, UNKNOWN, "A concentrator connects again and again within minutes."
    ),
    "flooding": Meaning(
        ERROR, INTRUSION, FAILURE, "A concentrator sent more than is taken; it was dropped."
    ),
    "message-too-large": Meaning(
        WARNING, HOST, FAILURE, "A concentrator had no memory for a message."
    ),
    "message-failed": Meaning(
        ERROR, HOST, FAILURE, "The head-end could not take a message; others are not concerned."
    ),
    "too-many-names": Meaning(
        ERROR, INTRUSION, FAILURE, "More names speak on a plain line than there can be boxes."
    ),
    "package-not-ordered": Meaning(
        ERROR, INTRUSION, FAILURE, "A concentrator asked for a package that no job of it needs."
    ),
    "service-started": Meaning(NOTICE, HOST, SUCCESS, "The head-end was started."),
    "trust-changed": Meaning(
        WARNING, CONFIGURATION, SUCCESS, "Who is trusted, and for what, was changed."
    ),
    "keys-changed": Meaning(WARNING, CONFIGURATION, SUCCESS, "Keys of meters were changed."),
    "changed": Meaning(
        NOTICE, CONFIGURATION, SUCCESS, "A concentrator took a change that was ordered."
    ),
    "model-taken": Meaning(NOTICE, CONFIGURATION, SUCCESS, "A model of meter was changed."),
    "trust-damaged": Meaning(
        ALERT, HOST, FAILURE, "The trust store is damaged; the concentrator trusts nobody."
    ),
    "clock-set": Meaning(WARNING, CONFIGURATION, SUCCESS, "The clock was set by a large step."),
    "certificate-taken": Meaning(
        NOTICE, CONFIGURATION, SUCCESS, "A concentrator has a new certificate for its line."
    ),
    "certificate-changed": Meaning(
        NOTICE, CONFIGURATION, SUCCESS, "A concentrator connects with a new certificate."
    ),
    "certificate-refused": Meaning(
        ERROR, CONFIGURATION, FAILURE, "The broker does not take a concentrator's new certificate."
    ),
    "certificate-damaged": Meaning(
        ERROR, HOST, FAILURE, "A concentrator's own certificate is damaged or of another board."
    ),
    "certificate-ends": Meaning(
        WARNING, CONFIGURATION, UNKNOWN, "A certificate of the line ends soon, or has ended."
    ),
    "ledger-cut": Meaning(ALERT, HOST, FAILURE, "Records on the flash were lost or changed."),
    "files-lost": Meaning(
        ALERT, HOST, FAILURE, "Files are gone from a concentrator's data folder."
    ),
    "folder-adopted": Meaning(
        NOTICE,
        HOST,
        UNKNOWN,
        "A data folder had no record of its own past; it was taken as it is.",
    ),
    "folder-rolled-back": Meaning(
        ALERT,
        INTRUSION,
        FAILURE,
        "A concentrator goes on from an old copy of its data, or there are two of it.",
    ),
    "meter-tampered": Meaning(
        ALERT, INTRUSION, UNKNOWN, "A meter says that somebody has tampered with it."
    ),
    "alarms-throttled": Meaning(
        WARNING, HOST, UNKNOWN, "A meter raises more alarms than are told of one."
    ),
    "push-unproven": Meaning(
        WARNING, INTRUSION, UNKNOWN, "A message in a meter's name did not prove to be its own."
    ),
    "storage-low": Meaning(WARNING, HOST, UNKNOWN, "The flash is nearly full."),
    "stranger": Meaning(WARNING, HOST, UNKNOWN, "A meter that nobody ordered is on the network."),
    "reports-dropped": Meaning(ALERT, HOST, FAILURE, "Reports of a concentrator are lost."),
    "readings-dropped": Meaning(
        ERROR, HOST, FAILURE, "Readings are lost at a concentrator, for want of room or by damage."
    ),
    "readings-lost": Meaning(ERROR, HOST, FAILURE, "A concentrator had no room for its readings."),
    "readings-cut": Meaning(
        ERROR, HOST, FAILURE, "Readings on a concentrator's flash are damaged."
    ),
    "readings-missing": Meaning(
        ALERT, HOST, FAILURE, "Readings are not in the head-end's database."
    ),
    "reading-unread": Meaning(
        ERROR, HOST, FAILURE, "A record of readings is none, or of a newer firmware."
    ),
    "rules-failed": Meaning(
        WARNING, HOST, FAILURE, "The utility's own rules for readings have a fault."
    ),
    "reports-lost": Meaning(ALERT, HOST, FAILURE, "Reports are not in the head-end's database."),
    "audit-trail-cut": Meaning(
        ALERT, INTRUSION, FAILURE, "The audit trail of a concentrator is not the one it was."
    ),
    "unknown-report": Meaning(
        WARNING, INTRUSION, UNKNOWN, "A concentrator told of an order that is not known here."
    ),
    "late-report": Meaning(NOTICE, HOST, UNKNOWN, "A concentrator told of a job that is over."),
    "malformed": Meaning(WARNING, INTRUSION, FAILURE, "Something came that is no message of ours."),
}


def meaning(event: SecurityEvent) -> Meaning:
    if event.name == "refused" and event.reason in _REFUSALS:
        return _REFUSALS[event.reason]
    if event.name in _EVENTS:
        return _EVENTS[event.name]
    return Meaning(NOTICE, HOST, UNKNOWN, "Something worth a note happened.")
