"""How we get into a meter, by what its model asks for and the keys that are here."""

from __future__ import annotations

from gateway.contract.meter_keys import MeterKeys
from gateway.contract.model import Model
from gateway.contract.own_model import OWN_MODEL
from gateway.dlms.client import association
from gateway.dlms.protection.policy import FORMS
from gateway.meters import built_in_models
from gateway.meters.access import access_to
from gateway.meters.inventory import InventoryError, Meter
from gateway.meters.model_error import ModelError
from tests.portable.support import raises
from tests.portable.uplink.support import crypto

CRYPTO = crypto()
TITLE = b"AMI\0\0\0\0\1"
EK, AK, PASSWORD = b"\1" * 16, b"\2" * 16, b"password"
PATHS = [("ip", "10.0.0.7:4059")]
PLAIN, GLO = FORMS.index("plain"), FORMS.index("glo")


class Here:
    """An inventory, and its models."""

    def __init__(self, model, keys):
        self._model = model
        self._keys = keys

    def models(self):
        return self

    def model(self, name):
        if name != self._model.name:
            raise ModelError("unknown-model", name)
        return self._model

    def keys(self, serial):
        if self._keys is None:
            raise InventoryError("keys.jsonl holds no usable keys for " + serial)
        return self._keys


def without(kind, keys, meter=None, **fields):
    return raises(kind, lambda: got(keys, meter, **fields))


def got(keys, meter=None, **fields):
    model = Model("x", 1, "", **fields)
    meter = meter or Meter("M1", PATHS, 0, 0, model="x")
    access = access_to(Here(model, keys), CRYPTO, TITLE, meter)
    return access, access.association(meter.filled(model))


def test_our_own_model():
    here = Here(None, MeterKeys(EK, AK))
    meter = Meter("M1", PATHS)
    access = access_to(here, CRYPTO, TITLE, meter)
    who = access.association(meter.filled(access.model))
    assert access.model is OWN_MODEL and access.ciphered and access.counter == 1
    assert (who.client_sap, who.server_sap) == (1, 1)
    assert (who.authentication, who.protection.form, who.protection.policy) == (5, "glo", 0x30)
    assert who.keys.ek == EK and who.keys.system_title == TITLE


def test_no_keys_where_none_are_needed():
    access, who = got(None, mechanism=association.NONE, form=PLAIN)
    assert who.authentication == association.NONE and who.keys is None and not access.ciphered


def test_a_password_alone():
    access, who = got(MeterKeys(b"", b"", lls=PASSWORD), mechanism=association.LOW, form=PLAIN)
    assert (who.authentication, who.secret, who.keys) == (association.LOW, PASSWORD, None)
    assert who.protection.form == "plain" and not access.ciphered


def test_each_mechanism():
    both = MeterKeys(EK, AK, 0, PASSWORD)
    for mechanism in (1, 2, 3, 4, 5, 6):
        for form in (PLAIN, GLO):
            access, who = got(both, mechanism=mechanism, form=form)
            assert who.authentication == mechanism and who.protection.form == FORMS[form]
            assert (who.keys is not None) == (form == GLO or mechanism in (5, 6))
            assert access.ciphered == (who.keys is not None)


def test_hls_2_is_the_challenge_under_aes():
    """As gurux has it: secret and challenge filled up with zeros."""
    challenge = bytes(range(20))
    for secret, key in (
        (PASSWORD, PASSWORD + bytes(8)),
        (EK, EK),
        (EK + b"x", EK + b"x" + bytes(15)),
        (bytes(32), bytes(32)),
    ):
        _, who = got(MeterKeys(b"", b"", lls=secret), mechanism=association.HIGH, form=PLAIN)
        assert who.algorithm(who.secret, challenge) == CRYPTO.aes_ecb(key, challenge + bytes(12))
        assert who.algorithm(who.secret, bytes(16)) == CRYPTO.aes_ecb(key, bytes(16))
    too_long = MeterKeys(b"", b"", lls=bytes(33))
    error = without(InventoryError, too_long, mechanism=association.HIGH, form=PLAIN)
    assert "at most 32" in str(error)


def test_what_is_missing_is_told_by_name():
    error = without(InventoryError, MeterKeys(EK, AK), mechanism=1, form=PLAIN)
    assert "needs lls" in str(error)
    error = without(InventoryError, MeterKeys(b"", b"", lls=PASSWORD), mechanism=1, form=GLO)
    assert "needs ek and ak" in str(error)
    error = without(InventoryError, MeterKeys(b"", b"", lls=PASSWORD), mechanism=5, form=PLAIN)
    assert "needs ek and ak" in str(error)
    error = without(ModelError, MeterKeys(EK, AK), mechanism=7)
    assert error.reason == "model-unfit"
    error = without(ModelError, None, Meter("M1", PATHS, model="y"))
    assert error.reason == "unknown-model"


def test_what_the_inventory_says_wins_over_the_model():
    keys = MeterKeys(EK, AK)
    for client, server, wanted in ((0, 0, (3, 4)), (7, 0, (7, 4)), (0, 8, (3, 8)), (7, 8, (7, 8))):
        meter = Meter("M1", PATHS, client, server, model="x")
        _, who = got(keys, meter, client_sap=3, server_sap=4)
        assert (who.client_sap, who.server_sap) == wanted


def test_the_counter_to_begin_with():
    assert got(MeterKeys(EK, AK))[0].counter == 1
    assert got(MeterKeys(EK, AK), start=250)[0].counter == 250
    assert got(MeterKeys(EK, AK, counter=9000), start=250)[0].counter == 9000


def test_the_rest_of_what_the_model_says():
    _, who = got(
        MeterKeys(EK, AK),
        max_pdu=500,
        services=0x1010,
        association=b"\0\0\x28\0\1\xff",
        policy=0x20,
    )
    assert (who.max_pdu, who.services, who.protection.policy) == (500, 0x1010, 0x20)
    assert who.current == b"\0\0\x28\0\1\xff"


def test_every_model_that_the_firmware_brings_along_can_be_spoken_with():
    both = MeterKeys(EK, AK, 0, PASSWORD)
    seen = 0
    for name in ("idis", "smr", "india", "spain", "ami-sn"):
        model = Model.from_payload(built_in_models.payload(name))
        meter = Meter("M1", PATHS, 0, 0, model=name)
        access = access_to(Here(model, both), CRYPTO, TITLE, meter)
        who = access.association(meter.filled(model))
        assert (who.client_sap, who.authentication) == (model.client_sap, model.mechanism)
        seen += 1
    assert seen == 5
