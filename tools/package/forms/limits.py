"""Limits that the meter watches: limiters (class 71) and register monitors (class 21).

    limits:
      limiter:                            # 0.0.17.0.0.255; or the OBIS code of another one
        watch: demand_register 1.0.1.4.0.255 last_average_value
        normal: 9200                      # as the meter counts it
        emergency: 3000
        over: 1 min                       # how long above, until its script is executed
        under: 1 min
        scripts: {table: 0.0.10.0.106.255, over: 1, under: none}
      monitor:                            # 0.0.16.1.0.255; or the OBIS code of another one
        watch: register 1.0.32.7.0.255 value
        table: 0.0.10.0.100.255           # of scripts
        type: long-unsigned
        thresholds:
          - {at: 2420, up: 3, down: 4}    # the script of each crossing

`type` is how the thresholds are written: as the value that is watched; left out: double-long-
unsigned for limiters, long-unsigned for monitors. Each other part may be left out too. A limiter
works the meter's switch: the package needs `permits: [switch]`.
"""

from __future__ import annotations

from collections.abc import Mapping

from rich.text import Text

from gateway.dlms.data import axdr, obis
from tools.cosem import names, shapes, values
from tools.cosem.names import ATTRIBUTE, Member
from tools.cosem.source import Fields, Item, Problem
from tools.cosem.values import Typed
from tools.package.calendar import Key
from tools.package.forms import words
from tools.package.forms.words import Words
from tools.package.held import script_number

LIMITER, MONITOR = 71, 21
LIMITERS, MONITORS = obis.parse("0.0.17.0.0.255"), obis.parse("0.0.16.1.0.255")
WATCHED, NORMAL, EMERGENCY, OVER, UNDER, ACTIONS = 2, 4, 5, 6, 7, 11  # of a limiter
THRESHOLDS, MONITORED, ACTION_SETS = 2, 3, 4  # of a monitor
_NO_TABLE = bytes(6)
_INTEGERS = {axdr.TAGS[tag]: tag for tag in values.INTEGERS if tag != axdr.ENUM}


def compile(item: Item, known: Words) -> None:
    for key, body in item.pairs("limits, such as `limiter: {normal: 9200}`"):
        try:
            name = {"limiter": LIMITERS, "monitor": MONITORS}.get(key.raw)
            name = values.logical_name(key) if name is None else name
            monitor = key.raw == "monitor" or "thresholds" in [
                k.raw for k, _ in body.pairs("a limit")
            ]
            (_monitor if monitor else _limiter)(name, body, known)
        except Problem as problem:
            known.plan.problems.append(problem)


def _limiter(name: bytes, body: Item, known: Words) -> None:
    fields = body.fields(
        "a limiter", [], ["watch", "normal", "emergency", "over", "under", "scripts", "type"]
    )
    tag = _type(fields.get("type"), axdr.DOUBLE_LONG_UNSIGNED)

    def write(word: str, index: int, typed: Typed) -> None:
        known.plan.write(words.attribute(LIMITER, name, index), typed, fields[word], body)

    watch = fields.get("watch")
    if watch is not None:
        write("watch", WATCHED, _watched(watch))
    for word, index in (("normal", NORMAL), ("emergency", EMERGENCY)):
        if word in fields:
            write(word, index, _threshold(fields[word], tag))
    for word, index in (("over", OVER), ("under", UNDER)):
        if word in fields:
            write(word, index, (axdr.DOUBLE_LONG_UNSIGNED, words.seconds(fields[word])))
    scripts = fields.get("scripts")
    if scripts is not None:
        parts = scripts.fields("scripts", ["table"], ["over", "under"])
        table = values.logical_name(parts["table"])
        pair = [_script(table, parts.get(word)) for word in ("over", "under")]
        write("scripts", ACTIONS, (axdr.STRUCTURE, pair))


def _monitor(name: bytes, body: Item, known: Words) -> None:
    fields = body.fields("a monitor", [], ["watch", "table", "type", "thresholds"])
    tag = _type(fields.get("type"), axdr.LONG_UNSIGNED)
    watch, listed = fields.get("watch"), fields.get("thresholds")
    if watch is not None:
        attribute = words.attribute(MONITOR, name, MONITORED)
        known.plan.write(attribute, _watched(watch), watch, body)
    if listed is None:
        return
    thresholds: list[Typed] = []
    actions: list[Typed] = []
    for each in listed.items("a list of thresholds, such as `- {at: 2420, up: 3, down: 4}`"):
        parts = each.fields("a threshold", ["at"], ["up", "down"])
        thresholds.append(_threshold(parts["at"], tag))
        table = _table(fields, parts, each)
        pair = [_script(table, parts.get(word)) for word in ("up", "down")]
        actions.append((axdr.STRUCTURE, pair))
    typed: Typed = (axdr.ARRAY, thresholds)
    known.plan.write(words.attribute(MONITOR, name, THRESHOLDS), typed, listed, body)
    typed = (axdr.ARRAY, actions)
    known.plan.write(words.attribute(MONITOR, name, ACTION_SETS), typed, listed, body)


