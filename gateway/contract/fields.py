"""Messages, and the arrays inside them, as classes in which each field is declared once:

    @message("pull")
    class Pull(Message):
        digest: bytes = field(octets(32, 32))
        offset: int = field(uint(UINT32))
        size: int = field(uint(MAX_CHUNK, 1))

That line is all there is of a field: constructor, encode(), decode() with its checks, the name in
an error's text, `==` and repr come from it. On the line a message is an array: what stands first
(the version 1, and the word or number that tells it from others), then the fields in their order.
"""

from __future__ import annotations

from gateway.contract.limits import MAX_MESSAGE
from gateway.contract.refused import Refused
from gateway.contract.rules import HEAD, VERSION, Rule, came, exactly, largest, times, together
from hal.rt import cbor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Self, TypeVar, dataclass_transform

    R = TypeVar("R", bound="type[Record]")
else:

    def dataclass_transform(**options):
        """For type checkers only."""
        return lambda kind: kind


_NEEDED = object()


class _Field:
    count = 0

    def __init__(self, rule: Rule, default: Any, within: str, late: bool) -> None:
        _Field.count += 1
        self.place = _Field.count  # MicroPython does not keep the order of a class's names
        self.rule = rule
        self.default = default
        self.within = within
        self.late = late


def field(rule: Rule, *, default: Any = _NEEDED, within: str = "", late: bool = False) -> Any:
    """A line of a record's declaration. `default`: for the constructor; a list is copied.
    `within`: fields that name the same word here are an array of their own on the line, in place of
    the first of them. `late`: one of the last fields, which older versions do not know: the line
    ends before those that have their default, so what does not use them is as it was.
    """
    return _Field(rule, default, within, late)


class _Shape:
    """What a record is on the line: `head`, what stands first, then `fields`, their names. `rules`
    are those of all of it, `fits` their functions.

    loads, dumps   (place, function) of what is converted
    groups         of each element on the line the places of what it holds, and the word that the
                   fields are `within`; none: each element is one
    late           the defaults, as on the line, of the last elements, which may be missing there
    """

    loads: Sequence[tuple[int, Callable[[Any], Any]]] = ()
    dumps: Sequence[tuple[int, Callable[[Any], Any]]] = ()
    groups: Sequence[tuple[str, list[int]]] = ()
    defaults: Sequence[Any] = ()  # those of the last fields
    late: Sequence[Any] = ()

    def __init__(self, what: str, head: tuple[int | str, ...], fields: Sequence[Any]) -> None:
        self.what = what
        self.head = head
        self.fields: tuple[str, ...] = tuple([name for name, _ in fields])
        rules = [each.rule for _, each in fields]
        loads = [(len(head) + i, rule.load) for i, rule in enumerate(rules) if rule.load]
        dumps = [(len(head) + i, rule.dump) for i, rule in enumerate(rules) if rule.dump]
        if head:
            first = VERSION if what else exactly(head[0])
            rules = [first] + [exactly(word) for word in head[1:]] + rules
        self.rules = tuple(rules)
        self.fits = tuple([rule.fits for rule in rules])
        if loads:
            self.loads = loads
        if dumps:
            self.dumps = dumps
        defaults = [each.default for _, each in fields if each.default is not _NEEDED]
        if defaults:
            self.defaults = defaults
        if [each for _, each in fields if each.within]:
            self.groups = _groups(len(head), fields)
        octets, items, levels = together(rules) if rules else (HEAD, 1, 1)
        inner = len({each.within for _, each in fields if each.within})
        self.size = octets + HEAD * inner, items + inner, levels + (inner > 0)
        late = [each for _, each in fields if each.late]
        if late:
            self.late = [e.rule.dump(e.default) if e.rule.dump else e.default for e in late]

    def name_of(self, place: int) -> str:
        if place >= len(self.head):
            return self.fields[place - len(self.head)]
        if place or not self.what:
            return "kind"
        # A package has a version of its own.
        return "format" if "version" in self.fields else "version"


def _groups(behind: int, fields: Sequence[Any]) -> list[tuple[str, list[int]]]:
    groups: list[tuple[str, list[int]]] = [("", [place]) for place in range(behind)]
    for i, (_, each) in enumerate(fields):
        same = [group for group in groups if each.within and group[0] == each.within]
        if same:
            same[0][1].append(behind + i)
        else:
            groups.append((each.within, [behind + i]))
    return groups


