"""The remote-work report of a job (use case 10): what became of each meter, and what is left for
the technician.

`build` makes plain data, the same that `--json` writes; `render` shows it to people.
"""

from __future__ import annotations

import json
import time
import uuid
from collections import Counter
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from gateway.activities.attributes import same
from gateway.contract import envelope, result
from gateway.contract.job import COMPARE, CONFIGURE, IMAGE, KINDS, Job
from gateway.contract.package import Check, Package
from gateway.contract.window import Daily
from gateway.dlms.data import axdr, obis
from gateway.dlms.errors import ProtocolError
from gateway.uplink.orders import MAX_PACKAGE
from tools.cosem import names, render
from tools.hes.order import daily_text
from tools.hes.store import FINAL, IN_PROGRESS, REJECTED, UNANSWERED, Store

PENDING = "PENDING"
STYLES = {result.OK: "green", result.VALUE: "green", result.KO: "bold red", PENDING: "yellow"}
NEXT_STEPS = {
    result.NOTHING: "",
    result.RETRY: "order it again",
    result.TECHNICIAN: "send a technician",
    result.FIX_PACKAGE: "correct the package",
    result.FIX_ORDER: "correct the order",
    result.FIX_INVENTORY: "correct the concentrator's inventory",
    result.FIX_TRUST: "add the signing key to the concentrator's trust list",
}

WITH_PACKAGE = {
    KINDS[CONFIGURE]: "Configure with",
    KINDS[IMAGE]: "Image",
    KINDS[COMPARE]: "Dry run of",
}

# of a transfer to many meters at once, gateway/activities/image/campaign.py
PHASES = {
    "survey": "asking each meter what it has",
    "blocks": "broadcasting the blocks",
    "verify": "having them verified",
    "check": "asking what is lacking",
    "repair": "repairing",
    "activate": "activating",
    "confirm": "asking each what it runs",
}

WORK_ORDER = ("serial", "reason", "sentence", "detail", "attempts", "attempts_in_all", "earlier")

Json = dict[str, Any]


def build(store: Store, job_id: bytes) -> Json:
    """The report as plain data: texts, numbers, lists; times in unix seconds."""
    finished = store.finished(job_id)  # first: what comes meanwhile is of no report that is over
    job = store.job(job_id)
    attributes = [
        names.Member(names.ATTRIBUTE, class_id, bytes.fromhex(name), index)
        for class_id, name, index in json.loads(job["attributes"])
    ]
    wanted: list[bytes] = []
    if job["kind"] == KINDS[COMPARE]:
        checks = _checks(store, job["package"])
        attributes = [names.Member(names.ATTRIBUTE, *check.to_array()[:3]) for check in checks]
        wanted = [check.data for check in checks]
    earlier = _earlier(store, job_id)
    meters = [_meter(row, job, attributes) for row in store.meters(job_id)]
    for meter in meters:
        for value, data in zip(meter["values"], wanted, strict=False):
            value["wanted"] = render.data(data)
            value["differs"] = not same(data, bytes.fromhex(value["axdr"]))
        meter["earlier"] = earlier.get(meter["serial"], [])
        meter["attempts_in_all"] = meter["attempts"] + sum(e["attempts"] for e in meter["earlier"])
    pause = store.pause(job_id)
    daily, canary = json.loads(job["daily"]), json.loads(job["canary"])
    counts = Counter(meter["result"] for meter in meters)
    package = None
    if job["package"] is not None:
        name, version = store.package_name(job["package"])
        package = {"name": name, "version": version, "sha256": job["package"].hex()}
    return {
        "job": str(uuid.UUID(bytes=bytes(job["id"]))),
        "kind": job["kind"],
        "concentrator": job["concentrator"],
        "package": package,
        "read": [] if wanted else [str(attribute) for attribute in attributes],
        "priority": job["priority"],
        "submitted": job["submitted"],
        "not_before": job["not_before"],
        "not_after": job["not_after"],
        "daily": daily_text(Daily(*daily)) if daily else "",
        "activation": _activation(job),
        "canary": {"meters": canary[0], "percent": canary[1]} if canary else None,
        "retry_of": str(uuid.UUID(bytes=bytes(job["retry_of"]))) if job["retry_of"] else None,
        "tries": job["tries"],
        "backoff_s": job["backoff"],
        "state": job["state"],
        "reason": job["reason"],
        "sentence": _sentence(job["reason"]),
        "next_step": _next_step(job["reason"]),
        "detail": job["detail"],
        "cancel": job["cancel_state"],
        "cancel_reason": job["cancel_reason"],
        "paused": bool(job["paused"]),
        "pause": ("pause" if pause["paused"] else "resume") if pause and pause["state"] else "",
        "pause_reason": pause["reason"] if pause else "",
        "finished": finished,
        "progress": _progress(store, job_id),
        "summary": {
            "meters": len(meters),
            "ok": counts[result.OK],
            "value": counts[result.VALUE],
            "ko": counts[result.KO],
            "pending": counts[PENDING],
            "reasons": dict(sorted(Counter(m["reason"] for m in meters if m["reason"]).items())),
        },
        "meters": meters,
        "technician": [
            {key: meter[key] for key in WORK_ORDER}
            for meter in meters
            if meter["next_step"] == result.TECHNICIAN
        ],
    }


