"""The alarms of a meter: read, told, and cleared.

What is set and was not told before goes up as a report of its own, and only once that is durable
the meter is written to: a descriptor, which keeps what has happened until it is written, and a
register that has no descriptor beside it. What is written is what stands there without the bits
that were told. Bits that stay nevertheless, because their cause does, are not told again until they
have been gone. Status words of the meter are told likewise, and never written.
"""

from __future__ import annotations

from gateway.activities.attributes import Attributes, read
from gateway.activities.values import record
from gateway.activities.verdict import explained
from gateway.contract.limits import MAX_ALARM_BITS, MAX_ALARM_DATA
from gateway.contract.reports import MeterAlarm
from gateway.dlms.client.reading import step_of
from gateway.dlms.client.refusals import access_refused
from gateway.dlms.data import axdr
from gateway.dlms.errors import AccessRefused, NotSupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.activities.readings import Alarms, Value, Visit
    from gateway.contract.task import Item
    from gateway.dlms.data.axdr import Typed

    Key = tuple[int, bytes, int]
    Source = tuple[str, Key]

REGISTER, DESCRIPTOR = "alarm-register", "alarm-descriptor"
_WORDS = (DESCRIPTOR, REGISTER, "event-status-word", "error-register")
_STATUS = "-status"  # recorded, and told with each row that has it
_FILTER = "-filter"
_VALUE = 2
_ROUNDS = 3  # of telling and clearing in one visit: a meter whose alarms never end is left then
_MOST_BIT = 1023


async def collect(visit: Visit, item: Item) -> None:
    """What the meter refuses is named, and the others are read, told and cleared."""
    sources = _sources(visit, item)
    if not sources:
        text = "model %s has no alarms among its objects; add them, or name an object"
        visit.collected.missed("model-unfit", text % visit.model.name)
        return
    found = await read(visit.client, [key for _, key in sources])
    _record(visit, sources, found)
    if visit.alarms is None:
        return
    words = [word for word, _ in sources]
    told: dict[str, list[int]] = {}
    for word, key in sources:
        if word.startswith(_WORDS) and key in found.values:
            beside = told.get(_descriptor(word), [])
            told[word] = bits_of(axdr.decode(found.values[key]))
            clears = word.startswith(DESCRIPTOR) or (
                word.startswith(REGISTER) and _descriptor(word) not in words
            )
            await _attend(visit, visit.alarms, (word, key), found.values[key], beside, clears)


def bits_of(typed: Typed) -> list[int]:
    """Those set: counted from the lowest of a number (an octet-string is one, highest octet first),
    from the first of a bit-string; none of what has no bits."""
    tag, value = typed
    if tag == axdr.BIT_STRING:
        places = range(min(len(value), _MOST_BIT + 1))
        return [place for place in places if value[place] == "1"][:MAX_ALARM_BITS]
    number = int.from_bytes(value, "big") if tag == axdr.OCTET_STRING else value
    if type(number) is not int or number < 0:
        return []
    found: list[int] = []
    for place in range(_MOST_BIT + 1):
        if not number >> place:
            break
        if number >> place & 1 and len(found) < MAX_ALARM_BITS:
            found.append(place)
    return found


def without(typed: Typed, bits: list[int]) -> Typed:
    """What is left of it when these bits are taken away."""
    tag, value = typed
    if tag == axdr.BIT_STRING:
        places = range(len(value))
        return tag, "".join(["0" if place in bits else value[place] for place in places])
    number = int.from_bytes(value, "big") if tag == axdr.OCTET_STRING else value
    for bit in bits:
        if number >> bit & 1:
            number -= 1 << bit
    return tag, (number.to_bytes(len(value), "big") if tag == axdr.OCTET_STRING else number)


def _sources(visit: Visit, item: Item) -> list[Source]:
    """Descriptors first: what stands in one is not told of its register as well."""
    found: list[Source] = []
    for word, class_id, name in visit.model.objects:
        wanted = word.startswith(_WORDS) or word.endswith(_STATUS)
        if wanted and not word.endswith(_FILTER) and item.name in ("", word) and not item.objects:
            found.append((word, (class_id, name, _VALUE)))
    for class_id, name, attribute in item.objects:
        found.append((_word_of(visit, class_id, name), (class_id, name, attribute)))
    descriptors = [each for each in found if each[0].startswith(DESCRIPTOR)]
    return descriptors + [each for each in found if each not in descriptors]


def _word_of(visit: Visit, class_id: int, name: bytes) -> str:
    """As the model calls it; else as the Blue Book's figures have it (0.0.97.98.e, 6.2.64)."""
    for word, of_class, of_name in visit.model.objects:
        if (of_class, of_name) == (class_id, name):
            return word
    if name[:4] == b"\x00\x00\x61\x62" and name[4] % 20 < 10 and name[4] < 30:
        kind = REGISTER if name[4] < 10 else DESCRIPTOR
        return "%s-%d" % (kind, name[4] % 20 + 1)
    return REGISTER + " " + ".".join([str(each) for each in name])


def _descriptor(word: str) -> str:
    """The descriptor's that belongs to this register."""
    return DESCRIPTOR + word[len(REGISTER) :] if word.startswith(REGISTER) else ""


def _record(visit: Visit, sources: list[Source], found: Attributes) -> None:
    values: list[Value] = []
    for _, key in sources:
        if key in found.values:
            values.append(key + (found.values[key], None, None))
        else:
            error = access_refused(found.refused[key], step_of(*key))
            refused = explained(error, True)
            visit.collected.missed(refused.reason, refused.detail)
    record(visit, values)


async def _attend(
    visit: Visit, alarms: Alarms, source: Source, data: bytes, beside: list[int], clears: bool
) -> None:
    """`beside`: bits that the descriptor has told already; `clears`: it is to be written."""
    serial, (word, key) = visit.serial, source
    for _ in range(_ROUNDS):
        bits = bits_of(axdr.decode(data))
        fresh = [bit for bit in alarms.fresh(serial, word, bits) if bit not in beside]
        if fresh:
            alarm = MeterAlarm(serial, word, fresh, 0, "", data[:MAX_ALARM_DATA])
            if not await alarms.tell(alarm):
                visit.collected.missed("flash-full", "%s: no room to tell its alarms" % word)
                return
        alarms.stay(serial, word, bits)
        if not bits or not clears:
            return
        # What is written is what stands there now: a bit that came meanwhile is told first.
        data = await visit.client.get(*key)
        if not alarms.fresh(serial, word, bits_of(axdr.decode(data))):
            if not await _cleared(visit, key, data, bits):
                return
            data = await visit.client.get(*key)
            left = bits_of(axdr.decode(data))
            alarms.stay(serial, word, left)
            if not alarms.fresh(serial, word, left):
                return


async def _cleared(visit: Visit, key: Key, data: bytes, bits: list[int]) -> bool:
    try:
        await visit.client.set(*key, axdr.encode(without(axdr.decode(data), bits)))
    except (AccessRefused, NotSupported) as error:
        refused = explained(error, True)
        visit.collected.missed(refused.reason, refused.detail)
        return False
    return True
