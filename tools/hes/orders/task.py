"""Tasks: what a concentrator does by itself again and again, as people type it and read it.

A task goes to a concentrator in a signed `change` message (gateway/contract/change.py). Those to
one concentrator are numbered, and taken in that order. What tasks it has is what its messages add
up to.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from gateway.contract.change import Change
from gateway.contract.model_name import NAME
from gateway.contract.refused import Refused
from gateway.contract.task import (
    ALARMS,
    ALL,
    CLOCK,
    DAYS,
    LIST,
    LOG,
    MINUTES,
    MODEL,
    MONTHS,
    PATH,
    PROFILE,
    SENDS,
    VALUES,
    WEEKS,
    WHATS,
    Every,
    Item,
    Task,
    TaskRemoved,
)
from tools.cosem import names
from tools.hes.orders import change
from tools.hes.orders.typed import DAYS as WEEKDAYS
from tools.hes.orders.typed import OrderProblem, days_of_week, parse_attribute, parse_meters
from tools.hes.store.states import REJECTED, TAKEN, UNANSWERED
from tools.hes.store.trust import Trust
from tools.package.keys import SigningKey

BUFFER = 2  # attribute of a profile: its rows

_EVERY = re.compile(r"(\d{1,4})(m|min|h|d|w|month|months)")


@dataclass(frozen=True)
class Kept:
    """A task of a concentrator as the messages in the database have it. `state` is that of the
    message; `refused`: why a later message about this task was not taken, "" where none was.
    """

    concentrator: str
    name: str
    task: Task | None  # None: it is removed
    state: str
    refused: str = ""


# ------------------------------------------------------------ what people type


def parse_every(text: str, at: str | None = None, on: str | None = None) -> Every:
    """Of "15m", "2h", "1d", "1w" or "1month"; `at` "00:10"; `on` "mon,thu" with weeks, "1" with
    months. OrderProblem.
    """
    match = _EVERY.fullmatch(text.strip())
    if match is None or not int(match[1]):
        raise OrderProblem("expected --every such as 15m, 1h, 1d, 1w or 1month, got '%s'" % text)
    count, word = int(match[1]), match[2]
    minute = 0 if at is None else _minute(at)
    if word in ("m", "min", "h"):
        if at is not None or on is not None:
            raise OrderProblem(
                "expected --at and --on with days, weeks or months only: every %s counts from"
                " midnight on" % text
            )
        count *= 60 if word == "h" else 1
        if 1440 % count:
            raise OrderProblem(
                "expected a number of minutes that fits a day without rest, such as 15m or 1h, got"
                " %s; for a day and more say 1d" % text
            )
        return Every(MINUTES, count, 0, 0)
    if word == "d":
        if on is not None:
            raise OrderProblem("expected --on with weeks or months, got it with %s" % text)
        return Every(DAYS, count, minute, 0)
    if word == "w":
        mask = 0
        for day in days_of_week(on or "mon"):
            mask |= 1 << day
        return Every(WEEKS, count, minute, mask)
    if on is not None and not (on.isdecimal() and 1 <= int(on) <= 31):
        raise OrderProblem("expected --on with the day of the month, 1..31, got '%s'" % on)
    return Every(MONTHS, count, minute, int(on or "1"))


def _minute(text: str) -> int:
    match = re.fullmatch(r"(\d\d?):(\d\d)", text.strip())
    if match is None or int(match[1]) > 23 or int(match[2]) > 59:
        raise OrderProblem("expected --at with a time of the day such as 00:10, got '%s'" % text)
    return int(match[1]) * 60 + int(match[2])


def parse_selection(text: str) -> list[object]:
    """Of "all", "model:idis", "path:plc", serials, or a file of them: as Task.meters has it."""
    word, colon, rest = text.partition(":")
    if text == "all":
        return [ALL, []]
    if colon and word in ("model", "path"):
        found = [each.strip() for each in rest.split(",") if each.strip()]
        if not found:
            raise OrderProblem("expected a name behind %s: for --meters" % word)
        return [MODEL if word == "model" else PATH, found]
    return [LIST, parse_meters(text)]


def parse_items(
    profiles: Iterable[str],
    logs: Iterable[str],
    values: Iterable[str],
    clock: bool = False,
    alarms: bool = False,
) -> list[Item]:
    """Profiles and logs by the model's name for them, or by their OBIS code. OrderProblem."""
    items = [_of_object(PROFILE, text) for text in profiles]
    items += [_of_object(LOG, text) for text in logs]
    attributes = [parse_attribute(text).key for text in values]
    if attributes:
        items.append(Item(VALUES, "", attributes))
    if clock:
        items.append(Item(CLOCK))
    if alarms:
        items.append(Item(ALARMS))
    if not items:
        raise OrderProblem(
            "expected what to do: any of --profile, --log, --values, --clock and --alarms"
        )
    return items


def _of_object(what: int, text: str) -> Item:
    if NAME.fits(text):
        return Item(what, text)
    try:
        class_id, obis = names.parse_object(text if " " in text else "profile_generic " + text)
    except names.NameProblem as problem:
        raise OrderProblem(
            "--%s '%s': expected a name of the meters' model such as load-profile, or an OBIS code"
            " such as 1.0.99.1.0.255 (%s)" % (WHATS[what], text, problem)
        ) from None
    return Item(what, "", [(class_id, obis, BUFFER)])


