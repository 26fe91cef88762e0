"""Read attributes of one meter (use case: *valor de lectura*)."""

from __future__ import annotations

from gateway.activities.identity import wrong_meter
from gateway.jobs.ledger import MAX_VALUE
from gateway.jobs.result import KO, VALUE, Result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.dlms.client import Client

    Attribute = tuple[int, bytes, int]


async def run(client: Client, serial: str, attributes: Sequence[Attribute]) -> Result:
    """The values of all attributes (class_id, obis, attribute), in the order asked for, or a KO.

    One refused attribute refuses the whole: DlmsError and OSError come out as they are.
    """
    refusal = await wrong_meter(client, serial)
    if refusal is not None:
        return refusal
    values = []
    size = 0
    for class_id, name, index in attributes:
        value = await client.get(class_id, name, index)
        size += len(value)
        if size > MAX_VALUE:
            return Result(KO, "value-too-large", "at most %d bytes fit a report" % MAX_VALUE)
        values.append(value)
    return Result(VALUE, "read", "", values)
