"""Who is out there: the meters of this concentrator, their paths and, read only when asked, keys.

Two JSON-lines files in the Storage, one meter a line, written by the commissioning tools:

  meters.jsonl  {"serial": "AMI0000000001", "client": 1, "server": 1,
                 "paths": [["plc", "0080e1000001"], ["ip", "10.0.0.7:4059"]],
                 "title": "4149440000000001"}
                {"serial": "31001234", "model": "idis", "paths": [["ip", "10.0.0.8:4059"]]}
  keys.jsonl    {"serial": "AMI0000000001", "ek": "<32 hex digits>", "ak": "<32 hex digits>"}
                {"serial": "AMI0000000002", "suite": 2, "ek": "<64 hex digits>", "ak": "<64>"}
                {"serial": "AMI0000000003", "wrapped": "<96 or 160 hex digits>"}
                {"serial": "31001234", "lls": "<hex digits of the password>"}

A meter is of our own model unless it names another (models.py); `client` and `server` then are the
model's unless they are given. The security suite is 0 where none is given; wrapped keys know
theirs. `lls` is the secret of a meter that knows us by one, `wrapped_lls` the same wrapped.
`counter` with either: the invocation counter to begin with, for a meter that stands so far ahead
that we would not believe it.
`title` is the system title of a meter that serves the fleet's pre-established client (SAP 102:
images, by broadcast too); it may be left out. The fleet's broadcast key and its authentication key
stand in keys.jsonl under the serial "broadcast".

With a Vault (contract/meter_keys.py), plain keys are wrapped as soon as they are found: at the
start, and a second after somebody has put the file there and it has stopped growing (better under
another name, then renamed). The file is replaced by one that holds wrapped keys alone, and zeros
are written over the old one. That helps where the medium writes to the same place again. Flash does
not: it wears, so littlefs and the controller of a card write elsewhere, and the old content stays
until its place is used anew. Commissioning that must not leave that much sends `keys` messages.

A line that cannot be used is skipped and reported with its number: a typo in one of 2000 lines must
not take the other 1999 meters off the air. An order for the skipped meter ends as unknown-meter, so
nobody overlooks it.
"""

from __future__ import annotations

from gateway.contract.limits import MAX_METERS
from gateway.contract.meter_keys import MeterKeys
from gateway.contract.model_name import OWN
from gateway.meters import meters_file
from gateway.meters.json_lines import MAX_LINE, lines
from gateway.meters.key_lines import KeyRow, parse_keys
from gateway.meters.line_fields import InventoryError
from gateway.meters.meter_line import BROADCAST, IP, PLC, RF, Meter, line_of, parse_meter
from hal.ports import CryptoError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from gateway.contract.meter_change import MeterEntry
    from gateway.contract.meter_keys import Vault
    from gateway.meters.meter_line import Path
    from gateway.meters.models import Models
    from hal.ports import Storage

__all__ = (
    "BROADCAST",
    "IP",
    "KEYS",
    "METERS",
    "PLC",
    "RF",
    "Inventory",
    "InventoryError",
    "Meter",
    "Path",
)

METERS = "meters.jsonl"
KEYS = "keys.jsonl"
MODEL_FILES = "model-"  # their names begin so
_NEW_KEYS = "keys.jsonl.new"
_OLD_KEYS = "keys.jsonl.old"  # with plain keys, to be erased
_MODEL = " model="  # in the text of a meter
MAX_REPORTED = 20  # problems kept as text; the rest is only counted


