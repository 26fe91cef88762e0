"""Attributes as they are now: instantaneous values, registers with scaler and unit, raw objects."""

from __future__ import annotations

from gateway.activities.by_word import called, unknown
from gateway.activities.profile.layout import scaler_place, scaler_unit
from gateway.activities.verdict import explained
from gateway.contract.limits import MAX_READING
from gateway.dlms import apdu
from gateway.dlms.client.reading import step_of
from gateway.dlms.client.refusals import access_refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from gateway.activities.readings import Value, Visit
    from gateway.contract.task import Item

_MOST = MAX_READING - 256  # octets of values in one record, its frame aside
_MOST_VALUES = 48
_VALUE = 2  # attribute of most classes


async def collect(visit: Visit, item: Item) -> None:
    """What the meter refuses is named, and the others are recorded."""
    wanted: list[Any] = [(each[0], each[1], each[2], None) for each in item.objects]
    for class_id, name in called(visit.model, item.name):
        wanted.append((class_id, name, _VALUE, None))
    if not wanted:
        visit.collected.missed("model-unfit", unknown(visit.model, item.name))
        return
    scalers = []
    for class_id, name, attribute, _ in wanted:
        place = scaler_place(class_id, name, attribute)
        if place is not None and place not in scalers:
            scalers.append(place)
    answers = await visit.client.get_list(wanted + scalers)
    units = [scaler_unit(data) for _, data in answers[len(wanted) :]]
    values: list[Value] = []
    for target, (result, data) in zip(wanted, answers):  # noqa: B905 - MicroPython has no `strict`
        class_id, name, attribute, _ = target
        if result != apdu.SUCCESS or data is None:
            error = access_refused(result, step_of(class_id, name, attribute))
            refused = explained(error, True)
            visit.collected.missed(refused.reason, refused.detail)
            continue
        place = scaler_place(class_id, name, attribute)
        scaler, unit = (None, None) if place is None else units[scalers.index(place)]
        values.append((class_id, name, attribute, data, scaler, unit))
    record(visit, values)


def record(visit: Visit, values: list[Value]) -> None:
    """In as many records as it takes; a value too large for one is named."""
    part: list[Value] = []
    size = 0
    for value in values:
        octets = len(value[3]) + 24
        if octets > _MOST:
            text = "%s: %d octets do not fit a record of readings" % (step_of(*value[:3]), octets)
            visit.collected.missed("value-too-large", text)
            continue
        if part and (size + octets > _MOST or len(part) == _MOST_VALUES):
            visit.recorder.values(visit.serial, visit.task, visit.read_at, part)
            part, size = [], 0
        part.append(value)
        size += octets
        visit.collected.rows += 1
    if part:
        visit.recorder.values(visit.serial, visit.task, visit.read_at, part)
