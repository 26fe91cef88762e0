"""The compiled package: there and back, and each part checked."""

from __future__ import annotations

from gateway.contract.package import Action, Check, Package, Set
from gateway.contract.refused import Refused
from hal.rt import cbor
from tests.portable.support import raises
from tests.portable.uplink.support import OTHER_TRUST, TRUST, crypto, package, signed


def test_there_and_back() -> None:
    before = package()
    after = Package.decode(signed(before.to_payload()), TRUST, crypto())
    assert after.to_payload() == before.to_payload()
    assert after.targets == [("AMI-E450", ["V02."]), ("AMI-X", [])]
    assert isinstance(after.steps[0], Set) and isinstance(after.steps[2], Action)
    assert after.steps[2].check.data == b"\x09\x00"
    assert isinstance(after.checks[0], Check) and after.checks[0].attribute == 4


def test_unknown_signer_and_bad_signature() -> None:
    raw = signed(package().to_payload())
    assert raises(Refused, Package.decode, raw, [], crypto()).reason == "unknown-signer"
    assert raises(Refused, Package.decode, raw, OTHER_TRUST, crypto()).reason == "bad-signature"


def test_what_is_no_envelope_is_a_bad_package() -> None:
    for raw in (b"", b"\xd2", b"\xd2\x80", package().to_payload()):
        assert raises(Refused, Package.decode, raw, TRUST, crypto()).reason == "bad-package"


def test_each_part_is_checked() -> None:
    good = cbor.decode(package().to_payload())
    step = good[5][0]
    action = good[5][2]
    for place, value in (
        (0, 2),
        (1, ""),
        (1, "n" * 65),
        (2, None),
        (3, b"text"),
        (4, []),
        (4, [["AMI"]]),
        (4, [["AMI", "V02"]]),
        (5, None),
        (5, [[]]),
        (5, [[3] + step[1:]]),
        (5, [step[:4]]),
        (5, [[1, 0] + step[2:]]),
        (5, [[1, 7, bytes(5)] + step[3:]]),
        (5, [step[:3] + [128, b"\x00"]]),
        (5, [step[:4] + [b""]]),
        (5, [action[:5]]),
        (5, [action[:5] + [None]]),
        (5, [step] * 257),
        (6, []),
        (6, [[7, bytes(6), 4]]),
    ):
        bad = list(good)
        bad[place] = value
        raw = cbor.encode(bad)
        assert raises(Refused, Package.from_payload, raw).reason == "bad-package", (place, value)
    raises(Refused, Package.from_payload, cbor.encode(good[:-1]))
    raises(Refused, Package.from_payload, b"")
