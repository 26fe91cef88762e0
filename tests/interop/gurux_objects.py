"""What is in the gurux meter, built of gurux's own objects."""

from __future__ import annotations

import datetime
from typing import Any

from gurux_dlms import GXDateTime, GXTime
from gurux_dlms.enums import DataType, ErrorCode, ObjectType, Unit
from gurux_dlms.internal._GXCommon import _GXCommon
from gurux_dlms.objects import (
    GXDLMSActivityCalendar,
    GXDLMSCaptureObject,
    GXDLMSClock,
    GXDLMSData,
    GXDLMSDayProfile,
    GXDLMSDayProfileAction,
    GXDLMSImageTransfer,
    GXDLMSProfileGeneric,
    GXDLMSRegister,
    GXDLMSScript,
    GXDLMSScriptAction,
    GXDLMSScriptTable,
    GXDLMSSeasonProfile,
    GXDLMSWeekProfile,
)
from gurux_dlms.objects.enums import ScriptActionType

SERIAL = b"AMI0000000007"
ROWS = 40
TEXT = bytes(range(256)) * 3  # of the writable data object: longer than an APDU


def captured_at(row: int) -> datetime.datetime:
    return datetime.datetime(2024, 2, 29) + datetime.timedelta(minutes=15 * row)


class Image(GXDLMSImageTransfer):  # type: ignore[misc]
    """Gurux's own methods are of Java in part (longValue); the attributes are as they are."""

    def __init__(self) -> None:
        super().__init__("0.0.44.0.0.255")
        self.blocks: dict[int, bytes] = {}
        self.imageBlockSize = 64

    def invoke(self, settings: Any, e: Any) -> None:
        if e.index == 1:
            self.identifier, self.imageSize = bytes(e.parameters[0]), e.parameters[1]
            self.blocks = {}
        elif e.index == 2:
            number, data = e.parameters
            if number * self.imageBlockSize >= self.imageSize:
                e.error = ErrorCode.READ_WRITE_DENIED
                return
            self.blocks[number] = bytes(data)
        elif e.index == 3 and len(self.data) != self.imageSize:
            e.error = ErrorCode.OTHER_REASON
            return
        count = -(-self.imageSize // self.imageBlockSize)
        self.imageTransferredBlocksStatus = "".join("01"[n in self.blocks] for n in range(count))
        missing = [n for n in range(count) if n not in self.blocks]
        self.imageFirstNotTransferredBlockNumber = missing[0] if missing else count
        self.imageTransferStatus = {1: 1, 2: 1, 3: 3, 4: 6}[e.index]

    @property
    def data(self) -> bytes:
        return b"".join(data for _, data in sorted(self.blocks.items()))


class Profile(GXDLMSProfileGeneric):  # type: ignore[misc]
    """Gurux's own selective access does not run in Python (getRowEndIndex); its encoding does."""

    def getValue(self, settings: Any, e: Any) -> Any:
        if e.index != 2 or not e.selector:
            return super().getValue(settings, e)
        if e.selector == 1:
            first, last = (
                _naive(_GXCommon.changeType(settings, octets, DataType.DATETIME))
                for octets in e.parameters[1:3]
            )
            rows = [row for row in self.buffer if first <= _naive(row[0]) <= last]
        else:
            first, last = e.parameters[:2]
            rows = self.buffer[first - 1 : last or None]
        e.byteArray = True
        return self.getData(settings, e, rows, None)


def _naive(moment: GXDateTime) -> datetime.datetime:
    """As on the meter's clock: gurux puts this machine's time zone to it."""
    return datetime.datetime(*moment.value.timetuple()[:6])


def build() -> list[Any]:
    """Logical device name, two data objects, register, clock, profile, calendar, scripts, image."""
    name = GXDLMSData("0.0.42.0.0.255")
    name.setDataType(2, DataType.OCTET_STRING)
    name.value = SERIAL
    text = GXDLMSData("0.0.96.50.0.255")
    text.setDataType(2, DataType.OCTET_STRING)
    text.value = bytearray(TEXT)
    limit = GXDLMSData("0.0.96.50.1.255")
    limit.setDataType(2, DataType.UINT32)
    limit.value = 5
    energy = GXDLMSRegister("1.0.1.8.0.255")
    energy.setDataType(2, DataType.UINT32)
    energy.value = 1234567
    energy.scaler = 1
    energy.unit = Unit.ACTIVE_ENERGY
    clock = GXDLMSClock()
    clock.time = GXDateTime(datetime.datetime(2024, 2, 29, 12, 34, 56))
    clock.begin = clock.end = clock.time
    profile = Profile("1.0.99.1.0.255")
    profile.capturePeriod = 900
    profile.profileEntries = profile.entriesInUse = ROWS
    profile.captureObjects.append((clock, GXDLMSCaptureObject(2, 0)))
    profile.captureObjects.append((energy, GXDLMSCaptureObject(2, 0)))
    for row in range(ROWS):
        profile.buffer.append([GXDateTime(captured_at(row)), 1000 * row])
    image = Image()
    scripts = _scripts()
    return [name, text, limit, energy, clock, profile, _calendar(scripts), scripts, image]


def _scripts() -> Any:
    table = GXDLMSScriptTable("0.0.10.0.100.255")
    action = GXDLMSScriptAction()
    action.type_ = ScriptActionType.WRITE
    action.target = GXDLMSData("0.0.96.50.1.255")
    action.objectType = ObjectType.DATA
    action.logicalName = "0.0.96.50.1.255"
    action.index = 2
    action.parameter = 7
    action.parameterDataType = DataType.UINT32
    script = GXDLMSScript()
    script.id = 1
    script.actions.append(action)
    table.scripts.append(script)
    return table


def _calendar(scripts: Any) -> Any:
    calendar = GXDLMSActivityCalendar("0.0.13.0.0.255")
    for active in (True, False):
        suffix = "Active" if active else "Passive"
        season = GXDLMSSeasonProfile(b"S1", GXDateTime(datetime.datetime(2024, 1, 1)), b"W1")
        week = GXDLMSWeekProfile()
        week.name = b"W1"
        week.monday = week.tuesday = week.wednesday = week.thursday = week.friday = 1
        week.saturday = week.sunday = 1
        action = GXDLMSDayProfileAction()
        action.startTime = GXTime(datetime.datetime(2024, 1, 1, 8, 30))
        action.scriptLogicalName = scripts.logicalName
        action.scriptSelector = 1
        setattr(calendar, "calendarName" + suffix, "YEAR")
        setattr(calendar, "seasonProfile" + suffix, [season])
        setattr(calendar, "weekProfileTable" + suffix, [week])
        setattr(calendar, "dayProfileTable" + suffix, [GXDLMSDayProfile(1, [action])])
    calendar.time = GXDateTime(datetime.datetime(2024, 1, 1))
    return calendar
