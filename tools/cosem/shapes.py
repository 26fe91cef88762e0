"""What attributes and the parameters of methods hold, element by element (Blue Book 4.3 to 4.5):
array or structure, of what, and which values have a meaning.

A shape is one of Scalar, Array, Structure, Choice and ANY; faults() says where a value is not of
its shape. A place in a value is a path: the indices of the elements on the way to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gateway.dlms.data import axdr, cosem, datetime
from tools.cosem import render
from tools.cosem.values import INTEGERS, Typed

Path = tuple[int, ...]
NEVER = bytes(12)  # how many meters spell a moment that does not come
_SHOWN = 60  # characters of a value in a fault


@dataclass(frozen=True)
class Scalar:
    """One value without elements. Of one of the right type `why` says what is wrong: None for
    nothing, "" where `text` says enough.
    """

    text: str
    tags: tuple[int, ...]
    why: Callable[[Typed], str | None] = lambda typed: None


@dataclass(frozen=True)
class Array:
    element: Shape
    text: str  # what an element is called


@dataclass(frozen=True)
class Structure:
    fields: tuple[tuple[str, Shape], ...]  # name and shape


@dataclass(frozen=True)
class Choice:
    shapes: tuple[Shape, ...]


@dataclass(frozen=True)
class _Any:
    pass


Shape = Scalar | Array | Structure | Choice | _Any
ANY = _Any()


def faults(shape: Shape, typed: Typed, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Where the value is not of this shape: path, and what was expected and came there."""
    tag, value = typed
    if isinstance(shape, _Any):
        return
    if isinstance(shape, Choice):
        found = [list(faults(each, typed, path)) for each in shape.shapes]
        if all(found):
            yield path, _expected(" or ".join(map(text, shape.shapes)), typed)
    elif isinstance(shape, Array):
        if tag != axdr.ARRAY:
            yield path, _expected(text(shape), typed)
            return
        for at, element in enumerate(value):
            yield from faults(shape.element, element, (*path, at))
    elif isinstance(shape, Structure):
        if tag != axdr.STRUCTURE or len(value) != len(shape.fields):
            yield path, _expected(text(shape), typed)
            return
        for at, ((_, field), element) in enumerate(zip(shape.fields, value, strict=True)):
            yield from faults(field, element, (*path, at))
    elif tag not in shape.tags:
        yield path, _expected(shape.text, typed)
    elif (why := shape.why(typed)) is not None:
        yield path, _expected(shape.text, typed) + (": " + why if why else "")


def text(shape: Shape) -> str:
    """In a few words."""
    if isinstance(shape, Scalar):
        return shape.text
    if isinstance(shape, Array):
        return "array of %s" % shape.text
    if isinstance(shape, Structure):
        return "structure {%s}" % ", ".join(name for name, _ in shape.fields)
    if isinstance(shape, Choice):
        return " or ".join(map(text, shape.shapes))
    return "any value"


def place(shape: Shape, path: Path) -> str:
    """A path in words: "season 2, week_name"; elements of arrays count from 1."""
    words = []
    for at in path:
        if isinstance(shape, Array):
            words.append("%s %d" % (shape.text, at + 1))
            shape = shape.element
        elif isinstance(shape, Structure) and at < len(shape.fields):
            name, shape = shape.fields[at]
            words.append(name)
        else:
            words.append("element %d" % (at + 1))
            shape = ANY
    return ", ".join(words)


def attribute(class_id: int, index: int) -> Shape:
    """ANY where nothing is known."""
    if (class_id, index) in _ATTRIBUTES:
        return _ATTRIBUTES[class_id, index]
    known = cosem.find(class_id)
    name = "any" if known is None else known.attribute_type(index)
    return ANY if name == "any" else simple(axdr.TAG_OF[name])


def parameter(class_id: int, method: int) -> Shape:
    """Of a method."""
    return _PARAMETERS.get((class_id, method), ANY)


def simple(tag: int) -> Scalar:
    return Scalar(axdr.TAGS[tag], (tag,))


def number(tag: int, least: int, most: int, what: str = "") -> Scalar:
    """An integer type of which only these values have a meaning."""
    shown = what or "%s %d..%d" % (axdr.TAGS[tag], least, most)
    return Scalar(shown, (tag,), lambda typed: None if least <= typed[1] <= most else "")


def enum(*names: str, first: int = 0) -> Scalar:
    """An enum whose values are called so, from `first` on."""
    shown = ", ".join("%d %s" % (first + at, name) for at, name in enumerate(names))
    known = range(first, first + len(names))
    return Scalar(
        "enum (%s)" % shown,
        (axdr.ENUM,),
        lambda typed: None if typed[1] in known else "",
    )


