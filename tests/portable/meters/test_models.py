"""Models of meters on the board: which are taken, which are found, and what flash damage does."""

from __future__ import annotations

from gateway.contract.limits import MAX_MODELS
from gateway.contract.model import Model, Place
from gateway.contract.refused import Refused
from gateway.contract.signed_model import proven
from gateway.meters import built_in_models
from gateway.meters.inventory import MODEL_FILES
from gateway.meters.model_error import ModelError
from gateway.meters.models import CACHED, Models
from hal.sim.storage import SURVIVALS, MemoryStorage, PowerCut
from tests.portable.support import raises
from tests.portable.uplink.support import OTHER_TRUST, TRUST, crypto, signed

CRYPTO = crypto()


def model(name="x", number=1, **more):
    return Model(name, number, "for tests", **more)


def take(models, wanted):
    return models.take(wanted.to_payload())


def refused(models, wanted, trust=TRUST):
    raw = signed(wanted.to_payload())
    return raises(Refused, lambda: models.take(proven(raw, trust, CRYPTO))).reason


def test_a_model_that_was_sent_is_there_after_a_restart():
    storage = MemoryStorage()
    models = Models(storage)
    wanted = model(serial=None, client_sap=3)
    assert take(models, wanted) == wanted and models.model("x") == wanted
    again = Models(storage)
    assert again.model("x") == wanted and again.stored() == [("x", 1)]


def test_only_a_higher_number_takes_the_place_of_a_model():
    models = Models(MemoryStorage())
    take(models, model(number=3, client_sap=3))
    assert models.model("x").client_sap == 3
    assert refused(models, model(number=3, client_sap=3)) == "duplicate"
    assert refused(models, model(number=3, client_sap=4)) == "replayed"
    assert refused(models, model(number=2, client_sap=3)) == "replayed"
    assert models.model("x").client_sap == 3
    take(models, model(number=4, client_sap=5))
    assert models.model("x").client_sap == 5 and models.stored() == [("x", 4)]


def test_who_is_not_trusted_brings_no_model():
    models = Models(MemoryStorage())
    assert refused(models, model(), OTHER_TRUST) == "bad-signature"
    assert refused(models, model(), []) == "unknown-signer"
    assert raises(Refused, proven, b"rubbish", TRUST, CRYPTO).reason == "bad-model"
    assert models.stored() == []


def test_the_firmware_brings_models_along():
    models = Models(MemoryStorage())
    brought = models.model("idis")
    assert brought == Model.from_payload(built_in_models.payload("idis"))
    assert models.stored() == []
    older = model("idis", brought.number)
    assert refused(models, older) == "replayed"
    newer = model("idis", brought.number + 1, client_sap=9)
    take(models, newer)
    assert models.model("idis").client_sap == 9


def test_our_own_model_is_not_to_be_sent():
    """Nothing would look at it."""
    models = Models(MemoryStorage())
    assert refused(models, model("ami", 99)) == "bad-model"
    assert models.stored() == []


def test_a_model_that_nobody_knows():
    error = raises(ModelError, Models(MemoryStorage()).model, "unheard-of")
    assert error.reason == "unknown-model" and "unheard-of" in str(error)


def test_a_damaged_file_counts_as_none():
    storage = MemoryStorage()
    take(Models(storage), model())
    good = storage.read(MODEL_FILES + "x")
    for bad in (good[:-1] + bytes((good[-1] ^ 1,)), good[:40], b""):
        storage.replace(MODEL_FILES + "x", bad)
        models = Models(storage)
        assert models.stored() == []
        assert raises(ModelError, models.model, "x").reason == "unknown-model"
        take(models, model())  # the same number again
        assert models.stored() == [("x", 1)]


def test_what_is_damaged_after_the_start_is_sent_again():
    """Also where as many are here as fit, and the list was made before."""
    storage = MemoryStorage()
    models = Models(storage)
    for number in range(MAX_MODELS):
        take(models, model("m%d" % number))
    assert ("m0", 1) in models.stored()
    storage.replace(MODEL_FILES + "m0", b"damaged")
    assert raises(ModelError, models.model, "m0").reason == "unknown-model"
    assert ("m0", 1) not in models.stored(), "the HES would never send it"
    take(models, model("m0"))
    assert models.model("m0").name == "m0" and len(models.stored()) == MAX_MODELS


def test_as_many_as_a_hello_lists():
    models = Models(MemoryStorage())
    for number in range(MAX_MODELS):
        take(models, model("m%d" % number))
    assert refused(models, model("one-more")) == "too-many-models"
    take(models, model("m3", 2))
    assert len(models.stored()) == MAX_MODELS and ("m3", 2) in models.stored()


def test_few_are_kept_decoded():
    storage = MemoryStorage()
    models = Models(storage)
    names = ["m%d" % number for number in range(CACHED + 2)]
    for name in names:
        take(models, model(name))
    for name in names + names:
        assert models.model(name).name == name
        assert len(models._cached) <= CACHED
    last = models.model(names[-1])
    storage.broken = True
    assert models.model(names[-1]) is last


def test_a_flash_that_refuses_changes_nothing():
    storage = MemoryStorage()
    models = Models(storage)
    take(models, model())
    storage.broken = True
    raises(OSError, take, models, model(number=2))
    storage.broken = False
    assert models.model("x").number == 1 and Models(storage).stored() == [("x", 1)]


def test_places_come_back():
    storage = MemoryStorage()
    place = Place(1, b"\x00\x00\x60\x01\x00\xff", 2, 2)
    take(Models(storage), model(serial=place, firmware=None))
    found = Models(storage).model("x")
    assert found.serial == place and found.firmware is None


def test_a_power_cut_leaves_the_old_model_or_the_new_one():
    for survival in SURVIVALS:
        for cut in range(10):
            storage = MemoryStorage()
            models = Models(storage)
            take(models, model())
            storage.arm(cut, survival)
            try:
                take(models, model(number=2))
                done = True
            except PowerCut:
                done = False
            after = Models(storage.after_cut())
            assert after.model("x").number in ((2,) if done else (1, 2))
            assert after.stored() == [("x", after.model("x").number)]
            if done:
                break
        else:
            raise AssertionError("never done")
