"""What people call profiles and logs, and what models say of them: names by OBIS code, the words of
event codes and of status bits. The models are those shipped with this project.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from gateway.contract.rules import SERIAL
from tools.cosem import names
from tools.hes.orders.typed import OrderProblem, text_of
from tools.package.model import file
from tools.package.model.compile import shipped
from tools.package.model.tables import ENGLISH, Tables, bit_words, event_word

PROFILE_GENERIC = 7
LOAD_PROFILE = "load-profile"


@cache
def tables() -> dict[str, Tables]:
    """Of each model that is shipped."""
    return {name: shipped(name).tables for name in file.names()}


def parse(text: str) -> list[tuple[int, bytes]]:
    """The objects (class id, OBIS) that a name such as "load-profile" may stand for, or the one of
    an OBIS code. OrderProblem.
    """
    found = {
        (class_id, obis)
        for each in tables().values()
        for word, class_id, obis in each.objects
        if word == text
    }
    if found:
        return sorted(found)
    try:
        return [names.parse_object(text if " " in text else "profile_generic " + text)]
    except names.NameProblem:
        known = sorted(
            {
                word
                for each in tables().values()
                for word, class_id, _ in each.objects
                if class_id == PROFILE_GENERIC
            }
        )
        raise OrderProblem(
            "expected a profile such as load-profile or 1.0.99.1.0.255, got '%s'; models name: %s"
            % (text, ", ".join(known))
        ) from None


def word_of(obis: bytes, model: str | None = None) -> str:
    """What models call the object; "" where they do not, or not all the same."""
    if model is not None:
        return tables()[model].word_of(obis)
    words = {each.word_of(obis) for each in tables().values()} - {""}
    return words.pop() if len(words) == 1 else ""


def check_model(name: str) -> str:
    if name not in tables():
        raise OrderProblem(
            "expected --model to be one of %s, got '%s'" % (", ".join(sorted(tables())), name)
        )
    return name


def read_models(path: Path) -> dict[str, str]:
    """Model by serial, of a concentrator's meters.jsonl. OrderProblem; OSError."""
    found = {}
    for number, line in enumerate(text_of(path).splitlines(), 1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
            serial, model = fields["serial"], fields.get("model", "ami")
            good = SERIAL.fits(serial) and isinstance(model, str)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            good = False
        if not good:
            raise OrderProblem('%s:%d: expected {"serial": ..., "model": ...}' % (path, number))
        found[serial] = model
    return found


def event_text(
    log_obis: bytes, code: int, model: str | None = None, language: str = ENGLISH
) -> tuple[str, bool]:
    """The words of an event, and whether they are sure: without a model only if all models that
    have such a log agree.
    """
    asked: Iterable[Tables] = tables().values() if model is None else [tables()[model]]
    found = set()
    for each in asked:
        table = each.log_of(log_obis)
        if table is not None and table.find(code) is not None:
            found.add(event_word(table, code, language))
    if len(found) == 1:
        return found.pop(), True
    return "%d" % code, not found


def status_words(obis: bytes, value: object, model: str | None = None) -> list[str]:
    """The bits that are set in a status word, where its model names them."""
    typed = (_TAGS.get(type(value), 0), value)
    for each in [tables()[model]] if model is not None else tables().values():
        table = each.bits_of(obis)
        if table is not None:
            return bit_words(table, typed)
    return []


_TAGS: dict[type, int] = {int: 6, bytes: 9, str: 4}  # as set_bits() tells them apart