def _expected(what: str, typed: Typed) -> str:
    return "expected %s, got %s" % (what, _shown(typed))


def _shown(typed: Typed) -> str:
    shown = render.text(typed)
    return shown if len(shown) <= _SHOWN else shown[: _SHOWN - 3] + "..."


def _octets(what: str, size: int, spell: Callable[[bytes], str]) -> Scalar:
    def why(typed: Typed) -> str | None:
        if len(typed[1]) != size:
            return "it has %d octets, not %d" % (len(typed[1]), size)
        try:
            spell(typed[1])
        except ValueError as error:
            return str(error)
        return None

    return Scalar(what, (axdr.OCTET_STRING,), why)


def _or_never(octets: bytes) -> str:
    return "never" if octets == NEVER else datetime.text_date_time(octets)


def _start(octets: bytes) -> str:
    """A time of day at which something begins: hour and minute are given."""
    if datetime.ANY in octets[:2]:
        raise ValueError("hour and minute have to be given")
    return datetime.text_time(octets)


BOOLEAN = simple(axdr.BOOLEAN)
INTEGER = simple(axdr.INTEGER)
LONG = simple(axdr.LONG)
UNSIGNED = simple(axdr.UNSIGNED)
LONG_UNSIGNED = simple(axdr.LONG_UNSIGNED)
DOUBLE_LONG_UNSIGNED = simple(axdr.DOUBLE_LONG_UNSIGNED)
OCTETS = simple(axdr.OCTET_STRING)
NUMBER = Scalar("a number", tuple(sorted({*INTEGERS, axdr.FLOAT32, axdr.FLOAT64} - {axdr.ENUM})))
NAME = _octets("a logical name ({obis: 0.0.10.0.100.255})", 6, lambda octets: "")
DATE_TIME = _octets('a date-time ({date-time: "2027-01-01 00:00"})', 12, datetime.text_date_time)
MOMENT = _octets('a date-time ({date-time: "2027-01-01 00:00"})', 12, _or_never)
DATE = _octets('a date ({date: "*-12-25"})', 5, datetime.text_date)
TIME = _octets('a time ({time: "18:00"})', 4, datetime.text_time)
START = _octets('a time ({time: "18:00"})', 4, _start)
NOTHING = Choice((number(axdr.INTEGER, 0, 0, "integer 0"), simple(axdr.NULL)))
SELECTOR = LONG_UNSIGNED
ATTRIBUTE = number(axdr.INTEGER, -128, 127, "an attribute (integer)")

SEASON = Structure((("season_profile_name", OCTETS), ("season_start", DATE_TIME),
                    ("week_name", OCTETS)))  # fmt: skip
WEEK = Structure((
    ("week_profile_name", OCTETS), ("monday", UNSIGNED), ("tuesday", UNSIGNED),
    ("wednesday", UNSIGNED), ("thursday", UNSIGNED), ("friday", UNSIGNED),
    ("saturday", UNSIGNED), ("sunday", UNSIGNED),
))  # fmt: skip
DAY_ACTION = Structure((("start_time", START), ("script_logical_name", NAME),
                        ("script_selector", SELECTOR)))  # fmt: skip
DAY = Structure((("day_id", UNSIGNED), ("day_schedule", Array(DAY_ACTION, "action"))))
SPECIAL_DAY = Structure((("index", LONG_UNSIGNED), ("specialday_date", DATE),
                         ("day_id", UNSIGNED)))  # fmt: skip
SCRIPT_ACTION = Structure((
    ("service_id", enum("write attribute", "execute method", first=1)),
    ("class_id", LONG_UNSIGNED), ("logical_name", NAME), ("index", INTEGER), ("parameter", ANY),
))  # fmt: skip
SCRIPT = Structure((("script_identifier", LONG_UNSIGNED), ("actions", Array(SCRIPT_ACTION,
                    "action"))))  # fmt: skip
SCRIPT_REFERENCE = Structure((("script_logical_name", NAME), ("script_selector", SELECTOR)))
OBJECT = Structure((("class_id", LONG_UNSIGNED), ("logical_name", NAME),
                    ("attribute_index", INTEGER), ("data_index", LONG_UNSIGNED)))  # fmt: skip
# push version 1 and later adds a restriction to an object
PUSHED = Choice((OBJECT, Structure((*OBJECT.fields, ("restriction", ANY)))))
VALUE_DEFINITION = Structure((("class_id", LONG_UNSIGNED), ("logical_name", NAME),
                              ("attribute_index", INTEGER)))  # fmt: skip
