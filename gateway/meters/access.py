"""How we get into a meter: what its model says, with the keys and the secret that we hold."""

from __future__ import annotations

from gateway.contract.model_name import OWN
from gateway.contract.own_model import OWN_MODEL
from gateway.dlms.client.association import (
    HIGH,
    HIGH_ECDSA,
    HIGH_GMAC,
    HIGH_SHA256,
    LN,
    NONE,
    SN,
    Association,
)
from gateway.dlms.protection.hls import under_aes
from gateway.dlms.protection.keyring import Keys
from gateway.dlms.protection.policy import FORMS, PLAIN, Protection
from gateway.meters.line_fields import InventoryError
from gateway.meters.model_error import ModelError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.contract.model import Model
    from gateway.dlms.protection.hls import Algorithm
    from gateway.meters.inventory import Inventory, Meter
    from hal.ports import Crypto

_REFERENCING = (LN, SN)  # as own_model.py counts them


class Access:
    """`keys` with our own system title, None where the model has nothing to do with any; `secret`
    b"" likewise. `counter`: the invocation counter to begin with, at least."""

    __slots__ = ("algorithm", "counter", "keys", "model", "secret")

    def __init__(
        self, model: Model, keys: Keys | None, secret: bytes = b"", counter: int = 0
    ) -> None:
        self.model = model
        self.keys = keys
        self.secret = secret
        self.counter = counter
        self.algorithm: Algorithm | None = None  # of HLS 2

    @property
    def ciphered(self) -> bool:
        """Whether invocation counters are spent on this meter."""
        return self.keys is not None and self.keys.ek != b""

    @property
    def referencing(self) -> int:
        """LN or SN of association.py."""
        return _REFERENCING[self.model.referencing]

    def association(self, meter: Meter) -> Association:
        model = self.model
        return Association(
            meter.client_sap,
            meter.server_sap,
            model.mechanism,
            self.secret,
            self.keys,
            model.max_pdu,
            Protection(FORMS[model.form], model.policy, dialect=model.dialect),
            self.algorithm,
            services=model.services,
            referencing=self.referencing,
            current=model.association,
        )


def model_of(inventory: Inventory, meter: Meter) -> Model:
    """ModelError when it is not here; OSError of the storage."""
    if meter.model == OWN:
        found: Model = OWN_MODEL
        return found
    return inventory.models().model(meter.model)


def access_to(inventory: Inventory, crypto: Crypto, system_title: bytes, meter: Meter) -> Access:
    """ModelError, InventoryError; OSError of the storage."""
    model = model_of(inventory, meter)
    mechanism, plain = model.mechanism, FORMS[model.form] == PLAIN
    if mechanism == HIGH_ECDSA:
        text = "model %s: authentication %d is not for a concentrator" % (model.name, mechanism)
        raise ModelError("model-unfit", text)
    if mechanism == NONE and plain:
        return Access(model, None)
    found = inventory.keys(meter.serial)
    by_keys = mechanism == HIGH_GMAC or not plain
    if by_keys and not found.ek:
        raise InventoryError("%s: model %s needs ek and ak" % (meter.serial, model.name))
    if mechanism not in (NONE, HIGH_GMAC) and not found.lls:
        raise InventoryError("%s: model %s needs lls" % (meter.serial, model.name))
    if mechanism == HIGH and len(found.lls) > 32:
        raise InventoryError("%s: lls: at most 32 bytes for HLS 2" % meter.serial)
    keys = None
    if by_keys or mechanism == HIGH_SHA256:  # its proof has the system titles in it
        keys = Keys(system_title, found.ek, found.ak, found.suite)
    access = Access(model, keys, found.lls, max(found.counter, model.start))
    if mechanism == HIGH:
        access.algorithm = lambda secret, challenge: under_aes(crypto, secret, challenge)
    return access
