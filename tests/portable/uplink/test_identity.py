"""Who this concentrator is: made once, kept wrapped, opened by the board's key alone."""

from __future__ import annotations

import hashlib

from gateway.contract import envelope
from gateway.contract.identity import shown
from gateway.settings import SettingsError
from gateway.uplink.identity import FILE, fingerprint_of_file, identity_of
from hal.rt import log
from hal.sim.storage import MemoryStorage
from tests.portable.support import raises
from tests.portable.uplink.support import BOARD_KEY, crypto

log.set_level("error")


def test_it_is_made_once_and_is_the_same_after_each_start() -> None:
    storage = MemoryStorage()
    made = identity_of(storage, crypto(), BOARD_KEY)
    again = identity_of(storage, crypto(), BOARD_KEY)
    assert (again.agree, again.fingerprint) == (made.agree, made.fingerprint)
    publics = made.agree_public + made.sign_public
    assert made.fingerprint == hashlib.sha256(publics).digest()[:16]
    assert made.kid == made.fingerprint[:8]
    assert fingerprint_of_file(storage.read(FILE), crypto()) == made.fingerprint
    assert crypto().ec_public("P-256", made.agree) == made.agree_public
    other = identity_of(MemoryStorage(), crypto(), BOARD_KEY)
    assert other.fingerprint != made.fingerprint


def test_what_it_signs_is_proven_by_its_key() -> None:
    identity = identity_of(MemoryStorage(), crypto(), BOARD_KEY)
    raw = identity.signed(b"content")
    trust = [(identity.kid, identity.sign_public)]
    assert envelope.verify(raw, trust, crypto()) == (b"content", identity.kid)


def test_nothing_of_the_private_halves_is_shown_or_kept_as_it_is() -> None:
    storage = MemoryStorage()
    identity = identity_of(storage, crypto(), BOARD_KEY)
    assert identity.agree not in storage.read(FILE)
    assert repr(identity) == "Identity(%s)" % shown(identity.fingerprint)


def test_one_of_the_two_copies_may_be_damaged() -> None:
    storage = MemoryStorage()
    made = identity_of(storage, crypto(), BOARD_KEY)
    for place in (130, 280):
        good = storage.read(FILE)
        storage.damage(FILE, place)
        assert identity_of(storage, crypto(), BOARD_KEY).agree == made.agree, place
        storage.replace(FILE, good)


def test_another_board_key_and_a_damaged_file_are_refused_with_words() -> None:
    storage = MemoryStorage()
    identity_of(storage, crypto(), BOARD_KEY)
    refused = str(raises(SettingsError, identity_of, storage, crypto(), bytes(32)))
    assert refused.startswith("board_key: it does not open the file identity in the data folder")
    assert "enrol" in refused and BOARD_KEY.hex() not in refused
    good = storage.read(FILE)
    for bad in (b"", good[:-1], good + b"\x00", bytes(1) + good[1:], good[:64] + bytes(224)):
        storage.replace(FILE, bad)
        raises(SettingsError, identity_of, storage, crypto(), BOARD_KEY)
