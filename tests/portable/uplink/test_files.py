"""Packages pulled in chunks: in any order, over interruptions, against a flash that fails."""

from __future__ import annotations

import hashlib

from gateway.contract.messages import Chunk, Pull
from gateway.contract.refused import Refused
from gateway.uplink.files import (
    BAD_DIGEST,
    CHUNK,
    COMPLETE,
    MAX_PATIENCE_MS,
    PATIENCE_MS,
    UNFIT,
    UNFIT_ROUNDS,
    WINDOW,
    Files,
)
from hal.sim.storage import ENOSPC, MemoryStorage, PowerCut
from tests.portable.support import raises, random_bytes
from tests.portable.uplink.support import TRUST, crypto, package, signed

SIZE = 5 * CHUNK + 100
WHOLE = random_bytes(1, SIZE)
DIGEST = hashlib.sha256(WHOLE).digest()
OTHER = random_bytes(2, 3 * CHUNK)
OTHER_DIGEST = hashlib.sha256(OTHER).digest()


def files(storage: MemoryStorage) -> Files:
    made = Files(storage, crypto(), TRUST)
    made.want(DIGEST, SIZE)
    return made


def answer(pull: Pull, whole: bytes = WHOLE) -> Chunk:
    data = whole[pull.offset : pull.offset + pull.size]
    return Chunk(pull.digest, pull.offset, len(whole), data)


def finish(pulling: Files, now: int = 0, whole: bytes = WHOLE) -> str | None:
    """Answer all that is asked for until it ends; None when nothing more is asked for."""
    while True:
        pulls = pulling.pulls(now, [DIGEST])
        if not pulls:
            return None
        for pull in pulls:
            outcome = pulling.take(answer(pull, whole), now)
            if outcome is not None:
                return outcome


def test_pulled_whole() -> None:
    storage = MemoryStorage()
    pulling = files(storage)
    assert not pulling.has(DIGEST)
    assert finish(pulling) == COMPLETE
    assert pulling.has(DIGEST)
    assert storage.names() == ["package-" + DIGEST.hex()[:32]]
    assert storage.read(storage.names()[0]) == WHOLE
    assert pulling.pulls(0, [DIGEST]) == []


def test_only_a_window_is_asked_for() -> None:
    pulling = files(MemoryStorage())
    pulls = pulling.pulls(0, [DIGEST])
    assert [pull.offset for pull in pulls] == [i * CHUNK for i in range(WINDOW)]
    assert pulling.pulls(0, [DIGEST]) == []
    pulling.take(answer(pulls[0]), 0)
    assert [pull.offset for pull in pulling.pulls(0, [DIGEST])] == [WINDOW * CHUNK]


def test_the_last_piece_is_only_as_long_as_the_rest() -> None:
    storage = MemoryStorage()
    pulling = files(storage)
    asked = []
    pulls = pulling.pulls(0, [DIGEST])
    while pulls:
        asked.extend([(pull.offset, pull.size) for pull in pulls])
        for pull in pulls:
            pulling.take(answer(pull), 0)
        pulls = pulling.pulls(0, [DIGEST])
    assert asked[-1] == (5 * CHUNK, 100)


def test_backwards_and_twice() -> None:
    storage = MemoryStorage()
    pulling = files(storage)
    outcomes = []
    pulls = pulling.pulls(0, [DIGEST])
    while pulls:
        for pull in reversed(pulls):
            outcomes.append(pulling.take(answer(pull), 0))
            outcomes.append(pulling.take(answer(pull), 0))
        pulls = pulling.pulls(0, [DIGEST])
    assert outcomes.count(COMPLETE) == 1
    assert storage.read("package-" + DIGEST.hex()[:32]) == WHOLE


def test_lost_chunks_are_asked_for_again_after_a_while() -> None:
    pulling = files(MemoryStorage())
    pulls = pulling.pulls(0, [DIGEST])
    pulling.take(answer(pulls[1]), 0)
    # Pieces 0, 2 and 3 are lost; piece 1 waits for piece 0.
    assert pulling.pulls(PATIENCE_MS - 1, [DIGEST]) == []
    again = pulling.pulls(PATIENCE_MS, [DIGEST])
    assert [pull.offset for pull in again] == [0, 2 * CHUNK, 3 * CHUNK]
    # The next patience is twice as long.
    assert pulling.pulls(3 * PATIENCE_MS - 1, [DIGEST]) == []
    assert finish(pulling, 3 * PATIENCE_MS) == COMPLETE


def test_resumed_after_a_restart() -> None:
    storage = MemoryStorage()
    pulling = files(storage)
    pulls = pulling.pulls(0, [DIGEST])
    pulling.take(answer(pulls[0]), 0)
    pulling.take(answer(pulls[1]), 0)
    pulling = files(storage)
    pulls = pulling.pulls(0, [DIGEST])
    assert pulls[0].offset == 2 * CHUNK
    for pull in pulls:
        pulling.take(answer(pull), 0)
    assert pulling.has(DIGEST)


