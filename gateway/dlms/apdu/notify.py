"""What a meter sends unasked: DataNotification, EventNotification, InformationReport."""

from __future__ import annotations

from gateway.dlms.apdu.parts import (
    date_time_at,
    descriptor,
    descriptor_at,
    ends,
    octet_at,
    put_bytes,
    rest,
    u16,
    u16_at,
    u32,
    u32_at,
    values_at,
    values_of,
)
from gateway.dlms.data.axdr import bytes_at, length_at, put_length
from gateway.dlms.errors import ProtocolError
from gateway.dlms.fields import Fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.dlms.data.axdr import Bytes

    Named = tuple[int, bytes, int]  # class, obis, attribute

DATA_NOTIFICATION = 0x0F
INFORMATION_REPORT = 0x18
EVENT_NOTIFICATION = 0xC2

_VARIABLE_NAME = 2  # of the CHOICE Variable-Access-Specification


class DataNotification(Fields):
    """What a push setup (class 40) sends. `invoke` is the whole long-invoke-id-and-priority,
    `date_time` 12 bytes or none, `data` one Data."""

    __slots__ = ("data", "date_time", "invoke")
    FIELDS = ("invoke", "date_time", "data")

    def __init__(self, invoke: int, date_time: bytes, data: bytes) -> None:
        self.invoke = invoke
        self.date_time = date_time
        self.data = data

    def encode(self) -> bytes:
        out = bytearray((DATA_NOTIFICATION,))
        out.extend(u32(self.invoke))
        put_bytes(out, self.date_time)
        out.extend(self.data)
        return bytes(out)


class EventNotification(Fields):
    """One attribute, told by its meter. `time` 12 bytes, or b"" where it is left out."""

    __slots__ = ("attribute", "class_id", "data", "obis", "time")
    FIELDS = ("time", "class_id", "obis", "attribute", "data")

    def __init__(
        self, time: bytes, class_id: int, obis: bytes, attribute: int, data: bytes
    ) -> None:
        self.time = time
        self.class_id = class_id
        self.obis = obis
        self.attribute = attribute
        self.data = data

    def encode(self) -> bytes:
        out = bytearray((EVENT_NOTIFICATION,))
        if self.time:
            out.append(1)
            put_bytes(out, self.time)
        else:
            out.append(0)
        out.extend(descriptor(self.class_id, self.obis, self.attribute))
        out.extend(self.data)
        return bytes(out)


class InformationReport(Fields):
    """The notification of meters with short names. `time` is a GeneralizedTime text or "", `names`
    the short names (16 bits), `values` one Data for each."""

    __slots__ = ("names", "time", "values")
    FIELDS = ("time", "names", "values")

    def __init__(self, time: str, names: list[int], values: list[bytes]) -> None:
        self.time = time
        self.names = names
        self.values = values

    def encode(self) -> bytes:
        out = bytearray((INFORMATION_REPORT,))
        if self.time:
            out.append(1)
            put_bytes(out, self.time.encode())
        else:
            out.append(0)
        put_length(out, len(self.names))
        for name in self.names:
            out.append(_VARIABLE_NAME)
            out.extend(u16(name))
        out.extend(values_of(self.values))
        return bytes(out)


NOTIFICATIONS = (DataNotification, EventNotification, InformationReport)


def _data_notification(data: Bytes) -> DataNotification:
    invoke, pos = u32_at(data, 1)
    if data[pos : pos + 2] == b"\x09\x0c":
        pos += 1  # Kaifa's meters tag it as if it were a Data; a length of 9 it cannot be
    date_time, pos = date_time_at(data, pos)
    return DataNotification(invoke, date_time, rest(data, pos))


def _event_notification(data: Bytes) -> EventNotification:
    present, pos = octet_at(data, 1)
    time = b""
    if present:
        time, pos = date_time_at(data, pos)
    class_id, obis, attribute, pos = descriptor_at(data, pos)
    return EventNotification(time, class_id, obis, attribute, rest(data, pos))


def _information_report(data: Bytes) -> InformationReport:
    present, pos = octet_at(data, 1)
    time = ""
    if present:
        raw, pos = bytes_at(data, pos)
        if any(byte > 0x7F for byte in raw):
            raise ProtocolError("a GeneralizedTime that is not ASCII")
        time = raw.decode()
    count, pos = length_at(data, pos)
    names: list[int] = []
    for _ in range(count):
        choice, pos = octet_at(data, pos)
        if choice != _VARIABLE_NAME:
            raise ProtocolError("Variable-Access-Specification is choice %d, not 2" % choice)
        name, pos = u16_at(data, pos)
        names.append(name)
    values, pos = values_at(data, pos)
    ends(data, pos)
    if len(values) != len(names):
        raise ProtocolError("%d values for %d names" % (len(values), len(names)))
    return InformationReport(time, names, values)


NOTIFICATION_DECODERS = {
    DATA_NOTIFICATION: _data_notification,
    EVENT_NOTIFICATION: _event_notification,
    INFORMATION_REPORT: _information_report,
}
