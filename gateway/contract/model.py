"""A model of meter, as data: where a meter keeps what every meter keeps somewhere else, and how one
speaks with it. The inventory names a meter's model; a meter without one is of our own, `ami`, which
is what the defaults here say.

`ami-package model` compiles a model from YAML. A concentrator takes it signed (COSE_Sign1,
envelope.py, by a key trusted for packages), and only with a higher number than it has: so nobody
puts back an old one.
"""

from __future__ import annotations

from gateway.contract import envelope
from gateway.contract.fields import Record, decoded, field, message, record, record_rule
from gateway.contract.refused import Refused
from gateway.contract.rules import (
    BOOL,
    UINT32,
    Rule,
    array_of,
    either,
    exactly,
    octets,
    or_null,
    row,
    text,
    tuples,
    uint,
)
from hal.rt import cbor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from hal.ports import Crypto

OWN = "ami"
MAX_SIGNED = 4096  # octets of a signed model
MAX_OBJECTS = 64

# how the value at a Place becomes a text
TEXT = 0  # printable ASCII, all of it
UP_TO_NUL = 1  # printable ASCII up to the first NUL, without blanks at its end
HEX = 2  # the octets as hex digits, lower case
NUMBER = 3  # an integer as decimal digits
READINGS = ("text", "up-to-nul", "hex", "number")

# referencing
LN, SN = 0, 1

# dialect of general-ciphering and general-signing: the Green Book's figures, or the other one that
# is met in the field
GREEN_BOOK, OTHER = 0, 1

# release: what to do once the conversation is over
NO_RELEASE, RELEASE, RELEASE_UNHEARD = 0, 1, 2
RELEASES = ("none", "answered", "unanswered")

# key_order: ids of global_key_transfer and key_transfer (Blue Book 4.4.7)
UNICAST_KEY, BROADCAST_KEY, AUTHENTICATION_KEY, MASTER_KEY = 0, 1, 2, 3

_OBIS = octets(6, 6)
_SAP = uint(65535, 1)
_SECONDS = uint(86400)
_U16 = uint(65535)


def _is_name(value: object) -> bool:
    if not isinstance(value, str) or not 1 <= len(value) <= 32:
        return False
    return all(c in "abcdefghijklmnopqrstuvwxyz0123456789-" for c in value)


NAME = Rule("1..32 of a-z, 0-9 and -", _is_name)
NAME_OR_NONE = either(exactly(""), NAME)


@record()
class Place(Record):
    """Where a value stands in the meter, and which of the readings above makes a text of it."""

    class_id: int = field(_SAP)
    obis: bytes = field(_OBIS)
    attribute: int = field(uint(127, 1))
    reading: int = field(uint(NUMBER), default=TEXT)


_PLACE = or_null(record_rule(Place))


