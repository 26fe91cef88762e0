"""A package carried out by the gateway's own activity on a virtual meter, no line between."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from gateway.activities import configure
from gateway.contract.package import Package
from gateway.contract.result import Result
from gateway.dlms import apdu
from gateway.dlms.client.client import Client
from gateway.dlms.client.refusals import action_refused
from gateway.dlms.data import axdr, obis
from tools.meter.model import MANAGEMENT, Meter, Refused


class MeterClient:
    """What the activity needs of an associated client."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    async def get_list(self, items: list[Any]) -> list[tuple[int, bytes | None]]:
        return [self._get(*item[:3]) for item in items]

    async def set_list(self, items: list[Any]) -> list[int]:
        return [self._set(*item[:3], data) for item, data in items]

    async def action(self, class_id: int, name: bytes, method: int, data: bytes | None) -> None:
        parameter = (axdr.NULL, None) if data is None else axdr.decode(data)
        try:
            target = self._meter.find(class_id, obis.text(name))
            target.invoke(method, parameter, MANAGEMENT)
        except Refused as refused:
            raise action_refused(_number(apdu.ACTION_RESULTS, refused), "ACTION")

    def _get(self, class_id: int, name: bytes, index: int) -> tuple[int, bytes | None]:
        try:
            target = self._meter.find(class_id, obis.text(name))
            return apdu.SUCCESS, axdr.encode(target.read(index, MANAGEMENT))
        except Refused as refused:
            return _number(apdu.ACCESS_RESULTS, refused), None

    def _set(self, class_id: int, name: bytes, index: int, data: bytes) -> int:
        try:
            target = self._meter.find(class_id, obis.text(name))
            target.write(index, axdr.decode(data), MANAGEMENT)
            return apdu.SUCCESS
        except Refused as refused:
            return _number(apdu.ACCESS_RESULTS, refused)


def _number(results: dict[int, str], refused: Refused) -> int:
    return next(number for number, name in results.items() if name == refused.result)


def configured(meter: Meter, package: Package) -> Result:
    client = cast(Client, MeterClient(meter))
    return asyncio.run(configure.run(client, meter.serial, package))