def test_resumed_after_a_disconnection() -> None:
    pulling = files(MemoryStorage())
    first = pulling.pulls(0, [DIGEST])
    pulling.take(answer(first[0]), 0)
    pulling.disconnected()
    assert pulling.pulls(1, [DIGEST])[0].offset == CHUNK
    assert finish(pulling, 2 * PATIENCE_MS) == COMPLETE


def test_a_power_cut_at_each_write() -> None:
    for survival in ("lost", "half", "zeros", "garbage", "whole"):
        for cut in range(12):
            storage = MemoryStorage()
            pulling = files(storage)
            storage.arm(cut, survival)
            try:
                finish(pulling)
            except PowerCut:
                pass
            after = storage.after_cut()
            pulling = files(after)
            if not pulling.has(DIGEST):
                assert finish(pulling) == COMPLETE, (survival, cut)
            assert after.read("package-" + DIGEST.hex()[:32]) == WHOLE


def test_wrong_content() -> None:
    storage = MemoryStorage()
    wrong = WHOLE[:-1] + b"?"
    assert finish(files(storage), 0, wrong) == BAD_DIGEST
    assert storage.names() == []


def test_only_three_whole_pulls_prove_that_the_hes_has_another_file() -> None:
    for spoilt in range(4):
        pulling = files(MemoryStorage())
        outcomes = []
        for pull_number in range(min(spoilt + 1, 3)):
            outcome = None
            bad = pull_number < spoilt
            while outcome is None and not (bad and outcomes.count(None) > pull_number):
                pulls = pulling.pulls(0, [DIGEST])
                for pull in pulls:
                    chunk = answer(pull)
                    if bad and pull.offset == CHUNK:
                        chunk.data = bytes(CHUNK)
                    outcome = pulling.take(chunk, 0)
                    if pull.offset + CHUNK >= SIZE:
                        break
                if bad and pulls[-1].offset + CHUNK >= SIZE:
                    break
            outcomes.append(outcome)
        expected = [None] * spoilt + [COMPLETE] if spoilt < 3 else [None, None, BAD_DIGEST]
        assert outcomes == expected, spoilt


def test_chunks_of_a_file_of_another_size_end_nothing() -> None:
    storage = MemoryStorage()
    pulling = files(storage)
    pulls = pulling.pulls(0, [DIGEST])
    for total in (SIZE + 4, SIZE - 1, 0xFFFFFFFF):
        assert pulling.take(Chunk(DIGEST, 0, total, WHOLE[:CHUNK]), 0) is None
    assert storage.names() == []
    for pull in pulls:
        pulling.take(answer(pull), 0)
    assert finish(pulling) == COMPLETE


def unfit(pull: Pull) -> list[Chunk]:
    """Chunks of another size than the job's package, and of another length than was asked for."""
    wrong = WHOLE[pull.offset : pull.offset + pull.size - 1]
    return [
        Chunk(DIGEST, pull.offset, SIZE + 1, WHOLE[pull.offset : pull.offset + pull.size]),
        Chunk(DIGEST, pull.offset, SIZE, wrong),
    ]


def rounds(pulling: Files, count: int, now: int, kind: int) -> tuple[int, list[str | None]]:
    """Answer so many rounds with nothing that fits."""
    outcomes = []
    for _ in range(count):
        pulls = pulling.pulls(now, [DIGEST])
        assert pulls
        for pull in pulls:
            outcomes.append(pulling.take(unfit(pull)[kind], now))
        now += MAX_PATIENCE_MS
    return now, outcomes


def test_a_pull_that_nothing_ever_fits_ends() -> None:
    for kind in (0, 1):
        pulling = files(MemoryStorage())
        now, outcomes = rounds(pulling, UNFIT_ROUNDS, 0, kind)
        assert set(outcomes) == {None}
        (pull, *_) = pulling.pulls(now, [DIGEST])
        assert pulling.take(unfit(pull)[kind], now) == UNFIT
        assert pulling.pulls(now + 9 * MAX_PATIENCE_MS, [DIGEST]) == []


def test_who_throws_chunks_in_between_ends_no_pull() -> None:
    """A flood within one round is one round, and one chunk that fits makes up for all."""
    pulling = files(MemoryStorage())
    now, _ = rounds(pulling, UNFIT_ROUNDS - 1, 0, 0)
    (pull, *_) = pulling.pulls(now, [DIGEST])
    for _ in range(1000):
        assert pulling.take(unfit(pull)[0], now) is None
    pulling.take(answer(pull), now)
    now, outcomes = rounds(pulling, UNFIT_ROUNDS, now + MAX_PATIENCE_MS, 0)
    assert set(outcomes) == {None}
    # Silence is no round either: the HES is away.
    for _ in range(3 * UNFIT_ROUNDS):
        pulling.pulls(now, [DIGEST])
        now += MAX_PATIENCE_MS
    assert finish(pulling, now) == COMPLETE


