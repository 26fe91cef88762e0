"""What a data folder keeps beside its journals, in a life on a flash that loses power: who it is,
how often it was started and what has to be in it, the last known time, the numbers of the meters'
keys, and the key of a certificate that was asked for.

Runs on both runtimes.
"""

from __future__ import annotations

from gateway.contract.meter_keys import Vault
from gateway.folder import Folder
from gateway.kept_clock import KeptClock
from gateway.meters.counters import Counters
from gateway.uplink.certificates import Certificates
from gateway.uplink.identity import identity_of
from hal.sim.clock import ManualClock
from hal.sim.storage import PowerCut
from tests.portable.support import random_bytes
from tests.portable.uplink.support import BOARD_KEY, crypto
from tests.portable.uplink.test_certificates import Uplink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hal.ports import Storage

NOW = 1_700_000_000
METERS = ("M0", "M1", "M2")
CRYPTO = crypto()
VAULT = Vault(CRYPTO, BOARD_KEY)


class Life:
    """The scenario, and what has been promised so far."""

    def __init__(self) -> None:
        self.date = NOW
        self.starts = 0
        self.names: list[str] = []
        self.floor = 0
        self.fingerprint = b""
        self.numbers: dict[str, int] = {}  # the last one of each meter
        self.used = 0
        self.asked = b""  # the request that was told

    def boot(self, storage: Storage) -> None:
        """The gateway starts, and all goes its way to the end."""
        try:
            self._live(storage)
        except OSError:
            # A start and a time that cannot be written end nothing: so littlefs is met without
            # power by who comes next.
            raise PowerCut("the power went, and nobody minded")

    def _live(self, storage: Storage) -> None:
        self.date += 100_000
        self._folder(storage)
        self._time(storage)
        self._identity(storage)
        self._counters(storage)
        self._certificate(storage)
        self.folder.settle()
        self.names = list(self.folder._names)
        self.folder.went_to(self.starts + 3)
        self.starts = self.folder.starts

    def _folder(self, storage: Storage) -> None:
        folder = self.folder = Folder(storage, VAULT, lambda: True)
        storage.names()  # there is still power
        assert folder.starts > self.starts, "a start is forgotten"
        self.starts = folder.starts
        assert folder.missing == folder.lost == [], folder.missing
        assert not [name for name in self.names if name not in folder._names], "files forgotten"

    def _time(self, storage: Storage) -> None:
        clock = self.clock = KeptClock(ManualClock(self.date), storage)
        assert clock.floor >= self.floor, "the last known time went back"
        clock.confirm()
        storage.names()
        self.floor = clock.floor

    def _identity(self, storage: Storage) -> None:
        identity = identity_of(storage, CRYPTO, BOARD_KEY)
        assert self.fingerprint in (b"", identity.fingerprint), "it is another one"
        self.fingerprint = identity.fingerprint

    def _counters(self, storage: Storage) -> None:
        noise = random_bytes(self.date, 4)
        counters = Counters(storage, lambda n: noise[:n])
        assert counters.used >= self.used, "used numbers are forgotten"
        for serial in METERS:
            for _ in range(3):
                number = counters.next(serial)
                assert number > self.numbers.get(serial, 0), "a number comes twice"
                self.numbers[serial], self.used = number, counters.used

    def _certificate(self, storage: Storage) -> None:
        told: list[str] = []
        uplink: Any = Uplink(b"")
        certificates = Certificates(
            uplink,
            "c-1",
            [],
            True,
            self.clock,
            CRYPTO,
            storage,
            VAULT,
            lambda *a: told.append(a[0]),
        )
        request = certificates.status().request
        assert request and self.asked in (b"", request), "the key that was asked for is lost"
        self.asked = request
        assert told == [], told
