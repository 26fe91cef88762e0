"""What one client may do to the objects: single reads, writes and methods, with their results by
number. The services (services.py) are ways to ask for them."""

from __future__ import annotations

from gateway.dlms import apdu
from gateway.dlms.data import axdr, obis
from gateway.dlms.errors import ProtocolError
from tools.meter.association import CURRENT, AssociationLN
from tools.meter.model import CosemObject, Meter, Refused
from tools.meter.profile import ProfileGeneric

ACCESS = {name: number for number, name in apdu.ACCESS_RESULTS.items()}
ACTION = {name: number for number, name in apdu.ACTION_RESULTS.items()}

Selection = tuple[int, bytes] | None


class Access:
    """The meter as the client of `association` sees it."""

    def __init__(self, meter: Meter, association: AssociationLN) -> None:
        self.meter = meter
        self.association = association

    def read(
        self, class_id: int, name: bytes, index: int, selection: Selection
    ) -> tuple[int, bytes | None]:
        """data-access-result, and one Data where it is success."""
        try:
            found = self._find(class_id, name)
            typed = found.read(index, self.association.client_sap)
            if selection is not None:
                if not isinstance(found, ProfileGeneric) or index != 2:
                    raise Refused("scope-of-access-violated")
                typed = found.selected(selection[0], axdr.decode(selection[1]))
            return apdu.SUCCESS, axdr.encode(typed)
        except ProtocolError:
            return ACCESS["type-unmatched"], None
        except Refused as refused:
            return ACCESS[refused.result], None

    def write(
        self, class_id: int, name: bytes, index: int, selection: Selection, data: bytes
    ) -> int:
        """data-access-result."""
        text = obis.text(name)
        try:
            if selection is not None:
                raise Refused("scope-of-access-violated")
            typed = axdr.decode(data)
            if self.meter.faults.refuse_write == (class_id, text, index):
                raise Refused("read-write-denied")
            self._find(class_id, name).write(index, typed, self.association.client_sap)
        except ProtocolError:
            return ACCESS["type-unmatched"]
        except Refused as refused:
            return ACCESS[refused.result]
        self.meter.log.add("set", class_id, text, index)
        if self.meter.events is not None:
            self.meter.events.written(class_id, text, index)
        return apdu.SUCCESS

    def invoke(
        self, class_id: int, name: bytes, index: int, data: bytes | None
    ) -> tuple[int, bytes | None]:
        """action-result, and what the method returned."""
        text = obis.text(name)
        try:
            typed = (axdr.NULL, None) if data is None else axdr.decode(data)
            returned = self._find(class_id, name).invoke(index, typed, self.association.client_sap)
        except ProtocolError:
            return ACTION["type-unmatched"], None
        except Refused as refused:
            return ACTION[refused.result], None
        if class_id != self.association.class_id:  # proving who one is changes nothing
            self.meter.log.add("action", class_id, text, index)
        return apdu.SUCCESS, None if returned is None else axdr.encode(returned)

    def _find(self, class_id: int, name: bytes) -> CosemObject:
        text = obis.text(name)
        if class_id == self.association.class_id and text == CURRENT:
            return self.association
        return self.meter.find(class_id, text)