def _activation(job: Any) -> int | None:
    """When an image is to become active; None: as soon as it is verified."""
    if job["kind"] != KINDS[IMAGE]:
        return None
    _, payload, _ = envelope.split(job["envelope"])
    return Job.decode(payload).activation or None


def _progress(store: Store, job_id: bytes) -> Json | None:
    """How far it was when the concentrator told so last; None: it has not."""
    row = store.progress(job_id)
    if row is None:
        return None
    return {
        "told": row["time"],
        "phase": row["phase"],
        "percent": row["permille"] / 10,
        "queued": row["queued"],
        "in_hand": row["in_hand"],
        "done": row["done"],
        "waiting": dict(json.loads(row["waiting"])),
        "expected_end": row["ends"] or None,
    }


def _meter(row: Any, job: Any, attributes: list[names.Member]) -> Json:
    outcome, reason, detail = row["outcome"], row["reason"], row["detail"]
    if job["state"] == REJECTED and row["state"] not in FINAL:
        outcome, reason, detail = result.KO, job["reason"], job["detail"]
    final = row["state"] in FINAL or job["state"] == REJECTED
    values = [bytes.fromhex(each) for each in json.loads(row["value"])] if row["value"] else []
    return {
        "serial": row["serial"],
        "state": row["state"],
        "result": outcome if final else PENDING,
        "reason": reason,
        "sentence": _sentence(reason),
        "next_step": _next_step(reason) if final else result.NOTHING,
        "detail": detail,
        "values": [_value(*pair) for pair in zip(attributes, values, strict=False)],
        "attempts": row["attempts"],
        "path": row["path"],
        "duration_ms": row["duration_ms"],
        "updated": row["updated"],
    }


def _checks(store: Store, digest: bytes) -> list[Check]:
    """What the package of a dry run wants."""
    _, raw = store.package_piece(digest, 0, MAX_PACKAGE)
    _, payload, _ = envelope.split(raw)
    return Package.from_payload(payload).checks


def _earlier(store: Store, job_id: bytes) -> dict[str, list[Json]]:
    """By serial: how it went in the jobs that this one orders again, the first one first."""
    found: dict[str, list[Json]] = {}
    for before in store.earlier(job_id):
        job = store.job(before)
        for row in store.meters(before):
            meter = _meter(row, job, [])
            kept = ("result", "reason", "sentence", "detail", "attempts", "path", "updated")
            entry = {"job": str(uuid.UUID(bytes=before))}
            entry.update({key: meter[key] for key in kept})
            found.setdefault(row["serial"], []).append(entry)
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


def _sentence(reason: str) -> str:
    return result.REASONS[reason][2] if reason in result.REASONS else reason


def _next_step(reason: str) -> str:
    return result.REASONS[reason][0] if reason in result.REASONS else result.NOTHING


# ------------------------------------------------------------ for people


def render_report(report: Json) -> RenderableType:
    parts: list[RenderableType] = [_heading(report), meters_table(report), summary_line(report)]
    if report["technician"]:
        parts.append(_technician_table(report))
    elif report["finished"]:
        parts.append(Text("Work order for the field technician: none needed.", "dim"))
    return Group(*parts)


