"""Who is out there: the meters of this concentrator, their paths and, read only when asked, keys.

Two JSON-lines files in the Storage, one meter a line, written by the commissioning tools:

  meters.jsonl  {"serial": "AMI0000000001", "client": 1, "server": 1,
                 "paths": [["plc", "0080e1000001"], ["ip", "10.0.0.7:4059"]],
                 "title": "4149440000000001"}
  keys.jsonl    {"serial": "AMI0000000001", "ek": "<32 hex digits>", "ak": "<32 hex digits>"}
                {"serial": "AMI0000000002", "suite": 2, "ek": "<64 hex digits>", "ak": "<64>"}
                {"serial": "AMI0000000003", "wrapped": "<96 or 160 hex digits>"}

The security suite is 0 where none is given; wrapped keys know theirs.
`title` is the system title of a meter that serves the fleet's pre-established client (SAP 102:
images, by broadcast too); it may be left out. The fleet's broadcast key and its authentication key
stand in keys.jsonl under the serial "broadcast".

With a Vault (keys.py), plain keys are wrapped as soon as they are found, and the file is replaced
by one that holds wrapped keys alone. What the flash had under the plain ones may be there until it
writes over it; commissioning that must not leave that much sends `keys` messages instead.

A line that cannot be used is skipped and reported with its number: a typo in one of 2000 lines must
not take the other 1999 meters off the air. An order for the skipped meter ends as unknown-meter, so
nobody overlooks it.
"""

from __future__ import annotations

import json

from gateway.contract.limits import MAX_METERS
from gateway.contract.meter_keys import KEY_SIZES, WRAPPED_SIZES, MeterKeys
from gateway.meters.json_lines import MAX_LINE, lines
from hal.ports import CryptoError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from gateway.contract.meter_keys import Vault
    from hal.ports import Storage

    Path = tuple[str, str]  # kind, and the meter's address there

METERS = "meters.jsonl"
KEYS = "keys.jsonl"
_NEW_KEYS = "keys.jsonl.new"
PLC, RF, IP = "plc", "rf", "ip"

BROADCAST = "broadcast"  # no meter's serial: the fleet's keys
MAX_PATHS = 4
MAX_REPORTED = 20  # problems kept as text; the rest is only counted


class InventoryError(Exception):
    """One meter's entry cannot be used.

    Says the file, what was expected and what came; never key material.
    """


class Meter:
    """One meter. serial: its COSEM logical device name.

    paths: [(kind, address)] as in the file. client_sap, server_sap: the wrapper's ports. title: of
    the meter's system, b"" where there is no pre-established client.
    """

    __slots__ = ("client_sap", "paths", "serial", "server_sap", "title")

    def __init__(
        self,
        serial: str,
        paths: list[Path],
        client_sap: int = 1,
        server_sap: int = 1,
        title: bytes = b"",
    ) -> None:
        self.serial = serial
        self.paths = paths
        self.client_sap = client_sap
        self.server_sap = server_sap
        self.title = title

    def as_client(self, client_sap: int) -> Meter:
        """The same meter, spoken to as another client."""
        return Meter(self.serial, self.paths, client_sap, self.server_sap, self.title)

    def __repr__(self) -> str:
        return "Meter(%s, %r)" % (self.serial, self.paths)


