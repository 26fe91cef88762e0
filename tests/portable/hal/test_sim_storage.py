"""The storage of the tests does what it says: a test over one that forgives proves nothing."""

from __future__ import annotations

from hal.sim.storage import EIO, ENOENT, ENOSPC, SURVIVALS, MemoryStorage, PowerCut
from tests.portable.support import raises


def written(survival, size=200, synced=50, reserve=0, reserves=True):
    """What is left of a file of `size` octets, `synced` of them durable, after a cut."""
    storage = MemoryStorage(reserves=reserves)
    file = storage.append("a", reserve)
    file.write(b"s" * synced)
    file.sync()
    file.write(b"x" * (size - synced))
    storage.arm(0, survival)
    raises(PowerCut, file.sync)
    return storage.after_cut().read("a")


def test_what_is_left_after_a_cut_before_it_is_durable():
    for survival, expected in (
        ("lost", b"s" * 50),
        ("half", b"s" * 50 + b"x" * 75),
        ("zeros", b"s" * 50 + bytes(150)),
        # The last block of 64 octets begins at 192.
        ("last-block-only", b"s" * 50 + bytes(142) + b"x" * 8),
    ):
        assert written(survival) == expected, survival
    # Done, though the power went: for these a sync that was cut off is one.
    for survival in ("whole", "garbage"):
        assert written(survival) == b"s" * 50 + b"x" * 150, survival
    assert len(SURVIVALS) == 6


def test_garbage_is_noise_from_the_middle_on():
    storage = MemoryStorage()
    file = storage.append("a")
    file.write(b"x" * 100)
    storage.arm(0, "garbage")
    raises(PowerCut, storage.remove, "other")
    found = storage.after_cut().read("a")
    assert found[:50] == b"x" * 50 and len(found) == 100
    assert len(set(found[50:])) > 10
    assert found[50:58].hex() == "c67e816b4bfbe2fb", "the same noise for ever"


def test_the_last_block_at_its_bounds():
    for size, expected in (
        (64, bytes(64)),  # one block only: it is not written
        (65, bytes(64) + b"x"),
        (128, bytes(64) + b"x" * 64),
        (129, bytes(128) + b"x"),
    ):
        assert written("last-block-only", size, 0) == expected, size
    assert written("last-block-only", 60, 50) == b"s" * 50 + bytes(10)
    assert written("last-block-only", 65, 63) == b"s" * 63 + b"\0" + b"x"


def test_room_set_aside_after_a_cut():
    for survival, size in (("lost", 100), ("half", 100), ("whole", 100), ("zeros", 100)):
        found = written(survival, 60, 20, 100)
        assert len(found) == size, survival
        assert found[60:] == bytes(40)
    storage = MemoryStorage()
    storage.append("a", 100)
    for survival, size in (("lost", -1), ("half", 50), ("whole", 100)):
        storage._survival = survival
        assert storage.after_cut().size("a") == size
    assert len(written("lost", 60, 20, 100, reserves=False)) == 20


def test_which_calls_make_a_name_durable():
    for call, expected in (
        (lambda storage, file: None, []),
        (lambda storage, file: file.sync(), ["a"]),
        (lambda storage, file: storage.rename("a", "b"), ["b"]),
        (lambda storage, file: storage.truncate("a", 0), ["a"]),
        (lambda storage, file: storage.replace("a", b""), ["a"]),
    ):
        storage = MemoryStorage()
        call(storage, storage.append("a"))
        storage.arm(0)
        raises(PowerCut, storage.remove, "other")
        assert storage.after_cut().names() == expected


def test_every_call_after_the_cut_says_so():
    storage = MemoryStorage()
    storage.replace("a", b"x")
    file = storage.append("a")
    storage.arm(0)
    raises(PowerCut, storage.remove, "a")
    for call in (
        lambda: storage.append("a"),
        lambda: storage.read("a"),
        lambda: storage.replace("a", b""),
        lambda: storage.rename("a", "b"),
        lambda: storage.truncate("a", 0),
        lambda: storage.remove("a"),
        storage.names,
        lambda: storage.size("a"),
        storage.free,
        lambda: file.write(b"x"),
        file.sync,
        file.size,
    ):
        raises(PowerCut, call)
    assert storage.after_cut().read("a") == b"x", "a remove cut off is none"
    raises(ValueError, storage.arm, 0, "some")


def test_the_call_that_is_cut_off_says_so():
    for call in (
        lambda storage, file: storage.append("b", 10),
        lambda storage, file: storage.replace("a", b""),
        lambda storage, file: storage.rename("a", "b"),
        lambda storage, file: storage.truncate("a", 0),
        lambda storage, file: storage.remove("a"),
        lambda storage, file: file.write(b"x"),
        lambda storage, file: file.sync(),
    ):
        storage = MemoryStorage()
        file = storage.append("a")
        storage.arm(0)
        raises(PowerCut, call, storage, file)