@message("model", "model")
class Model(Record):
    """`name`: what inventory and packages call it. `number`: a concentrator takes a higher one of
    the same name only. `description` is for people.

    identity: `serial`, `model` and `firmware` stand at these places; None: it is not asked for.
    access: `client_sap`, `server_sap` for the work, `public_sap` (0: there is none) for the
    invocation counter. `referencing` LN or SN; `mechanism` 0..7 as in acse.py; `form` the place of
    the protection in policy.FORMS, `policy` 0x10, 0x20 or 0x30; `dialect` GREEN_BOOK or OTHER;
    `association` the object that HLS's proof goes to, `security_setup` the one of the keys,
    `key_order` the order in which they are changed.
    habits: `max_pdu` the largest APDU the meter may send (0: what the path takes); `services` the
    conformance bits to propose (0: all that we know); `pause_ms` before each request; `window` of
    general blocks; `release` NO_RELEASE, RELEASE or RELEASE_UNHEARD.
    counter: `counter` is the place of the highest invocation counter used with this client (None:
    the meter does not tell it), `start` the lowest that is used with a new meter.
    image: `image` the image transfer object; `broadcast` whether the meters take images by
    broadcast; `verify_s`, `activate_s` how long these two may take (0: as long as ours do).
    objects: (word, class, OBIS) of profiles and logs.
    """

    REASON = "bad-model"

    name: str = field(NAME)
    number: int = field(uint(UINT32, 1))
    description: str = field(text(256))
    serial: Place | None = field(
        _PLACE, default=Place(1, b"\x00\x00\x2a\x00\x00\xff", 2), within="identity"
    )
    model: Place | None = field(
        _PLACE, default=Place(1, b"\x00\x00\x60\x01\x01\xff", 2), within="identity"
    )
    firmware: Place | None = field(
        _PLACE, default=Place(1, b"\x01\x00\x00\x02\x00\xff", 2), within="identity"
    )
    client_sap: int = field(_SAP, default=1, within="access")
    server_sap: int = field(_SAP, default=1, within="access")
    public_sap: int = field(_U16, default=16, within="access")
    referencing: int = field(uint(SN), default=LN, within="access")
    mechanism: int = field(uint(7), default=5, within="access")
    form: int = field(uint(5), default=1, within="access")
    policy: int = field(
        either(exactly(0x10), exactly(0x20), exactly(0x30)), default=0x30, within="access"
    )
    dialect: int = field(uint(OTHER), default=GREEN_BOOK, within="access")
    association: bytes = field(_OBIS, default=b"\x00\x00\x28\x00\x00\xff", within="access")
    security_setup: bytes = field(_OBIS, default=b"\x00\x00\x2b\x00\x00\xff", within="access")
    key_order: list[int] = field(
        array_of(uint(MASTER_KEY), 4),
        default=[AUTHENTICATION_KEY, UNICAST_KEY, BROADCAST_KEY, MASTER_KEY],
        within="access",
    )
    max_pdu: int = field(_U16, default=0, within="habits")
    services: int = field(uint(0xFFFFFF), default=0, within="habits")
    pause_ms: int = field(uint(10000), default=0, within="habits")
    window: int = field(uint(63, 1), default=1, within="habits")
    release: int = field(uint(RELEASE_UNHEARD), default=RELEASE, within="habits")
    counter: Place | None = field(
        _PLACE, default=Place(1, b"\x00\x00\x2b\x01\x00\xff", 2, NUMBER), within="counting"
    )
    start: int = field(uint(UINT32), default=1, within="counting")
    image: bytes = field(_OBIS, default=b"\x00\x00\x2c\x00\x00\xff", within="image")
    broadcast: bool = field(BOOL, default=True, within="image")
    verify_s: int = field(_SECONDS, default=0, within="image")
    activate_s: int = field(_SECONDS, default=0, within="image")
    objects: list[tuple[str, int, bytes]] = field(
        tuples(row(text(32, 1), _SAP, _OBIS), MAX_OBJECTS), default=[]
    )

    @classmethod
    def decode(cls, raw: bytes, trust: Sequence[tuple[bytes, bytes]], crypto: Crypto) -> Model:
        """The model in an envelope that a key of `trust` signed.

        Refused: `bad-model` for whatever is not as the format describes, `unknown-signer`,
        `bad-signature`.
        """
        return cls.from_payload(proven(raw, trust, crypto))

    @classmethod
    def from_payload(cls, payload: bytes) -> Model:
        """The model of the CBOR inside the envelope. Refused `bad-model`."""
        return cls.of(decoded(payload, "model", cls.REASON))

    def to_payload(self) -> bytes:
        """The CBOR that goes into the envelope."""
        return cbor.encode(self.to_array())


def proven(raw: bytes, trust: Sequence[tuple[bytes, bytes]], crypto: Crypto) -> bytes:
    """What is signed in the envelope; refusals as Model.decode()."""
    if len(raw) > MAX_SIGNED:
        raise Refused("bad-model", "a model of %d octets, at most %d" % (len(raw), MAX_SIGNED))
    try:
        payload, _ = envelope.verify(raw, trust, crypto)
    except Refused as refused:
        if refused.reason != "malformed":
            raise
        raise Refused("bad-model", refused.detail)
    return payload
