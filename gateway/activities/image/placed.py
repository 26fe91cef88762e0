"""Meters whose image transfer object is not called 0.0.44.0.0.255, as their model says."""

from __future__ import annotations

from gateway.activities.image.image_object import NAME

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from gateway.dlms.apdu.action import Method
    from gateway.dlms.apdu.parts import DataResult, Target
    from gateway.dlms.client.client import Client


def placed(client: Client, name: bytes) -> Client:
    """The client, for a meter whose image transfer object has this name: whoever asks it for ours
    gets that one."""
    if name == NAME:
        return client
    moved: Any = _Placed(client, name)
    return moved  # type: ignore[no-any-return]


class _Placed:
    """What an image needs of a Client."""

    def __init__(self, client: Client, name: bytes) -> None:
        self._client = client
        self._name = name

    @property
    def capacity(self) -> int:
        return self._client.capacity

    async def get(self, class_id: int, name: bytes, attribute: int) -> bytes:
        return await self._client.get(class_id, self._at(name), attribute)

    async def get_list(self, items: list[Target]) -> list[DataResult]:
        return await self._client.get_list([self._moved(item) for item in items])

    async def set(self, class_id: int, name: bytes, attribute: int, data: bytes) -> None:
        await self._client.set(class_id, self._at(name), attribute, data)

    async def action(
        self, class_id: int, name: bytes, method: int, data: bytes | None
    ) -> bytes | None:
        return await self._client.action(class_id, self._at(name), method, data)

    async def action_list(self, items: list[tuple[Method, bytes | None]]) -> list[DataResult]:
        return await self._client.action_list([(self._moved(item), data) for item, data in items])

    def _at(self, name: bytes) -> bytes:
        return self._name if name == NAME else name

    def _moved(self, item: Any) -> Any:
        return (item[0], self._at(item[1])) + item[2:]