def _heading(report: Json) -> RenderableType:
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="bold")
    rows.add_column(overflow="fold")
    rows.add_row("Remote work", report["job"])
    rows.add_row("Concentrator", report["concentrator"])
    if report["package"]:
        package = report["package"]
        rows.add_row(WITH_PACKAGE[report["kind"]], "%s %s" % (package["name"], package["version"]))
    for attribute in report["read"]:
        rows.add_row("Read", attribute)
    rows.add_row(
        "Ordered",
        "%s, priority %d, from %s to %s, %s, %d s apart"
        % (
            date(report["submitted"]),
            report["priority"],
            date(report["not_before"]) if report["not_before"] else "now",
            date(report["not_after"]),
            tries(report["tries"]),
            report["backoff_s"],
        ),
    )
    if report["daily"]:
        rows.add_row("Only", report["daily"])
    if report["activation"]:
        rows.add_row("Activation", "at %s" % date(report["activation"]))
    if report["canary"]:
        canary = report["canary"]
        rows.add_row(
            "Canary", "%s, %d %% must succeed" % (meters(canary["meters"]), canary["percent"])
        )
    if report["retry_of"]:
        rows.add_row("Orders again", report["retry_of"])
    rows.add_row("State", state_line(report))
    if outlook(report):
        rows.add_row("Now", outlook(report))
    return rows


def state_line(report: Json) -> Text:
    """Where the job stands, and why."""
    state, summary = report["state"], report["summary"]
    if state in UNANSWERED:
        line = Text("%s; the concentrator has not answered yet" % state, "yellow")
    elif state == REJECTED and report["reason"] != "ended":  # the job, and not all of its meters
        line = Text("rejected: %s (%s)" % (report["sentence"], report["reason"]), "bold red")
    elif report["finished"] and not summary["ko"]:
        line = Text("over, every meter done", "bold green")
    elif report["finished"]:
        line = Text("over, %d of %d meters not done" % (summary["ko"], summary["meters"]), "bold")
    elif report["reason"] == "window-not-open":
        line = Text("accepted, waits for its window", "bold")
    else:
        line = Text(IN_PROGRESS if _at_work(report) else state, "bold")
    if report["detail"]:
        line.append("; %s" % report["detail"], "dim")
    if state == REJECTED and NEXT_STEPS[report["next_step"]]:
        line.append("; next: %s" % NEXT_STEPS[report["next_step"]], "cyan")
    if report["paused"] and not report["finished"]:
        line.append("; paused", "yellow")
    if report["pause_reason"]:
        line.append("; %s refused: %s" % (report["pause"], _sentence(report["pause_reason"])))
    elif report["pause"] and not report["finished"]:
        line.append("; %s ordered" % report["pause"], "yellow")
    if report["cancel_reason"]:
        line.append("; cancel refused: %s" % _sentence(report["cancel_reason"]), "yellow")
    elif report["cancel"] and not report["finished"]:
        line.append("; cancel ordered", "yellow")
    elif report["cancel"]:
        line.append("; canceled", "yellow")
    return line


def _at_work(report: Json) -> bool:
    """By what the concentrator told last; that a job begins is no report of its own."""
    progress = report["progress"]
    return progress is not None and bool(progress["in_hand"] or progress["done"])


def outlook(report: Json) -> Text:
    """How far a job is that runs, and when it is likely to end; empty if nothing is known."""
    progress, text = report["progress"], Text()
    if progress is None or report["finished"]:
        return text
    parts = []
    if progress["phase"]:
        phase = PHASES.get(progress["phase"], progress["phase"])
        parts.append("%s, %.0f %%" % (phase, progress["percent"]))
    if progress["in_hand"] and not progress["phase"]:
        parts.append("%s in hand" % meters(progress["in_hand"]))
    for reason, count in progress["waiting"].items():
        parts.append("%s: %s" % (meters(count), _sentence(reason)))
    if progress["expected_end"]:
        parts.append("expected to end %s" % ends(progress["expected_end"], time.time()))
    return text.append("; ".join(parts), "cyan")


def ends(at: int, now: float) -> str:
    """ "03:12 (1 h 20 min)", with the date where it is not soon."""
    left = max(int(at - now), 0)
    form = "%H:%M" if left < 12 * 3600 else "%Y-%m-%d %H:%M"
    return "%s (%s)" % (time.strftime(form, time.localtime(at)), duration(left))


