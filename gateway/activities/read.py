"""Read attributes of one meter (use case: *valor de lectura*)."""

from __future__ import annotations

from gateway.activities import attributes, identity
from gateway.contract.limits import MAX_VALUE
from gateway.contract.own_model import OWN_MODEL
from gateway.contract.result import KO, VALUE, Result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.activities.attributes import Key
    from gateway.contract.model import Model
    from gateway.dlms.client.client import Client


async def run(
    client: Client, serial: str, wanted: Sequence[Key], model: Model = OWN_MODEL
) -> Result:
    """The values of all attributes (class_id, obis, attribute), in the order asked for, or a KO.

    One refused attribute refuses the whole: DlmsError and OSError come out as they are.
    """
    found = await attributes.read(client, identity.serial_key(model) + list(wanted))
    refusal = identity.wrong_meter(found, serial, model)
    if refusal is not None:
        return refusal
    values = [found.value(key) for key in wanted]
    if sum([len(value) for value in values]) > MAX_VALUE:
        return Result(KO, "value-too-large", "at most %d bytes fit a report" % MAX_VALUE)
    return Result(VALUE, "read", "", values)
