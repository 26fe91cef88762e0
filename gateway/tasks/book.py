"""The tasks of this concentrator: those that the HES has sent, and the defaults (defaults.py).

A task that was sent is a file in the Storage, `task-<name>`: SHA-256 of what follows (32), and the
CBOR of a Task, or of a TaskRemoved where a default is not wanted. Serials that a task lists stay
there until a run needs them. The file `tasks-done` has, in the same manner, CBOR [1, [* [name, when
it was last due, of what is done]]]. Where that is lost, what was missed is not made up for.
"""

from __future__ import annotations

import hashlib

from gateway.contract.refused import Refused
from gateway.contract.task import LIST, MAX_TASKS, Task, TaskRemoved
from gateway.tasks.defaults import is_default, of_model
from hal.rt import cbor, log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from hal.ports import Storage

WHERE = "tasks"
FILES = "task-"  # their names begin so
DONE = "tasks-done"
_HASH = 32
_AHEAD_S = 86400  # what is done later than this from now was done by a wrong clock


class Entry:
    """`task`, of which the list of serials is left out. `default`: it was not sent. `done`: when it
    was last due, of what is done; 0: it has just come."""

    __slots__ = ("default", "done", "task")

    def __init__(self, task: Task, default: bool) -> None:
        self.task = task
        self.default = default
        self.done = 0


class Book:
    """`models()`: those of the meters that are here. `version` changes with what is in the book.
    `damaged`: names of tasks that the flash has lost."""

    def __init__(self, storage: Storage, models: Callable[[], list[Any]]) -> None:
        self._storage = storage
        self._models = models
        self._sent: dict[str, Task | TaskRemoved] = {}
        self._done: dict[str, int] = {}
        self._entries: list[Entry] = []
        self.version = 0
        self.damaged: list[str] = []
        self._load()
        self.refresh()

    def entries(self) -> list[Entry]:
        """By name."""
        return self._entries

    def refresh(self) -> None:
        """Look again which models there are. OSError of the storage."""
        found = {}
        for name, each in self._sent.items():
            if isinstance(each, Task):
                found[name] = Entry(each, False)
        for model in self._models():
            for task in of_model(model):
                if task.name not in self._sent and task.name not in found:
                    found[task.name] = Entry(task, True)
        before = {entry.task.name: entry for entry in self._entries}
        entries = []
        for name in sorted(found):
            entry = found[name]
            if name in before and before[name].task == entry.task:
                entry = before[name]  # a run may hold it
            entry.done = self._done.get(name, 0)
            entries.append(entry)
        if [entry.task for entry in entries] != [entry.task for entry in self._entries]:
            self.version += 1
        self._entries = entries

    def set(self, task: Task) -> str:
        """Durable when it returns what changed, for people. Refused `too-many-tasks`; OSError of
        the storage."""
        known = self._sent.get(task.name)
        if known is None and len(self._sent) >= MAX_TASKS:
            raise Refused("too-many-tasks", "at most %d are kept" % MAX_TASKS)
        self._write(task)
        if isinstance(known, Task) and known.paused and not task.paused:
            # What it was due for while it was paused was not missed.
            self._done.pop(task.name, None)
        self._sent[task.name] = _without_list(task)
        self.refresh()
        return "task %s %s" % (task.name, "paused" if task.paused else "set")

    def remove(self, removed: TaskRemoved) -> str:
        """As set(); there may have been none."""
        name = removed.name
        if is_default(name):
            if name not in self._sent and len(self._sent) >= MAX_TASKS:
                raise Refused("too-many-tasks", "at most %d are kept" % MAX_TASKS)
            self._write(removed)
            self._sent[name] = removed
        elif name in self._sent:
            self._storage.remove(FILES + name)
            del self._sent[name]
        self._done.pop(name, None)
        self.refresh()
        return "task %s removed" % name

    def serials(self, task: Task) -> list[str]:
        """Those that a task for a LIST names. OSError of the storage."""
        whole = self._read(task.name) if task.meters[0] == LIST else None
        return whole.meters[1] if isinstance(whole, Task) else []

    def begin(self, now: int) -> None:
        """Tasks that have just come are due from now on. OSError of the storage."""
        fresh = [entry for entry in self._entries if not entry.done or entry.done > now + _AHEAD_S]
        for entry in fresh:
            self._done[entry.task.name] = entry.done = now
        if fresh:
            self._save_done()

    def did(self, entry: Entry, due: int) -> None:
        """What it was due for until then is done, durably. OSError of the storage."""
        if due > entry.done:
            self._done[entry.task.name] = due
            self._save_done()
            entry.done = due

    def _save_done(self) -> None:
        done = [[entry.task.name, self._done.get(entry.task.name, 0)] for entry in self._entries]
        self._storage.replace(DONE, _hashed(cbor.encode([1, done])))

    def _write(self, task: Task | TaskRemoved) -> None:
        self._storage.replace(FILES + task.name, _hashed(cbor.encode(task.to_array())))

    def _load(self) -> None:
        for file in sorted(self._storage.names()):
            if not file.startswith(FILES):
                continue
            name = file[len(FILES) :]
            try:
                found = self._read(name)
            except OSError as error:
                log.error(WHERE, "storage: %s: %s" % (file, error))
                found = None
            if found is None:
                log.error(WHERE, "%s is damaged: that task is to be set again" % file)
                self.damaged.append(name)
            else:
                self._sent[name] = _without_list(found) if isinstance(found, Task) else found
        try:
            if self._storage.size(DONE) >= 0:
                _, done = cbor.decode(_proven(self._storage.read(DONE)))
                self._done = dict(done)
        except (ValueError, TypeError):
            log.error(WHERE, "%s is damaged: what was missed is not made up for" % DONE)

    def _read(self, name: str) -> Task | TaskRemoved | None:
        """None: there is none that is good."""
        try:
            if self._storage.size(FILES + name) < 0:
                return None
            item = cbor.decode(_proven(self._storage.read(FILES + name)))
            kind = Task if item[0] == 1 else TaskRemoved
            found: Task | TaskRemoved = kind.of(item)
            return found if found.name == name else None
        except (Refused, ValueError, TypeError, IndexError):
            return None


def _without_list(task: Task) -> Task:
    if task.meters[0] == LIST:
        task = Task.of(task.to_array())
        task.meters = [LIST, []]
    return task


def _hashed(body: bytes) -> bytes:
    return hashlib.sha256(body).digest() + body


def _proven(raw: bytes) -> bytes:
    if hashlib.sha256(raw[_HASH:]).digest() != raw[:_HASH]:
        raise ValueError("its hash differs")
    return raw[_HASH:]
