"""The remote-work report of a job (use case 10): what became of each meter, and what is left for
the technician, as plain data, the same that `--json` writes.
"""

from __future__ import annotations

import uuid
from collections import Counter
from typing import Any

from gateway.activities.attributes import same
from gateway.contract import envelope, reasons, result
from gateway.contract.job import COMMANDS, Job
from gateway.contract.kinds import BY_NAME, BY_NUMBER, SUPPLY
from gateway.contract.limits import MAX_PACKAGE
from gateway.contract.package import Check, Package
from gateway.contract.window import Daily
from gateway.dlms.data import axdr, obis
from gateway.dlms.errors import ProtocolError
from tools.cosem import names, render
from tools.hes.orders.typed import daily_text
from tools.hes.store.records import Execution, Pause
from tools.hes.store.records import Job as JobRow
from tools.hes.store.reports import Reports
from tools.hes.store.states import FINAL, REJECTED
from tools.package import diff

PENDING = "PENDING"
WORK_ORDER = ("serial", "reason", "sentence", "detail", "attempts", "attempts_in_all", "earlier")

Json = dict[str, Any]


def build(store: Reports, job_id: bytes) -> Json:
    """The report as plain data: texts, numbers, lists; times in unix seconds."""
    finished = store.finished(job_id)  # first: what comes meanwhile is of no report that is over
    job = store.job(job_id)
    package = None
    if job.package is not None:
        name, version = store.package_name(job.package)
        package = {"name": name, "version": version, "sha256": job.package.hex()}
    attributes, wanted = _attributes(store, job)
    meters = _meters(store, job, attributes, wanted)
    return {
        "job": str(uuid.UUID(bytes=job.id)),
        "kind": job.kind,
        "concentrator": job.concentrator,
        "package": package,
        "command": _command(job),
        "read": [] if wanted else [str(attribute) for attribute in attributes],
        **_ordered(job),
        **_state(job, store.pause(job_id)),
        "finished": finished,
        "progress": _progress(store, job_id),
        "summary": _summary(meters),
        "meters": meters,
        "technician": [
            {key: meter[key] for key in WORK_ORDER}
            for meter in meters
            if meter["next_step"] == reasons.TECHNICIAN
        ],
    }


def _attributes(store: Reports, job: JobRow) -> tuple[list[names.Member], list[bytes]]:
    """What is read of each meter, and of a dry run what each should be."""
    if BY_NAME[job.kind].compares and job.package is not None:
        checks = _checks(store, job.package)
        members = [names.Member(names.ATTRIBUTE, *check.to_array()[:3]) for check in checks]
        return members, [check.data for check in checks]
    if job.kind == BY_NUMBER[SUPPLY].name:
        return [], []
    return [names.Member(names.ATTRIBUTE, *attribute) for attribute in job.attributes], []


def _command(job: JobRow) -> str | None:
    """What is done to the switch of the meters' supply."""
    if job.kind != BY_NUMBER[SUPPLY].name:
        return None
    ((_, code, number),) = job.attributes
    return "%s, switch %s" % (COMMANDS[number - 1], obis.text(code))


def _meters(
    store: Reports, job: JobRow, attributes: list[names.Member], wanted: list[bytes]
) -> list[Json]:
    earlier = _earlier(store, job.id)
    meters = [_meter(row, job, attributes) for row in store.meters(job.id)]
    for meter in meters:
        for value, data in zip(meter["values"], wanted, strict=False):
            value["wanted"] = render.data(data)
            came = bytes.fromhex(value["axdr"])
            value["differs"] = _differs(data, came)
            value["changes"] = diff.elements(value["class"], value["attribute"], came, data)
        meter["earlier"] = earlier.get(meter["serial"], [])
        meter["attempts_in_all"] = meter["attempts"] + sum(e["attempts"] for e in meter["earlier"])
    return meters


def _differs(wanted: bytes, came: bytes) -> bool:
    try:
        return not same(wanted, came)
    except ProtocolError:  # what came is no A-XDR
        return True


def _ordered(job: JobRow) -> Json:
    """The terms of the order."""
    return {
        "priority": job.priority,
        "submitted": job.submitted,
        "not_before": job.not_before,
        "not_after": job.not_after,
        "daily": daily_text(Daily(*job.daily)) if job.daily else "",
        "activation": _activation(job),
        "canary": {"meters": job.canary[0], "percent": job.canary[1]} if job.canary else None,
        "retry_of": str(uuid.UUID(bytes=job.retry_of)) if job.retry_of else None,
        "tries": job.tries,
        "backoff_s": job.backoff,
    }


