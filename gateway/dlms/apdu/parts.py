"""What the APDUs of GET, SET, ACTION and ACCESS have in common (Green Book 9.5): descriptors,
selections, blocks, results; each encoded by `name(..) -> bytes`, decoded by
`name_at(data, pos) -> (.., pos)`. Decoding raises ProtocolError only.
"""

from __future__ import annotations

import struct

from gateway.dlms.data.axdr import bytes_at, length_at, put_length, skip_at
from gateway.dlms.errors import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.dlms.data.axdr import Bytes

    Selection = tuple[int, bytes]
    Target = tuple[int, bytes, int, Selection | None]  # class, obis, attribute, selection
    DataResult = tuple[int, bytes | None]  # data-access-result; one Data where it is SUCCESS

SUCCESS = 0

# tags of the services with short names (short.py): exchange and protection know them too
READ_REQUEST = 0x05
WRITE_REQUEST = 0x06
READ_RESPONSE = 0x0C
WRITE_RESPONSE = 0x0D
UNCONFIRMED_WRITE_REQUEST = 0x16

ACCESS_RESULTS = {
    0: "success",
    1: "hardware-fault",
    2: "temporary-failure",
    3: "read-write-denied",
    4: "object-undefined",
    9: "object-class-inconsistent",
    11: "object-unavailable",
    12: "type-unmatched",
    13: "scope-of-access-violated",
    14: "data-block-unavailable",
    15: "long-get-aborted",
    16: "no-long-get-in-progress",
    17: "long-set-aborted",
    18: "no-long-set-in-progress",
    19: "data-block-number-invalid",
    250: "other-reason",
}
ACTION_RESULTS = {
    0: "success",
    1: "hardware-fault",
    2: "temporary-failure",
    3: "read-write-denied",
    4: "object-undefined",
    9: "object-class-inconsistent",
    11: "object-unavailable",
    12: "type-unmatched",
    13: "scope-of-access-violated",
    14: "data-block-unavailable",
    15: "long-action-aborted",
    16: "no-long-action-in-progress",
    250: "other-reason",
}

_DESCRIPTOR_RANGE = (
    "class 0..65535, logical name of 6 bytes, index -128..127, invoke byte 0..255 expected"
)


def access_result_name(result: int) -> str:
    return ACCESS_RESULTS.get(result, "data-access-result %d" % result)


def action_result_name(result: int) -> str:
    return ACTION_RESULTS.get(result, "action-result %d" % result)


def u16(value: int) -> bytes:
    if not 0 <= value <= 0xFFFF:
        raise ValueError("%d does not fit 16 bits" % value)
    return value.to_bytes(2, "big")


def u32(value: int) -> bytes:
    if not 0 <= value <= 0xFFFFFFFF:
        raise ValueError("%d does not fit 32 bits" % value)
    return value.to_bytes(4, "big")


def head(tag: int, choice: int, invoke: int, class_id: int, obis: bytes, index: int) -> bytes:
    """Tag, choice, invoke-id-and-priority and one descriptor, as most requests begin."""
    # struct truncates silently on MicroPython
    if (
        not 0 <= class_id <= 0xFFFF
        or len(obis) != 6
        or not -128 <= index <= 127
        or not 0 <= invoke <= 0xFF
    ):
        raise ValueError(_DESCRIPTOR_RANGE)
    return struct.pack(">BBBH6sb", tag, choice, invoke, class_id, obis, index)


def descriptor(class_id: int, obis: bytes, index: int) -> bytes:
    """cosem-attribute-descriptor and cosem-method-descriptor are alike."""
    if not 0 <= class_id <= 0xFFFF or len(obis) != 6 or not -128 <= index <= 127:
        raise ValueError(_DESCRIPTOR_RANGE)
    return struct.pack(">H6sb", class_id, obis, index)


def selection_of(selection: Selection | None) -> bytes:
    if selection is None:
        return b"\x00"
    return bytes((1, selection[0])) + selection[1]


def data_or_result(result: int, data: bytes | None) -> bytes:
    """Get-Data-Result: CHOICE of data [0] and data-access-result [1]."""
    if result != SUCCESS:
        return bytes((1, result))
    if data is None:
        raise ValueError("a successful answer needs data")
    return b"\x00" + data


def data_block(last: bool, block: int, data: bytes) -> bytes:
    out = bytearray((1 if last else 0,))
    out.extend(u32(block))
    put_bytes(out, data)
    return bytes(out)


def targets(items: list[Target]) -> bytes:
    """cosem-attribute-descriptor-list: with count, each with its selection."""
    out = bytearray()
    put_length(out, len(items))
    for class_id, obis, attribute, selection in items:
        out.extend(descriptor(class_id, obis, attribute))
        out.extend(selection_of(selection))
    return bytes(out)


