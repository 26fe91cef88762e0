"""identify: who is there, and what it agrees to."""

from __future__ import annotations

import argparse
from typing import Any

from gateway.contract.place import Place
from gateway.dlms.data import obis
from gateway.dlms.errors import DlmsError
from gateway.dlms.protection.security_setup import SECURITY_SETUP
from tools.cosem import render
from tools.cosem.names import ATTRIBUTE, Member
from tools.dlms import shown
from tools.dlms.failure import DONE
from tools.dlms.members import answer_json, read, value_of
from tools.dlms.output import console, print_json, row, table
from tools.dlms.session import Settings, conversation

_AS_OURS = [
    ("logical device name", 1, "0.0.42.0.0.255", 2),
    ("serial number", 1, "0.0.96.1.0.255", 2),
    ("model", 1, "0.0.96.1.1.255", 2),
    ("active firmware", 1, "1.0.0.2.0.255", 2),
    ("time", 8, "0.0.1.0.0.255", 2),
    ("invocation counter", 1, "0.0.43.1.0.255", 2),
    ("security suite", 64, "0.0.43.0.0.255", 3),
    ("security policy", 64, "0.0.43.0.0.255", 2),
    ("system title", 64, "0.0.43.0.0.255", 5),
    ("authentication", 15, "0.0.40.0.0.255", 6),
    ("logical devices", 17, "0.0.41.0.0.255", 2),
]


def _questions(settings: Settings, by_model: bool) -> list[tuple[str, Member, Place | None]]:
    """What is asked for, and where; the place tells how the value is read there."""
    asked: list[tuple[str, Member, Place | None]] = [
        (what, Member(ATTRIBUTE, class_id, obis.parse(name), index), None)
        for what, class_id, name, index in _AS_OURS
    ]
    if not by_model:
        return asked
    model = settings.model
    places = {
        "serial number": model.serial,
        "model": model.model,
        "active firmware": model.firmware,
        "invocation counter": model.counter,
    }
    found = []
    for what, member, _ in asked:
        place = places.get(what)
        if what in places and place is None:
            continue  # meters of this model do not tell
        if place is not None:
            member = Member(ATTRIBUTE, place.class_id, place.obis, place.attribute)
        elif member.class_id == SECURITY_SETUP:
            member = Member(ATTRIBUTE, SECURITY_SETUP, model.security_setup, member.index)
        found.append((what, member, place))
    return found


async def identify(options: argparse.Namespace, settings: Settings) -> int:
    questions = _questions(settings, options.model is not None)
    members = [member for _, member, _ in questions]
    async with conversation(settings) as client:
        answers = await read(client, members)
        services = shown.conformance(client.conformance)
    if settings.json:
        document: dict[str, Any] = {"services": services}
        for (what, *_), answer in zip(questions, answers, strict=True):
            document[what.replace(" ", "_")] = answer_json(answer)
        print_json(document)
        return DONE
    made = table(str(settings.place), "", "read from")
    for (what, each, place), answer in zip(questions, answers, strict=True):
        if isinstance(answer, DlmsError):
            continue  # the client may not see it, or the meter has none
        typed = value_of(answer)
        meant = "" if typed is None else shown.meaning(each.class_id, each.index, typed)
        if place is not None:
            meant = shown.quoted(answer, place)
        row(made, what, meant or render.data(answer), str(each))
    row(made, "services agreed", "\n".join(services), "client %d" % settings.client)
    console().print(made)
    return DONE
