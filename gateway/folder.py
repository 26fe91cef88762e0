"""What the data folder knows of itself: how often a gateway was started on it, what has to be in
it, and which board's key the secrets in it are wrapped under.

Without that, a lost journal would pass for one that was never made: invocation counters would begin
again under the same keys, and people who were removed would be trusted once more. What is lost is
told to the HES, and the gateway goes on where it can.

The file `folder`, replaced as a whole:

    SHA-256 of what follows (32) || CBOR [1, starts, check, [* name], [* lost]]

`check` tells one board's key from another (contract/meter_keys.py). `name`: what was here and has
to be; `lost`: what was missing at this start or one before, and is not yet told. A folder without
this file is new, unless something of it is there: then an older firmware made it, or the file was
lost, and what is there is taken as it is.
"""

from __future__ import annotations

import hashlib

from gateway.settings import SettingsError
from hal.rt import cbor, log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.contract.meter_keys import Vault
    from hal.ports import Storage

WHERE = "folder"
FILE = "folder"
# What lasts, once it is there: a file of this name, or the numbered files of a journal or a pair.
LEDGER, AUDIT, COUNTERS, TRUST, READINGS = "ledger", "audit", "counters", "trust", "readings"
CHANGES = "changes"
_PAST = (LEDGER, AUDIT, COUNTERS, TRUST, READINGS, CHANGES)
# These may be here before the first start.
_EARLY = ("identity", "meters.jsonl", "keys.jsonl")
_LASTING = _PAST + _EARLY
_LOSS = {
    LEDGER: "jobs, and results that the HES did not have yet",
    AUDIT: "what was done before",
    READINGS: "what was read, and the HES did not have yet",
    COUNTERS: "how far the invocation counters had come; they go on far ahead",
    TRUST: "whom to trust; nobody is, until somebody has been here",
    CHANGES: "which changes the HES has made; they begin again with number 1",
    "identity": "who this concentrator is; it has to be enrolled anew",
    "meters.jsonl": "which meters there are",
    "keys.jsonl": "the meters' keys",
    FILE: "what else had to be here",
}
MOST_STARTS = 0xFFFFFFFF
NEW_KEY = (
    "remove the files folder, identity and keys.jsonl from the data folder, start again, enrol the"
    " concentrator anew, and send the meters' keys again"
)
_WRONG_KEY = (
    "board_key: this is not the key that the secrets in the data folder are wrapped under; put the"
    " copy of that one back (the HES has one). If it is lost for good, " + NEW_KEY
)


class Folder:
    """Once it is made this start is counted, durably if the flash has room. SettingsError when the
    board's key is another than the one that was used here before; OSError of the storage.
    `opens()`: whether the meters' keys, if there are any, open with it; asked where the file does
    not tell.

    `missing`: what has to be here and was not there at this start. `lost`: the same, and what was
    not told at the starts before; told() when it is. `adopted`: the folder has no past of its own,
    and yet something is in it.
    """

    def __init__(self, storage: Storage, vault: Vault, opens: Callable[[], bool]) -> None:
        self._storage = storage
        self._check = vault.check()
        there = _there(storage)
        read = _content(storage)
        self.adopted = read is None and [name for name in there if name in _PAST] != []
        self.starts, check, self._names, self.lost = read or (0, b"", [], [])
        if check != self._check if check else not opens():
            raise SettingsError(_WRONG_KEY)
        self.missing = [name for name in self._names if name not in there]
        if read is None and storage.size(FILE) >= 0:
            self.missing.append(FILE)
        for name in self.missing:
            log.error(WHERE, "%s is gone from the data folder: %s" % (name, _LOSS[name]))
            if name not in self.lost:
                self.lost.append(name)
        if self.adopted and not self.missing:
            log.warning(WHERE, "it has no record of its own past: taken as it is")
        self.starts = min(self.starts + 1, MOST_STARTS)
        try:
            self._save(self._names)
        except OSError as error:  # a full flash keeps nobody from starting
            log.error(WHERE, "storage: this start is not counted: %s" % error)

    def settle(self) -> None:
        """What is here now has to be from now on."""
        names = _there(self._storage)
        names.extend([name for name in self._names if name not in names])
        if sorted(names) != sorted(self._names):
            self._save(names)

    def went_to(self, starts: int) -> None:
        """Count on from there: somebody knows of so many."""
        if starts > self.starts:
            self.starts = min(starts, MOST_STARTS)
            self._save(self._names)

    def told(self) -> None:
        """The HES will hear of what is lost."""
        if self.lost:
            self.lost = []
            self._save(self._names)

    def _save(self, names: list[str]) -> None:
        body = cbor.encode([1, self.starts, self._check, names, self.lost])
        self._storage.replace(FILE, hashlib.sha256(body).digest() + body)
        self._names = names


def has_past(storage: Storage) -> bool:
    """Whether a gateway was started here before: then the board's key is not to be made anew."""
    return storage.size(FILE) >= 0


def starts_of(storage: Storage) -> int:
    """For who only looks."""
    read = _content(storage)
    return 0 if read is None else read[0]


def not_there(storage: Storage) -> list[str]:
    """What has to be there and is not, in words, for who only looks."""
    read, there = _content(storage), _there(storage)
    missing = [name for name in read[2] if name not in there] if read is not None else []
    return ["%s is gone: %s" % (name, _LOSS[name]) for name in missing]


def _there(storage: Storage) -> list[str]:
    names = storage.names()
    return [name for name in _LASTING if [one for one in names if _is_of(one, name)]]


def _is_of(file: str, name: str) -> bool:
    number = file[len(name) + 1 :] if file.startswith(name + ".") else ""
    # .old: of keys that were being wrapped as the power went (meters/inventory.py).
    return file == name or number.isdigit() or number == "old"


def _content(storage: Storage) -> tuple[int, bytes, list[str], list[str]] | None:
    if storage.size(FILE) < 0:
        return None
    raw = storage.read(FILE)
    body = raw[32:]
    if hashlib.sha256(body).digest() != raw[:32]:
        return None
    try:
        _, starts, check, names, lost = cbor.decode(body)
        return starts, check, _known(names), _known(lost)
    except (ValueError, TypeError):
        return None


def _known(names: Sequence[str]) -> list[str]:
    return [name for name in names if name in _LOSS]
