"""Packages on their way from the HES to the flash: pulled in chunks, resumed after any
interruption, proven by SHA-256.

Sans-IO: pulls() says which chunks to ask for now, take() receives one. What is on the flash is
durable up to the size of the part file, so the flash itself remembers how far a pull got.

A chunk proves nothing, on a plain line anybody can send one. One that does not fit is dropped, and
its place asked for again; only the SHA-256 of the whole judges, and it says no only after TRIES.
Where nothing that fits comes, and what does not fit does, each time it is asked for, the pull ends.
"""

from __future__ import annotations

import hashlib

from gateway.contract.kinds import IMAGE_FILE
from gateway.contract.messages import Pull
from hal.rt import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.contract.image_file import ImageFile
    from gateway.contract.messages import Chunk
    from gateway.contract.package import Package
    from hal.ports import Crypto, Storage

CHUNK = 4096
WINDOW = 4  # chunks asked for and not here yet
PATIENCE_MS = 30_000  # without any chunk, before asking again; doubles up to MAX_PATIENCE_MS
MAX_PATIENCE_MS = 480_000
UNFIT_ROUNDS = 6  # of asking, to which only chunks that do not fit came: twenty minutes and more
TRIES = 3  # whole pulls, before the HES has another file than the job says
_PREFIX = "package-"
_PART = ".part"

COMPLETE = "complete"
BAD_DIGEST = "bad-digest"
UNFIT = "package-unavailable"


class Files:
    """The packages that jobs need: those being pulled, one at a time, and the complete ones.

    `storage` holds them as package-<32 hex> and, until complete, package-<32 hex>.part. `trust` as
    in envelope.verify(); it may change meanwhile (forget_proven()).
    """

    def __init__(
        self, storage: Storage, crypto: Crypto, trust: Sequence[tuple[bytes, bytes]]
    ) -> None:
        self._storage = storage
        self._crypto = crypto
        self._trust = trust
        self._wanted: list[_Transfer] = []
        self._decoded: tuple[bytes, Package] | None = None
        self._image: tuple[bytes, ImageFile] | None = None

    def has(self, digest: bytes) -> bool:
        return self._storage.size(_name(digest)) >= 0

    def package(self, digest: bytes) -> Package:
        """The complete package. OSError when it is not here; Refused as Package.decode()."""
        if self._decoded is None or self._decoded[0] != digest:
            from gateway.contract.package import Package  # with the first one

            raw = self._storage.read(_name(digest))
            self._decoded = (digest, Package.decode(raw, self._trust, self._crypto))
        return self._decoded[1]

    def image(self, digest: bytes) -> ImageFile:
        """The complete image file, likewise."""
        if self._image is None or self._image[0] != digest:
            from gateway.contract.image_file import ImageFile

            found = ImageFile.open(self._storage, _name(digest), self._trust, self._crypto)
            self._image = (digest, found)
        return self._image[1]

    def proven(self, takes: int, digest: bytes) -> Package | ImageFile:
        """The one or the other, by what a kind of job `takes`."""
        return self.image(digest) if takes == IMAGE_FILE else self.package(digest)

    def forget_proven(self) -> None:
        """The keys that prove packages have changed."""
        self._decoded = None
        self._image = None

    def want(self, digest: bytes, size: int) -> None:
        """Pull the package of `size` octets with this SHA-256, after those wanted before; no-op
        when wanted or here.
        """
        if not self.has(digest) and self._find(digest) is None:
            self._wanted.append(_Transfer(self._storage, digest, size))

    def keep_only(self, digests: list[bytes]) -> None:
        """Forget every package and every pull but these, also what an earlier run left on the
        flash.
        """
        self._wanted = [transfer for transfer in self._wanted if transfer.digest in digests]
        if self._decoded is not None and self._decoded[0] not in digests:
            self._decoded = None
        if self._image is not None and self._image[0] not in digests:
            self._image = None
        names = [_name(digest) for digest in digests]
        for name in self._storage.names():
            whole = name[: -len(_PART)] if name.endswith(_PART) else name
            if name.startswith(_PREFIX) and whole not in names:
                self._storage.remove(name)

    def pulls(self, now_ms: int, order: list[bytes]) -> list[Pull]:
        """What to ask the HES for at this tick: pieces of the first package in `order` (digests)
        that it is not known to lack."""
        for digest in order:
            transfer = self._find(digest)
            if transfer is not None and not transfer.paused(now_ms):
                return transfer.pulls(now_ms)
        return []

    def disconnected(self) -> None:
        """What was asked for will not come."""
        for transfer in self._wanted:
            transfer.forget_asked()

    def take(self, chunk: Chunk, now_ms: int) -> str | None:
        """COMPLETE, BAD_DIGEST or UNFIT when this chunk ended a pull, else None. OSError as the
        storage gives it.
        """
        transfer = self._find(chunk.digest)
        if transfer is None:
            return None
        if (
            chunk.total == 0
        ):  # the HES does not have it (yet): let the others go first, ask again later
            transfer.pause(now_ms)
            self._wanted.remove(transfer)
            self._wanted.append(transfer)
            return None
        outcome = transfer.take(chunk, now_ms)
        if outcome is not None:
            self._wanted.remove(transfer)
        return outcome

    def _find(self, digest: bytes) -> _Transfer | None:
        for transfer in self._wanted:
            if transfer.digest == digest:
                return transfer
        return None