def test_cuts_come_after_so_many_calls():
    for calls in (0, 1, 3):
        storage = MemoryStorage()
        storage.arm(calls)
        for number in range(calls):
            storage.replace("a%d" % number, b"x")
        raises(PowerCut, storage.replace, "last", b"x")
        assert storage.after_cut().names() == ["a%d" % number for number in range(calls)]
    for survival, names in (("lost", []), ("half", []), ("whole", ["a"]), ("garbage", ["a"])):
        storage = MemoryStorage()
        storage.arm(0, survival)
        raises(PowerCut, storage.replace, "a", b"x")
        assert storage.after_cut().names() == names


def test_it_fills_up():
    storage = MemoryStorage(100)
    assert storage.free() == 100
    storage.replace("a", bytes(60))
    assert storage.free() == 40
    error = raises(OSError, storage.replace, "b", bytes(41))
    assert error.errno == ENOSPC
    storage.replace("b", bytes(40))
    assert storage.free() == 0
    storage.replace("a", bytes(60))  # as long as before
    storage.replace("a", bytes(50))
    error = raises(OSError, storage.replace, "a", bytes(61))
    assert error.errno == ENOSPC and storage.read("a") == bytes(50)
    file = storage.append("c")
    error = raises(OSError, file.write, b"x" * 11)
    assert error.errno == ENOSPC and storage.read("c") == b"x" * 10, "as much as fits is there"
    storage.set_capacity(111)
    file.write(b"y" * 11)
    assert file.size() == 21 and storage.free() == 0


def test_room_set_aside_is_taken_from_the_rest():
    storage = MemoryStorage(100)
    file = storage.append("a", 80)
    assert (file.size(), storage.size("a"), storage.free()) == (0, 80, 20)
    file.write(bytes(90))
    assert (file.size(), storage.size("a"), storage.free()) == (90, 90, 10)
    assert storage.append("b", 11).size() == 0 and storage.size("b") == 0, "no room to spare"
    again = storage.append("a", 20)
    assert again.size() == 90
    storage = MemoryStorage(100)
    storage.append("a", 80).write(b"x")
    again = storage.append("a", 20)
    assert again.size() == 80, "what was set aside is content for who opens it again"
    again.write(b"y")
    assert storage.read("a") == b"x" + bytes(79) + b"y"


def test_faults_that_are_ordered():
    storage = MemoryStorage()
    storage.replace("a", b"12345678")
    storage.fail_next(EIO)
    error = raises(OSError, storage.replace, "a", b"x")
    assert error.errno == EIO and storage.read("a") == b"12345678"
    file = storage.append("a")
    storage.fail_next(ENOSPC)
    error = raises(OSError, file.write, b"abcd")
    assert error.errno == ENOSPC and storage.read("a") == b"12345678ab", "half of its work"
    storage.broken = True
    for call in (storage.names, lambda: storage.size("a"), lambda: storage.append("a"), file.sync):
        error = raises(OSError, call)
        assert error.errno == EIO
    storage.broken = False
    storage.damage("a", 0)
    assert storage.read("a", 0, 2) == b"!2"
    storage.spoil("a", 4)
    assert storage.read("a", 0, 4) == b"!234"
    for offset, size in ((0, 5), (4, 1), (0, -1), (5, 1)):
        raises(OSError, storage.read, "a", offset, size)
    error = raises(OSError, storage.read, "b")
    assert error.errno == ENOENT


def test_files():
    storage = MemoryStorage()
    storage.replace("b", b"12345")
    storage.replace("a", b"")
    assert storage.names() == ["a", "b"] and storage.size("c") == -1
    assert storage.read("b", 1, 3) == b"234" and storage.read("b", 4) == b"5"
    assert storage.read("b", 1, 0) == b"" and storage.read("b", 1, 99) == b"2345"
    storage.rename("b", "a")
    assert storage.names() == ["a"] and storage.read("a") == b"12345"
    storage.truncate("a", 2)
    assert storage.read("a") == b"12"
    raises(ValueError, storage.truncate, "a", 3)
    storage.truncate("a", 2)
    storage.remove("a")
    storage.remove("a")
    assert storage.names() == []
    for name in ("", "x" * 49, "A", "a/b", "a_b"):
        raises(ValueError, storage.append, name)
        raises(ValueError, storage.replace, name, b"")
    assert storage.append("x" * 48).size() == 0


def test_what_counts():
    storage = MemoryStorage()
    file = storage.append("a")
    assert (storage.operations, storage.syncs) == (0, 0)
    file.write(b"x")
    file.sync()
    assert (storage.operations, storage.syncs) == (2, 1)
    storage.read("a")
    storage.names()
    storage.size("a")
    file.close()
    assert (storage.operations, storage.syncs) == (2, 1)
    storage.append("b", 10)
    assert storage.operations == 3
