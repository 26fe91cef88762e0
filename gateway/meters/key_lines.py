"""A line of keys.jsonl: a meter's keys and secret, plain or wrapped under the board's key."""

from __future__ import annotations

import json

from gateway.contract.meter_keys import (
    KEY_SIZES,
    MAX_SECRET,
    WRAPPED_SECRET,
    WRAPPED_SIZES,
    MeterKeys,
)
from gateway.meters.json_lines import lines
from gateway.meters.line_fields import (
    InventoryError,
    fields_of,
    hex_digits,
    hex_within,
    number_of,
    serial_of,
)
from hal.ports import CryptoError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from gateway.contract.meter_keys import Vault
    from hal.ports import Storage

MOST_TRIED = 20  # one line may be damaged, or another board's


class KeyRow:
    """One line of keys.jsonl; b"" is what it does not have."""

    # Most rows have few of these, and a start reads thousands of rows.
    suite = 0
    ek = ak = lls = b""
    wrapped = wrapped_lls = b""
    counter = 0

    def __init__(self, serial: str) -> None:
        self.serial = serial

    def plain(self) -> bool:
        """Whether some of it is not wrapped."""
        return self.ek != b"" or self.lls != b""

    def wrap(self, vault: Vault) -> None:
        if self.ek:
            self.wrapped = vault.wrap(self.serial, MeterKeys(self.ek, self.ak, self.suite))
        if self.lls:
            self.wrapped_lls = vault.wrap_secret(self.serial, self.lls)

    def keep(self, old: KeyRow) -> None:
        """What a change does not name stays: the secret beside new keys, the keys with their
        counter beside a new secret."""
        self.wrapped_lls = self.wrapped_lls or old.wrapped_lls
        if not self.wrapped:
            self.wrapped = old.wrapped
            self.counter = self.counter or old.counter

    def line(self) -> bytes:
        """What is wrapped of it."""
        fields: dict[str, Any] = {"serial": self.serial}
        if self.wrapped:
            fields["wrapped"] = self.wrapped.hex()
        if self.wrapped_lls:
            fields["wrapped_lls"] = self.wrapped_lls.hex()
        if self.counter:
            fields["counter"] = self.counter
        return (json.dumps(fields) + "\n").encode()


def parse_keys(line: bytes) -> KeyRow:
    fields = fields_of(line)
    row = KeyRow(serial_of(fields))
    if "counter" in fields:
        row.counter = number_of(fields, "counter", 0, 0, 0xFFFFFFFF)
    if "wrapped_lls" in fields:
        row.wrapped_lls = hex_within(fields, "wrapped_lls", *WRAPPED_SECRET)
    elif "lls" in fields:
        row.lls = hex_within(fields, "lls", 1, MAX_SECRET)
    if "wrapped" in fields:
        wrapped = fields["wrapped"]
        size = WRAPPED_SIZES[isinstance(wrapped, str) and len(wrapped) > 2 * WRAPPED_SIZES[0]]
        row.wrapped = hex_digits(fields, "wrapped", 2 * size)
    elif "ek" in fields or "ak" in fields or not (row.lls or row.wrapped_lls):
        if "suite" in fields:
            row.suite = number_of(fields, "suite", 0, 0, 2, "0, 1 or 2")
        digits = 2 * KEY_SIZES[row.suite]
        row.ek, row.ak = hex_digits(fields, "ek", digits), hex_digits(fields, "ak", digits)
    return row


def opens(storage: Storage, name: str, vault: Vault) -> bool:
    """Whether the vault opens one of the first wrapped keys of this file, or there are none."""
    tried = 0
    for _, _, line in lines(storage, name, lambda name, number, text: None):
        try:
            row = parse_keys(line)
            if row.wrapped:
                vault.unwrap(row.serial, row.wrapped)
                return True
            if row.wrapped_lls:
                vault.unwrap_secret(row.serial, row.wrapped_lls)
                return True
        except InventoryError:
            continue
        except CryptoError:
            tried += 1
            if tried == MOST_TRIED:
                break
    return tried == 0