class Inventory:
    """All meters in RAM as one short text each; keys stay in the Storage until asked for.

    Takes about 260 bytes a meter on 64-bit MicroPython, half on a 32-bit board.
    """

    def __init__(self, storage: Storage, vault: Vault | None = None) -> None:
        self._storage = storage
        self._vault = vault
        self._size = -1
        # serial -> "client server title kind=address kind=address", the title "-" for none
        self._meters: dict[str, str] = {}
        # serial -> offset of its line in keys.jsonl; only for meters
        self._key_lines: dict[str, int] = {}
        self.problems: list[str] = []
        self.bad_lines = 0
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

    def serials(self) -> list[str]:
        return sorted(self._meters)

    def meter(self, serial: str) -> Meter | None:
        """None for a meter that is not in the inventory."""
        packed = self._meters.get(serial)
        if packed is None:
            return None
        fields = packed.split(" ")
        paths = []
        for field in fields[3:]:
            kind, address = field.split("=", 1)
            paths.append((kind, address))
        title = b"" if fields[2] == "-" else bytes.fromhex(fields[2])
        return Meter(serial, paths, int(fields[0]), int(fields[1]), title)

    def keys(self, serial: str) -> MeterKeys:
        """Read from keys.jsonl. InventoryError when there are none."""
        keys = self._read_keys(serial)
        if keys is None:
            # Somebody may have replaced the file since the index was made.
            self._index_keys()
            keys = self._read_keys(serial)
        if keys is None:
            raise InventoryError("%s holds no usable keys for %s" % (KEYS, serial))
        return keys

    def replace_keys(self, entries: list[tuple[str, bytes]]) -> None:
        """New keys, each (serial, wrapped by Vault.wrap()): all of them or, with InventoryError,
        none. Durable when it returns.
        """
        if self._vault is None:
            raise InventoryError("this board has no key of its own to unwrap with")
        for serial, wrapped in entries:
            try:
                self._vault.unwrap(serial, wrapped)
            except CryptoError as error:
                raise InventoryError("%s: %s" % (serial, error))
        self._rewrite_keys(dict(entries))
        self._index_keys()

    def _read_keys(self, serial: str) -> MeterKeys | None:
        offset = self._key_lines.get(serial)
        if offset is None:
            return None
        try:
            line = self._storage.read(KEYS, offset, MAX_LINE + 1)
            found, plain, wrapped = _parse_keys(line.split(b"\n", 1)[0])
        except (OSError, InventoryError):
            return None
        if found != serial:
            return None
        if plain is not None:
            return plain
        if self._vault is None:
            raise InventoryError("%s: its keys are wrapped, and this board has no key" % serial)
        try:
            return self._vault.unwrap(serial, wrapped)
        except CryptoError as error:
            raise InventoryError("%s: %s" % (serial, error))

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
                meter = _parse_meter(line)
                if meter.serial in self._meters:
                    raise InventoryError("%s is already on an earlier line" % meter.serial)
                if len(self._meters) >= MAX_METERS:
                    raise InventoryError("more than %d meters" % MAX_METERS)
            except InventoryError as error:
                self._report(METERS, number, str(error))
                continue
            fields = [str(meter.client_sap), str(meter.server_sap), meter.title.hex() or "-"]
            fields.extend(["%s=%s" % path for path in meter.paths])
            self._meters[meter.serial] = " ".join(fields)

    def _index_keys(self) -> None:
        if self._note_key_lines() and self._vault is not None:
            self._rewrite_keys({})
            # What was wrong is reported already, and not in the new file.
            problems, bad_lines = list(self.problems), self.bad_lines
            self._note_key_lines()
            self.problems, self.bad_lines = problems, bad_lines

    def _rewrite_keys(self, new: dict[str, bytes]) -> None:
        """keys.jsonl with the `new` wrapped keys in it, and all others wrapped."""
        self._storage.remove(_NEW_KEYS)
        file = self._storage.append(_NEW_KEYS)
        written: dict[str, bool] = {}
        problems, bad_lines = list(self.problems), self.bad_lines
        try:
            for _, _, line in lines(self._storage, KEYS, self._report):
                try:
                    serial, plain, wrapped = _parse_keys(line)
                except InventoryError:
                    continue
                if serial in new or serial in written:
                    continue
                if plain is not None and self._vault is not None:
                    wrapped = self._vault.wrap(serial, plain)
                file.write(_wrapped_line(serial, wrapped))
                written[serial] = True
            for serial in sorted(new):
                file.write(_wrapped_line(serial, new[serial]))
            file.sync()
        finally:
            file.close()
        self.problems, self.bad_lines = problems, bad_lines
        self._storage.rename(_NEW_KEYS, KEYS)

    def _note_key_lines(self) -> bool:
        """Where each meter's keys are; True if some are not wrapped."""
        self._key_lines = {}
        some_plain = False
        for number, offset, line in lines(self._storage, KEYS, self._report):
            try:
                serial, plain, _ = _parse_keys(line)
                some_plain = some_plain or plain is not None
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


