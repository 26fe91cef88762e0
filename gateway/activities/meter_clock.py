"""A meter's clock, as it stands when it is met: how far off it is, and what its date-times mean."""

from __future__ import annotations

from gateway.activities.profile.decoding import Zone
from gateway.dlms.data import axdr, moment
from gateway.dlms.data.selection import CLOCK
from gateway.dlms.errors import AccessRefused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.dlms.apdu.parts import Target
    from gateway.dlms.client.client import Client
    from hal.ports import Clock

_CLASS, _TIME, _TIME_ZONE, _SAVING = 8, 2, 3, 7
_STEP = 15  # minutes: local times differ from UTC by so many, or a multiple


class MeterClock:
    """`now`: what it shows, in unix time, 0: nothing. `off` is that minus ours, in seconds; None
    where either is not known. `zone`: what its date-times mean. `deviation`: its local time's, in
    minutes, and whether the meter tells it (`told`)."""

    __slots__ = ("deviation", "now", "off", "told", "zone")

    def __init__(self, now: int, off: int | None, zone: Zone, deviation: int, told: bool) -> None:
        self.now = now
        self.off = off
        self.zone = zone
        self.deviation = deviation
        self.told = told


async def measured(client: Client, clock: Clock) -> MeterClock:
    """As it stands now, half of the round trip taken into account. A meter without a clock that can
    be read has UTC."""
    before = clock.ticks_ms()
    try:
        tag, raw = axdr.decode(await client.get(_CLASS, CLOCK, _TIME))
    except AccessRefused:
        return MeterClock(0, None, Zone(0, 0), 0, True)
    ours = clock.unix_time()
    ours -= (clock.ticks_ms() - before) // 2000 if ours else 0
    local = moment.local_of(raw) if tag in (axdr.OCTET_STRING, axdr.DATE_TIME) else None
    if local is None:
        return MeterClock(0, None, Zone(0, 0), 0, True)
    told = moment.deviation_of(raw)
    zone = Zone(told, 0) if told is not None else await _zone(client, raw, local, ours)
    deviation = zone.deviation(raw)
    now = local + deviation * 60
    return MeterClock(now, now - ours if ours else None, zone, deviation, told is not None)


async def _zone(client: Client, raw: bytes, local: int, ours: int) -> Zone:
    """Of a meter whose date-times tell no deviation: what its clock says of itself, or ours."""
    asked: list[Target] = [(_CLASS, CLOCK, each, None) for each in (_TIME_ZONE, _SAVING)]
    standard, saving = [_integer(data) for _, data in await client.get_list(asked)]
    if saving is None:
        saving = 60
    if standard is None:
        apart = (ours - local) // 60 if ours else 0
        standard = (apart + _STEP // 2) // _STEP * _STEP
        standard += saving if moment.in_summer(raw) else 0
    return Zone(standard, saving)


def _integer(data: bytes | None) -> int | None:
    if data is None:
        return None
    value = axdr.decode(data)[1]
    return value if type(value) is int and -840 <= value <= 840 else None
