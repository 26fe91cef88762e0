"""Many attributes of a meter at once, in as few exchanges as it allows."""

from __future__ import annotations

from gateway.dlms import apdu
from gateway.dlms.client.reading import step_of
from gateway.dlms.client.refusals import access_refused
from gateway.dlms.data import axdr

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.dlms.client.client import Client

    Key = tuple[int, bytes, int]  # class_id, obis, attribute


class Attributes:
    """What a meter said its attributes are. `values`: key -> A-XDR Data, of those it gave."""

    __slots__ = ("refused", "values")

    def __init__(self) -> None:
        self.values: dict[Key, bytes] = {}
        self.refused: dict[Key, int] = {}  # key -> data-access-result

    def has(self, key: Key, data: bytes) -> bool:
        """Whether the attribute is known to have this value. ProtocolError when what came is no
        A-XDR."""
        came = self.values.get(key)
        return came is not None and same(data, came)

    def value(self, key: Key) -> bytes:
        """AccessRefused when the meter did not give it."""
        if key in self.refused:
            raise access_refused(self.refused[key], step_of(*key))
        return self.values[key]


async def read(client: Client, keys: Iterable[Key]) -> Attributes:
    """Each attribute once, in the order of its first mention."""
    wanted: list[Key] = []
    for key in keys:
        if key not in wanted:
            wanted.append(key)
    found = Attributes()
    answers = await client.get_list([(key[0], key[1], key[2], None) for key in wanted])
    for key, (result, data) in zip(wanted, answers):  # noqa: B905 - MicroPython has no `strict`
        if result == apdu.SUCCESS and data is not None:
            found.values[key] = data
        else:
            found.refused[key] = result
    return found


def same(wanted: bytes, came: bytes) -> bool:
    """Whether two A-XDR Data are the same value: lengths may be spelt in more than one way."""
    return wanted == came or axdr.decode(wanted) == axdr.decode(came)