def put_bytes(out: bytearray, data: bytes) -> None:
    put_length(out, len(data))
    out.extend(data)


def octet_at(data: Bytes, pos: int) -> tuple[int, int]:
    if pos >= len(data):
        raise ProtocolError("the APDU ends early")
    return data[pos], pos + 1


def date_time_at(data: Bytes, pos: int) -> tuple[bytes, int]:
    """An octet-string that holds a date-time, or nothing."""
    found, pos = bytes_at(data, pos)
    if len(found) not in (0, 12):
        raise ProtocolError("a date-time of %d bytes where 12 or none are due" % len(found))
    return found, pos


def u16_at(data: Bytes, pos: int) -> tuple[int, int]:
    if pos + 2 > len(data):
        raise ProtocolError("the APDU ends early")
    return data[pos] << 8 | data[pos + 1], pos + 2


def u32_at(data: Bytes, pos: int) -> tuple[int, int]:
    if pos + 4 > len(data):
        raise ProtocolError("the APDU ends early")
    return int.from_bytes(bytes(data[pos : pos + 4]), "big"), pos + 4


def descriptor_at(data: Bytes, pos: int) -> tuple[int, bytes, int, int]:
    if pos + 9 > len(data):
        raise ProtocolError("the APDU ends early")
    index = data[pos + 8]
    return (
        data[pos] << 8 | data[pos + 1],
        bytes(data[pos + 2 : pos + 8]),
        index - 256 if index > 127 else index,
        pos + 9,
    )


def selection_at(data: Bytes, pos: int) -> tuple[Selection | None, int]:
    present, pos = octet_at(data, pos)
    if not present:
        return None, pos
    selector, pos = octet_at(data, pos)
    end = skip_at(data, pos)
    return (selector, bytes(data[pos:end])), end


def targets_at(data: Bytes, pos: int) -> tuple[list[Target], int]:
    count, pos = length_at(data, pos)
    items: list[Target] = []
    for _ in range(count):  # a lie about the count ends at the first item that is not there
        class_id, obis, attribute, pos = descriptor_at(data, pos)
        selection, pos = selection_at(data, pos)
        items.append((class_id, obis, attribute, selection))
    return items, pos


def values_of(values: list[bytes]) -> bytes:
    """SEQUENCE OF Data: the count, then each Data as it is."""
    out = bytearray()
    put_length(out, len(values))
    for value in values:
        out.extend(value)
    return bytes(out)


def values_at(data: Bytes, pos: int) -> tuple[list[bytes], int]:
    count, pos = length_at(data, pos)
    values: list[bytes] = []
    for _ in range(count):
        end = skip_at(data, pos)
        values.append(bytes(data[pos:end]))
        pos = end
    return values, pos


def block_at(data: Bytes, pos: int) -> tuple[bool, int, bytes]:
    """last-block, block-number, raw-data, which ends the APDU."""
    last, pos = octet_at(data, pos)
    block, pos = u32_at(data, pos)
    raw, pos = bytes_at(data, pos)
    ends(data, pos)
    return last != 0, block, raw


def ends(data: Bytes, pos: int) -> None:
    if pos != len(data):
        raise ProtocolError("%d bytes left over after the APDU" % (len(data) - pos))


def rest(data: Bytes, pos: int) -> bytes:
    """The Data that fills the rest of the APDU."""
    if pos >= len(data):
        raise ProtocolError("the APDU ends where its data should begin")
    return bytes(data[pos:])


def refusal_at(data: Bytes, pos: int) -> tuple[int, int]:
    result, pos = octet_at(data, pos)
    if result == SUCCESS:
        raise ProtocolError("data-access-result success in place of the data")
    return result, pos


def lone_u32(data: Bytes) -> int:
    value, pos = u32_at(data, 3)
    ends(data, pos)
    return value


def data_results_at(data: Bytes, pos: int) -> tuple[list[DataResult], int]:
    """SEQUENCE OF Get-Data-Result, with its count, as (result, data or None)."""
    count, pos = length_at(data, pos)
    items: list[DataResult] = []
    for _ in range(count):
        choice, pos = octet_at(data, pos)
        if choice == 0:
            end = skip_at(data, pos)
            items.append((SUCCESS, bytes(data[pos:end])))
            pos = end
        elif choice == 1:
            result, pos = refusal_at(data, pos)
            items.append((result, None))
        else:
            raise ProtocolError("Get-Data-Result is choice %d, not 0 or 1" % choice)
    return items, pos