class _Transfer:
    """One package on its way. `_durable` octets are on the flash, `_early` holds chunks that came
    before their turn.
    """

    def __init__(self, storage: Storage, digest: bytes, size: int) -> None:
        self.digest = digest
        self._storage = storage
        self._size = size
        self._part = _name(digest) + _PART
        self._asked: list[int] = []  # offsets
        self._early: dict[int, bytes] = {}
        self._durable = 0
        self._resumed = False
        self._tries = 0
        self._unfit = False  # a chunk that does not fit has come in this round
        self._unfit_rounds = 0
        self._told = False  # of it, in the log
        self._go_by_the_flash()
        self._patience_ms = PATIENCE_MS
        self._deadline_ms: int | None = None  # when what was asked counts as lost

    def pulls(self, now_ms: int) -> list[Pull]:
        if self._deadline_ms is not None and now_ms >= self._deadline_ms:
            self._unfit_rounds += 1 if self._unfit else 0
            self._unfit = False
            self._asked = []
            self._patience_ms = min(2 * self._patience_ms, MAX_PATIENCE_MS)
            self._deadline_ms = None
        pulls = []
        offset = self._durable
        while offset < self._size and offset < self._durable + WINDOW * CHUNK:
            if offset not in self._asked and offset not in self._early:
                pulls.append(Pull(self.digest, offset, self._chunk_at(offset)))
                self._asked.append(offset)
            offset += CHUNK
        if pulls:
            self._deadline_ms = now_ms + self._patience_ms
        return pulls

    def paused(self, now_ms: int) -> bool:
        return not self._asked and self._deadline_ms is not None and now_ms < self._deadline_ms

    def pause(self, now_ms: int) -> None:
        """Ask for nothing for a while, longer from time to time."""
        self.forget_asked()
        self._deadline_ms = now_ms + self._patience_ms

    def forget_asked(self) -> None:
        self._asked = []
        self._deadline_ms = None

    def take(self, chunk: Chunk, now_ms: int) -> str | None:
        if chunk.total != self._size:
            return self._take_unfit("of a file of %d octets" % chunk.total)
        if chunk.offset not in self._asked:
            return None  # late, twice, or never asked for
        if len(chunk.data) != self._chunk_at(chunk.offset):
            return self._take_unfit("of %d octets" % len(chunk.data))
        self._unfit, self._unfit_rounds = False, 0
        self._asked.remove(chunk.offset)
        self._early[chunk.offset] = chunk.data
        self._patience_ms = PATIENCE_MS
        self._deadline_ms = now_ms + self._patience_ms if self._asked else None
        try:
            self._write_what_is_next()
            return self._finish() if self._durable == self._size else None
        except OSError:
            self.pause(now_ms)
            self._go_by_the_flash()
            raise

    def _take_unfit(self, what: str) -> str | None:
        self._unfit = True
        if not self._told:
            self._told = True
            log.warning(
                "uplink",
                "package %s: a chunk %s does not fit a file of %d octets"
                % (self.digest.hex()[:16], what, self._size),
            )
        return UNFIT if self._unfit_rounds >= UNFIT_ROUNDS else None

    def _chunk_at(self, offset: int) -> int:
        return min(CHUNK, self._size - offset)

    def _go_by_the_flash(self) -> None:
        """Go on from what the part file holds, which a power cut may have spoilt."""
        self._early = {}
        self._durable = max(0, self._storage.size(self._part))
        self._resumed = self._durable > 0
        if self._durable >= self._size:
            self._durable = 0
            self._storage.remove(self._part)

    def _write_what_is_next(self) -> None:
        if self._durable not in self._early:
            return
        file = self._storage.append(self._part)
        try:
            while self._durable in self._early:
                data = self._early.pop(self._durable)
                file.write(data)
                self._durable += len(data)
            file.sync()
        finally:
            file.close()

    def _finish(self) -> str | None:
        if self._sha256() == self.digest:
            self._storage.rename(self._part, _name(self.digest))
            return COMPLETE
        self._storage.remove(self._part)
        # Of one that was resumed, a power cut may have left octets that nobody sent.
        self._tries += 0 if self._resumed else 1
        self._resumed = False
        self._durable = 0
        return BAD_DIGEST if self._tries >= TRIES else None

    def _sha256(self) -> bytes:
        state = hashlib.sha256()
        for offset in range(0, self._size, CHUNK):
            state.update(self._storage.read(self._part, offset, CHUNK))
        return state.digest()


def _name(digest: bytes) -> str:
    return _PREFIX + digest.hex()[:32]
