"""get, set, action: single attributes and methods."""

from __future__ import annotations

import argparse
from typing import Any

from rich.text import Text

from gateway.dlms.apdu import acse
from gateway.dlms.client.client import Client
from gateway.dlms.data import axdr
from gateway.dlms.errors import AccessRefused, DlmsError, NotSupported, ProtocolError
from tools.cosem import names, render, source, values
from tools.cosem.names import ATTRIBUTE, METHOD, Member
from tools.cosem.units import ScalerUnit, read_scaler_unit
from tools.dlms import failure, shown
from tools.dlms.failure import DONE, REFUSED, CallProblem
from tools.dlms.output import console, print_json, row, say, table
from tools.dlms.session import Settings, conversation
from tools.dlms.trace import holds_secret
from tools.dlms.words import VALUE, Words

LIST = 16  # attributes in one request
# class: (attributes that are scaled, the attribute that says how)
_SCALED = {3: ((2,), 3), 4: ((2,), 3), 5: ((2, 3), 4)}

Answer = bytes | DlmsError


def member(text: str, kind: str) -> Member:
    """`clock 0.0.1.0.0.255 time`; CallProblem says which word is wrong."""
    try:
        return names.parse(text, kind)
    except names.NameProblem as error:
        raise CallProblem("'%s': %s" % (text, error)) from None


def typed_value(text: str) -> bytes:
    """A-XDR of a value as packages spell it; CallProblem points at what is wrong."""
    try:
        return axdr.encode(values.typed(source.parse(text, "value")))
    except source.Problem as problem:
        raise CallProblem(str(problem)) from None
    except ValueError as error:
        raise CallProblem("value: %s" % error) from None


async def read(client: Client, members: list[Member]) -> list[Answer]:
    """The value of each, or why not; with-list where the meter agreed to it."""
    found: list[Answer] = []
    together = LIST if client.conformance & acse.MULTIPLE_REFERENCES else 1
    for start in range(0, len(members), together):
        found += await _read_some(client, members[start : start + together])
    return found


async def _read_some(client: Client, members: list[Member]) -> list[Answer]:
    if len(members) > 1:
        try:
            answers = await client.get_list([(*each.key, None) for each in members])
        except (AccessRefused, NotSupported):
            pass  # as a list it does not go: one by one
        else:
            return [
                await _read_one(client, each) if data is None else data
                for each, (_, data) in zip(members, answers, strict=True)
            ]
    return [await _read_one(client, each) for each in members]


async def _read_one(client: Client, wanted: Member) -> Answer:
    try:
        return await client.get(*wanted.key)
    except AccessRefused as refused:
        return refused


def value_of(answer: Answer) -> tuple[int, Any] | None:
    """The decoded value; None where there is none."""
    if isinstance(answer, DlmsError):
        return None
    try:
        return axdr.decode(answer)
    except ProtocolError:
        return None


def answer_json(answer: Answer) -> dict[str, Any]:
    """The value in JSON, or {"error": why not}."""
    return failure.as_json(answer) if isinstance(answer, DlmsError) else shown.raw_as_json(answer)


# ---------------------------------------------------------------- get


async def get(options: argparse.Namespace, settings: Settings) -> int:
    wanted = [member(text, ATTRIBUTE) for text in options.attributes]
    scalers: dict[Member, Member] = {}
    for each in wanted:
        scaled, how = _SCALED.get(each.class_id, ((), 0))
        if each.index in scaled:
            scalers[each] = Member(ATTRIBUTE, each.class_id, each.obis, how)
    extra = [each for each in dict.fromkeys(scalers.values()) if each not in wanted]
    async with conversation(settings) as client:
        answers = dict(zip([*wanted, *extra], await read(client, [*wanted, *extra]), strict=True))
    units = {each: _scaler_unit(answers[scaler]) for each, scaler in scalers.items()}
    if settings.json:
        print_json(
            [_get_json(each, answers[each], units.get(each), settings.words) for each in wanted]
        )
    else:
        made = table("attribute", "value", "")
        for each in wanted:
            row(made, str(each), *_get_cells(each, answers[each], units.get(each), settings.words))
        console().print(made)
    failures = [answer for answer in map(answers.__getitem__, wanted) if _failed(answer)]
    return REFUSED if failures else DONE


def _failed(answer: Answer) -> bool:
    return isinstance(answer, DlmsError)


def _scaler_unit(answer: Answer) -> ScalerUnit | None:
    typed = value_of(answer)
    return None if typed is None else read_scaler_unit(typed)


def _get_cells(
    wanted: Member, answer: Answer, unit: ScalerUnit | None, words: Words
) -> list[str | Text]:
    if isinstance(answer, DlmsError):
        return [Text(failure.short(answer), "red"), failure.advice(answer)]
    return [render.lines(answer), _meaning(wanted, answer, unit, words)]


def _meaning(wanted: Member, answer: bytes, unit: ScalerUnit | None, words: Words) -> str:
    typed = value_of(answer)
    if typed is None:
        return ""
    if bits := words.bits(wanted.obis, typed) if wanted.index == VALUE else "":
        return bits
    if unit is not None and type(typed[1]) is int:
        return unit.quantity(typed[1])
    return shown.meaning(wanted.class_id, wanted.index, typed)


def _get_json(
    wanted: Member, answer: Answer, unit: ScalerUnit | None, words: Words
) -> dict[str, Any]:
    found: dict[str, Any] = {"attribute": str(wanted)}
    if isinstance(answer, DlmsError):
        return {**found, **failure.as_json(answer)}
    found["value"] = shown.raw_as_json(answer)
    if meaning := _meaning(wanted, answer, unit, words):
        found["meaning"] = meaning
    return found


# ---------------------------------------------------------------- set, action


async def set(options: argparse.Namespace, settings: Settings) -> int:
    wanted = member(options.attribute, ATTRIBUTE)
    data = typed_value(options.value)
    async with conversation(settings) as client:
        await client.set(*wanted.key, data)
        try:
            back = (await read(client, [wanted]))[0]
        except DlmsError as error:
            back = error  # the write is done all the same
    if holds_secret(wanted.class_id, wanted.index):
        back = b""  # a meter that gives its secrets away does not make us show them
    same = back == data
    if settings.json:
        found: dict[str, Any] = {"attribute": str(wanted), "set": True, "same": same}
        if isinstance(back, DlmsError):
            found |= failure.as_json(back)
        elif back:
            found["value"] = shown.raw_as_json(back)
        print_json(found)
    elif same:
        say("%s: set, and read back the same: %s" % (wanted, render.data(data)))
    elif not back:
        say("%s: set" % wanted)
    elif isinstance(back, DlmsError):
        say("%s: set; it cannot be read back: %s" % (wanted, failure.one_line(back)))
    else:
        say("%s: set, but it reads %s" % (wanted, render.data(back)))
    return DONE


async def action(options: argparse.Namespace, settings: Settings) -> int:
    wanted = member(options.method, METHOD)
    data = None if options.value is None else typed_value(options.value)
    async with conversation(settings) as client:
        returned = await client.action(*wanted.key, data)
    if settings.json:
        document: dict[str, Any] = {"method": str(wanted), "done": True}
        if returned is not None:
            document["returned"] = shown.raw_as_json(returned)
        print_json(document)
    else:
        answer = "" if returned is None else ": %s" % render.data(returned)
        say("%s: done%s" % (wanted, answer))
    return DONE
