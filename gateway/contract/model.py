"""A model of meter, as data: where a meter keeps what every meter keeps somewhere else, and how one
speaks with it. The inventory names a meter's model; a meter without one is of our own, `ami`, which
is what the defaults (own_model.py) say.

`ami-package model` compiles a model from YAML. A concentrator takes it signed (COSE_Sign1,
envelope.py, by a key trusted for packages), and only with a higher number than it has: so nobody
puts back an old one.
"""

from __future__ import annotations

from gateway.contract.fields import Record, field, message, record_rule
from gateway.contract.model_name import NAME, OWN
from gateway.contract.own_model import (
    MASTER_KEY,
    OTHER,
    OWN_MODEL,
    RELEASE_UNHEARD,
    RELEASES,
    SN,
)
from gateway.contract.place import READINGS, Place
from gateway.contract.rules import (
    BOOL,
    UINT32,
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
from gateway.contract.signed_model import proven
from hal.rt import cbor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from hal.ports import Crypto

__all__ = (
    "MAX_OBJECTS",
    "NAME",
    "OWN",
    "READINGS",
    "RELEASES",
    "Model",
    "Place",
)

MAX_OBJECTS = 64

_OBIS = octets(6, 6)
_SAP = uint(65535, 1)
_SECONDS = uint(86400)
_U16 = uint(65535)
_POLICY = either(exactly(0x10), exactly(0x20), exactly(0x30))
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
    serial: Place | None = field(_PLACE, default=OWN_MODEL.serial, within="identity")
    model: Place | None = field(_PLACE, default=OWN_MODEL.model, within="identity")
    firmware: Place | None = field(_PLACE, default=OWN_MODEL.firmware, within="identity")
    client_sap: int = field(_SAP, default=OWN_MODEL.client_sap, within="access")
    server_sap: int = field(_SAP, default=OWN_MODEL.server_sap, within="access")
    public_sap: int = field(_U16, default=OWN_MODEL.public_sap, within="access")
    referencing: int = field(uint(SN), default=OWN_MODEL.referencing, within="access")
    mechanism: int = field(uint(7), default=OWN_MODEL.mechanism, within="access")
    form: int = field(uint(5), default=OWN_MODEL.form, within="access")
    policy: int = field(_POLICY, default=OWN_MODEL.policy, within="access")
    dialect: int = field(uint(OTHER), default=OWN_MODEL.dialect, within="access")
    association: bytes = field(_OBIS, default=OWN_MODEL.association, within="access")
    security_setup: bytes = field(_OBIS, default=OWN_MODEL.security_setup, within="access")
    key_order: list[int] = field(
        array_of(uint(MASTER_KEY), 4), default=OWN_MODEL.key_order, within="access"
    )
    max_pdu: int = field(_U16, default=OWN_MODEL.max_pdu, within="habits")
    services: int = field(uint(0xFFFFFF), default=OWN_MODEL.services, within="habits")
    pause_ms: int = field(uint(10000), default=OWN_MODEL.pause_ms, within="habits")
    window: int = field(uint(63, 1), default=OWN_MODEL.window, within="habits")
    release: int = field(uint(RELEASE_UNHEARD), default=OWN_MODEL.release, within="habits")
    counter: Place | None = field(_PLACE, default=OWN_MODEL.counter, within="counting")
    start: int = field(uint(UINT32), default=OWN_MODEL.start, within="counting")
    image: bytes = field(_OBIS, default=OWN_MODEL.image, within="image")
    broadcast: bool = field(BOOL, default=OWN_MODEL.broadcast, within="image")
    verify_s: int = field(_SECONDS, default=OWN_MODEL.verify_s, within="image")
    activate_s: int = field(_SECONDS, default=OWN_MODEL.activate_s, within="image")
    objects: list[tuple[str, int, bytes]] = field(
        tuples(row(text(32, 1), _SAP, _OBIS), MAX_OBJECTS), default=[]
    )

    @classmethod
    def decode(cls, raw: bytes, trust: Sequence[tuple[bytes, bytes]], crypto: Crypto) -> Model:
        """The model in an envelope that a key of `trust` signed.

        Refused: `bad-model` for whatever is not as the format describes, and as proven().
        """
        return cls.from_payload(proven(raw, trust, crypto))

    @classmethod
    def from_payload(cls, payload: bytes) -> Model:
        """The model of the CBOR inside the envelope. Refused `bad-model`."""
        return cls.of_octets(payload)

    def to_payload(self) -> bytes:
        """The CBOR that goes into the envelope."""
        return cbor.encode(self.to_array())
