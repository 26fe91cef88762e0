"""Each message goes there and back, and nothing else is taken for one."""

from __future__ import annotations

from gateway.contract import messages
from gateway.contract.limits import MAX_MESSAGE
from gateway.contract.messages import (
    Ack,
    Ask,
    Cancel,
    Chunk,
    Hello,
    Meters,
    Pause,
    Progress,
    Pull,
    Reports,
    Resend,
    State,
    Time,
)
from gateway.contract.refused import Refused
from hal.rt import cbor
from tests.portable.support import raises, random_bytes
from tests.portable.uplink.support import every_message

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CLASSES = (
    State,
    Hello,
    Reports,
    Pull,
    Meters,
    Progress,
    Cancel,
    Pause,
    Chunk,
    Ack,
    Resend,
    Ask,
    Time,
)


def test_there_and_back() -> None:
    seen = []
    for message in every_message():
        raw = message.encode()
        assert type(message).decode(raw).encode() == raw
        assert len(raw) <= MAX_MESSAGE
        seen.append(type(message))
    for kind in CLASSES:
        assert kind in seen, kind


def test_fields_come_out_where_they_went_in() -> None:
    for message in every_message():
        again = type(message).decode(message.encode())
        for name in message.SHAPE.fields:
            before, after = getattr(message, name), getattr(again, name)
            if name == "reports":
                before = [report.to_array() for report in before]
                after = [report.to_array() for report in after]
            if name == "add":
                before = [key.to_array() for key in before]
                after = [key.to_array() for key in after]
            assert before == after, (message, name)


def test_each_field_is_checked() -> None:
    for message in every_message():
        fields = cbor.decode(message.encode())
        for place in range(len(fields)):
            wrong: Any
            for wrong in ({}, -1, 1.5, [[[]]], 1 << 63, "x" * 2000):
                bad = list(fields)
                bad[place] = wrong
                try:
                    type(message).decode(cbor.encode(bad))
                except Refused as refused:
                    assert refused.reason == "malformed"
                else:  # a report's number may be that large
                    assert type(wrong) is int and wrong > 0, (message, place, wrong)


def test_missing_and_further_fields_are_malformed() -> None:
    for message in every_message():
        fields = cbor.decode(message.encode())
        shape = type(message).SHAPE
        least = len(shape.rules) - len(shape.late)  # without what older versions do not know
        bad: Any
        further = fields + list(shape.late[len(fields) - least :]) + [0]
        for bad in (fields[: least - 1], further, [], [2] + fields[1:]):
            refused = raises(Refused, type(message).decode, cbor.encode(bad))
            assert refused.reason == "malformed"


def test_truncated_is_malformed() -> None:
    for message in every_message():
        raw = message.encode()
        for size in range(min(len(raw), 200)):
            assert raises(Refused, type(message).decode, raw[:size]).reason == "malformed"


def test_noise_is_malformed() -> None:
    for seed in range(300):
        raw = random_bytes(seed, seed % 40)
        for kind in CLASSES:
            assert raises(Refused, kind.decode, raw).reason == "malformed"


def test_oversized() -> None:
    raw = bytes(MAX_MESSAGE + 1)
    for kind in CLASSES:
        assert raises(Refused, kind.decode, raw).reason == "oversized"


def test_the_text_of_a_refusal_names_the_field() -> None:
    refused = raises(Refused, Ack.decode, cbor.encode([1, 5, -3]))
    assert str(refused) == (
        "malformed: ack: expected number to be an integer 0..18446744073709551615, came integer -3"
    )


def test_topics() -> None:
    assert messages.topic("c-0042", "report") == "ami/v1/c-0042/report"
    for bad in ("", "C", "a/b", "a+", "#", "é", "x" * 65):
        raises(ValueError, messages.topic, bad, "report")
    for name in messages.UP_TOPICS + messages.DOWN_TOPICS:
        assert not [c for c in name if c not in "abcdefghijklmnopqrstuvwxyz0123456789-"]


def test_what_older_versions_do_not_know_is_left_out_where_it_is_not_used() -> None:
    without = Hello(1, 2, [bytes(16)])
    old = cbor.decode(without.encode())
    assert len(old) == 9 and Hello.decode(cbor.encode(old)).models == []
    assert Hello.decode(cbor.encode(old + [[]])) == without
    used = Hello(1, 2, [bytes(16)], models=[("idis", 2)])
    assert cbor.decode(used.encode()) == old + [[["idis", 2]]]
    assert Hello.decode(used.encode()) == used
    numbered = Hello(1, 2, [bytes(16)], epoch=5, first=3, next=9)
    assert cbor.decode(numbered.encode()) == old + [[], 5, 3, 9]
    counted = Hello(1, 2, [bytes(16)], epoch=5, first=3, next=9, starts=1, used=70000)
    assert cbor.decode(counted.encode()) == old + [[], 5, 3, 9, 1, 70000]
    assert Hello.decode(counted.encode()) == counted and Hello.decode(numbered.encode()).used == 0
    for numbers in ([5, 3, 2], [5, 0, 9], [0, 1, 1], [0, 0, 1], [5]):
        assert (
            raises(Refused, Hello.decode, cbor.encode(old + [[]] + numbers)).reason == "malformed"
        )
    for bad in ([["IDIS", 2]], [["idis", 0]], [["idis"]], None):
        assert raises(Refused, Hello.decode, cbor.encode(old + [bad])).reason == "malformed"
