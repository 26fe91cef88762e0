"""High level security: challenges at their bounds, and keys that are not there."""

from __future__ import annotations

from gateway.dlms.apdu import acse
from gateway.dlms.errors import SecurityFailed
from gateway.dlms.protection.hls import Hls, challenge_size, check_challenge
from gateway.dlms.protection.keyring import Keys
from tests.portable.support import raises
from tests.portable.uplink.support import crypto

OURS = bytes(range(64))


def test_challenges():
    for mechanism, least, own in ((acse.HIGH_GMAC, 8, 16), (acse.HIGH_ECDSA, 32, 32)):
        assert challenge_size(mechanism) == own
        for size in (least, 64):
            check_challenge(mechanism, b"x" * size, OURS)
        for size in (0, least - 1, 65):
            error = raises(SecurityFailed, check_challenge, mechanism, b"x" * size, OURS)
            assert str(error) == "the peer's challenge has %d bytes, %d..64 are due" % (size, least)
        error = raises(SecurityFailed, check_challenge, mechanism, OURS, OURS)
        assert str(error) == "the peer's challenge is our own, sent back"


def test_signing_needs_both_keys():
    for keys in (None, Keys(b"AMI\0\0\0\0\1", bytes(16), bytes(16))):
        side = Hls(acse.HIGH_ECDSA, crypto(), keys=keys)
        for call in (
            lambda side=side: side.prove(OURS, OURS[1:], b"title"),
            lambda side=side: side.check(bytes(64), OURS, OURS[1:], b"title"),
        ):
            error = raises(SecurityFailed, call)
            assert str(error) == "HLS by ECDSA needs both sides' signing keys"
