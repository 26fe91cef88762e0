"""The models that the firmware brings along: each is one, under its own name."""

from __future__ import annotations

from gateway.contract.model import OWN
from gateway.contract.model import Model as Kind
from gateway.contract.signed_model import MAX_SIGNED
from gateway.meters import built_in_models

NAMES = ("idis", "smr", "india", "spain", "ami-sn")


def test_each_is_a_model_of_its_name() -> None:
    for name in NAMES:
        payload = built_in_models.payload(name)
        assert payload is not None, name
        model = Kind.from_payload(payload)
        assert model.name == name
        assert model.number >= 1
        assert len(payload) < MAX_SIGNED - 128
        assert model.objects, name


def test_what_a_model_of_the_world_differs_in() -> None:
    india = Kind.from_payload(built_in_models.payload("india") or b"")
    assert (india.client_sap, india.public_sap, india.mechanism) == (48, 16, 2)
    assert india.counter is not None and india.counter.obis == b"\x00\x00\x2b\x01\x03\xff"
    spain = Kind.from_payload(built_in_models.payload("spain") or b"")
    assert spain.counter is None and spain.model is None


def test_our_own_needs_none_and_others_have_none() -> None:
    assert built_in_models.payload(OWN) is None
    assert built_in_models.payload("acme") is None
    assert built_in_models.payload("") is None
