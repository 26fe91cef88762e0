"""Whether a street of meters ended as each one's condition demands: the report on one side, the
meters themselves on the other. What the gateway believes plays no part.
"""

from __future__ import annotations

from typing import Any

from gateway.dlms import axdr, obis
from gateway.jobs import result
from gateway.uplink.package import Package, Set
from tools.meter.control import Control
from tools.meter.population import DEAD, NORMAL, OTHER_FIRMWARE, REFUSES_WRITE

# role: the reasons a configuration may rightly end with
EXPECTED = {
    NORMAL: ("applied", "already-as-wanted"),
    DEAD: ("no-answer",),
    REFUSES_WRITE: ("write-refused",),
    OTHER_FIRMWARE: ("wrong-firmware",),
}


def complaints(report: dict[str, Any], package: Package, control: Control) -> list[str]:
    """What is not as it must be after a configuration, a line each; empty when all is well."""
    found = []
    rows = {row["serial"]: row for row in report["meters"]}
    for meter in control.meters():
        serial, role = meter["serial"], _condition(meter, package)
        row = rows.pop(serial, None)
        if row is None:
            found.append("%s: the report does not name it" % serial)
            continue
        if row["reason"] not in EXPECTED[role]:
            expected = " or ".join(EXPECTED[role])
            found.append("%s (%s): expected %s, got %s" % (serial, role, expected, row["reason"]))
        log = control.log(serial)
        if role == NORMAL:
            found += _not_as_wanted(serial, package, control)
            for entry in log:
                if entry["count"] > 1:
                    found.append("%s: written more than once: %r" % (serial, entry))
        elif log:
            found.append("%s (%s): expected no write, got %r" % (serial, role, log))
    found += ["%s: there is no such meter" % serial for serial in rows]
    return found


def _condition(meter: dict[str, Any], package: Package) -> str:
    """The meter's role; one that refuses what the package does not write is a normal one."""
    refused = meter["faults"]["refuse_write"]
    sets = [step for step in package.steps if isinstance(step, Set)]
    written = [[step.class_id, obis.text(step.obis), step.attribute] for step in sets]
    if meter["role"] == REFUSES_WRITE and refused not in written:
        return NORMAL
    return str(meter["role"])


def _not_as_wanted(serial: str, package: Package, control: Control) -> list[str]:
    found = []
    for check in package.checks:
        name = obis.text(check.obis)
        wanted = axdr.decode(check.data)
        actual = control.read(serial, check.class_id, name, check.attribute)
        if actual != wanted:
            found.append("%s: %s attribute %d is not as ordered" % (serial, name, check.attribute))
    return found


def read_complaints(report: dict[str, Any], control: Control) -> list[str]:
    """The same after a job that read attributes which stand still."""
    found = []
    for row in report["meters"]:
        if row["result"] != result.VALUE:
            found.append("%s: expected a value, got %s" % (row["serial"], row["reason"]))
        for value in row["values"]:
            actual = control.read(row["serial"], value["class"], value["obis"], value["attribute"])
            if axdr.encode(actual).hex() != value["axdr"]:
                found.append("%s: the value read is not the meter's" % row["serial"])
    return found
