"""A signed package: what the vendor's tool made of a configuration, for the activity that carries
it out.

COSE_Sign1 (envelope.py) over CBOR, as messages.cddl says under `package`. The checks are the wanted
end state: when all hold at the start nothing is written; otherwise the steps run in order (a set
only where the value differs, an action only where its own check does not hold yet), then every
check is read back.
"""

from __future__ import annotations

from gateway.contract import envelope
from gateway.contract.fields import (
    Record,
    field,
    list_of,
    message,
    one_of,
    record,
    record_rule,
)
from gateway.contract.limits import MAX_CHECKS, MAX_DATA, MAX_PERMITS, MAX_STEPS, MAX_TARGETS
from gateway.contract.model_name import NAME_OR_NONE
from gateway.contract.rules import array_of, octets, or_null, row, text, tuples, uint
from hal.rt import cbor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from hal.ports import Crypto

_CLASS = uint(65535, 1)
_OBIS = octets(6, 6)
_MEMBER = uint(127, 1)  # attribute or method index, Integer8 in the Green Book
_DATA = octets(MAX_DATA, 1)
TARGETS = tuples(row(text(32, 1), array_of(text(32), 32)), MAX_TARGETS, 1)


@record()
class Check(Record):
    """The attribute has this value: `data` is its raw A-XDR encoding."""

    class_id: int = field(_CLASS)
    obis: bytes = field(_OBIS)
    attribute: int = field(_MEMBER)
    data: bytes = field(_DATA)


@record(1)
class Set(Record):
    """Write `data` (A-XDR) to the attribute, unless it already has it."""

    class_id: int = field(_CLASS)
    obis: bytes = field(_OBIS)
    attribute: int = field(_MEMBER)
    data: bytes = field(_DATA)


@record(2)
class Action(Record):
    """Invoke the method with `data` (A-XDR, or None: no parameter), unless `check` holds already;
    it holds afterwards.
    """

    class_id: int = field(_CLASS)
    obis: bytes = field(_OBIS)
    method: int = field(_MEMBER)
    data: bytes | None = field(or_null(_DATA))
    check: Check = field(record_rule(Check))


@message("package")
class Package(Record):
    """`targets` pairs (model, firmware prefixes; none: any firmware); `steps` of Set and Action;
    `checks` of Check; `permits` what it may touch that others may not
    (activities/protected_objects.py); `model` the model of meter that it was compiled for, ""
    where it is for any.
    """

    REASON = "bad-package"

    name: str = field(text(64, 1))
    version: str = field(text(32, 1))
    description: str = field(text(1024))
    targets: list[tuple[str, list[str]]] = field(TARGETS)
    steps: list[Set | Action] = field(list_of(one_of(Set, Action), MAX_STEPS))
    checks: list[Check] = field(list_of(record_rule(Check), MAX_CHECKS, 1))
    permits: list[str] = field(array_of(text(16, 1), MAX_PERMITS), default=[])
    model: str = field(NAME_OR_NONE, default="", late=True)

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
        return cls.of_octets(payload)

    def to_payload(self) -> bytes:
        """The CBOR that goes into the envelope: envelope.sign(package.to_payload(), kid,
        private_sign).
        """
        return cbor.encode(self.to_array())
