"""From the YAML of a model to what a concentrator needs (gateway/contract/model.py) and what people
need (tables.py).

    name: acme-e9                    # a-z, 0-9 and -: what inventory and packages call it
    number: 1                        # a concentrator takes a higher one of this name only
    like: idis                       # a model shipped with this project; what is not said here is
                                     # as there. Left out: as `ami`, our own, without its tables
    description: what it is
    identity:                        # where a meter says who it is; `none`: it is not asked
      serial: {read: data 0.0.42.0.0.255 value, as: up-to-nul}
      model: data 0.0.96.1.1.255 value       # as text, if nothing else is said
      firmware: none
    access:
      client: 1                      # SAPs; `public` may be none
      server: 1
      public: 16
      referencing: LN                # or SN
      mechanism: gmac                # none, low, high, md5, sha1, gmac, sha256, ecdsa
      protection: glo                # plain, glo, ded, general-glo, general-ded, general-ciphering
      policy: both                   # or authenticated, encrypted
      dialect: green-book            # or other: of general-ciphering and general-signing
      association: 0.0.40.0.0.255    # who takes the proof of HLS
      security-setup: 0.0.43.0.0.255
      key-order: [authentication, unicast, broadcast, master]
    habits:
      max-pdu: 0                     # octets; 0: what the path takes
      services: all                  # or a list: [get, set, action, ...]; others are not proposed
      pause-ms: 0                    # before each request
      window: 1                      # of general blocks
      release: answered              # or unanswered: RLRQ, and no waiting; none: no RLRQ
    counter:
      read: data 0.0.43.1.0.255 value        # by the public client; `none`: it cannot be read
      start: 1                       # the first that is used with a new meter
    image:
      object: 0.0.44.0.0.255
      broadcast: true                # whether these meters take images by broadcast
      verify-s: 0                    # how long it may take; 0: as long as ours do
      activate-s: 0
    objects:                         # profiles, logs, registers: a word of ours, class and OBIS
      load-profile: profile_generic 1.0.99.1.0.255
      standard-log: profile_generic 0.0.99.98.0.255
    logs:                            # which table of events is that of a log
      standard-log: standard
    events:                          # code: [English, Spanish, CIM EndDeviceEventType, mark]
      standard:
        1: [power failure, corte de alimentación, 3.26.0.85]
        230-249: [of the manufacturer, del fabricante, "", NIE]
    alarms:                          # bits of an object; 0 is the lowest of a number,
      alarm-register-1: {}           # and the first of a bit-string
    status: {}
    holds:                           # what packages may refer to, and how much the meters take
      scripts: {0.0.10.0.100.255: [1, 2]}
      tariffs: {normal: 1, peak: 2}          # words for scripts of 0.0.10.0.100.255
      periods: [0, 900, 3600]                # of capture, in seconds; left out: any
      most: {seasons: 4, weeks: 4, days: 8, special-days: 30}
    sources:                         # what the figures were taken from
      GXF: profiles of an open head-end
    unsure:                          # what is in none of them, with a mark and the reason
      access.client: [GK, the specification was not at hand]

CIM code and mark may be left out. A mark says how well a row is founded: NIE, not in evidence; GK,
general knowledge; OWN, concluded by us; nothing: it is in a source.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from gateway.contract.limits import MAX_COUNTER
from gateway.contract.model import MAX_OBJECTS, READINGS, RELEASES, Model, Place
from gateway.contract.place import NUMBER, TEXT
from gateway.contract.refused import Refused
from gateway.contract.signed_model import MAX_SIGNED
from gateway.dlms.apdu import acse
from gateway.dlms.protection import policy
from tools.cosem import names, values
from tools.cosem.source import Fields, Item, Problem, Problems, load, nearest
from tools.package.model.tables import MARKS, MAX_MEANINGS, MOST, Meaning, Table, Tables

MODELS = Path(__file__).parent.parent / "models"
NONE = "none"
REFERENCING = ("LN", "SN")
MECHANISMS = ("none", "low", "high", "md5", "sha1", "gmac", "sha256", "ecdsa")
POLICIES = {
    "both": policy.AUTHENTICATED_ENCRYPTED,
    "authenticated": policy.AUTHENTICATED,
    "encrypted": policy.ENCRYPTED,
}
KEYS = ("unicast", "broadcast", "authentication", "master")  # places are key ids
ENVELOPE = 128  # octets that a signature takes, and room
PROFILE_GENERIC = 7

_CIM = re.compile(r"\d{1,3}(\.\d{1,3}){3}")
_CODES = re.compile(r"(\d{1,10})(?:-(\d{1,10}))?")

Reader = Callable[[Item], Any]
Rows = dict[int, Meaning]


class Compiled:
    """A model, and its tables for people."""

    def __init__(self, model: Model, tables: Tables) -> None:
        self.model = model
        self.tables = tables


def compile_file(path: Path) -> Compiled:
    """The model of the file. Problems with all that is wrong in it; OSError."""
    try:
        root = load(path)
    except Problem as problem:
        raise Problems([problem]) from None
    return compile_source(root)


@cache
def shipped(name: str) -> Compiled:
    """A model that is shipped with this project; nobody changes what comes back."""
    return compile_file(MODELS / (name + ".yaml"))


def compile_source(root: Item) -> Compiled:
    compiler = _Compiler()
    try:
        compiled = compiler.compile(root)
    except Problem as problem:
        raise Problems([*compiler.problems, problem]) from None
    if compiler.problems or compiled is None:
        raise Problems(compiler.problems)
    return compiled


# ---------------------------------------------------------------- what stands at a name


def _whole(what: str, least: int, most: int) -> Reader:
    return lambda item: values.integer(item, what, least, most)


def _word(known: dict[str, Any]) -> Reader:
    def read(item: Item) -> Any:
        what = " or ".join(known)
        word = item.text(what)
        if word not in known:
            raise item.problem("expected %s, got '%s'%s" % (what, word, nearest(word, known)))
        return known[word]

    return read


def _numbered(known: tuple[str, ...]) -> Reader:
    return _word({word: number for number, word in enumerate(known)})


def _words(known: dict[str, int], most: int) -> Callable[[Item], list[int]]:
    one = _word(known)

    def read(item: Item) -> list[int]:
        found = [one(each) for each in item.items("a list such as [%s]" % ", ".join(known))]
        if len(found) > most or len(set(found)) != len(found):
            raise item.problem("expected each of %s at most once" % ", ".join(known))
        return found

    return read


_SERVICES = _words(
    {name: bit for bit, name in acse.CONFORMANCE_NAMES.items()}, len(acse.CONFORMANCE_NAMES)
)


def _services(item: Item) -> int:
    if item.raw == "all":
        return 0
    bits = sum(_SERVICES(item))
    if not bits & (acse.GET | acse.READ):
        raise item.problem(
            "expected `all`, or a list with at least `get` in it (`read` with short names)"
        )
    return bits


def _place(reading: int) -> Reader:
    """Of an attribute whose value is read as `reading`, if nothing else is said; or None."""

    def read(item: Item) -> Place | None:
        if item.raw == NONE:
            return None
        where, how = item, reading
        if item.kind == "a mapping":
            fields = item.fields("a place", ["read"], ["as"])
            where, named = fields["read"], fields.get("as")
            if named is not None:
                how = _numbered(READINGS)(named)
        found = names.member(where, names.ATTRIBUTE)
        return Place(found.class_id, found.obis, found.index, how)

    return read


def _public(item: Item) -> int:
    if item.raw == NONE:
        return 0
    return values.integer(item, "a SAP, or none", 1, 0xFFFF)


_SAP = _whole("a SAP", 1, 0xFFFF)
_SECONDS = _whole("seconds", 0, 86400)
_TEXT = _place(TEXT)

# section: {name in the file: (field of the model, how it is read)}
SECTIONS: dict[str, dict[str, tuple[str, Reader]]] = {
    "identity": {
        "serial": ("serial", _TEXT),
        "model": ("model", _TEXT),
        "firmware": ("firmware", _TEXT),
    },
    "access": {
        "client": ("client_sap", _SAP),
        "server": ("server_sap", _SAP),
        "public": ("public_sap", _public),
        "referencing": ("referencing", _numbered(REFERENCING)),
        "mechanism": ("mechanism", _numbered(MECHANISMS)),
        "protection": ("form", _numbered(policy.FORMS)),
        "policy": ("policy", _word(POLICIES)),
        "dialect": ("dialect", _numbered(policy.DIALECTS)),
        "association": ("association", values.logical_name),
        "security-setup": ("security_setup", values.logical_name),
        "key-order": ("key_order", _words({word: i for i, word in enumerate(KEYS)}, 4)),
    },
    "habits": {
        "max-pdu": ("max_pdu", _whole("octets", 0, 0xFFFF)),
        "services": ("services", _services),
        "pause-ms": ("pause_ms", _whole("milliseconds", 0, 10000)),
        "window": ("window", _whole("blocks", 1, 63)),
        "release": ("release", _numbered(RELEASES)),
    },
    "counter": {
        "read": ("counter", _place(NUMBER)),
        "start": ("start", _whole("a counter", 0, MAX_COUNTER)),
    },
    "image": {
        "object": ("image", values.logical_name),
        "broadcast": ("broadcast", values.boolean),
        "verify-s": ("verify_s", _SECONDS),
        "activate-s": ("activate_s", _SECONDS),
    },
}
TABLES = ("events", "alarms", "status")
_SCRIPT = _whole("a script", 1, 0xFFFF)


def _listed(one: Reader) -> Reader:
    return lambda item: [one(each) for each in item.items("a list")]


def _mapped(key: Reader, one: Reader) -> Reader:
    return lambda item: [(key(word), one(value)) for word, value in item.pairs("a mapping")]


HOLDS: dict[str, Reader] = {
    "scripts": _mapped(values.logical_name, _listed(_SCRIPT)),
    "tariffs": _mapped(lambda item: _short(item, "a word for a tariff", 32), _SCRIPT),
    "periods": _listed(_whole("seconds", 0, 0xFFFFFFFF)),
    "most": _mapped(_word({word: word for word in MOST}), _whole("how many", 1, 0xFFFF)),
}


class _Compiler:
    """Keeps the problems it meets and goes on with the next entry."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._values: dict[str, Any] = {}
        self._objects: dict[str, tuple[int, bytes]] = {}
        self._logs: dict[str, str] = {}
        self._tables: dict[str, dict[str, Rows]] = {kind: {} for kind in TABLES}
        self._holds: dict[str, list[Any]] = {}
        self._sources: dict[str, str] = {}
        self._unsure: dict[str, tuple[str, str]] = {}

    def compile(self, root: Item) -> Compiled | None:
        """None where there are problems."""
        known = [
            *SECTIONS,
            "objects",
            "logs",
            *TABLES,
            "holds",
            "sources",
            "unsure",
            "like",
            "description",
        ]
        fields = root.fields("a model", ["name", "number"], known)
        self._take_over(fields.get("like"))
        self._set("name", lambda item: item.text("a name"), fields["name"])
        description = fields.get("description")
        if description is not None:
            self._set("description", lambda item: item.text("a description"), description)
        self._set("number", _whole("a number", 1, 0xFFFFFFFF), fields["number"])
        for section, readers in SECTIONS.items():
            self._section(section, fields.get(section), readers)
        self._all_objects(fields.get("objects"))
        for kind in TABLES:
            self._all_tables(kind, fields.get(kind))
        self._all_logs(fields.get("logs"))
        self._check_tables(fields)
        self._all_holds(fields.get("holds"))
        self._all_sources(fields)
        return None if self.problems else self._made(root)

    def _take_over(self, like: Item | None) -> None:
        if like is None:
            return
        known = sorted(path.stem for path in MODELS.glob("*.yaml"))
        name = _word({each: each for each in known})(like)
        base = shipped(name)
        for field in Model.SHAPE.fields:
            self._values[field] = getattr(base.model, field)
        tables = base.tables
        self._objects = {word: (class_id, obis) for word, class_id, obis in tables.objects}
        self._logs = dict(tables.logs)
        for kind in TABLES:
            for table in getattr(tables, kind):
                self._tables[kind][table.word] = {row.number: row for row in table.meanings}
        self._holds = {name: getattr(tables, name) for name in HOLDS}
        self._sources = dict(tables.sources)
        self._unsure = {path: (mark, why) for path, mark, why in tables.unsure}

    def _set(self, field: str, read: Reader, item: Item) -> None:
        try:
            self._values[field] = read(item)
        except Problem as problem:
            self.problems.append(problem)

    def _section(
        self, section: str, item: Item | None, readers: dict[str, tuple[str, Reader]]
    ) -> None:
        if item is None:
            return
        try:
            fields = item.fields("`%s:`" % section, [], readers)
        except Problem as problem:
            self.problems.append(problem)
            return
        for name, (field, read) in readers.items():
            value = fields.get(name)
            if value is not None:
                self._unsure.pop("%s.%s" % (section, name), None)
                self._set(field, read, value)

    def _pairs(self, item: Item | None, what: str) -> list[tuple[Item, Item]]:
        if item is None or item.kind == "nothing":
            return []
        try:
            return item.pairs(what)
        except Problem as problem:
            self.problems.append(problem)
            return []

    # ------------------------------------------------------------ objects and logs

    def _all_objects(self, item: Item | None) -> None:
        for key, value in self._pairs(item, "a mapping of words to objects"):
            try:
                word = _short(key, "a word for an object", 32)
                self._unsure.pop("objects." + word, None)
                if value.raw == NONE:
                    self._forget(word)
                    continue
                text = value.text("a class and an OBIS code")
                try:
                    self._objects[word] = names.parse_object(text)
                except names.NameProblem as error:
                    raise value.problem(str(error), error.offset) from None
            except Problem as problem:
                self.problems.append(problem)
        if len(self._objects) > MAX_OBJECTS and item is not None:
            self.problems.append(item.problem("expected at most %d objects" % MAX_OBJECTS))

    def _forget(self, word: str) -> None:
        """An object that the model is not like the other in, and what that says of it."""
        self._objects.pop(word, None)
        self._logs.pop(word, None)
        for kind in ("alarms", "status"):
            self._tables[kind].pop(word, None)
            self._unsure.pop("%s.%s" % (kind, word), None)

    def _all_logs(self, item: Item | None) -> None:
        for key, value in self._pairs(item, "a mapping of logs to tables of events"):
            try:
                self._known_object(key, [PROFILE_GENERIC])
                known = {word: word for word in self._tables["events"]}
                if not known:
                    raise value.problem("expected a table in `events:` for it, there is none")
                self._logs[key.raw] = _word(known)(value)
            except Problem as problem:
                self.problems.append(problem)

    def _known_object(self, key: Item, classes: list[int]) -> None:
        if key.raw not in self._objects:
            raise key.problem(
                "expected a word that stands in `objects:` too, got '%s'%s"
                % (key.raw, nearest(key.raw, self._objects))
            )
        class_id = self._objects[key.raw][0]
        if class_id not in classes:
            raise key.problem(
                "expected an object of class %s, %s is a %s"
                % (
                    " or ".join(names.class_name(each) for each in classes),
                    key.raw,
                    names.class_name(class_id),
                )
            )

    # ------------------------------------------------------------ tables

    def _all_tables(self, kind: str, item: Item | None) -> None:
        for key, value in self._pairs(item, "a mapping of words to tables"):
            try:
                word = _short(key, "a word for a table", 32)
                if kind != "events":
                    self._known_object(key, [1, 3, 4])
                rows = self._tables[kind].setdefault(word, {})
                rows.update(self._rows(value))
                if len(rows) > MAX_MEANINGS:
                    raise key.problem("expected at most %d rows in a table" % MAX_MEANINGS)
                if kind != "events":
                    self._told_apart(value, rows)
            except Problem as problem:
                self.problems.append(problem)

    def _rows(self, item: Item) -> Rows:
        rows: Rows = {}
        for key, value in self._pairs(item, "a mapping such as `1: [power failure, ...]`"):
            try:
                numbers = _numbers(key)
                texts = _texts(value)
                for number in numbers:
                    if number in rows:
                        raise key.problem("%d stands here a second time; expected it once" % number)
                    rows[number] = Meaning(number, *texts)
            except Problem as problem:
                self.problems.append(problem)
        return rows

    def _told_apart(self, item: Item, rows: Rows) -> None:
        """Packages name bits by their words."""
        seen: dict[str, int] = {}
        for number, row in rows.items():
            if row.english in seen:
                raise item.problem(
                    "expected different words for different bits, %d and %d are both '%s'"
                    % (seen[row.english], number, row.english)
                )
            seen[row.english] = number

    def _check_tables(self, fields: Fields) -> None:
        item = fields.get("events")
        for word in list(self._tables["events"]):
            if word in self._logs.values():
                continue
            if item is None:  # taken over, and of logs that these meters have not
                del self._tables["events"][word]
                self._unsure.pop("events." + word, None)
            else:
                self.problems.append(
                    item.problem("expected a log in `logs:` that has the events '%s'" % word)
                )

    def _all_holds(self, item: Item | None) -> None:
        if item is None:
            return
        try:
            fields = item.fields("`holds:`", [], HOLDS)
        except Problem as problem:
            self.problems.append(problem)
            return
        for name, read in HOLDS.items():
            value = fields.get(name)
            if value is not None:
                try:
                    self._holds[name] = read(value)
                except Problem as problem:
                    self.problems.append(problem)

    # ------------------------------------------------------------ evidence

    def _all_sources(self, fields: Fields) -> None:
        for key, value in self._pairs(fields.get("sources"), "a mapping of keys to sources"):
            try:
                word = _short(key, "a key for a source", 32)
                self._sources[word] = _short(value, "what the source is", 256)
            except Problem as problem:
                self.problems.append(problem)
        for key, value in self._pairs(fields.get("unsure"), "a mapping of places to reasons"):
            try:
                self._known_path(key)
                mark, why = value.items("a mark and a reason, such as [GK, not at hand]")
                self._unsure[key.raw] = (_mark(mark), _short(why, "a reason", 256))
            except Problem as problem:
                self.problems.append(problem)
            except ValueError:
                self.problems.append(value.expected("a mark and a reason, such as [NIE, why]"))

    def _known_path(self, key: Item) -> None:
        section, _, name = key.text("a place such as access.client").partition(".")
        there: dict[str, list[str]] = {each: list(names) for each, names in SECTIONS.items()}
        there["holds"] = list(HOLDS)
        there["objects"] = list(self._objects)
        there["logs"] = list(self._logs)
        for kind in TABLES:
            there[kind] = list(self._tables[kind])
        if section not in there or (name and name not in there[section]):
            known = there.get(section, list(there))
            raise key.problem(
                "expected a place of this file, such as %s.%s, got '%s'"
                % (section if section in there else "access", (known or ["..."])[0], key.raw)
            )

    # ------------------------------------------------------------ the whole

    def _made(self, root: Item) -> Compiled:
        rows = [(word, *self._objects[word]) for word in self._objects]
        self._values.setdefault("description", "")
        model = Model(**{**self._values, "objects": rows})
        try:
            Model.from_payload(model.to_payload())
        except Refused as refused:
            raise root.problem(refused.detail) from None
        size = len(model.to_payload())
        if size > MAX_SIGNED - ENVELOPE:
            raise root.problem(
                "expected a model of at most %d octets without its tables, got %d; leave out"
                " objects that nobody reads" % (MAX_SIGNED - ENVELOPE, size)
            )
        tables = Tables(
            model.name,
            model.number,
            rows,
            [*self._logs.items()],
            self._listed("events"),
            self._listed("alarms"),
            self._listed("status"),
            [*self._sources.items()],
            [(path, mark, why) for path, (mark, why) in self._unsure.items()],
            *[self._holds.get(name, []) for name in HOLDS],
        )
        return Compiled(model, Tables.from_payload(tables.to_payload()))

    def _listed(self, kind: str) -> list[Table]:
        return [
            Table(word, [meanings[number] for number in sorted(meanings)])
            for word, meanings in self._tables[kind].items()
        ]


