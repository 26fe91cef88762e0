"""objects: what the association lets this client see (class 15, object_list; with short names class
12, which has base names in place of rights)."""

from __future__ import annotations

import argparse
from typing import Any

from gateway.dlms.client.client import SN, Client
from gateway.dlms.data import axdr, cosem, obis
from gateway.dlms.errors import ProtocolError
from tools.cosem.names import class_name
from tools.dlms.failure import DONE
from tools.dlms.output import console, print_json, row, table
from tools.dlms.session import Settings, conversation

ASSOCIATION_LN, OBJECT_LIST = 15, 2
ASSOCIATION_SN = 12
CURRENT = obis.parse("0.0.40.0.0.255")

# access modes up to version 2 of the class; the authenticated ones begin at 4
_MODES = ["-", "r", "w", "rw", "r auth", "w auth", "rw auth"]
_METHOD_MODES = ["-", "x", "x auth"]
# version 3: a bit each (Green Book, access mode of association LN version 3)
_BITS = {4: "auth req", 8: "enc req", 16: "sign req", 32: "auth resp", 64: "enc resp",
         128: "sign resp"}  # fmt: skip

Typed = tuple[int, Any]


class Entry:
    """One object of the list: class, version, logical name, and the rights to each member by
    name."""

    def __init__(self, class_id: int, version: int, name: bytes) -> None:
        self.class_id = class_id
        self.version = version
        self.obis = name
        self.attributes: list[tuple[int, int, list[int]]] = []  # index, mode, selectors
        self.methods: list[tuple[int, int]] = []  # index, mode
        self.base: int | None = None  # with short names
        self._interface = cosem.find(class_id, version)

    def attribute_name(self, index: int) -> str:
        known = self._interface
        return "attribute %d" % index if known is None else known.attribute_name(index)

    def method_name(self, index: int) -> str:
        known = self._interface
        return "method %d" % index if known is None else known.method_name(index)


async def objects(options: argparse.Namespace, settings: Settings) -> int:
    async with conversation(settings) as client:
        if settings.referencing == SN:
            entries = await short_list(client)
        else:
            entries = await object_list(client)
    if options.of_class is not None:
        wanted = options.of_class.lower().replace("-", "_")
        entries = [e for e in entries if wanted in (class_name(e.class_id), str(e.class_id))]
    # the rights in this list are spelt as the version of the association itself says
    version = max([e.version for e in entries if e.class_id == ASSOCIATION_LN], default=0)
    if settings.json:
        print_json([_json(entry, version) for entry in entries])
        return DONE
    made = table(
        "object",
        "class",
        *(["base name"] if settings.referencing == SN else ["attributes", "methods"]),
        title="%d object%s" % (len(entries), "" if len(entries) == 1 else "s"),
    )
    for entry in entries:
        made.add_section()
        named = "%s (%d)\nversion %d" % (class_name(entry.class_id), entry.class_id, entry.version)
        if entry.base is not None:
            row(made, obis.text(entry.obis), named, "0x%04X" % entry.base)
            continue
        row(
            made,
            obis.text(entry.obis),
            named,
            "\n".join(
                "%d %s: %s" % (index, name, rights) + (" by %s" % by if by else "")
                for index, name, rights, by in _attributes(entry, version)
            ),
            "\n".join("%d %s: %s" % each for each in _methods(entry, version)),
        )
    console().print(made)
    return DONE


async def object_list(client: Client) -> list[Entry]:
    """ProtocolError when it is not the Blue Book's."""
    typed = axdr.decode(await client.get(ASSOCIATION_LN, CURRENT, OBJECT_LIST))
    try:
        return [_entry(element) for element in _inside(typed, axdr.ARRAY)]
    except (ValueError, TypeError, IndexError) as error:
        raise ProtocolError("object_list: not as the Blue Book has it: %s" % error) from None


async def short_list(client: Client) -> list[Entry]:
    """ProtocolError when it is not the Blue Book's."""
    typed = axdr.decode(await client.get(ASSOCIATION_SN, CURRENT, OBJECT_LIST))
    entries = []
    try:
        for element in _inside(typed, axdr.ARRAY):
            base, class_id, version, name = _inside(element, axdr.STRUCTURE)
            entry = Entry(
                _inside(class_id, axdr.LONG_UNSIGNED),
                _inside(version, axdr.UNSIGNED),
                _inside(name, axdr.OCTET_STRING),
            )
            obis.text(entry.obis)
            entry.base = _inside(base, axdr.LONG) & 0xFFFF
            entries.append(entry)
    except (ValueError, TypeError, IndexError) as error:
        raise ProtocolError("object_list: not as the Blue Book has it: %s" % error) from None
    return entries


def _entry(typed: Typed) -> Entry:
    class_id, version, name, access = _inside(typed, axdr.STRUCTURE)
    entry = Entry(
        _inside(class_id, axdr.LONG_UNSIGNED),
        _inside(version, axdr.UNSIGNED),
        _inside(name, axdr.OCTET_STRING),
    )
    obis.text(entry.obis)
    attributes, methods = _inside(access, axdr.STRUCTURE)
    for each in _inside(attributes, axdr.ARRAY):
        index, mode, selectors = _inside(each, axdr.STRUCTURE)
        chosen = [] if selectors[0] == axdr.NULL else _inside(selectors, axdr.ARRAY)
        entry.attributes.append(
            (_inside(index, axdr.INTEGER), int(mode[1]), [int(number) for _, number in chosen])
        )
    for each in _inside(methods, axdr.ARRAY):
        index, mode = _inside(each, axdr.STRUCTURE)
        entry.methods.append((_inside(index, axdr.INTEGER), int(mode[1])))
    return entry


def _inside(typed: Typed, tag: int) -> Any:
    if typed[0] != tag:
        raise ValueError("%s where %s is due" % (axdr.TAGS[typed[0]], axdr.TAGS[tag]))
    return typed[1]


def rights(mode: int, version: int, method: bool = False) -> str:
    """An access mode in words: `r`, `rw`, `x`, with what it takes."""
    if version < 3:
        known = _METHOD_MODES if method else _MODES
        return known[mode] if 0 <= mode < len(known) else "mode %d" % mode
    base = ("x" if mode & 1 else "") if method else "r" * (mode & 1) + "w" * (mode >> 1 & 1)
    needs = [name for bit, name in _BITS.items() if mode & bit]
    return " ".join([base or "-", *needs])


def _attributes(entry: Entry, version: int) -> list[tuple[int, str, str, str]]:
    return [
        (
            index,
            entry.attribute_name(index),
            rights(mode, version),
            "+".join({1: "range", 2: "entry"}.get(number, str(number)) for number in selectors),
        )
        for index, mode, selectors in entry.attributes
    ]


def _methods(entry: Entry, version: int) -> list[tuple[int, str, str]]:
    return [
        (index, entry.method_name(index), rights(mode, version, True))
        for index, mode in entry.methods
    ]


def _json(entry: Entry, version: int) -> dict[str, Any]:
    document: dict[str, Any] = {
        "class": class_name(entry.class_id),
        "class_id": entry.class_id,
        "version": entry.version,
        "obis": obis.text(entry.obis),
    }
    if entry.base is not None:
        return {**document, "base_name": entry.base}
    return {
        **document,
        "attributes": [
            {"index": index, "name": name, "access": access, "selectors": by.split("+") * bool(by)}
            for index, name, access, by in _attributes(entry, version)
        ],
        "methods": [
            {"index": index, "name": name, "access": access}
            for index, name, access in _methods(entry, version)
        ],
    }