@dataclass_transform(eq_default=True, field_specifiers=(field,))
class Record:
    """An array on the line: a message, or a part of one."""

    REASON = "malformed"  # for which a message is refused, and the text that says what is wrong
    WRONG = "%(what)s: expected %(field)s to be %(rule)s, came %(came)s"
    SHAPE = _Shape("", (), ())

    def __init__(self, *values: Any, **named: Any) -> None:
        shape = self.SHAPE
        names = shape.fields
        if len(values) > len(names):
            raise TypeError("%s has %d fields" % (type(self).__name__, len(names)))
        least = len(names) - len(shape.defaults)
        for i in range(len(names)):
            name = names[i]
            if i < len(values):
                value = values[i]
            elif name in named:
                value = named.pop(name)
            elif i < least:
                raise TypeError("%s needs %s" % (type(self).__name__, name))
            else:
                value = shape.defaults[i - least]
                if isinstance(value, list):
                    value = list(value)
            setattr(self, name, value)
        if named:
            raise TypeError("%s has no such field: %s" % (type(self).__name__, ", ".join(named)))

    def to_array(self) -> list[Any]:
        shape = self.SHAPE
        values: list[Any] = list(shape.head)
        _gather(self, shape.fields, values)
        if shape.dumps:
            _convert(values, shape.dumps)
        if shape.groups:
            values = _grouped(shape, values)
        left = len(shape.late)
        while left and values[-1] == shape.late[left - 1]:
            values.pop()
            left -= 1
        return values

    @classmethod
    def from_array(cls, values: list[Any]) -> Self:
        """Of an array that fits; it is used up."""
        shape = cls.SHAPE
        self = object.__new__(cls)
        if shape.loads:
            _convert(values, shape.loads)
        _spread(self, shape.fields, values)
        return self

    @classmethod
    def of_octets(cls, payload: bytes) -> Self:
        """Of one CBOR item. Refused for REASON, `oversized` where there is no memory for it now,
        and as agree() refuses. What is larger than any of them is not looked at."""
        try:
            return cls.of(cls.item(payload))
        except MemoryError:
            raise no_memory(cls.SHAPE.what, payload)

    @classmethod
    def item(cls, payload: bytes) -> Any:
        """The CBOR item that may be one of them. Refused for REASON."""
        what, (most, items, levels) = cls.SHAPE.what, cls.SHAPE.size
        if len(payload) > most:
            text = "%s: expected at most %d octets, came %d" % (what, most, len(payload))
            raise Refused(cls.REASON, text)
        return decoded(payload, what, cls.REASON, items, levels)

    @classmethod
    def of(cls, item: Any) -> Self:
        """Of a decoded item, whatever it is. Refused for REASON, and as agree() refuses."""
        shape = cls.SHAPE
        if shape.late and isinstance(item, list):
            item = _completed(shape, item)
        values = item if not shape.groups else _flat(shape, item, cls.REASON)
        if not _fits(shape, values):
            raise _refused(cls, values)
        message = cls.from_array(values)
        message.agree()
        return message

    def agree(self) -> None:
        """Refused unless the fields, each good by itself, go together."""

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return False
        return all(getattr(self, name) == getattr(other, name) for name in self.SHAPE.fields)

    def __repr__(self) -> str:
        """Octets by their number only: they may be keys."""
        shown = []
        for name in self.SHAPE.fields:
            value = getattr(self, name)
            shown.append("%s=%s" % (name, came(value) if isinstance(value, bytes) else repr(value)))
        return "%s(%s)" % (type(self).__name__, ", ".join(shown))