class Inventory:
    """All meters in RAM as one short text each; keys stay in the Storage until asked for.

    Takes about 260 bytes a meter on 64-bit MicroPython, half on a 32-bit board.
    """

    def __init__(self, storage: Storage, vault: Vault | None = None) -> None:
        self._storage = storage
        self._vault = vault
        self._size = -1
        self._keys_size = -1  # as it was read
        self._keys_seen = -1  # at the last look
        self._models: Models | None = None
        self._some_sent = [name for name in storage.names() if name.startswith(MODEL_FILES)] != []
        # serial -> "client server title kind=address kind=address", the title "-" for none; a path
        # of the kind "model" is the model that the meter names
        self._meters: dict[str, str] = {}
        # serial -> offset of its line in keys.jsonl; only for meters
        self._key_lines: dict[str, int] = {}
        self.problems: list[str] = []
        self.bad_lines = 0
        if vault is not None:
            self._clear_away()
        self._load()

    def __len__(self) -> int:
        return len(self._meters)

    def known(self, serial: str) -> bool:
        """A meter not seen so far may have been commissioned meanwhile: a file of another size is
        read anew.
        """
        if serial not in self._meters and self._storage.size(METERS) != self._size:
            self._load()
        return serial in self._meters

    def look(self) -> None:
        """To be called every second: keys that somebody has put there are read, and wrapped, once
        the file has the same size twice. OSError of the storage."""
        size = self._storage.size(KEYS)
        if size != self._keys_size and size == self._keys_seen:
            self._index_keys()
        self._keys_seen = size

    def serials(self) -> list[str]:
        return sorted(self._meters)

    def meter(self, serial: str) -> Meter | None:
        """None for a meter that is not in the inventory."""
        packed = self._meters.get(serial)
        if packed is None:
            return None
        fields = packed.split(" ")
        model = OWN
        paths = []
        for field in fields[3:]:
            kind, address = field.split("=", 1)
            if kind == "model":
                model = address
            else:
                paths.append((kind, address))
        title = b"" if fields[2] == "-" else bytes.fromhex(fields[2])
        return Meter(serial, paths, int(fields[0]), int(fields[1]), title, model)

    def model_names(self) -> list[str]:
        """The models of all meters, each once."""
        names = set()
        for packed in self._meters.values():
            at = packed.find(_MODEL)
            names.add(OWN if at < 0 else packed[at + len(_MODEL) :].split(" ", 1)[0])
        return sorted(names)

    def models_sent(self) -> list[tuple[str, int]]:
        """(name, number) of the models that were sent here. OSError of the storage."""
        return self.models().stored() if self._models is not None or self._some_sent else []

    def models(self) -> Models:
        """Those other than our own, which needs none of this."""
        if self._models is None:
            from gateway.meters.models import Models

            self._models = Models(self._storage)
        return self._models

    def keys(self, serial: str) -> MeterKeys:
        """Read from keys.jsonl. InventoryError when there are none; OSError of the storage."""
        keys = self._read_keys(serial)
        if keys is None:
            # Somebody may have replaced the file since the index was made.
            self._index_keys()
            keys = self._read_keys(serial)
        if keys is None:
            raise InventoryError("%s holds no usable keys for %s" % (KEYS, serial))
        return keys

    def replace_keys(self, entries: list[tuple[Any, ...]]) -> None:
        """New keys, each (serial, wrapped by Vault.wrap()) or (serial, that or b"", counter,
        secret wrapped by Vault.wrap_secret() or b""): all of them or, with InventoryError, none.
        Durable when it returns.
        """
        if self._vault is None:
            raise InventoryError("this board has no key of its own to unwrap with")
        rows: dict[str, KeyRow] = {}
        for entry in entries:
            row = KeyRow(entry[0])
            row.wrapped = entry[1]
            if len(entry) > 2:
                row.counter, row.wrapped_lls = entry[2:]
            self._opened(row)
            rows[row.serial] = row
        self._rewrite_keys(rows)
        self._index_keys()

    def put(self, entries: Sequence[MeterEntry]) -> int:
        """These meters stand here, in place of what is known of the same serials: all of them or,
        with InventoryError, none. Durable when it returns how many are new."""
        new: dict[str, bytes] = {}
        for entry in entries:
            line = line_of(entry)
            try:
                parse_meter(line)
            except InventoryError as error:
                raise InventoryError("%s: %s" % (entry.serial, error))
            new[entry.serial] = line
        known = [serial for serial in new if serial in self._meters]
        more = len(new) - len(known)
        if len(self._meters) + more > MAX_METERS:
            raise InventoryError("%d meters more than %d" % (more, MAX_METERS - len(self._meters)))
        meters_file.rewrite(self._storage, METERS, new, ())
        self._load()
        return more

    def remove(self, serials: Sequence[str]) -> int:
        """They are here no longer, and their keys are not either. Durable when it returns how many
        there were."""
        gone = [serial for serial in serials if serial in self._meters]
        if gone:
            meters_file.rewrite(self._storage, METERS, {}, gone)
        if self._storage.size(KEYS) >= 0:  # also of one that went before a power cut
            self._rewrite_keys({}, serials)
        self._load()
        return len(gone)

    def _read_keys(self, serial: str) -> MeterKeys | None:
        offset = self._key_lines.get(serial)
        if offset is None:
            return None
        line = self._storage.read(KEYS, offset, MAX_LINE + 1)
        try:
            row = parse_keys(line.split(b"\n", 1)[0])
        except InventoryError:
            return None
        return self._opened(row) if row.serial == serial else None

    def _opened(self, row: KeyRow) -> MeterKeys:
        """With everything unwrapped. InventoryError."""
        ek, ak, suite, lls = row.ek, row.ak, row.suite, row.lls
        if self._vault is None and (row.wrapped or row.wrapped_lls):
            raise InventoryError("%s: its keys are wrapped, and this board has no key" % row.serial)
        try:
            if row.wrapped and self._vault is not None:
                keys = self._vault.unwrap(row.serial, row.wrapped)
                ek, ak, suite = keys.ek, keys.ak, keys.suite
            if row.wrapped_lls and self._vault is not None:
                lls = self._vault.unwrap_secret(row.serial, row.wrapped_lls)
        except CryptoError as error:
            raise InventoryError("%s: %s" % (row.serial, error))
        if not ek and not lls:
            raise InventoryError("%s: neither keys nor a secret" % row.serial)
        return MeterKeys(ek, ak, suite, lls, row.counter)

    def _load(self) -> None:
        self._meters = {}
        self.problems = []
        self.bad_lines = 0
        self._size = self._storage.size(METERS)
        self._load_meters()
        self._index_keys()

    def _load_meters(self) -> None:
        for number, _, line in lines(self._storage, METERS, self._report):
            try:
                meter = parse_meter(line)
                if meter.serial in self._meters:
                    raise InventoryError("%s is already on an earlier line" % meter.serial)
                if len(self._meters) >= MAX_METERS:
                    raise InventoryError("more than %d meters" % MAX_METERS)
            except InventoryError as error:
                self._report(METERS, number, str(error))
                continue
            fields = [str(meter.client_sap), str(meter.server_sap), meter.title.hex() or "-"]
            if meter.model != OWN:
                fields.append(_MODEL[1:] + meter.model)
            fields.extend(["%s=%s" % path for path in meter.paths])
            self._meters[meter.serial] = " ".join(fields)

    def _index_keys(self) -> None:
        if self._note_key_lines() and self._vault is not None:
            self._rewrite_keys({})
            # What was wrong is reported already, and not in the new file.
            problems, bad_lines = list(self.problems), self.bad_lines
            self._note_key_lines()
            self.problems, self.bad_lines = problems, bad_lines
        self._keys_size = self._storage.size(KEYS)

    def _rewrite_keys(self, new: dict[str, KeyRow], gone: Sequence[str] = ()) -> None:
        """keys.jsonl with the `new` rows in it, without those `gone`, and all others wrapped."""
        self._storage.remove(_NEW_KEYS)
        file = self._storage.append(_NEW_KEYS)
        written: dict[str, bool] = {}
        some_plain = False
        problems, bad_lines = list(self.problems), self.bad_lines
        try:
            for _, _, line in lines(self._storage, KEYS, self._report):
                try:
                    row = parse_keys(line)
                except InventoryError:
                    continue
                if row.serial in written or row.serial in gone:
                    continue
                some_plain = some_plain or row.plain()
                if self._vault is not None:
                    row.wrap(self._vault)
                if row.serial in new:
                    new[row.serial].keep(row)
                    continue
                file.write(row.line())
                written[row.serial] = True
            for serial in sorted(new):
                file.write(new[serial].line())
            file.sync()
        finally:
            file.close()
        self.problems, self.bad_lines = problems, bad_lines
        if some_plain:
            self._storage.rename(KEYS, _OLD_KEYS)
        self._storage.rename(_NEW_KEYS, KEYS)
        if some_plain:
            self._storage.erase(_OLD_KEYS)

    def _clear_away(self) -> None:
        """What a power cut has left of a rewrite: where the old file has gone, the new is whole."""
        if self._storage.size(_OLD_KEYS) >= 0:
            if self._storage.size(KEYS) < 0 and self._storage.size(_NEW_KEYS) >= 0:
                self._storage.rename(_NEW_KEYS, KEYS)
            self._storage.erase(_OLD_KEYS)

    def _note_key_lines(self) -> bool:
        """Where each meter's keys are; True if some are not wrapped."""
        self._key_lines = {}
        some_plain = False
        for number, offset, line in lines(self._storage, KEYS, self._report):
            try:
                row = parse_keys(line)
                serial = row.serial
                some_plain = some_plain or row.plain()
                if serial in self._key_lines:
                    raise InventoryError("%s is already on an earlier line" % serial)
                if serial not in self._meters and serial != BROADCAST:
                    raise InventoryError("%s is not in %s" % (serial, METERS))
            except InventoryError as error:
                self._report(KEYS, number, str(error))
                continue
            self._key_lines[serial] = offset
        return some_plain

    def _report(self, name: str, number: int, text: str) -> None:
        self.bad_lines += 1
        if len(self.problems) < MAX_REPORTED:
            self.problems.append("%s line %d: %s; line skipped" % (name, number, text))
