"""What is concluded of a meter that was looked at (learn.py), and the model file of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from gateway.contract.model import MAX_OBJECTS, NAME, READINGS, RELEASES, Model
from gateway.dlms.apdu import acse
from gateway.dlms.data import axdr, obis
from gateway.dlms.protection.policy import FORMS, PLAIN
from tools.cosem import source
from tools.cosem.names import ATTRIBUTE, Member, class_name
from tools.dlms.failure import CallProblem
from tools.dlms.members import Answer, value_of
from tools.dlms.objects import Entry
from tools.dlms.session import Settings
from tools.package.model import file
from tools.package.model.compile import (
    KEYS,
    MECHANISMS,
    NONE,
    POLICIES,
    PROFILE_GENERIC,
    REFERENCING,
    Compiled,
    compile_source,
)

DATA, ASSOCIATION_LN, IMAGE_TRANSFER, SECURITY_SETUP = 1, 15, 18, 64
NEAR = 0.3  # of what both have together, that a shipped model is said to be near
_LDN = obis.parse("0.0.42.0.0.255")
_CURRENT = obis.parse("0.0.40.0.0.255")
_FLAGS = (b"\x61\x62", b"\x60\x0a")  # C, D of alarm registers 0.b.97.98.e and status 0.b.96.10.e
_ESW = obis.parse("0.0.94.91.18.255")
_WIDTH = 44  # where comments begin

Object = tuple[int, bytes]


@dataclass
class Seen:
    """What the meter has shown to one client. `refused`: why there is nothing, in one line."""

    client: int
    server: int
    refused: str = ""
    other_names: bool = False  # it was refused because it used logical names
    services: int = 0
    largest: int = 0  # octets of an APDU the meter takes
    released: str = ""  # what it said to RLRQ
    counters: tuple[int, int] = (0, 0)  # our first and last invocation counter in it
    objects: list[Entry] = field(default_factory=list)
    objects_refused: str = ""
    answers: dict[tuple[int, bytes, int], Answer] = field(default_factory=dict)

    def value(self, class_id: int, name: bytes, index: int) -> tuple[int, object] | None:
        answer = self.answers.get((class_id, name, index))
        return None if answer is None else value_of(answer)

    def has(self, class_id: int, name: bytes) -> bool:
        return any((each.class_id, each.obis) == (class_id, name) for each in self.objects)


@dataclass
class Told:
    """A value of the model: where it stands in the file, how it is written, and whether the meter
    showed it, or we guess."""

    path: str
    value: str
    seen: bool
    why: str


@dataclass
class Learned:
    name: str
    description: str
    told: list[Told] = field(default_factory=list)
    objects: list[tuple[str, str, str]] = field(default_factory=list)  # word, value, why
    like: str = ""
    nearest: list[tuple[str, int, int]] = field(default_factory=list)  # model, in common, of
    notes: list[str] = field(default_factory=list)  # what a person should know


def conclude(
    public: Seen, ours: Seen | None, settings: Settings, serial: str, name: str
) -> Learned:
    """`ours` None: there were no keys. `serial`: the number on the housing, where it was given."""
    if not NAME.fits(name):
        raise CallProblem("--name %r: expected %s" % (name, NAME.name))
    found = Learned(name, "learned from the meter at %s" % settings.place)
    _Conclusions(found, public, ours, settings, serial).all()
    return found


class _Conclusions:
    def __init__(
        self, found: Learned, public: Seen, ours: Seen | None, settings: Settings, serial: str
    ) -> None:
        self._found = found
        self._public = public
        self._ours = ours if ours is not None and not ours.refused else None
        self._refused = ours.refused if ours is not None else "no keys and no password were given"
        self._seen = [each for each in (self._ours, public) if each is not None]
        self._settings = settings
        self._serial = serial

    def all(self) -> None:
        self._notes()
        self._identity()
        self._access()
        self._habits()
        self._counter()
        self._image()
        self._nearest()

    def _tell(self, path: str, value: object, seen: bool, why: str) -> None:
        self._found.told.append(Told(path, str(value), seen, why))

    # ------------------------------------------------------------ what was answered

    def _value(self, class_id: int, name: bytes, index: int) -> tuple[int, Any] | None:
        for each in self._seen:
            value = each.value(class_id, name, index)
            if value is not None:
                return value
        return None

    def _names(self, class_id: int) -> list[bytes]:
        """The objects of a class that the meter lists."""
        names = [e.obis for each in self._seen for e in each.objects if e.class_id == class_id]
        return list(dict.fromkeys(names))

    def _texts(self) -> dict[bytes, tuple[int, str]]:
        """Of each data object that reads as one: (reading, text)."""
        found: dict[bytes, tuple[int, str]] = {}
        for each in self._seen:
            for class_id, name, index in each.answers:
                value = each.value(class_id, name, index)
                if class_id == DATA and name not in found and name[2:4] != b"\x2b\x01":
                    read = readable(value)
                    if read is not None:
                        found[name] = read
        return found

    # ------------------------------------------------------------ the sections

    def _notes(self) -> None:
        notes = self._found.notes
        for each in (self._public, self._ours):
            if each is None or each.refused:
                continue
            notes.append(
                "client %d was let in; it sees %s; services granted: %s"
                % (
                    each.client,
                    "%d objects" % len(each.objects)
                    if each.objects
                    else "no list of objects (%s)" % each.objects_refused,
                    ", ".join(_services(each.services)),
                )
            )
        if self._public.refused:
            notes.append("not let in: %s" % self._public.refused)
        if self._ours is None:
            notes.append("as the work's own client: %s" % self._refused)
            notes.append("if others are due there, give --model, or --client, --auth, --protection")
        devices = self._value(17, obis.parse("0.0.41.0.0.255"), 2)
        if devices is not None and devices[0] == axdr.ARRAY:
            for _, (sap, device) in devices[1]:
                read = readable(device)
                notes.append("logical device %d: %s" % (sap[1], _quoted(read)))
        for name, read in self._texts().items():
            notes.append("data %s says %s" % (obis.text(name), _quoted(read)))

    def _identity(self) -> None:
        texts = self._texts()
        serial = self._place_of_serial(texts)
        others = {name: read for name, read in texts.items() if name != serial}
        models = [
            name
            for name, (reading, text) in others.items()
            if name[2:4] == b"\x60\x01" and reading < 2 and any(c.isalpha() for c in text)
        ]
        if models:
            name = models[0]
            why = "it says %s; is that the type?" % _quoted(texts[name])
            self._tell("identity.model", _place(name, texts[name][0]), False, why)
        else:
            self._tell("identity.model", NONE, False, "nothing was found that reads as a type")
        firmware = [name for name in others if name[2:4] == b"\x00\x02"]
        if firmware:
            name = min(firmware, key=lambda each: (each[0] != 1, each[1:]))
            why = "the Blue Book's place; it says %s" % _quoted(texts[name])
            self._tell("identity.firmware", _place(name, texts[name][0]), True, why)
        else:
            why = "no firmware identifier can be read"
            self._tell("identity.firmware", NONE, False, why)

    def _place_of_serial(self, texts: dict[bytes, tuple[int, str]]) -> bytes:
        for name, (reading, text) in texts.items():
            if self._serial and text.lower() == self._serial.lower():
                self._tell("identity.serial", _place(name, reading), True, "it is %s" % text)
                return name
        if _LDN in texts:
            reading, text = texts[_LDN]
            why = "the logical device name, %s; is it on the housing?" % _quoted(texts[_LDN])
            self._tell("identity.serial", _place(_LDN, reading), False, why)
        else:
            self._tell("identity.serial", NONE, False, "no logical device name can be read")
        return _LDN

    def _access(self) -> None:
        settings, ours = self._settings, self._ours
        association = settings.association
        let_in = ours is not None
        why = "let in" if let_in else "not tried"
        client = settings.client if let_in else settings.model.client_sap
        self._tell("access.client", client, let_in, why)
        self._tell("access.server", settings.server, bool(self._seen), "it answered")
        refused = self._public.refused
        public = NONE if refused else str(self._public.client)
        self._tell("access.public", public, True, refused or "let in")
        short = settings.referencing == acse.SN
        names = "%s names were taken" % ("short" if short else "logical")
        self._tell("access.referencing", REFERENCING[short], True, names)
        mechanism = association.authentication if let_in else settings.model.mechanism
        self._tell("access.mechanism", MECHANISMS[mechanism], let_in, why)
        form = association.protection.form if let_in else FORMS[settings.model.form]
        self._tell("access.protection", form, let_in, why)
        if form != PLAIN:
            policy = association.protection.policy if let_in else settings.model.policy
            word = next(word for word, bits in POLICIES.items() if bits == policy)
            self._tell("access.policy", word, let_in, why)
        self._tell("access.association", obis.text(association.current), let_in, why)
        self._security_setup()
        order = "[%s]" % ", ".join(KEYS[key] for key in settings.model.key_order)
        self._tell("access.key-order", order, False, "keys were not changed")

    def _security_setup(self) -> None:
        reference = self._value(ASSOCIATION_LN, _CURRENT, 9)
        names = self._names(SECURITY_SETUP)
        if reference is not None and reference[0] == axdr.OCTET_STRING and len(reference[1]) == 6:
            name, seen, why = bytes(reference[1]), True, "the association refers to it"
        elif names:
            name, seen, why = names[0], len(names) == 1, "of class 64 there are %d" % len(names)
        else:
            name, seen, why = self._settings.model.security_setup, False, "none is listed"
        self._tell("access.security-setup", obis.text(name), seen, why)

    def _habits(self) -> None:
        most = max((each.largest for each in self._seen), default=0)
        self._tell("habits.max-pdu", 0, True, "the meter itself takes %d octets" % most)
        self._tell("habits.services", "all", True, "it granted what stands above")
        self._tell("habits.pause-ms", 0, True, "it answered without")
        heard = [each.released for each in self._seen if not each.refused]
        release = RELEASES[1] if any(heard) else RELEASES[2]
        why = "RLRQ was answered" if any(heard) else "RLRQ was not answered"
        self._tell("habits.release", release, True, why)

    def _counter(self) -> None:
        counters: dict[bytes, int] = {}
        for class_id, name, index in self._public.answers:
            value = self._public.value(class_id, name, index)
            if value is not None and name[2:4] == b"\x2b\x01" and type(value[1]) is int:
                counters[name] = value[1]
        if not counters:
            why = "the public client reads none"
            self._tell("counter.read", NONE, not self._public.refused, why)
        else:
            name, seen, why = self._own_counter(counters)
            self._tell("counter.read", "data %s value" % obis.text(name), seen, why)
        stands = "; ".join("%s at %d" % (obis.text(n), v) for n, v in counters.items())
        why = "of a new meter%s" % (" (here: %s)" % stands if stands else "")
        self._tell("counter.start", 1, False, why)

    def _own_counter(self, counters: dict[bytes, int]) -> tuple[bytes, bool, str]:
        """The one that counted what we sent."""
        if self._ours is not None:
            first, last = self._ours.counters
            for name in counters:
                value = self._ours.value(DATA, name, 2)
                if value is not None and type(value[1]) is int and first <= value[1] <= last:
                    return name, True, "it counted our requests"
        name = next(iter(counters))
        return name, False, "the first of %d that can be read" % len(counters)

    def _image(self) -> None:
        names = self._names(IMAGE_TRANSFER)
        if names:
            size = self._value(IMAGE_TRANSFER, names[0], 2)
            blocks = "; blocks of %s octets" % size[1] if size is not None else ""
            why = "%d of class 18%s" % (len(names), blocks)
            self._tell("image.object", obis.text(names[0]), len(names) == 1, why)
        else:
            image = obis.text(self._settings.model.image)
            self._tell("image.object", image, False, "none is listed")
        self._tell("image.broadcast", "false", False, "not tried")

    # ------------------------------------------------------------ the nearest shipped model

    def _nearest(self) -> None:
        objects = [
            (entry.class_id, entry.obis)
            for each in self._seen
            for entry in each.objects
            if entry.class_id == PROFILE_GENERIC or _has_bits(entry.class_id, entry.obis)
        ]
        mine = dict.fromkeys(objects)
        ranked: list[tuple[float, str, Compiled, int, int]] = []
        for name in file.names():
            shipped = file.find(name)
            theirs = {(class_id, obis_) for _, class_id, obis_ in shipped.model.objects}
            common, together = len(theirs & set(mine)), len(theirs | set(mine))
            ranked.append((common / together, name, shipped, common, len(theirs)))
        ranked.sort(key=lambda each: (-each[0], each[1]))
        self._found.nearest = [(name, common, of) for _, name, _, common, of in ranked if common]
        words: dict[Object, str] = {}
        if ranked[0][0] >= NEAR:
            _, self._found.like, shipped, _, _ = ranked[0]
            words = {(class_id, o): word for word, class_id, o in shipped.model.objects}
        agreed = _agreed([shipped for _, _, shipped, _, _ in ranked])
        for each in list(mine)[:MAX_OBJECTS]:
            word = words.pop(each, "") or agreed.get(each, "") or _word(*each)
            value = "%s %s" % (class_name(each[0]), obis.text(each[1]))
            self._found.objects.append((word, value, "seen"))
        for word in words.values():
            why = "of %s; the meter does not list it" % self._found.like
            self._found.objects.append((word, NONE, why))


def _agreed(models: list[Compiled]) -> dict[Object, str]:
    """What every shipped model that has the object calls it."""
    words: dict[Object, set[str]] = {}
    for each in models:
        for word, class_id, name in each.model.objects:
            words.setdefault((class_id, name), set()).add(word)
    return {known: min(called) for known, called in words.items() if len(called) == 1}


def readable(typed: tuple[int, Any] | None) -> tuple[int, str] | None:
    """(the reading of model.py, the text) of a value that is one; None of what is none."""
    if typed is None:
        return None
    tag, value = typed
    if type(value) is int and tag != axdr.BOOLEAN:
        return READINGS.index("number"), str(value)
    if tag == axdr.VISIBLE_STRING:
        value = str(value).encode()
    elif tag != axdr.OCTET_STRING or not value:
        return None
    octets = bytes(value)
    until = octets.split(b"\0")[0].rstrip()
    if until and all(32 <= octet < 127 for octet in until):
        reading = "text" if octets == until else "up-to-nul"
        if reading == "text" or not octets[len(until) :].strip(b"\0 "):
            return READINGS.index(reading), until.decode()
    return READINGS.index("hex"), octets.hex()


def _place(name: bytes, reading: int) -> str:
    where = str(Member(ATTRIBUTE, DATA, name, 2))
    return where if reading == 0 else "{read: %s, as: %s}" % (where, READINGS[reading])


def _has_bits(class_id: int, name: bytes) -> bool:
    return class_id in (1, 3, 4) and (name[2:4] in _FLAGS or name == _ESW)


def _word(class_id: int, name: bytes) -> str:
    kind = "profile" if class_id == PROFILE_GENERIC else "bits"
    return "%s-%s" % (kind, "-".join(str(octet) for octet in name[:5]))


def _services(bits: int) -> list[str]:
    return [name for bit, name in acse.CONFORMANCE_NAMES.items() if bits & bit]


def _quoted(read: tuple[int, str] | None) -> str:
    if read is None:
        return "nothing that reads as a text"
    reading, text = read
    return "0x" + text if READINGS[reading] == "hex" else "'%s'" % text


# ---------------------------------------------------------------- what comes out


def yaml(found: Learned) -> str:
    """The file, with a comment at each value."""
    lines = [
        "# A first model, learned from one meter. Complete it, take away what does not hold for",
        "# all meters of this make, and check it with `ami-package model check`. Nothing was",
        "# written to the meter. What was seen:",
        *_folded(found.notes),
    ]
    if found.nearest:
        near = ["%s (%d of %d objects)" % each for each in found.nearest]
        lines += _folded(["nearest of the shipped models: %s" % ", ".join(near)])
    lines += ["name: %s" % found.name, "number: 1", "description: %s" % found.description]
    if found.like:
        lines.append(_line("like: %s" % found.like, "guess: its events, alarms and status bits"))
    section = ""
    for each in found.told:
        start, _, name = each.path.partition(".")
        if start != section:
            lines.append("%s:" % start)
            section = start
        lines.append(_line("  %s: %s" % (name, each.value), _comment(each)))
    if found.objects:
        lines.append("objects:")
        lines += [_line("  %s: %s" % (word, value), why) for word, value, why in found.objects]
    lines.append("unsure:")
    for each in found.told:
        if not each.seen:
            lines.append("  %s: [OWN, %s]" % (each.path, _scalar(each.why)))
    return "\n".join(lines) + "\n"


def compiled(text: str) -> Model:
    """The model that the file is. Problems."""
    return compile_source(source.parse(text, "learned")).model


def as_json(found: Learned) -> dict[str, Any]:
    return {
        "name": found.name,
        "like": found.like or None,
        "nearest": [{"model": name, "common": n, "of": of} for name, n, of in found.nearest],
        "values": [
            {"path": each.path, "value": each.value, "seen": each.seen, "why": each.why}
            for each in found.told
        ],
        "objects": [{"word": w, "object": value, "why": why} for w, value, why in found.objects],
        "notes": found.notes,
    }


def _comment(told: Told) -> str:
    return ("seen: %s" if told.seen else "guess: %s") % told.why


def _line(text: str, comment: str) -> str:
    return "%-*s # %s" % (_WIDTH, text, comment)


def _folded(notes: Iterable[str]) -> list[str]:
    """As comments of at most a hundred characters."""
    lines = []
    for note in notes:
        line = "#  "
        for word in note.split():
            if len(line) + len(word) > 98:
                lines.append(line)
                line = "#     "
            line += " " + word
        lines.append(line)
    return lines


def _scalar(text: str) -> str:
    """A YAML text in double quotes."""
    return '"%s"' % text.replace("\\", "\\\\").replace('"', '\\"')