class Message(Record):
    """What the line carries, as it is or inside a signed envelope."""

    def encode(self) -> bytes:
        return cbor.encode(self.to_array())

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Refused `oversized`, `malformed`, and as agree() refuses."""
        if len(payload) > MAX_MESSAGE:
            what = cls.SHAPE.what
            raise Refused("oversized", "%s: more than %d octets" % (what, MAX_MESSAGE))
        _check_count(cls.SHAPE, payload)
        return cls.of_octets(payload)


def message(what: str, *words: str) -> Callable[[R], R]:
    """Declares what stands by itself: `what` it is called in errors, the `words` that tell it from
    others."""
    return lambda kind: _declared(kind, what, (1,) + words)


def record(*head: int) -> Callable[[R], R]:
    """Declares a part of a message; `head`: the number that tells it from others in its place."""
    return lambda kind: _declared(kind, "", head)


def _declared(kind: R, what: str, head: tuple[int | str, ...]) -> R:
    own = kind.__dict__
    fields = [(name, own[name]) for name in own if isinstance(own[name], _Field)]
    fields.sort(key=lambda pair: pair[1].place)
    kind.SHAPE = _Shape(what, head, fields)
    for name, _ in fields:
        delattr(kind, name)  # the shape has it all
    return kind


def record_rule(kind: type[Record]) -> Rule:
    """One of them."""
    shape = kind.SHAPE
    name = "[" + ", ".join([shape.name_of(i) for i in range(len(shape.rules))]) + "]"
    return Rule(name, lambda v: _fits(shape, v), kind.from_array, kind.to_array, size=shape.size)


def one_of(*kinds: type[Record]) -> Rule:
    """One of those kinds, told apart by the number that each has first."""
    by_head = {kind.SHAPE.head[0]: kind for kind in kinds}

    def fits(value: Any) -> bool:
        if not isinstance(value, list) or not value or type(value[0]) is not int:
            return False
        kind = by_head.get(value[0])
        return kind is not None and _fits(kind.SHAPE, value)

    return Rule(
        " or ".join([record_rule(kind).name for kind in kinds]),
        fits,
        lambda v: by_head[v[0]].from_array(v),
        lambda v: v.to_array(),
        size=largest([record_rule(kind) for kind in kinds]),
    )


def list_of(rule: Rule, most: int, least: int = 0) -> Rule:
    """`least`..`most` elements that the rule converts."""
    fits, load, dump = rule.fits, rule.load, rule.dump
    assert load is not None and dump is not None
    return Rule(
        "an array of %d..%d of %s" % (least, most, rule.name),
        lambda v: isinstance(v, list) and least <= len(v) <= most and all(fits(e) for e in v),
        lambda v: [load(e) for e in v],
        lambda v: [dump(e) for e in v],
        size=times(most, rule),
    )


def decoded(data: bytes, what: str, reason: str, items: int, levels: int) -> Any:
    """The one CBOR item that `data` is, as cbor.decode(), else Refused(`reason`)."""
    try:
        return cbor.decode(data, (), items, levels)
    except cbor.CborError:
        pass
    raise _no_cbor(data, what, reason, items, levels)


def _no_cbor(data: bytes, what: str, reason: str, items: int, levels: int) -> Refused:
    # Once more, for the text: an `except ... as` above would cost every good message, see below.
    try:
        cbor.decode(data, (), items, levels)
        error = ""
    except cbor.CborError as found:
        error = str(found)
    return Refused(reason, "%s: not one well-formed CBOR item: %s" % (what, error))


def no_memory(what: str, payload: bytes) -> Refused:
    return Refused("oversized", "%s: no memory for its %d octets now" % (what, len(payload)))


def _check_count(shape: _Shape, payload: bytes) -> None:
    """Refused if the first octet tells already that it is an array of too many or too few."""
    count = payload[0] - 0x80 if payload else -1
    most = len(shape.groups) or len(shape.rules)
    if 0 <= count < 24 and not most - len(shape.late) <= count <= most:
        raise _not_an_array(shape.what, most, [None] * count, "malformed")


# MicroPython keeps what a function holds on the C stack only if it is little (11 words, a `for`
# takes 4). Else each call takes and gives back some heap, and a short message takes half as long
# again. Hence the small functions here, and loops from behind.


def _gather(record: Record, names: Sequence[str], values: list[Any]) -> None:
    left = len(names)
    while left:
        values.append(getattr(record, names[-left]))
        left -= 1


def _spread(record: Record, names: Sequence[str], values: list[Any]) -> None:
    """The last of the values are those of the names."""
    left = len(names)
    while left:
        setattr(record, names[-left], values[-left])
        left -= 1


def _convert(values: list[Any], conversions: Sequence[tuple[int, Callable[[Any], Any]]]) -> None:
    for place, convert in conversions:
        values[place] = convert(values[place])


def _fits(shape: _Shape, values: Any) -> bool:
    rules = shape.fits
    size = len(rules)
    if not isinstance(values, list) or len(values) != size:
        return False
    place = 0
    while place < size and rules[place](values[place]):
        place += 1
    return place == size


def _refused(kind: type[Record], values: Any) -> Refused:
    """What to raise where they do not fit."""
    shape = kind.SHAPE
    size = len(shape.rules)
    if not isinstance(values, list) or len(values) != size:
        return _not_an_array(shape.what, size, values, kind.REASON)
    place = 0
    while shape.fits[place](values[place]):
        place += 1
    broken = shape.rules[place].broken_by(values[place])
    detail = kind.WRONG % {
        "what": shape.what,
        "field": shape.name_of(place),
        "rule": broken.name,
        "came": came(values[place]),
    }
    return Refused(broken.reason or kind.REASON, detail)


def _not_an_array(what: str, size: int, item: Any, reason: str) -> Refused:
    which = "%d elements" % len(item) if isinstance(item, list) else came(item)
    return Refused(reason, "%s: expected an array of %d elements, came %s" % (what, size, which))


def _completed(shape: _Shape, item: list[Any]) -> list[Any]:
    """With the late elements that are missing."""
    missing = (len(shape.groups) or len(shape.rules)) - len(item)
    if not 0 < missing <= len(shape.late):
        return item
    return item + list(shape.late[-missing:])


def _flat(shape: _Shape, item: Any, reason: str) -> list[Any]:
    """The elements of the inner arrays in their fields' places."""
    groups = shape.groups
    if not isinstance(item, list) or len(item) != len(groups):
        raise _not_an_array(shape.what, len(groups), item, reason)
    values: list[Any] = [None] * len(shape.rules)
    for i in range(len(groups)):
        word, places = groups[i]
        element = item[i]
        if not word:
            values[places[0]] = element
            continue
        if not isinstance(element, list) or len(element) != len(places):
            what = "%s: %s" % (shape.what, word)
            raise _not_an_array(what, len(places), element, reason)
        for j in range(len(places)):
            values[places[j]] = element[j]
    return values


def _grouped(shape: _Shape, values: list[Any]) -> list[Any]:
    return [
        [values[place] for place in places] if word else values[places[0]]
        for word, places in shape.groups
    ]