def _table(fields: Fields, parts: Fields, item: Item) -> bytes:
    table = fields.get("table")
    if table is not None:
        return values.logical_name(table)
    if "up" in parts or "down" in parts:
        raise item.problem("expected `table:` in the monitor: the scripts of which table?")
    return _NO_TABLE


def _type(item: Item | None, usual: int) -> int:
    if item is None:
        return usual
    return _INTEGERS[words.known(item, item.raw, _INTEGERS, "a type")]


def _threshold(item: Item, tag: int) -> Typed:
    return tag, values.integer(item, axdr.TAGS[tag], *values.INTEGERS[tag])


def _watched(item: Item) -> Typed:
    member = names.member(item, ATTRIBUTE)
    return axdr.STRUCTURE, [
        (axdr.LONG_UNSIGNED, member.class_id),
        (axdr.OCTET_STRING, member.obis),
        (axdr.INTEGER, member.index),
    ]


def _script(table: bytes, item: Item | None) -> Typed:
    if item is None or item.raw == "none":
        return axdr.STRUCTURE, [(axdr.OCTET_STRING, table), (axdr.LONG_UNSIGNED, 0)]
    return axdr.STRUCTURE, [
        (axdr.OCTET_STRING, table),
        (axdr.LONG_UNSIGNED, script_number(item)),
    ]


# ---------------------------------------------------------------- back


def lines(values: Mapping[Key, Typed], known: Words) -> list[str]:
    """The form for the limits in these values, [] for none; what it has no words for is left
    out.
    """
    made = ["limits:"]
    for class_id, usual, word, body_of in (
        (LIMITER, LIMITERS, "limiter", _limiter_lines),
        (MONITOR, MONITORS, "monitor", _monitor_lines),
    ):
        for name in dict.fromkeys(name for of, name, _ in values if of == class_id):
            own = {
                index: typed
                for (of, which, index), typed in values.items()
                if (of, which) == (class_id, name)
                and not any(shapes.faults(shapes.attribute(class_id, index), typed))
            }
            body = body_of(own)
            if body:
                made += ["  %s:" % (word if name == usual else obis.text(name)), *body]
    return made if len(made) > 1 else []


def _limiter_lines(own: dict[int, Typed]) -> list[str]:
    body = []
    if WATCHED in own:
        body.append("    watch: %s" % _member_text(own[WATCHED]))
    for index, word in ((NORMAL, "normal"), (EMERGENCY, "emergency")):
        if index in own:
            body.append("    %s: %s" % (word, own[index][1]))
    tags = {own[index][0] for index in (NORMAL, EMERGENCY) if index in own}
    body += ["    type: %s" % axdr.TAGS[tag] for tag in tags - {axdr.DOUBLE_LONG_UNSIGNED}]
    for index, word in ((OVER, "over"), (UNDER, "under")):
        if index in own:
            body.append("    %s: %s" % (word, words.seconds_text(own[index][1])))
    if ACTIONS in own:
        (_, over), (_, under) = own[ACTIONS][1]
        body.append(
            "    scripts: {table: %s, over: %s, under: %s}"
            % (obis.text(over[0][1]), _script_text(over), _script_text(under))
        )
    return body


def _monitor_lines(own: dict[int, Typed]) -> list[str]:
    body = []
    if MONITORED in own:
        body.append("    watch: %s" % _member_text(own[MONITORED]))
    if THRESHOLDS not in own or ACTION_SETS not in own:
        return body
    pairs = [fields for _, fields in own[ACTION_SETS][1]]
    if len(pairs) != len(own[THRESHOLDS][1]):
        return body
    for table in {up[1][0][1] for up, _ in pairs} - {_NO_TABLE}:
        body.append("    table: %s" % obis.text(table))
    tags = {tag for tag, _ in own[THRESHOLDS][1]}
    body += ["    type: %s" % axdr.TAGS[tag] for tag in tags - {axdr.LONG_UNSIGNED}]
    body.append("    thresholds:" + ("" if own[THRESHOLDS][1] else " []"))
    for (_, value), (up, down) in zip(own[THRESHOLDS][1], pairs, strict=True):
        body.append(
            "      - {at: %s, up: %s, down: %s}"
            % (value, _script_text(up[1]), _script_text(down[1]))
        )
    return body


def _member_text(typed: Typed) -> str:
    (_, class_id), (_, name), (_, index) = typed[1]
    return words.member_text(Member(ATTRIBUTE, class_id, name, index))


def _script_text(fields: list[Typed]) -> str:
    return "none" if fields[1][1] == 0 else str(fields[1][1])


def shown(values: Mapping[Key, Typed], known: Words) -> Text | None:
    made = lines(values, known)
    return Text("\n".join(made)) if made else None
