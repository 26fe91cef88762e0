"""A line of meters.jsonl: one meter, checked as it is read. What may stand there: inventory.py."""

from __future__ import annotations

import json

from gateway.contract.meter_change import MAX_PATHS, MeterEntry
from gateway.contract.model_name import NAME, OWN
from gateway.meters.line_fields import (
    InventoryError,
    fields_of,
    hex_digits,
    is_hex,
    number_of,
    serial_of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from gateway.contract.model import Model

    Path = tuple[str, str]  # kind, and the meter's address there

PLC, RF, IP = "plc", "rf", "ip"
BROADCAST = "broadcast"  # no meter's serial: the fleet's keys


class Meter:
    """One meter. serial: what it says it is called, in ours the COSEM logical device name.

    paths: [(kind, address)] as in the file. client_sap, server_sap: the wrapper's ports; 0: what
    the model says. title: of the meter's system, b"" where there is no pre-established client.
    model: by name.
    """

    __slots__ = ("client_sap", "model", "paths", "serial", "server_sap", "title")

    def __init__(
        self,
        serial: str,
        paths: list[Path],
        client_sap: int = 1,
        server_sap: int = 1,
        title: bytes = b"",
        model: str = OWN,
    ) -> None:
        self.serial = serial
        self.paths = paths
        self.client_sap = client_sap
        self.server_sap = server_sap
        self.title = title
        self.model = model

    def as_client(self, client_sap: int) -> Meter:
        """The same meter, spoken to as another client."""
        return self._at(client_sap, self.server_sap)

    def filled(self, model: Model) -> Meter:
        """The same meter, with what its model says where the inventory says nothing."""
        if self.client_sap and self.server_sap:
            return self
        client_sap = self.client_sap or model.client_sap
        return self._at(client_sap, self.server_sap or model.server_sap)

    def _at(self, client_sap: int, server_sap: int) -> Meter:
        return Meter(self.serial, self.paths, client_sap, server_sap, self.title, self.model)

    def __repr__(self) -> str:
        return "Meter(%s, %r)" % (self.serial, self.paths)


def parse_meter(line: bytes) -> Meter:
    """InventoryError."""
    fields = fields_of(line)
    serial = serial_of(fields)
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
    title = hex_digits(fields, "title", 16) if "title" in fields else b""
    model = _model(fields)
    absent = 1 if model == OWN else 0
    client_sap, server_sap = _sap(fields, "client", absent), _sap(fields, "server", absent)
    return Meter(serial, checked, client_sap, server_sap, title, model)


def _path(serial: str, kind: Any, address: Any) -> Path:
    if not isinstance(kind, str) or not isinstance(address, str):
        raise InventoryError("%s: path: kind and address are texts" % serial)
    if kind in (PLC, RF):
        if _is_host_and_port(address):  # of a mesh whose meters have IP addresses
            return kind, address
        digits = 12 if kind == PLC else 16
        if not is_hex(address, digits):
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


def _sap(fields: dict[str, Any], name: str, absent: int) -> int:
    return number_of(fields, name, absent, 1, 0xFFFF, "a SAP from 1 to 65535")


def _model(fields: dict[str, Any]) -> str:
    name: Any = fields.get("model", OWN)
    if not NAME.fits(name):
        raise InventoryError("model: expected " + NAME.name)
    return str(name)


def line_of(entry: MeterEntry) -> bytes:
    fields: dict[str, Any] = {"serial": entry.serial, "paths": [list(path) for path in entry.paths]}
    given = {"model": entry.model, "client": entry.client, "server": entry.server}
    for name in given:
        if given[name] and (name, given[name]) != ("model", OWN):
            fields[name] = given[name]
    if entry.title:
        fields["title"] = entry.title.hex()
    return json.dumps(fields).encode()


def entry_of(line: bytes) -> MeterEntry:
    """What line_of() makes that line of. InventoryError."""
    meter, fields = parse_meter(line), fields_of(line)
    return MeterEntry(
        meter.serial,
        meter.paths,
        meter.model,
        meter.client_sap if "client" in fields else 0,
        meter.server_sap if "server" in fields else 0,
        meter.title,
    )
