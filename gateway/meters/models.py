"""The models of meters that this concentrator knows, by name: those it was sent, then those that
its firmware brings along (built_in_models.py). Only a concentrator with meters that are not of our
own model loads this.

A model that was sent is a file in the Storage, `model-<name>`: the SHA-256 of what follows (32),
and the CBOR of contract/model.py. Its signature was proven when it was taken; the hash tells of a
flash that has lost a bit. A damaged file counts as none, so the HES sends that model again.
"""

from __future__ import annotations

import hashlib

from gateway.contract.limits import MAX_MODELS
from gateway.contract.model import OWN, Model
from gateway.contract.refused import Refused
from gateway.meters.inventory import MODEL_FILES
from gateway.meters.model_error import ModelError
from hal.rt import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.ports import Storage

WHERE = "models"
CACHED = 4  # decoded ones kept: a street has few models
_HASH = 32


class Models:
    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._cached: list[Model] = []  # the one decoded last is the last
        self._stored_names: list[tuple[str, int]] | None = None

    def model(self, name: str) -> Model:
        """ModelError when there is none of this name; OSError of the storage."""
        for known in self._cached:
            if known.name == name:
                return known
        found = self._stored(name) or _built_in(name)
        if found is None:
            raise ModelError("unknown-model", "no model %s is here" % name)
        self._cached = self._cached[-CACHED + 1 :]
        self._cached.append(found)
        return found

    def take(self, payload: bytes) -> Model:
        """What is signed of a model, and proven (signed_model.py); durable when it returns. Refused
        `bad-model`, `duplicate`, `replayed` for a number that is not higher, `too-many-models`;
        then nothing has changed."""
        fresh = Model.from_payload(payload)
        if fresh.name == OWN:
            raise Refused("bad-model", "model %s is the firmware's own, and stays as it is" % OWN)
        stored = self._stored(fresh.name)
        if stored == fresh:
            raise Refused("duplicate", "model %s %d is here" % (fresh.name, fresh.number))
        for known in (stored, _built_in(fresh.name)):
            if known is not None and fresh.number <= known.number:
                raise Refused(
                    "replayed",
                    "model %s %d, number %d is here" % (fresh.name, fresh.number, known.number),
                )
        if stored is None and len(self.stored()) >= MAX_MODELS:
            raise Refused("too-many-models", "at most %d are kept" % MAX_MODELS)
        name = MODEL_FILES + fresh.name
        self._storage.replace(name, hashlib.sha256(payload).digest() + payload)
        self._stored_names = None
        self._cached = [known for known in self._cached if known.name != fresh.name]
        return fresh

    def stored(self) -> list[tuple[str, int]]:
        """(name, number) of those that were sent and are good, by name."""
        if self._stored_names is None:
            found = []
            for file in sorted(self._storage.names()):
                model = (
                    self._stored(file[len(MODEL_FILES) :]) if file.startswith(MODEL_FILES) else None
                )
                if model is not None:
                    found.append((model.name, model.number))
            self._stored_names = found
        return self._stored_names

    def _stored(self, name: str) -> Model | None:
        file = MODEL_FILES + name
        if self._storage.size(file) < 0:
            return None
        content = self._storage.read(file)
        payload = content[_HASH:]
        try:
            if hashlib.sha256(payload).digest() == content[:_HASH]:
                return Model.from_payload(payload)
            text = "its hash differs"
        except Refused as refused:  # by this firmware; an earlier one has taken it
            text = str(refused)
        self._stored_names = None  # the list may be of before
        log.error(WHERE, "%s is damaged (%s); the HES sends it again" % (file, text))
        return None


def _built_in(name: str) -> Model | None:
    from gateway.meters import built_in_models

    payload = built_in_models.payload(name)
    return None if payload is None else Model.from_payload(payload)