WINDOW = Structure((("start_time", DATE_TIME), ("end_time", DATE_TIME)))
EXECUTION = Structure((("time", TIME), ("date", DATE)))
_DELAYS = Structure((("repetition_delay_min", LONG_UNSIGNED),
                     ("repetition_delay_exponent", LONG_UNSIGNED),
                     ("repetition_delay_max", LONG_UNSIGNED)))  # fmt: skip
_UNITS = Structure((("scaler", INTEGER), ("unit", simple(axdr.ENUM))))

_ATTRIBUTES: dict[tuple[int, int], Shape] = {
    (3, 3): _UNITS,
    (4, 3): _UNITS,
    (5, 4): _UNITS,
    (5, 9): number(axdr.LONG_UNSIGNED, 1, 0xFFFF, "long-unsigned, at least 1"),
    (7, 3): Array(OBJECT, "column"),
    (7, 5): enum("fifo", "lifo", "largest", "smallest", "nearest to zero", "farthest from zero",
                 first=1),
    (7, 6): OBJECT,
    (7, 8): number(axdr.DOUBLE_LONG_UNSIGNED, 1, 0xFFFFFFFF, "double-long-unsigned, at least 1"),
    (8, 2): DATE_TIME,
    (8, 3): number(axdr.LONG, -720, 840, "minutes to UTC (long -720..840)"),
    (8, 5): DATE_TIME,
    (8, 6): DATE_TIME,
    (8, 7): number(axdr.INTEGER, -120, 120, "minutes (integer -120..120)"),
    (8, 9): enum("not defined", "internal crystal", "mains 50 Hz", "mains 60 Hz", "GPS",
                 "radio controlled"),
    (9, 2): Array(SCRIPT, "script"),
    (11, 2): Array(SPECIAL_DAY, "special day"),
    (20, 3): Array(SEASON, "season"),
    (20, 4): Array(WEEK, "week"),
    (20, 5): Array(DAY, "day"),
    (20, 7): Array(SEASON, "season"),
    (20, 8): Array(WEEK, "week"),
    (20, 9): Array(DAY, "day"),
    (20, 10): MOMENT,
    (21, 2): Array(NUMBER, "threshold"),
    (21, 3): VALUE_DEFINITION,
    (21, 4): Array(Structure((("action_up", SCRIPT_REFERENCE), ("action_down", SCRIPT_REFERENCE))),
                   "action set"),
    (22, 2): SCRIPT_REFERENCE,
    (22, 3): enum("once, wildcards in the date", "same time, no wildcards",
                  "same time, wildcards in dates", "any times, no wildcards",
                  "any times, wildcards in dates", first=1),
    (22, 4): Array(EXECUTION, "execution"),
    (40, 2): Array(PUSHED, "object"),
    (40, 3): Structure((("transport_service", simple(axdr.ENUM)), ("destination", OCTETS),
                        ("message", simple(axdr.ENUM)))),
    (40, 4): Array(WINDOW, "window"),
    (40, 7): Choice((LONG_UNSIGNED, _DELAYS)),
    (70, 3): enum("disconnected", "connected", "ready for reconnection"),
    (70, 4): number(axdr.ENUM, 0, 6, "a control mode (enum 0..6)"),
    (71, 2): VALUE_DEFINITION,
    (71, 3): NUMBER,
    (71, 4): NUMBER,
    (71, 5): NUMBER,
    (71, 8): Structure((("emergency_profile_id", LONG_UNSIGNED),
                        ("emergency_activation_time", MOMENT),
                        ("emergency_duration", DOUBLE_LONG_UNSIGNED))),
    (71, 9): Array(LONG_UNSIGNED, "group"),
    (71, 11): Structure((("action_over_threshold", SCRIPT_REFERENCE),
                         ("action_under_threshold", SCRIPT_REFERENCE))),
}  # fmt: skip

_PARAMETERS: dict[tuple[int, int], Shape] = {
    (3, 1): NOTHING, (4, 1): NOTHING, (5, 1): NOTHING, (5, 2): NOTHING,
    (7, 1): NOTHING, (7, 2): NOTHING,
    (8, 1): NOTHING, (8, 2): NOTHING, (8, 3): NOTHING, (8, 4): NOTHING,
    (8, 5): Structure((("preset_time", DATE_TIME), ("validity_interval_start", DATE_TIME),
                       ("validity_interval_end", DATE_TIME))),
    (8, 6): number(axdr.LONG, -900, 900, "seconds (long -900..900)"),
    (9, 1): SELECTOR,
    (11, 1): SPECIAL_DAY,
    (11, 2): LONG_UNSIGNED,
    (20, 1): NOTHING,
    (40, 1): NOTHING,
    (70, 1): NOTHING, (70, 2): NOTHING,
}  # fmt: skip
