"""Models of meters: what they hold on the line, and what is refused."""

from __future__ import annotations

from gateway.contract import envelope
from gateway.contract.model import Model, Place
from gateway.contract.own_model import OWN_MODEL, SN
from gateway.contract.place import NUMBER, UP_TO_NUL
from gateway.contract.refused import Refused
from gateway.contract.signed_model import MAX_SIGNED, proven
from hal.rt import cbor
from tests.portable.uplink.support import KID, TRUST, crypto, signed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def other() -> Model:
    return Model(
        "idis-2",
        7,
        "of another make",
        Place(1, b"\x00\x00\x2a\x00\x00\xff", 2, UP_TO_NUL),
        None,
        Place(1, b"\x01\x01\x00\x02\x00\xff", 2),
        client_sap=2,
        referencing=SN,
        mechanism=1,
        form=0,
        counter=None,
        objects=[("load-profile", 7, b"\x01\x00\x63\x01\x00\xff")],
    )


def refused(of: Any) -> tuple[str, str]:
    try:
        of()
    except Refused as refused:
        return refused.reason, refused.detail
    raise AssertionError("taken")


def list_or_value(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def test_a_model_comes_back_as_it_was() -> None:
    for model in (other(), Model("ami", 1, "our own"), Model("x", 1, "", counter=None, objects=[])):
        assert Model.from_payload(model.to_payload()) == model
        assert Model.decode(signed(model.to_payload()), TRUST, crypto()) == model


def test_a_model_of_our_own_says_what_the_constants_say() -> None:
    own = Model("ami", 1, "")
    assert own.serial == Place(1, b"\x00\x00\x2a\x00\x00\xff", 2)
    assert own.model == Place(1, b"\x00\x00\x60\x01\x01\xff", 2)
    assert own.firmware == Place(1, b"\x01\x00\x00\x02\x00\xff", 2)
    assert own.counter == Place(1, b"\x00\x00\x2b\x01\x00\xff", 2, NUMBER)
    assert own.image == b"\x00\x00\x2c\x00\x00\xff"
    assert (own.client_sap, own.server_sap, own.public_sap) == (1, 1, 16)
    assert (own.mechanism, own.form, own.policy) == (5, 1, 0x30)
    for name in Model.SHAPE.fields[3:-1]:  # the last are the objects, which a model has to name
        assert list_or_value(getattr(own, name)) == list_or_value(getattr(OWN_MODEL, name)), name


def test_what_is_no_model_is_refused_by_name() -> None:
    good = other().to_array()
    for place, bad in ((2, "IDIS"), (2, ""), (3, 0), (4, None), (5, [1, 2, 3]), (9, [["x"]])):
        wrong = list(good)
        wrong[place] = bad
        reason, detail = refused(lambda: Model.from_payload(cbor.encode(wrong)))  # noqa: B023
        assert reason == "bad-model" and "model" in detail, detail
    assert refused(lambda: Model.from_payload(b"\xff"))[0] == "bad-model"
    access = list(good)
    access[6] = list(good[6])
    access[6][6] = 0x40
    assert "policy" in refused(lambda: Model.from_payload(cbor.encode(access)))[1]


def test_only_a_signed_model_counts() -> None:
    raw = other().to_payload()
    assert refused(lambda: proven(raw, TRUST, crypto()))[0] == "bad-model"
    assert refused(lambda: proven(bytes(MAX_SIGNED + 1), TRUST, crypto()))[0] == "bad-model"
    forged = envelope.sign(raw, KID, lambda structure: bytes(64))
    assert refused(lambda: proven(forged, TRUST, crypto()))[0] == "bad-signature"
    stranger = signed(raw, b"nobody")
    assert refused(lambda: proven(stranger, TRUST, crypto()))[0] == "unknown-signer"
