"""A model's file: what `ami-package model compile` writes, and what others read.

    CBOR array of two octet strings: the signed model, the signed tables

Each is an envelope of its own (gateway/contract/envelope.py): the first goes to concentrators as it
is, the second stays with people (tables.py). Where a model is asked for, it may be named too: then
it is one of those shipped with this project, or a YAML file that has not been compiled yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gateway.contract import envelope
from gateway.contract.fields import decoded
from gateway.contract.model import Model
from gateway.contract.refused import Refused
from hal.ports import Crypto
from hal.rt import cbor
from tools.package.keys import SigningKey
from tools.package.model.compile import MODELS, Compiled, compile_file, shipped
from tools.package.model.tables import Tables

MAX_FILE = 1 << 20


class ModelProblem(Exception):
    """What is named as a model is none; the text says what was expected."""


def signed(compiled: Compiled, key: SigningKey) -> bytes:
    """The file's content."""
    parts = [compiled.model.to_payload(), compiled.tables.to_payload()]
    return cbor.encode([envelope.sign(each, key.kid, key.sign) for each in parts])


def split(raw: bytes) -> tuple[bytes, bytes]:
    """(signed model, signed tables). Refused `bad-model`."""
    try:
        parts = decoded(raw, "model file", Model.REASON, 3, 1)
    except Refused:
        parts = None
    if not isinstance(parts, list) or [type(each) for each in parts] != [bytes, bytes]:
        raise Refused(Model.REASON, "no model file; `ami-package model compile` makes one of YAML")
    return parts[0], parts[1]


def read(raw: bytes) -> Compiled:
    """What is in the file, nothing proven. Refused."""
    model_raw, tables_raw = split(raw)
    model = Model.from_payload(envelope.split(model_raw)[1])
    tables = Tables.from_payload(envelope.split(tables_raw)[1])
    if (tables.name, tables.number) != (model.name, model.number):
        raise Refused(
            Model.REASON,
            "the tables are of %s %d, the model is %s %d"
            % (tables.name, tables.number, model.name, model.number),
        )
    return Compiled(model, tables)


def verify(raw: bytes, trust: Sequence[tuple[bytes, bytes]], crypto: Crypto) -> None:
    """Refused unless a key of `trust` signed both parts."""
    for part in split(raw):
        envelope.verify(part, trust, crypto)


def key_ids(raw: bytes) -> list[bytes]:
    """Of the keys that say they signed the two parts."""
    return [envelope.split(part)[0] for part in split(raw)]


def find(named: str) -> Compiled:
    """A shipped model's name, a YAML file or a compiled one. ModelProblem, Problems, Refused,
    OSError."""
    known = names()
    if named in known:
        return shipped(named)
    path = Path(named)
    if not path.exists():
        raise ModelProblem(
            "%s: expected a file, or one of the models shipped: %s" % (named, ", ".join(known))
        )
    if path.suffix in (".yaml", ".yml"):
        return compile_file(path)
    if path.stat().st_size > MAX_FILE:
        raise ModelProblem("%s: expected a model of at most %d bytes" % (named, MAX_FILE))
    return read(path.read_bytes())


def names() -> list[str]:
    """The models that are shipped."""
    return sorted(path.stem for path in MODELS.glob("*.yaml"))