def parse_permille(text: str) -> int:
    match = re.fullmatch(r"(\d{1,3})(?:\.(\d))?%?", text.strip())
    permille = int(match[1]) * 10 + int(match[2] or 0) if match else 1001
    if permille > 1000:
        raise OrderProblem("expected --completeness in percent, such as 99.9, got '%s'" % text)
    return permille


def check(task: Task | TaskRemoved) -> None:
    """As the concentrator will check it. OrderProblem."""
    try:
        Change.decode(Change("c", 1, 1, 1, task).encode())
    except Refused as refused:
        raise OrderProblem("task %s: %s" % (task.name, refused.detail)) from None


# ------------------------------------------------------------ sent


def send(
    store: Trust, key: SigningKey, concentrators: Sequence[str], body: Task | TaskRemoved, now: int
) -> list[tuple[str, int]]:
    """As change.send()."""
    return change.send(store, key, concentrators, body, what_text(body), now)


def pause(
    store: Trust,
    key: SigningKey,
    concentrators: Sequence[str],
    name: str,
    paused: bool,
    now: int,
) -> list[tuple[str, int]]:
    """The task of each as it is here, paused or not. OrderProblem where one has none by this name;
    then nothing is kept.
    """
    found = [(concentrator, find(store, concentrator, name)) for concentrator in concentrators]
    sent = []
    for concentrator, task in found:
        task.paused = paused
        sent += send(store, key, [concentrator], task, now)
    return sent


def find(store: Trust, concentrator: str, name: str) -> Task:
    """The task of this name that was sent last. OrderProblem."""
    change.check_name(concentrator)
    there = kept(store, concentrator)
    for each in there:
        if each.name == name and each.task is not None:
            return each.task
    others = ", ".join(each.name for each in there if each.task is not None) or "none"
    raise OrderProblem(
        "no task %s was sent to %s from this database; expected one of: %s. A task that its models"
        " bring along is replaced by `ami-hes task set` with its name, or removed"
        % (name, concentrator, others)
    )


def kept(store: Trust, concentrator: str) -> list[Kept]:
    """What the messages to the concentrator add up to, by name. Removed tasks are in it."""
    found: dict[str, Kept] = {}
    for message in store.numbered(concentrator, (*UNANSWERED, TAKEN, REJECTED)):
        if message.topic != change.CHANGE:
            continue
        body = change.body_of(message)
        if not isinstance(body, Task | TaskRemoved):
            continue
        before = found.get(body.name)
        if message.state == REJECTED:
            why = "%s: %s" % (message.reason, message.detail)
            start = before or Kept(concentrator, body.name, None, REJECTED)
            found[body.name] = replace(start, refused=why)
        else:
            task = body if isinstance(body, Task) else None
            found[body.name] = Kept(concentrator, body.name, task, message.state)
    return [found[name] for name in sorted(found)]


# ------------------------------------------------------------ for people


def what_text(body: Task | TaskRemoved) -> str:
    if isinstance(body, TaskRemoved):
        return "task %s removed" % body.name
    paused = "; paused" if body.paused else ""
    said = (body.name, every_text(body.every), items_text(body.items), meters_text(body.meters))
    return "task %s: %s, %s, %s%s" % (*said, paused)


def every_text(every: Every) -> str:
    """Such as "every day at 00:10", "every 15 min", "every 2 weeks on mon, thu at 03:00"."""
    if every.unit == MINUTES:
        if every.count % 60:
            return "every %d min" % every.count
        return "every hour" if every.count == 60 else "every %d h" % (every.count // 60)
    word = {DAYS: "day", WEEKS: "week", MONTHS: "month"}[every.unit]
    text = "every %s" % word if every.count == 1 else "every %d %ss" % (every.count, word)
    if every.unit == WEEKS:
        text += " on " + ", ".join(WEEKDAYS[day] for day in range(7) if every.day >> day & 1)
    elif every.unit == MONTHS:
        text += " on day %d" % every.day
    return "%s at %02d:%02d" % (text, every.at // 60, every.at % 60)


def meters_text(selection: Sequence[object]) -> str:
    kind, those = selection
    assert isinstance(those, list | tuple)
    if kind == ALL:
        return "all meters"
    if kind == MODEL:
        return "meters of model %s" % ", ".join(those)
    if kind == PATH:
        return "meters over %s" % ", ".join(those)
    return those[0] if len(those) == 1 else "%d meters" % len(those)


def items_text(items: Sequence[Item]) -> str:
    return ", ".join(item_text(item) for item in items)


def item_text(item: Item) -> str:
    if item.what in (CLOCK, ALARMS):
        return WHATS[item.what]
    if item.name:
        return item.name
    objects = [
        str(names.Member(names.ATTRIBUTE, class_id, obis, index))
        for class_id, obis, index in item.objects
    ]
    return ", ".join(objects)


def details(task: Task) -> list[tuple[str, str]]:
    """[(what, how)], for a page about it."""
    return [
        ("Due", every_text(task.every) + ", by the concentrator's local time"),
        ("Meters", _all_of(task.meters)),
        ("What", items_text(task.items)),
        ("Priority", "%d" % task.priority),
        ("Completeness", "%g %% of the meters" % (task.completeness / 10)),
        ("Kept there", "%d days, if there is room" % task.keep),
        ("Sent", SENDS[task.send]),
        ("Paused", "yes" if task.paused else "no"),
    ]


def _all_of(selection: Sequence[object]) -> str:
    kind, those = selection
    assert isinstance(those, list | tuple)
    return ", ".join(those) if kind == LIST else meters_text(selection)
