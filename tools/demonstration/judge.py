"""Whether a street of meters ended as each one's condition demands: the report on one side, the
meters themselves on the other. What the gateway believes plays no part.
"""

from __future__ import annotations

from typing import Any

from gateway.contract import result
from gateway.contract.package import Package, Set
from gateway.dlms.data import axdr, obis
from tools.meter.control import Control
from tools.meter.population import DEAD, NORMAL, OTHER_FIRMWARE, REFUSES_WRITE

# role: the reasons a configuration may rightly end with
EXPECTED = {
    NORMAL: ("applied", "already-as-wanted"),
    DEAD: ("no-answer",),
    REFUSES_WRITE: ("access-denied",),
    OTHER_FIRMWARE: ("wrong-firmware",),
}


Writes = dict[str, dict[str, int]]


def writes(control: Control) -> Writes:
    """How often each thing was written so far: {serial: {what: count}}."""
    made: Writes = {}
    for meter in control.meters():
        log = control.log(meter["serial"])
        made[meter["serial"]] = {_what(entry): entry["count"] for entry in log}
    return made


def complaints(
    report: dict[str, Any], package: Package, control: Control, before: Writes | None = None
) -> list[str]:
    """What is not as it must be after a configuration, a line each; empty when all is well.
    `before`: the writes there were already when it was ordered.
    """
    found = []
    made, before = writes(control), before or {}
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
        earlier = before.get(serial, {})
        new = {what: count - earlier.get(what, 0) for what, count in made[serial].items()}
        if role == NORMAL:
            found += _not_as_wanted(serial, package, control)
            for what, count in new.items():
                if count > 1:
                    found.append("%s: written %d times: %s" % (serial, count, what))
        elif any(new.values()):
            found.append("%s (%s): expected no write, got %r" % (serial, role, new))
    found += ["%s: there is no such meter" % serial for serial in rows]
    return found


def _condition(meter: dict[str, Any], package: Package) -> str:
    """The meter's role; a dead one brought to life is a normal one, and so is one that refuses what
    the package does not write.
    """
    refused = meter["faults"]["refuse_write"]
    sets = [step for step in package.steps if isinstance(step, Set)]
    written = [[step.class_id, obis.text(step.obis), step.attribute] for step in sets]
    if meter["role"] == DEAD and not meter["faults"]["dead"]:
        return NORMAL
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


def image_complaints(report: dict[str, Any], firmware: str, control: Control) -> list[str]:
    """The same after a job that brought an image with this firmware to meters of role NORMAL: they
    run it, and no other meter does."""
    found = []
    ordered = {row["serial"]: row for row in report["meters"]}
    for meter in control.meters():
        serial, runs = meter["serial"], meter["firmware"]
        row = ordered.get(serial)
        if row is None and runs == firmware:
            found.append("%s: nobody ordered the image for it, and it runs %s" % (serial, runs))
        if row is not None and (row["reason"], runs) != ("applied", firmware):
            found.append("%s: %s; it runs %s, not %s" % (serial, row["reason"], runs, firmware))
    return found


def _what(entry: dict[str, Any]) -> str:
    return "%s of class %s, %s, %s" % (
        entry["service"],
        entry["class"],
        entry["obis"],
        entry["index"],
    )
