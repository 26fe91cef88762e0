"""What the data folder knows of itself: starts are counted, what is lost is told, a wrong board's
key ends it with words."""

from __future__ import annotations

from gateway.contract.meter_keys import MeterKeys, Vault
from gateway.folder import COUNTERS, FILE, TRUST, Folder, has_past
from gateway.meters.inventory import KEYS
from gateway.meters.key_lines import KeyRow, opens
from gateway.settings import SettingsError
from hal.sim.storage import ENOSPC, SURVIVALS, MemoryStorage, PowerCut
from tests.portable.support import raises
from tests.portable.uplink.support import BOARD_KEY, crypto

OTHER_KEY = bytes(range(16))


def vault(key=BOARD_KEY):
    return Vault(crypto(), key)


def started(storage, key=BOARD_KEY):
    return Folder(storage, vault(key), lambda: opens(storage, KEYS, vault(key)))


def with_files(*names):
    storage = MemoryStorage()
    for name in names:
        storage.replace(name, b"x")
    return storage


def test_a_new_folder_lacks_nothing():
    storage = with_files("meters.jsonl")  # of the commissioning
    assert not has_past(storage)
    folder = started(storage)
    assert (folder.starts, folder.missing, folder.lost, folder.adopted) == (1, [], [], False)
    assert has_past(storage)


def test_starts_are_counted():
    storage = MemoryStorage()
    assert [started(storage).starts for _ in range(3)] == [1, 2, 3]
    started(storage).went_to(70)
    assert started(storage).starts == 71
    started(storage).went_to(3)
    assert started(storage).starts == 73


def test_a_first_start_that_was_cut_off_lacks_nothing():
    """The journals were made, and the power went before it was on record that they have to be."""
    storage = MemoryStorage()
    started(storage)
    storage.replace("ledger.00000001", b"x")
    folder = started(storage)
    assert folder.missing == [] and not folder.adopted
    storage.remove("ledger.00000001")
    assert started(storage).missing == []


def test_what_was_here_has_to_be():
    storage = with_files(
        "counters.00000001", "trust.0", "trust.1", "ledger.00000007", "meters.jsonl"
    )
    started(storage).settle()
    storage.remove("counters.00000001")
    storage.replace("counters.bad.00000001", b"a copy of damage is no journal")
    storage.remove("trust.1")
    assert started(storage).missing == [COUNTERS]
    storage.remove("trust.0")
    storage.rename("ledger.00000007", "ledger.00000008")
    assert started(storage).missing == [COUNTERS, TRUST]


def test_the_numbers_of_changes_have_to_be_here_once_they_were():
    storage = with_files("changes.0", "changes.1")
    started(storage).settle()
    storage.remove("changes.0")
    assert started(storage).missing == []
    storage.remove("changes.1")
    assert started(storage).missing == ["changes"]


def test_keys_that_are_just_being_wrapped_are_not_lost():
    storage = with_files("keys.jsonl")
    started(storage).settle()
    storage.rename("keys.jsonl", "keys.jsonl.old")
    assert started(storage).missing == []
    storage.rename("keys.jsonl.old", "keys.jsonl.new")
    assert started(storage).missing == ["keys.jsonl"]


def test_what_is_lost_is_told_once_and_not_forgotten_before():
    storage = with_files("counters.00000001")
    started(storage).settle()
    storage.remove("counters.00000001")
    assert started(storage).lost == [COUNTERS]
    storage.replace("counters.00000001", b"made anew")
    folder = started(storage)  # the power had gone before anybody was told
    assert folder.missing == [] and folder.lost == [COUNTERS]
    folder.told()
    assert started(storage).lost == []


def test_a_folder_without_its_own_file():
    """Of an older firmware, or lost: what is there is taken as it is, and that is told."""
    storage = with_files("ledger.00000001")
    folder = started(storage)
    assert folder.adopted and folder.missing == []
    folder.settle()
    assert not started(storage).adopted


def test_a_damaged_file_is_a_lost_one():
    storage = with_files("ledger.00000001")
    for content in (b"", b"x" * 60):
        started(storage).settle()
        storage.replace(FILE, content)
        folder = started(storage)
        assert folder.missing == [FILE] and folder.starts == 1
        folder.told()


def test_another_boards_key_ends_it_with_words():
    storage = MemoryStorage()
    started(storage)
    before = storage.read(FILE)
    error = raises(SettingsError, started, storage, OTHER_KEY)
    assert "put the copy of that one back" in str(error)
    assert storage.read(FILE) == before  # and the right one still opens it
    assert started(storage).starts == 2


def test_another_boards_key_in_a_folder_of_an_older_firmware():
    row = KeyRow("M1")
    row.wrapped = vault().wrap("M1", MeterKeys(bytes(16), bytes(16)))
    secret = KeyRow("M2")
    secret.wrapped_lls = vault().wrap_secret("M2", b"12345678")
    for lines in ([row], [secret], [row, secret]):
        storage = MemoryStorage()
        storage.replace(KEYS, b"{}\n" + b"".join([each.line() for each in lines]))
        raises(SettingsError, started, storage, OTHER_KEY)
        assert not has_past(storage)
        assert started(storage).starts == 1
    # One line of another board's is that line's trouble.
    foreign = KeyRow("M3")
    foreign.wrapped = vault(OTHER_KEY).wrap("M3", MeterKeys(bytes(16), bytes(16)))
    storage.replace(KEYS, foreign.line() + row.line())
    storage.remove(FILE)
    assert started(storage).starts == 1


def test_a_full_flash_keeps_nobody_from_starting():
    storage = with_files("ledger.00000001")
    started(storage).settle()
    storage.fail_next(ENOSPC)
    assert started(storage).starts == 2


def test_whatever_cut():
    """What has to be there is known before and after each cut; starts never go back."""
    for survival in SURVIVALS:
        for cut in range(12):
            storage = with_files("counters.00000001", "trust.0")
            started(storage).settle()
            storage.remove("counters.00000001")
            storage.arm(cut, survival)
            starts, told, was_told = 1, 0, False
            for _ in range(4):
                try:
                    folder = started(storage)
                    assert folder.starts > starts
                    starts = folder.starts
                    if folder.lost:
                        assert folder.lost == [COUNTERS]
                        told += 1
                        folder.told()
                        was_told = True
                    storage.replace("counters.00000001", b"made anew")
                    folder.settle()
                except PowerCut:
                    storage = storage.after_cut()
            assert was_told and told <= 2, (survival, cut)