def test_a_spoilt_part_is_no_proof_against_the_hes() -> None:
    storage = MemoryStorage()
    pulling = files(storage)
    pulling.take(answer(pulling.pulls(0, [DIGEST])[0]), 0)
    storage.damage("package-" + DIGEST.hex()[:32] + ".part", 17)
    assert finish(files(storage)) == COMPLETE
    assert storage.read("package-" + DIGEST.hex()[:32]) == WHOLE


def test_what_was_not_asked_for_is_ignored() -> None:
    storage = MemoryStorage()
    pulling = files(storage)
    pulls = pulling.pulls(0, [DIGEST])
    for chunk in (
        Chunk(OTHER_DIGEST, 0, len(OTHER), OTHER[:CHUNK]),
        Chunk(DIGEST, 5 * CHUNK, SIZE, WHOLE[5 * CHUNK :]),
        Chunk(DIGEST, 1, SIZE, WHOLE[1 : CHUNK + 1]),
        Chunk(DIGEST, 0, SIZE, WHOLE[: CHUNK - 1]),
        Chunk(DIGEST, 0, SIZE, WHOLE[: CHUNK + 1]),
        Chunk(DIGEST, 0, SIZE, b""),
    ):
        assert pulling.take(chunk, 0) is None
    assert storage.names() == []
    for pull in pulls:
        pulling.take(answer(pull), 0)
    assert finish(pulling) == COMPLETE


def test_what_the_hes_lacks_lets_the_next_go_first() -> None:
    pulling = files(MemoryStorage())
    pulling.want(OTHER_DIGEST, len(OTHER))
    order = [DIGEST, OTHER_DIGEST]
    for pull in pulling.pulls(0, order):
        assert pull.digest == DIGEST
        assert pulling.take(Chunk(DIGEST, pull.offset, 0, b""), 0) is None
    for pull in pulling.pulls(1, order):
        assert pull.digest == OTHER_DIGEST
        outcome = pulling.take(answer(pull, OTHER), 1)
    assert outcome == COMPLETE
    assert pulling.pulls(2, order) == []
    assert finish(pulling, PATIENCE_MS) == COMPLETE


def test_the_most_urgent_is_pulled_first() -> None:
    pulling = files(MemoryStorage())
    pulling.want(OTHER_DIGEST, len(OTHER))
    assert pulling.pulls(0, [OTHER_DIGEST, DIGEST])[0].digest == OTHER_DIGEST


def test_full_flash() -> None:
    storage = MemoryStorage()
    pulling = files(storage)
    pulls = pulling.pulls(0, [DIGEST])
    storage.fail_next(ENOSPC)
    assert raises(OSError, pulling.take, answer(pulls[0]), 0).errno == ENOSPC
    assert pulling.pulls(1, [DIGEST]) == []  # not at once again
    assert finish(pulling, PATIENCE_MS) == COMPLETE
    assert storage.read("package-" + DIGEST.hex()[:32]) == WHOLE


def test_flash_fails_at_the_last_step() -> None:
    storage = MemoryStorage()
    pulling = Files(storage, crypto(), TRUST)
    digest = hashlib.sha256(b"small").digest()
    pulling.want(digest, 5)
    pull = pulling.pulls(0, [digest])[0]
    chunk = answer(pull, b"small")

    rename = storage.rename
    failed: list[str] = []

    def rename_once(old: str, new: str) -> None:
        if not failed:
            failed.append(old)
            raise OSError(5, "EIO")
        rename(old, new)

    storage.rename = rename_once  # type: ignore[method-assign]
    raises(OSError, pulling.take, chunk, 0)
    pull = pulling.pulls(PATIENCE_MS, [digest])[0]
    assert pulling.take(answer(pull, b"small"), PATIENCE_MS) == COMPLETE
    assert storage.read("package-" + digest.hex()[:32]) == b"small"


def test_only_what_is_needed_stays() -> None:
    storage = MemoryStorage()
    storage.replace("package-" + "0" * 32, b"old")
    storage.replace("package-" + "1" * 32 + ".part", b"old")
    storage.replace("ledger.1", b"not ours")
    pulling = files(storage)
    pulling.take(answer(pulling.pulls(0, [DIGEST])[0]), 0)
    pulling.keep_only([DIGEST])
    assert storage.names() == ["ledger.1", "package-" + DIGEST.hex()[:32] + ".part"]
    pulling.disconnected()
    assert finish(pulling, PATIENCE_MS) == COMPLETE
    pulling.keep_only([DIGEST])
    assert pulling.has(DIGEST)
    pulling.keep_only([])
    assert storage.names() == ["ledger.1"]


def test_a_good_package_comes_out() -> None:
    raw = signed(package().to_payload())
    digest = hashlib.sha256(raw).digest()
    storage = MemoryStorage()
    pulling = Files(storage, crypto(), TRUST)
    raises(OSError, pulling.package, digest)
    pulling.want(digest, len(raw))
    pulling.take(answer(pulling.pulls(0, [digest])[0], raw), 0)
    assert pulling.package(digest).name == "interval-900"
    assert Files(storage, crypto(), []).has(digest)
    refused = raises(Refused, Files(storage, crypto(), []).package, digest)
    assert refused.reason == "unknown-signer"
