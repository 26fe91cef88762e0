"""A signed package: what the vendor's tool made of a configuration, for the activity that carries
it out.

COSE_Sign1 (envelope.py) over CBOR, as messages.cddl says under `package`. The checks are the wanted
end state: when all hold at the start nothing is written; otherwise the steps run in order (a set
only where the value differs, an action only where its own check does not hold yet), then every
check is read back.
"""

from __future__ import annotations

from gateway.contract import envelope
from gateway.contract.shape import (
    NULL,
    VERSION,
    array_of,
    decoded,
    either,
    octets,
    require,
    row,
    text,
    uint,
)
from hal.rt import cbor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from hal.ports import Crypto

SET = 1
ACTION = 2

MAX_STEPS = 256
MAX_CHECKS = 256
MAX_TARGETS = 64
MAX_PERMITS = 8
MAX_DATA = 65535  # octets of one A-XDR value

_CLASS = uint(65535, 1)
_OBIS = octets(6, 6)
_MEMBER = uint(127, 1)  # attribute or method index, Integer8 in the Green Book
_DATA = octets(MAX_DATA, 1)
_CHECK = [_CLASS, _OBIS, _MEMBER, _DATA]


class Check:
    """The attribute has this value: `data` is its raw A-XDR encoding."""

    __slots__ = ("attribute", "class_id", "data", "obis")

    def __init__(self, class_id: int, obis: bytes, attribute: int, data: bytes) -> None:
        self.class_id = class_id
        self.obis = obis
        self.attribute = attribute
        self.data = data

    def to_array(self) -> list[Any]:
        return [self.class_id, self.obis, self.attribute, self.data]


class Set:
    """Write `data` (A-XDR) to the attribute, unless it already has it."""

    __slots__ = ("attribute", "class_id", "data", "obis")

    def __init__(self, class_id: int, obis: bytes, attribute: int, data: bytes) -> None:
        self.class_id = class_id
        self.obis = obis
        self.attribute = attribute
        self.data = data

    def to_array(self) -> list[Any]:
        return [SET, self.class_id, self.obis, self.attribute, self.data]


class Action:
    """Invoke the method with `data` (A-XDR, or None: no parameter), unless `check` holds already;
    it holds afterwards.
    """

    __slots__ = ("check", "class_id", "data", "method", "obis")

    def __init__(
        self, class_id: int, obis: bytes, method: int, data: bytes | None, check: Check
    ) -> None:
        self.class_id = class_id
        self.obis = obis
        self.method = method
        self.data = data
        self.check = check

    def to_array(self) -> list[Any]:
        return [ACTION, self.class_id, self.obis, self.method, self.data, self.check.to_array()]


class Package:
    """`targets` pairs (model, firmware prefixes; none: any firmware); `steps` of Set and Action;
    `checks` of Check; `permits` what it may touch that others may not
    (activities/protected_objects.py).
    """

    __slots__ = ("checks", "description", "name", "permits", "steps", "targets", "version")

    def __init__(
        self,
        name: str,
        version: str,
        description: str,
        targets: list[tuple[str, list[str]]],
        steps: list[Set | Action],
        checks: list[Check],
        permits: list[str] | None = None,
    ) -> None:
        self.name = name
        self.version = version
        self.description = description
        self.targets = targets
        self.steps = steps
        self.checks = checks
        self.permits = permits or []

    @classmethod
    def decode(cls, raw: bytes, trust: Sequence[tuple[bytes, bytes]], crypto: Crypto) -> Package:
        """The package in an envelope that a key of `trust` signed.

        Refused: `bad-package` for whatever is not as the format describes, `unknown-signer`, `bad-
        signature`.
        """
        return cls.from_payload(envelope.verify_package(raw, trust, crypto))

    @classmethod
    def from_payload(cls, payload: bytes) -> Package:
        """The package of the CBOR inside the envelope. Refused `bad-package`."""
        fields = _require(
            decoded(payload, "package", "bad-package"),
            "package",
            "format name version description targets steps checks permits",
            [
                VERSION,
                text(64, 1),
                text(32, 1),
                text(1024),
                array_of(row(text(32, 1), array_of(text(32), 32)), MAX_TARGETS, 1),
                array_of(_SOME_STEP, MAX_STEPS),
                array_of(row(*_CHECK), MAX_CHECKS, 1),
                array_of(text(16, 1), MAX_PERMITS),
            ],
        )
        return cls(
            fields[1],
            fields[2],
            fields[3],
            [(model, prefixes) for model, prefixes in fields[4]],
            [_step(step) for step in fields[5]],
            [Check(*check) for check in fields[6]],
            fields[7],
        )

    def to_payload(self) -> bytes:
        """The CBOR that goes into the envelope: envelope.sign(package.to_payload(), kid,
        private_sign).
        """
        return cbor.encode(
            [
                1,
                self.name,
                self.version,
                self.description,
                [[model, prefixes] for model, prefixes in self.targets],
                [step.to_array() for step in self.steps],
                [check.to_array() for check in self.checks],
                self.permits,
            ]
        )


_SOME_STEP = either(
    row(uint(SET, SET), *_CHECK),
    row(uint(ACTION, ACTION), _CLASS, _OBIS, _MEMBER, either(_DATA, NULL), row(*_CHECK)),
)


def _require(value: Any, what: str, names: str, checks: list[Any]) -> list[Any]:
    return require(value, what, names, checks, "bad-package")


def _step(step: list[Any]) -> Set | Action:
    if step[0] == SET:
        return Set(*step[1:])
    return Action(step[1], step[2], step[3], step[4], Check(*step[5]))
