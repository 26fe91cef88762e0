"""Requests of gurux-dlms that our side reads, and selectors that both build alike."""

from __future__ import annotations

import datetime

import pytest

from gateway.dlms import apdu
from gateway.dlms.data import axdr, obis, selection

gurux = pytest.importorskip("gurux_dlms")
enums = pytest.importorskip("gurux_dlms.enums")
objects = pytest.importorskip("gurux_dlms.objects")

WRAPPER = 8  # bytes before each APDU


def only(frames: list[bytearray]) -> bytes:
    (frame,) = frames
    return bytes(frame)[WRAPPER:]


@pytest.fixture
def client() -> object:
    return gurux.GXDLMSClient(
        True, 16, 1, enums.Authentication.NONE, None, enums.InterfaceType.WRAPPER
    )


def test_entries(client: object) -> None:
    profile = objects.GXDLMSProfileGeneric("1.0.99.1.0.255")
    raw = only(client.readRowsByEntry(profile, 3, 9))  # type: ignore[attr-defined]
    # it counts rows where the standard names the last one
    assert apdu.decode(raw).selection == selection.by_entry(3, 11)


def test_range(client: object) -> None:
    profile = objects.GXDLMSProfileGeneric("1.0.99.1.0.255")
    profile.sortObject = None
    days = (datetime.datetime(2025, 6, 2, 12), datetime.datetime(2025, 6, 3, 12))
    raw = only(client.readRowsByRange(profile, *days))  # type: ignore[attr-defined]
    selector, data = apdu.decode(raw).selection
    _, start, end, _ = axdr.decode(data)[1]
    assert (selector, data) == selection.by_range(start[1], end[1])


def test_access(client: object) -> None:
    command = enums.AccessServiceCommandType.GET
    names = ("0.0.42.0.0.255", "0.0.96.1.1.255")
    items = [gurux.GXDLMSAccessItem(command, objects.GXDLMSData(name), 2) for name in names]
    raw = only(client.accessRequest(None, items))  # type: ignore[attr-defined]
    request = apdu.decode(raw)
    assert request.operations == [apdu.AccessGet(1, obis.parse(name), 2) for name in names]
    assert request.encode() == raw
