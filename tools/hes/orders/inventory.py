"""Which meters a concentrator has, as the HES changes it.

The lines are those of its own file, meters.jsonl (gateway/meters/inventory.py). A message has 500
meters at most, so a long file becomes several; each of them is taken whole or not at all.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from gateway.contract.change import Change
from gateway.contract.limits import MAX_METERS
from gateway.contract.meter_change import MAX_PUT, MeterEntry, MetersPut, MetersRemoved
from gateway.contract.refused import Refused
from gateway.meters.line_fields import InventoryError
from gateway.meters.meter_line import entry_of
from tools.hes.orders import change
from tools.hes.orders.typed import OrderProblem
from tools.hes.store.records import Numbered
from tools.hes.store.states import REJECTED, TAKEN, UNANSWERED
from tools.hes.store.trust import Trust
from tools.package.keys import SigningKey


def read(path: Path) -> list[MeterEntry]:
    """Of a file as meters.jsonl is. OrderProblem that names the line."""
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise OrderProblem("cannot read %s: %s" % (path, error)) from None
    found: dict[str, MeterEntry] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            entry = entry_of(line.encode())
        except InventoryError as error:
            raise OrderProblem("%s line %d: %s" % (path, number, error)) from None
        if entry.serial in found:
            text = "%s line %d: expected each serial once, but %s is on an earlier line"
            raise OrderProblem(text % (path, number, entry.serial))
        found[entry.serial] = entry
    if not 1 <= len(found) <= MAX_METERS:
        text = "%s: expected 1..%d meters, got %d; a concentrator has no room for more"
        raise OrderProblem(text % (path, MAX_METERS, len(found)))
    return list(found.values())


def one(serial: str, paths: Sequence[str], model: str) -> MeterEntry:
    """Of "plc=0080e1000001" and the like. OrderProblem."""
    pairs = [path.split("=", 1) for path in paths]
    if [pair for pair in pairs if len(pair) != 2]:
        raise OrderProblem("expected --path KIND=ADDRESS, such as plc=0080e1000001 or ip=host:port")
    fields = {"serial": serial, "paths": pairs, "model": model}
    try:
        return entry_of(json.dumps(fields).encode())
    except InventoryError as error:
        raise OrderProblem(str(error)) from None


def put(
    store: Trust, key: SigningKey, concentrator: str, entries: Sequence[MeterEntry], now: int
) -> list[tuple[str, int]]:
    """In as many messages as it takes; as change.send()."""
    change.check_name(concentrator)
    sent = []
    for first in range(0, len(entries), MAX_PUT):
        body = MetersPut(list(entries[first : first + MAX_PUT]))
        what = "%s put" % _meters([entry.serial for entry in body.meters])
        sent += change.send(store, key, [concentrator], body, what, now)
    return sent


def remove(
    store: Trust, key: SigningKey, concentrator: str, serials: Sequence[str], now: int
) -> list[tuple[str, int]]:
    body = MetersRemoved(list(serials))
    try:
        Change.decode(Change("c", 1, 1, 1, body).encode())
    except Refused as refused:
        raise OrderProblem(refused.detail) from None
    what = "%s removed" % _meters(serials)
    return change.send(store, key, [concentrator], body, what, now)


def told(store: Trust, concentrator: str) -> list[Numbered]:
    """The messages about meters, oldest first."""
    return [
        message
        for message in store.numbered(concentrator, (*UNANSWERED, TAKEN, REJECTED))
        if message.topic == change.CHANGE
        and isinstance(change.body_of(message), MetersPut | MetersRemoved)
    ]


def _meters(serials: Sequence[str]) -> str:
    return "meter %s" % serials[0] if len(serials) == 1 else "%d meters" % len(serials)