def _state(job: JobRow, pause: Pause | None) -> Json:
    """Where it stands, and what was ordered of it since."""
    return {
        "state": job.state,
        "reason": job.reason,
        "sentence": reasons.sentence(job.reason),
        "next_step": reasons.next_step(job.reason),
        "detail": job.detail,
        "cancel": job.cancel_state,
        "cancel_reason": job.cancel_reason,
        "paused": job.paused,
        "pause": ("pause" if pause.paused else "resume") if pause and pause.state else "",
        "pause_reason": pause.reason if pause else "",
    }


def _summary(meters: list[Json]) -> Json:
    counts = Counter(meter["result"] for meter in meters)
    return {
        "meters": len(meters),
        "ok": counts[result.OK],
        "value": counts[result.VALUE],
        "ko": counts[result.KO],
        "pending": counts[PENDING],
        "reasons": dict(sorted(Counter(m["reason"] for m in meters if m["reason"]).items())),
    }


def _activation(job: JobRow) -> int | None:
    """When an image is to become active; None: as soon as it is verified."""
    if not BY_NAME[job.kind].activates:
        return None
    _, payload, _ = envelope.split(job.envelope)
    return Job.decode(payload).activation or None


def _progress(store: Reports, job_id: bytes) -> Json | None:
    """How far it was when the concentrator told so last; None: it has not."""
    row = store.progress(job_id)
    if row is None:
        return None
    return {
        "told": row.time,
        "phase": row.phase,
        "percent": row.permille / 10,
        "queued": row.queued,
        "in_hand": row.in_hand,
        "done": row.done,
        "waiting": {reason: meters for reason, meters, *_ in row.waiting},
        "until": {reason: until[0] for reason, _, *until in row.waiting if until},
        "expected_end": row.ends or None,
    }


def _meter(row: Execution, job: JobRow, attributes: list[names.Member]) -> Json:
    outcome, reason, detail = row.outcome, row.reason, row.detail
    if job.state == REJECTED and row.state not in FINAL:
        outcome, reason, detail = result.KO, job.reason, job.detail
    final = row.state in FINAL or job.state == REJECTED
    step = reasons.next_step(reason) if final else reasons.NOTHING
    return {
        "serial": row.serial,
        "state": row.state,
        "result": outcome if final else PENDING,
        "reason": reason,
        "sentence": reasons.sentence(reason),
        "next_step": step,
        "who": reasons.STEPS[step][1],
        "detail": detail,
        "values": [_value(*pair) for pair in zip(attributes, row.value or [], strict=False)],
        "attempts": row.attempts,
        "path": row.path,
        "duration_ms": row.duration_ms,
        "updated": row.updated,
    }


def _checks(store: Reports, digest: bytes) -> list[Check]:
    """What the package of a dry run wants."""
    _, raw = store.package_piece(digest, 0, MAX_PACKAGE)
    _, payload, _ = envelope.split(raw)
    return Package.from_payload(payload).checks


def _earlier(store: Reports, job_id: bytes) -> dict[str, list[Json]]:
    """By serial: how it went in the jobs that this one orders again, the first one first."""
    found: dict[str, list[Json]] = {}
    for before in store.earlier(job_id):
        job = store.job(before)
        for row in store.meters(before):
            meter = _meter(row, job, [])
            kept = ("result", "reason", "sentence", "detail", "attempts", "path", "updated")
            entry = {"job": str(uuid.UUID(bytes=before))}
            entry.update({key: meter[key] for key in kept})
            found.setdefault(row.serial, []).append(entry)
    return found


def _value(attribute: names.Member, raw: bytes) -> Json:
    """`type` and `value` are None when the meter sent what is not A-XDR; `text` is for people."""
    try:
        typed = axdr.decode(raw)
    except ProtocolError:
        typed = None
    return {
        "object": str(attribute),
        "class": attribute.class_id,
        "obis": obis.text(attribute.obis),
        "attribute": attribute.index,
        "type": axdr.TAGS[typed[0]] if typed else None,
        "value": _plain(axdr.to_values(typed)) if typed else None,
        "text": render.data(raw),
        "axdr": raw.hex(),
    }


def _plain(value: Any) -> Any:
    """As JSON can hold it: octets in hex."""
    if isinstance(value, bytes):
        return value.hex()
    return [_plain(each) for each in value] if isinstance(value, list) else value
