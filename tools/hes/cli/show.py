"""The report of a job, shown to people."""

from __future__ import annotations

import time

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from gateway.contract import result
from gateway.contract.reasons import STEPS, sentence
from gateway.jobs.foresight import PROMISE
from tools.hes.report import PENDING, Json
from tools.hes.store.states import IN_PROGRESS, REJECTED, UNANSWERED

STYLES = {result.OK: "green", result.VALUE: "green", result.KO: "bold red", PENDING: "yellow"}

# Columns of tables: dates, and those too short to be folded.
DATES = ("Since", "Last heard", "Submitted", "When")
WHOLE = (
    *("Meter", "Path", "State", "Rate", "Silent", "Changes"),
    *("Job", "Kind", "OK", "KO", "Line"),
)

# by the name of the kind of job; another one goes by its name
WITH_PACKAGE = {
    "configure": "Configure with",
    "image": "Image",
    "compare": "Dry run of",
}

MOST_CHANGES = 8  # of one value that are shown

# of a transfer to many meters at once, gateway/activities/image/campaign.py
PHASES = {
    "survey": "asking each meter what it has",
    "blocks": "broadcasting the blocks",
    "verify": "having them verified",
    "check": "asking what is lacking",
    "repair": "repairing",
    "activate": "activating",
    "confirm": "asking each what it runs",
    "one-by-one": "bringing it to each meter by itself",
}


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
        rows.add_row(
            WITH_PACKAGE.get(report["kind"], report["kind"]),
            "%s %s" % (package["name"], package["version"]),
        )
    if report["command"]:
        rows.add_row("Command", report["command"])
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
    # What was promised when it was accepted does not stand beside what is expected now.
    outdated = report["progress"] is not None and report["detail"].startswith(PROMISE)
    if report["detail"] and not outdated:
        line.append("; %s" % report["detail"], "dim")
    if state == REJECTED and STEPS[report["next_step"]][0]:
        line.append("; next: %s" % STEPS[report["next_step"]][0], "cyan")
    if report["paused"] and not report["finished"]:
        line.append("; paused", "yellow")
    if report["pause_reason"]:
        line.append("; %s refused: %s" % (report["pause"], sentence(report["pause_reason"])))
    elif report["pause"] and not report["finished"]:
        line.append("; %s ordered" % report["pause"], "yellow")
    if report["cancel_reason"]:
        line.append("; cancel refused: %s" % sentence(report["cancel_reason"]), "yellow")
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
        until = progress["until"].get(reason, 0)
        over = ", until %s" % ends(until, time.time()) if until > time.time() else ""
        parts.append("%s: %s%s" % (meters(count), sentence(reason), over))
    end = progress["expected_end"]
    if end and end < time.time():
        parts.append("was expected to end %s" % date(end))
    elif end:
        parts.append("expected to end %s" % ends(end, time.time()))
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
            Text(meter["serial"]),
            Text(meter["result"], STYLES[meter["result"]]),
            _what(meter),
            _tried(meter),
            Text(meter["path"] or "-"),
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
        what.append("\n" + _in_words(meter["detail"]), "dim")
    if STEPS[meter["next_step"]][0]:
        what.append("\nnext: %s" % STEPS[meter["next_step"]][0], "cyan")
    return what


def _in_words(detail: str) -> str:
    """What was in the way to the end is told by its reason."""
    if not detail.startswith(result.HINDERED_BY):
        return detail
    return result.HINDERED_BY + sentence(detail[len(result.HINDERED_BY) :])


def _compared(meter: Json) -> Text:
    """Of a dry run: what would change, and how much is already as it should be."""
    what = Text()
    differing = [value for value in meter["values"] if value["differs"]]
    for value in differing:
        if value["type"] in ("array", "structure"):
            lines = [value["object"], *value["changes"][:MOST_CHANGES]]
            if len(value["changes"]) > MOST_CHANGES:
                lines.append("... and %d more" % (len(value["changes"]) - MOST_CHANGES))
            what.append("\n  ".join(lines) + "\n")
            continue
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


def table(title: str, *columns: str, apart: int = 2) -> Table:
    """In a narrow window dates go on two lines, and nothing is cut short. Columns are `apart`
    spaces, 1..3.
    """
    made = Table(
        title=title,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        collapse_padding=apart < 3,
        pad_edge=apart == 3,
        show_edge=apart > 1,
        padding=(0, min(apart - 1, 1)),
    )
    for column in columns:
        least = len("2026-11-23")
        if column in DATES:
            made.add_column(column, min_width=least, max_width=least if apart == 1 else None)
        else:
            made.add_column(column, overflow="fold", no_wrap=column in WHOLE)
    return made


def date(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)) if seconds else "-"