def _parse_meter(line: bytes) -> Meter:
    fields = _fields(line)
    serial = _serial(fields)
    paths = fields.get("paths")
    if not isinstance(paths, list) or len(paths) > MAX_PATHS:
        raise InventoryError("%s: paths: expected a list of at most %d" % (serial, MAX_PATHS))
    checked = []
    for path in paths:
        if not isinstance(path, list) or len(path) != 2:
            raise InventoryError("%s: each path is [kind, address]" % serial)
        kind, address = _path(serial, path[0], path[1])
        if (kind, address) in checked:
            raise InventoryError("%s: path %s %s twice" % (serial, kind, address))
        checked.append((kind, address))
    if serial == BROADCAST:
        raise InventoryError("%s is the fleet's name for its keys, and no meter" % serial)
    title = _hex(fields, "title", 16) if "title" in fields else b""
    return Meter(serial, checked, _sap(fields, "client"), _sap(fields, "server"), title)


def _parse_keys(line: bytes) -> tuple[str, MeterKeys | None, bytes]:
    """(serial, plain keys or None, wrapped keys or nothing)."""
    fields = _fields(line)
    serial = _serial(fields)
    if "wrapped" in fields:
        wrapped = fields["wrapped"]
        size = WRAPPED_SIZES[isinstance(wrapped, str) and len(wrapped) > 2 * WRAPPED_SIZES[0]]
        return serial, None, _hex(fields, "wrapped", 2 * size)
    suite = fields.get("suite", 0)
    if type(suite) is not int or not 0 <= suite <= 2:
        raise InventoryError("suite: expected 0, 1 or 2")
    digits = 2 * KEY_SIZES[suite]
    return serial, MeterKeys(_hex(fields, "ek", digits), _hex(fields, "ak", digits), suite), b""


def _wrapped_line(serial: str, wrapped: bytes) -> bytes:
    line = json.dumps({"serial": serial, "wrapped": wrapped.hex()})
    return (line + "\n").encode()


def _fields(line: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(str(line, "utf-8"))
    except (ValueError, RuntimeError):  # RuntimeError: nested deeper than the parser goes
        raise InventoryError("not JSON")
    if not isinstance(fields, dict):
        raise InventoryError("expected a JSON object")
    return fields


def _serial(fields: dict[str, Any]) -> str:
    serial = fields.get("serial")
    if not isinstance(serial, str) or not 1 <= len(serial) <= 32:
        raise InventoryError("serial: expected a text of 1 to 32 characters")
    if not all("!" <= c <= "~" for c in serial):
        raise InventoryError("serial: expected printable ASCII without blanks")
    return serial


def _path(serial: str, kind: Any, address: Any) -> Path:
    if not isinstance(kind, str) or not isinstance(address, str):
        raise InventoryError("%s: path: kind and address are texts" % serial)
    if kind in (PLC, RF):
        if _is_host_and_port(address):  # of a mesh whose meters have IP addresses
            return kind, address
        digits = 12 if kind == PLC else 16
        if not _is_hex(address, digits):
            raise InventoryError(
                "%s: %s address: expected %d hex digits or host:port" % (serial, kind, digits)
            )
        return kind, address.lower()
    if kind == IP:
        if not _is_host_and_port(address):
            raise InventoryError("%s: ip address: expected host:port" % serial)
        return kind, address
    raise InventoryError("%s: path kind: expected plc, rf or ip" % serial)


def _is_host_and_port(address: str) -> bool:
    host, colon, port = address.rpartition(":")
    if not host or not colon or len(address) > 80 or not port.isdigit() or len(port) > 5:
        return False
    if ":" in host and (host[0] != "[" or host[-1] != "]"):
        return False
    return 0 < int(port) < 65536 and all("!" <= c <= "~" for c in host)


def _sap(fields: dict[str, Any], name: str) -> int:
    sap = fields.get(name, 1)
    if type(sap) is not int or not 1 <= sap <= 0xFFFF:
        raise InventoryError("%s: expected a SAP from 1 to 65535" % name)
    return sap


def _hex(fields: dict[str, Any], name: str, digits: int) -> bytes:
    value = fields.get(name)
    if not isinstance(value, str) or not _is_hex(value, digits):
        raise InventoryError("%s: expected %d hex digits" % (name, digits))
    return bytes.fromhex(value)


def _is_hex(text: str, digits: int) -> bool:
    return len(text) == digits and all(c in "0123456789abcdefABCDEF" for c in text)
