"""Own invocation counters, kept in a file between runs and between programs that run at once.

A counter used twice under one key gives AES-GCM away, so numbers are reserved in blocks: the file
holds, durably, the first number nobody may have used yet, before any number of the block goes out.
A lock on a file beside it keeps two runs apart. Keys are told apart by a digest, for one key may
serve a meter on two paths. The file also holds what the numbers of a key were raised by because the
meter was said to want it, and since when, and the system title this machine made for itself.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

BLOCK = 32
FIRST = 1
LAST = 0xFFFFFFFF
# A meter may ask for a higher counter, but an exception-response is not authenticated: whoever
# forges them must not be able to use up the key's numbers. So much a day, as in the concentrator
# (gateway/meters/counters.py), takes eleven years.
MAX_JUMP = 1 << 20
DAY_S = 86400


class CounterProblem(Exception):
    """No counter can be given out; says why and what to do."""


def default_path() -> Path:
    """`ami-dlms/counters.json` in the user's state folder (XDG_STATE_HOME)."""
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "ami-dlms" / "counters.json"


class CounterFile:
    """The counters of one key. `next()` gives each number once, whoever else uses the file."""

    def __init__(self, path: Path, title: bytes, key: bytes) -> None:
        self._path = path
        self._name = hashlib.sha256(b"ami-dlms counter" + title + key).hexdigest()[:16]
        self._next = 0
        self._end = 0  # numbers from _next to here, without it, are ours

    def next(self) -> int:
        """CounterProblem when the file cannot be kept, or the numbers are used up."""
        if self._next >= self._end:
            self._reserve(0)
        number = self._next
        self._next += 1
        return number

    def raise_to(self, value: int) -> None:
        """next() gives at least `value` from here on; lower values change nothing."""
        if self._next >= self._end:
            self._reserve(0)
        if value > self._next:
            with _locked(self._path) as content:
                self._count_raise(content, value)
            self._reserve(value)

    def _count_raise(self, content: dict[str, Any], value: int) -> None:
        now = int(time.time())
        since, raised = content.setdefault("raised", {}).get(self._name, (now, 0))
        if abs(now - since) >= DAY_S:
            since, raised = now, 0
        raised += value - self._next
        if raised > MAX_JUMP or value > LAST:
            raise CounterProblem(
                "the meter wants invocation counter %d, %d is next here: not believed, a meter may"
                " raise it by %d a day; give --counter %d if it is right"
                % (value, self._next, MAX_JUMP, value)
            )
        content["raised"][self._name] = [since, raised]

    def start_at(self, value: int) -> None:
        """As raise_to, by the user's own word: however far."""
        self._reserve(value)

    def _reserve(self, least: int) -> None:
        with _locked(self._path) as content:
            counters = content["counters"]
            first = max(counters.get(self._name, FIRST), least)
            if first > LAST:
                raise CounterProblem("the invocation counters of this key are used up: change it")
            end = min(first + BLOCK, LAST + 1)
            counters[self._name] = end
        self._next, self._end = first, end


def own_title(path: Path) -> bytes:
    """The system title of this machine's tool: made by chance once, then kept."""
    with _locked(path) as content:
        return bytes.fromhex(content["title"])


@contextmanager
def _locked(path: Path) -> Iterator[dict[str, Any]]:
    """The file's content; what the caller changes in it is durable when this ends well."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open(path.with_name(path.name + ".lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            before = path.read_bytes() if path.exists() else b""
            content = _parse(before, path)
            yield content
            after = json.dumps(content, indent=1).encode() + b"\n"
            if after != before:
                _replace(path, after)
    except OSError as error:
        raise CounterProblem(
            "the counter file %s cannot be kept: %s; name another with --counter-file"
            % (path, error.strerror)
        ) from None


def _parse(raw: bytes, path: Path) -> dict[str, Any]:
    if not raw:
        return {"title": (b"AMI" + secrets.token_bytes(5)).hex(), "counters": {}}
    try:
        content = json.loads(raw)
        counters, title = content["counters"], bytes.fromhex(content["title"])
        raised = [number for pair in content.get("raised", {}).values() for number in pair]
        if (
            len(title) == 8
            and all(type(end) is int and FIRST < end <= LAST + 1 for end in counters.values())
            and all(type(number) is int for number in raised)
            and all(len(pair) == 2 for pair in content.get("raised", {}).values())
        ):
            return dict(content)
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    raise CounterProblem(
        "the counter file %s is damaged: without it counters could be used twice; restore it, or"
        " remove it and give the next counter with --counter" % path
    )


def _replace(path: Path, data: bytes) -> None:
    part = path.with_name(path.name + ".part")
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