def duration(seconds: int) -> str:
    """For people, of the two largest units."""
    minutes = seconds // 60
    if not minutes:
        return "less than a minute"
    if minutes < 60:
        return "%d min" % minutes
    if minutes < 24 * 60:
        return "%d h %d min" % (minutes // 60, minutes % 60)
    return "%d d %d h" % (minutes // 1440, minutes // 60 % 24)


def meters_table(report: Json) -> Table:
    table = Table(box=box.SIMPLE_HEAD, expand=False)
    for name in ("Meter", "Result", "What"):
        table.add_column(name, overflow="fold")
    table.add_column("Tries", justify="right")
    table.add_column("Path")
    table.add_column("Time", justify="right")
    for meter in report["meters"]:
        table.add_row(
            meter["serial"],
            Text(meter["result"], STYLES[meter["result"]]),
            _what(meter),
            _tried(meter),
            meter["path"] or "-",
            "%.1f s" % (meter["duration_ms"] / 1000) if meter["attempts"] else "-",
        )
    return table


def _tried(meter: Json) -> str:
    """How often, those of earlier jobs first: "3 + 1"."""
    counts = [*(earlier["attempts"] for earlier in meter["earlier"]), meter["attempts"]]
    return " + ".join(map(str, counts)) if any(counts) else "-"


def _what(meter: Json) -> Text:
    what = _now(meter)
    for earlier in meter["earlier"]:
        what.append(
            "\nbefore, in job %s: %s, %s"
            % (earlier["job"][:8], earlier["sentence"], tries(earlier["attempts"])),
            "dim",
        )
    return what


def _now(meter: Json) -> Text:
    if meter["result"] == PENDING:
        waiting = meter["state"]
        last = ", last try: %s" % meter["sentence"] if meter["reason"] else ""
        return Text(waiting + last, "yellow")
    if meter["values"] and "wanted" in meter["values"][0]:
        return _compared(meter)
    if meter["values"]:
        lines = ["%s = %s" % (value["object"], value["text"]) for value in meter["values"]]
        return Text("\n".join(lines))
    what = Text(meter["sentence"])
    if meter["detail"]:
        what.append("\n" + meter["detail"], "dim")
    if NEXT_STEPS[meter["next_step"]]:
        what.append("\nnext: %s" % NEXT_STEPS[meter["next_step"]], "cyan")
    return what


def _compared(meter: Json) -> Text:
    """Of a dry run: what would change, and how much is already as it should be."""
    what = Text()
    differing = [value for value in meter["values"] if value["differs"]]
    for value in differing:
        line = "%s\n  is     %s\n  wanted %s\n"
        what.append(line % (value["object"], value["text"], value["wanted"]))
    same_already = len(meter["values"]) - len(differing)
    what.append("%d of %d values as wanted" % (same_already, len(meter["values"])), "dim")
    return what


def summary_line(report: Json) -> Text:
    summary = report["summary"]
    line = Text(meters(summary["meters"]), "bold")
    for key, name in (("ok", result.OK), ("value", result.VALUE), ("ko", result.KO)):
        if summary[key]:
            line.append("  %d %s" % (summary[key], name), STYLES[name])
    if summary["pending"]:
        line.append("  %d pending" % summary["pending"], STYLES[PENDING])
    line.append("\n")
    return line


def _technician_table(report: Json) -> RenderableType:
    table = Table(
        box=box.SIMPLE_HEAD,
        title="Work order for the field technician: %s" % meters(len(report["technician"])),
        title_justify="left",
        title_style="bold",
    )
    table.add_column("Meter")
    table.add_column("Why", overflow="fold")
    table.add_column("Tried", justify="right")
    for entry in report["technician"]:
        why = Text(entry["sentence"])
        if entry["detail"]:
            why.append("\n" + entry["detail"], "dim")
        table.add_row(entry["serial"], why, tries(entry["attempts_in_all"]))
    return table


def meters(count: int) -> str:
    return "1 meter" if count == 1 else "%d meters" % count


def tries(count: int) -> str:
    return "1 try" if count == 1 else "%d tries" % count


def date(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)) if seconds else "-"
