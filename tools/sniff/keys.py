"""The keys to decipher with: those of an inventory's meters, or one pair. Nothing here shows them.

An inventory is meters.jsonl and keys.jsonl as gateway/meters/inventory.py describes them; keys that
are wrapped there need the board's key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gateway.contract.meter_keys import MeterKeys, Vault
from gateway.meters.inventory import BROADCAST
from hal.cpython.crypto import SystemCrypto
from hal.ports import CryptoError


class KeyProblem(Exception):
    """What is wrong, without key material."""


class KeySet:
    """One meter's keys, or those of the fleet. `ak` and `title` b"": not known. `proven`: a tag has
    fitted."""

    def __init__(self, serial: str, keys: MeterKeys, title: bytes = b"") -> None:
        self.serial = serial
        self.ak = keys.ak
        self.title = title
        self.proven = False
        self.gcm = SystemCrypto().aes_gcm(keys.ek)

    @staticmethod
    def without_ak(serial: str, ek: bytes, title: bytes = b"") -> KeySet:
        """Where the grid operator hands out the encryption key alone. ValueError for its size."""
        found = KeySet(serial, MeterKeys(ek, ek, 2 if len(ek) == 32 else 0), title)
        found.ak = b""
        return found

    def __repr__(self) -> str:
        return "KeySet(%s)" % self.serial


class Keys:
    """All that is known beforehand. `titles`: of whoever does not tell it; those of clients are
    learnt from what passes."""

    def __init__(self) -> None:
        self.broadcast: KeySet | None = None
        self.titles: list[bytes] = []
        self._sets: dict[str, KeySet] = {}
        self._by_peer: dict[str, KeySet] = {}
        self._by_title: dict[bytes, KeySet] = {}
        self._serials: dict[str, str] = {}  # by address

    def __len__(self) -> int:
        return len(self._sets) + (self.broadcast is not None)

    def __repr__(self) -> str:
        return "Keys(%d)" % len(self)

    def add(self, keys: KeySet, addresses: list[str]) -> None:
        if keys.serial == BROADCAST:
            self.broadcast = keys
            return
        self._sets[keys.serial] = keys
        for address in addresses:
            self._by_peer[address] = keys
        if keys.title:
            self._by_title[keys.title] = keys

    def name(self, serial: str, addresses: list[str]) -> None:
        """So that a meter is called by its serial though nothing else is known of it."""
        for address in addresses:
            self._serials[address] = serial

    def serial(self, peer: str) -> str:
        return self._serials.get(peer, "")

    def candidates(self, peer: str, title: bytes) -> list[KeySet]:
        """Whose keys may fit: the meter's, where it is known who it is, else all."""
        for known in (self._by_peer.get(peer), self._by_title.get(title)):
            if known is not None:
                return [known]
        return list(self._sets.values())


def read(keys: Path | None, meters: Path | None, board_key: Path | None) -> Keys:
    """Of an inventory's files, those that are given. KeyProblem, OSError."""
    found = Keys()
    places: dict[str, tuple[list[str], bytes]] = {}
    for number, row in _rows(meters):
        try:
            serial = str(row["serial"])
            addresses = [str(address) for _, address in row.get("paths", [])]
            title = bytes.fromhex(row.get("title", ""))
        except (KeyError, TypeError, ValueError):
            raise _wrong(meters, number, '{"serial": .., "paths": [[kind, address]]}') from None
        places[serial] = addresses, title
        found.name(serial, addresses)
    vault = _vault(board_key)
    for number, row in _rows(keys):
        if not {"ek", "wrapped"} & row.keys() and {"lls", "wrapped_lls"} & row.keys():
            continue  # a meter with a secret alone ciphers nothing
        serial = str(row.get("serial", ""))
        addresses, title = places.get(serial, ([], b""))
        found.add(_keys(keys, number, row, vault, title), addresses)
    return found


def given(ek: str, ak: str) -> KeySet:
    """Of keys in hex, whoever's they are; `ak` may be "". KeyProblem."""
    try:
        key = bytes.fromhex(ek)
        if not ak:
            return KeySet.without_ak("given", key)
        return KeySet("given", MeterKeys(key, bytes.fromhex(ak), 2 if len(key) == 32 else 0))
    except ValueError:
        raise KeyProblem("--ek and --ak: expected 32 hex digits each (64 in suite 2)") from None


def _keys(
    path: Path | None, number: int, row: dict[str, Any], vault: Vault | None, title: bytes
) -> KeySet:
    try:
        serial = str(row["serial"])
        if "wrapped" not in row:
            ek = bytes.fromhex(row["ek"])
            if "ak" not in row:
                return KeySet.without_ak(serial, ek, title)
            keys = MeterKeys(ek, bytes.fromhex(row["ak"]), row.get("suite", 0))
            return KeySet(serial, keys, title)
        wrapped = bytes.fromhex(row["wrapped"])
    except (KeyError, TypeError, ValueError):
        raise _wrong(path, number, '{"serial": .., "ek": hex, "ak": hex}') from None
    if vault is None:
        raise KeyProblem("%s:%d: the keys are wrapped: give --board-key" % (path, number))
    try:
        return KeySet(serial, vault.unwrap(serial, wrapped), title)
    except CryptoError as error:
        raise KeyProblem("%s:%d: %s" % (path, number, error)) from None


def _vault(path: Path | None) -> Vault | None:
    if path is None:
        return None
    try:
        return Vault(SystemCrypto(), bytes.fromhex(path.read_text().strip()))
    except ValueError:
        raise KeyProblem("%s: expected 32 or 64 hex digits" % path) from None


def _rows(path: Path | None) -> list[tuple[int, dict[str, Any]]]:
    if path is None:
        return []
    try:
        lines = path.read_text().splitlines()
    except UnicodeDecodeError:
        raise KeyProblem("%s: expected JSON lines, came no text" % path) from None
    rows = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            raise _wrong(path, number, "a JSON object")
        rows.append((number, row))
    return rows


def _wrong(path: Path | None, number: int, expected: str) -> KeyProblem:
    return KeyProblem("%s:%d: expected %s" % (path, number, expected))
