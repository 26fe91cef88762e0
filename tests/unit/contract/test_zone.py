"""Local time against zoneinfo, every hour of several years, and the way back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import TZPATH, ZoneInfo

import pytest

from gateway.contract.zone import Zone

FIRST, YEARS = 2039, 4  # the files name each change until 2037; then their TZ text counts
ZONES = (
    "America/Santiago",
    "Pacific/Easter",
    "Europe/Madrid",
    "Atlantic/Canary",
    "Europe/Dublin",
    "Australia/Sydney",
    "Australia/Lord_Howe",
    "America/Asuncion",
    "America/New_York",
    "America/Nuuk",
    "Asia/Kolkata",
    "Asia/Jerusalem",
    "America/Bogota",
    "UTC",
)
EPOCH = datetime(1970, 1, 1)


def text_of(name: str) -> str:
    """What stands at the end of its file (RFC 8536, 3.3)."""
    for folder in TZPATH:
        path = Path(folder, name)
        if path.exists():
            return path.read_bytes().rstrip(b"\n").rpartition(b"\n")[2].decode()
    pytest.skip("this machine has no %s" % name)


@pytest.mark.parametrize("name", ZONES)
def test_it_is_as_zoneinfo_has_it(name: str) -> None:
    zone, theirs = Zone(text_of(name)), ZoneInfo(name)
    moment = datetime(FIRST, 1, 1, tzinfo=UTC)
    last, jumps, repeats = -1, 0, 0
    while moment.year < FIRST + YEARS:
        unix = int(moment.timestamp())
        shown = moment.astimezone(theirs)
        offset = shown.utcoffset()
        assert offset is not None
        assert zone.offset(unix) == offset.total_seconds(), moment
        local = int((shown.replace(tzinfo=None) - EPOCH).total_seconds())
        assert zone.local(unix) == local
        if local <= last:  # shown a second time
            repeats += 1
            assert zone.moment(local) < unix
        else:
            assert zone.moment(local) == unix
        if last >= 0 and local - last > 1800:  # what was skipped
            jumps += 1
            assert zone.moment(local - 60) == zone.moment(local - 1799) == unix
        last = max(last, local)
        moment += timedelta(minutes=30)
    summer = zone.change_after(0) != 0
    assert (jumps == YEARS) == (repeats > 0) == summer