def _short(item: Item, what: str, most: int) -> str:
    text = item.text(what)
    if len(text.encode()) > most:
        raise item.problem("expected %s of at most %d octets" % (what, most))
    return text


def _numbers(key: Item) -> list[int]:
    """Of `7` or `230-249`."""
    what = "a number, or a range such as 230-249"
    found = _CODES.fullmatch(key.text(what))
    if found is None:
        raise key.expected(what)
    first = int(found[1])
    last = int(found[2]) if found[2] else first
    if not first <= last <= 0xFFFFFFFF or last - first >= MAX_MEANINGS:
        raise key.expected(what)
    return list(range(first, last + 1))


def _texts(item: Item) -> tuple[str, str, str, str]:
    """English, Spanish, CIM code or "", mark or ""."""
    what = "[English, Spanish], then the CIM code and the mark, where there are"
    parts = item.items(what)
    if not 2 <= len(parts) <= 4:
        raise item.problem("expected %s, got %d texts" % (what, len(parts)))
    english = _short(parts[0], "the meaning in English", 128)
    spanish = _short(parts[1], "the meaning in Spanish", 128)
    cim = parts[2].raw if len(parts) > 2 else ""
    if cim and not _CIM.fullmatch(cim):
        raise parts[2].expected('a CIM EndDeviceEventType such as 3.26.0.85, or ""')
    return english, spanish, cim, _mark(parts[3]) if len(parts) > 3 else ""


def _mark(item: Item) -> str:
    word = item.raw
    if word not in MARKS:
        raise item.expected("one of %s" % ", ".join(MARKS))
    return word
