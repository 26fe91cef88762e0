"""A meter's objects under short names (Blue Book 4.1.2), and class 12, the association that has
them: written for itself, so that the client under test is not its own mirror."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from gateway.dlms.apdu import acse
from gateway.dlms.data import axdr, cosem, obis
from tools.meter import kinds
from tools.meter.association import AssociationLN
from tools.meter.kinds import Typed
from tools.meter.model import CosemObject, Meter

CURRENT_BASE = 0xFA00
FIRST_BASE, SPACING = 0x2000, 0x100  # of objects that no base name is given for
ATTRIBUTE_STEP = 8
# column "Short name" of each class in the Blue Book: the offset of each method
METHOD_OFFSETS: dict[int, dict[int, int]] = {
    3: {1: 0x28},
    4: {1: 0x38},
    5: {1: 0x48, 2: 0x50},
    7: {1: 0x58, 2: 0x60},
    8: {1: 0x60, 2: 0x68, 3: 0x70, 4: 0x78, 5: 0x80, 6: 0x88},
    9: {1: 0x20},
    11: {1: 0x10, 2: 0x18},
    12: {3: 0x30, 5: 0x40, 8: 0x58},
    17: {1: 0x20},
    18: {1: 0x40, 2: 0x48, 3: 0x50, 4: 0x58},
    20: {1: 0x50},
    40: {1: 0x38},
    64: {1: 0x30, 2: 0x38, 3: 0x40, 4: 0x48, 5: 0x50, 6: 0x58, 7: 0x60, 8: 0x68},
    70: {1: 0x20, 2: 0x28},
}
REPLY_TO_HLS = CURRENT_BASE + METHOD_OFFSETS[12][8]


@dataclass(frozen=True)
class ShortMember:
    """What one short name stands for."""

    class_id: int
    logical_name: bytes
    is_method: bool
    index: int


class ShortNames:
    """`given`: base names by OBIS code as text; all others are assigned. ValueError where two
    members would have one name."""

    def __init__(self, objects: Iterable[CosemObject], given: Mapping[str, int]) -> None:
        objects = list(objects)
        unknown = sorted(set(given) - {each.name for each in objects})
        if unknown:
            raise ValueError("a base name for %s, which the meter has not" % unknown[0])
        self.bases: dict[tuple[int, str], int] = {}
        self._members: dict[int, ShortMember] = {}
        for each in objects:
            if each.name in given:
                self.add(each, given[each.name])
        free = FIRST_BASE
        for each in objects:
            if each.name in given:
                continue
            while any(name in self._members for name in range(free, free + SPACING)):
                free += SPACING
            self.add(each, free)

    def add(self, each: CosemObject, base: int) -> None:
        offsets = {(False, index): ATTRIBUTE_STEP * (index - 1) for index in each.attributes}
        for index in each.methods:
            offsets[True, index] = METHOD_OFFSETS[each.class_id][index]
        for (is_method, index), offset in offsets.items():
            name = base + offset
            if not 0 <= name <= 0xFFFF:
                raise ValueError("%s: short name 0x%x is not 16 bits" % (each.name, name))
            if name in self._members:
                raise ValueError("%s: short name 0x%04x is another's" % (each.name, name))
            self._members[name] = ShortMember(each.class_id, each.logical_name, is_method, index)
        self.bases[each.class_id, each.name] = base

    def member(self, name: int) -> ShortMember | None:
        return self._members.get(name)


class AssociationSN(AssociationLN):
    """Class 12, version 2: the same association, with other members."""

    class_id = 12
    ciphered_context, plain_context = acse.SN_CIPHERED, acse.SN
    vaa_name = CURRENT_BASE
    least = acse.READ
    services = (
        acse.GENERAL_PROTECTION
        | acse.GENERAL_BLOCK_TRANSFER
        | acse.READ
        | acse.WRITE
        | acse.UNCONFIRMED_WRITE
        | acse.BLOCK_GET
        | acse.BLOCK_SET
        | acse.MULTIPLE_REFERENCES
        | acse.DATA_NOTIFICATION
        | acse.PARAMETERIZED_ACCESS
    )

    def __init__(
        self,
        meter: Meter,
        names: ShortNames,
        client_sap: int,
        mechanism: int,
        ciphered: bool,
        secret: bytes = b"",
    ) -> None:
        super().__init__(meter, client_sap, mechanism, ciphered, secret)
        self.names = names
        self._secret = secret
        own_name = self.attributes[1]
        self.attributes.clear()
        self.methods.clear()
        self.attributes[1] = own_name
        self.attribute(2, kinds.array(kinds.ANY), get=self._short_list)
        self.attribute(3, kinds.array(kinds.ANY), (axdr.ARRAY, []))
        self.attribute(4, kinds.NAME, (axdr.OCTET_STRING, obis.parse("0.0.43.0.0.255")))
        self.publish(2, 3, 4)
        self.method(5, kinds.OCTETS, self._change_secret)
        self.method(8, kinds.OCTETS, self._reply_to_hls)

    def secret(self) -> bytes:
        return self._secret

    def _change_secret(self, typed: Typed) -> None:
        self._check_secret(typed[1])
        self._secret = bytes(typed[1])

    def _short_list(self) -> Typed:
        """Base name, class, version, logical name of every object this client may see."""
        seen: list[tuple[CosemObject, int, int]] = [(self, CURRENT_BASE, 2)]
        rows = []
        for each in self.meter.objects.values():
            if self.sees(each):
                version = cosem.CLASSES[each.class_id].version
                seen.append((each, self.names.bases[each.class_id, each.name], version))
        for each, base, version in seen:
            fields = [
                (axdr.LONG, base - 0x10000 if base >= 0x8000 else base),
                (axdr.LONG_UNSIGNED, each.class_id),
                (axdr.UNSIGNED, version),
                (axdr.OCTET_STRING, each.logical_name),
            ]
            rows.append((axdr.STRUCTURE, fields))
        return (axdr.ARRAY, rows)


def associations(
    meter: Meter, given: Mapping[str, int]
) -> Callable[[int, int, bool, bytes], AssociationLN]:
    """What makes the associations of a meter with short names: like AssociationLN after its
    meter."""
    names = ShortNames(meter.objects.values(), given)

    def made(client_sap: int, mechanism: int, ciphered: bool, secret: bytes = b"") -> AssociationLN:
        association = AssociationSN(meter, names, client_sap, mechanism, ciphered, secret)
        if (association.class_id, association.name) not in names.bases:
            names.add(association, CURRENT_BASE)
        return association

    return made
