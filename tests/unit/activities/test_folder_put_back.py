"""A data folder that was put back from a copy, on a real meter side: no nonce is used twice under a
key, over everything that was ever encrypted for the meter in any of its lives."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from gateway.audit import Audit
from gateway.contract.kinds import READ
from gateway.contract.messages import Hello
from gateway.contract.meter_keys import Vault
from gateway.folder import Folder
from gateway.jobs.ledger import Ledger
from gateway.meters.counters import Counters
from gateway.uplink.past import Past
from hal.cpython.crypto import SystemCrypto
from hal.sim.storage import MemoryStorage
from tests.portable.meters.test_counters import Chance, copy_of
from tests.portable.uplink.support import BOARD_KEY, HERE, Limits
from tests.unit.activities import scene as scenes
from tests.unit.activities.scene import Scene
from tests.unit.activities.test_attempt import SERIAL_ATTRIBUTE
from tools.hes.store.store import Store

ATTEMPTS = 30
Random = Any


class Watched:
    """Everything that the client encrypts or authenticates: (key, nonce), and how often."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pairs: Counter[tuple[bytes, bytes]] = Counter()
        monkeypatch.setattr(scenes, "SystemCrypto", lambda: self.crypto())

    def crypto(self) -> SystemCrypto:
        crypto, pairs = SystemCrypto(), self.pairs
        make = crypto.aes_gcm

        def aes_gcm(key: bytes) -> Any:
            cipher = make(key)

            class Noted:
                def encrypt(self, nonce: bytes, *rest: Any) -> bytes:
                    pairs[bytes(key), bytes(nonce)] += 1
                    return cipher.encrypt(nonce, *rest)

                decrypt, crypt = staticmethod(cipher.decrypt), staticmethod(cipher.crypt)

            return Noted()

        crypto.aes_gcm = aes_gcm  # type: ignore[method-assign]
        return crypto

    def twice(self) -> int:
        return sum(count > 1 for count in self.pairs.values())


class Life:
    """One start of the gateway on this storage, with the meter of the scene."""

    def __init__(
        self, scene: Scene, storage: MemoryStorage, random: Random, patch: pytest.MonkeyPatch
    ) -> None:
        self._scene, self._patch = scene, patch
        self._storage = storage
        crypto = SystemCrypto()
        folder = Folder(storage, Vault(crypto, BOARD_KEY), lambda: True)
        trail = Audit(storage, scene.clock, 1 << 16)
        self.ledger = Ledger(storage, scene.clock, crypto.random, Limits(), trail)
        self.ledger.note("start", ["x"])
        self.counters = Counters(storage, random)
        self.past = Past(folder, self.counters, self.ledger)

    def hello(self, store: Store) -> None:
        trail, past = self.ledger.trail, self.past
        past.told(trail.records, trail.head)
        hello = Hello(
            1, 0, [], records=trail.records, head=trail.head, starts=past.starts, used=past.used
        )
        memory = store.line.remember(HERE, hello)
        store.line.take_hello(HERE, hello)
        assert memory is not None
        past.take(memory.encode())

    def read(self, times: int = ATTEMPTS) -> None:
        self._patch.setattr(scenes, "Counters", lambda storage, random: self.counters)
        self._scene.storage = self._storage
        for result, _ in self._scene.run(READ, [SERIAL_ATTRIBUTE], times):
            assert result.reason == "read", (result.reason, result.detail)


def test_the_checker_sees_what_happened_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without strides and without the HES the copy uses the same nonces again."""
    watched, scene = Watched(monkeypatch), Scene()
    first = Life(scene, scene.storage, bytes, monkeypatch)
    copy = copy_of(scene.storage)
    first.read()
    assert watched.twice() == 0 and len(watched.pairs) > 3 * ATTEMPTS
    Life(scene, copy, bytes, monkeypatch).read()
    assert watched.twice() > 0


def test_the_hes_remembers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where chance is the same in each life."""
    store = Store(":memory:")
    watched, scene = Watched(monkeypatch), Scene()
    first = Life(scene, scene.storage, bytes, monkeypatch)
    first.hello(store)
    first.read(3)
    copies = [copy_of(scene.storage), copy_of(scene.storage)]
    first.read()
    first.hello(store)
    later = Life(scene, scene.storage, bytes, monkeypatch)
    later.hello(store)
    later.read()
    later.hello(store)
    for copy in copies:
        back = Life(scene, copy, bytes, monkeypatch)
        back.hello(store)
        back.read()
        back.hello(store)
        again = Life(scene, copy, bytes, monkeypatch)
        again.hello(store)
        again.read()
        again.hello(store)
    assert watched.twice() == 0
    names = [each.name for each in store.reports.events()]
    assert names.count("folder-rolled-back") >= 2
    store.close()


def test_strides_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No HES at all: two boxes go on from one copy, by turns."""
    watched, scene = Watched(monkeypatch), Scene()
    first = Life(scene, scene.storage, Chance(1), monkeypatch)
    first.read(2)
    boxes = [copy_of(scene.storage) for _ in range(2)]
    for turn in range(4):
        for number, box in enumerate(boxes):
            Life(scene, box, Chance(100 * number + turn + 2), monkeypatch).read(5)
    assert watched.twice() == 0
