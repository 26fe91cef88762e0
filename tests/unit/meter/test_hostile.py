"""Whatever a client sends, the meter answers, by the standard's names, and lives on."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dlms import apdu
from gateway.dlms.apdu import acse
from gateway.dlms.client.client import LOW
from gateway.dlms.data import axdr, obis
from tests.unit.meter.conftest import SERIAL, Time
from tools.meter import device
from tools.meter.kinds import Typed
from tools.meter.model import MANAGEMENT, Meter
from tools.meter.server import MeterServer

PASSWORD = b"12345678"
INTEGERS = {
    axdr.DOUBLE_LONG_UNSIGNED: (0, 2**32 - 1),
    axdr.LONG_UNSIGNED: (0, 65535),
    axdr.UNSIGNED: (0, 255),
    axdr.ENUM: (0, 255),
    axdr.INTEGER: (-128, 127),
    axdr.LONG: (-32768, 32767),
}


class Client:
    """Makes up requests to one meter, half of them nearly right."""

    def __init__(self, meter: Meter, seed: int) -> None:
        self.random = Random(seed)
        self.meter = meter
        self.objects = sorted(meter.objects.values(), key=lambda each: each.name)

    def leaf(self) -> Typed:
        tag = self.random.choice([*INTEGERS, axdr.NULL, axdr.BOOLEAN, axdr.OCTET_STRING])
        return self.of_tag(tag)

    def of_tag(self, tag: int) -> Typed:
        if tag in INTEGERS:
            low, high = INTEGERS[tag]
            small = self.random.randint(0, 12)
            return tag, self.random.choice([low, high, small, self.random.randint(low, high)])
        if tag == axdr.BOOLEAN:
            return tag, self.random.random() < 0.5
        if tag == axdr.OCTET_STRING:
            name = self.random.choice(self.objects).logical_name
            sizes = (0, 4, 5, 6, 12, self.random.randint(0, 40))
            return tag, self.random.choice([name, self.random.randbytes(self.random.choice(sizes))])
        return axdr.NULL, None

    def value(self, depth: int = 0) -> Typed:
        if depth > 3 or self.random.random() < 0.5:
            return self.leaf()
        size = self.random.randint(0, 5)
        tag = self.random.choice((axdr.ARRAY, axdr.STRUCTURE))
        return tag, [self.value(depth + 1) for _ in range(size)]

    def like(self, typed: Typed) -> Typed:
        """Data of the same shape, with other leaves here and there."""
        tag, value = typed
        if tag in (axdr.ARRAY, axdr.STRUCTURE):
            items = [self.like(item) for item in value]
            if tag == axdr.ARRAY and items and self.random.random() < 0.3:
                items *= self.random.randint(0, 3)
            return tag, items
        chance = self.random.random()
        return typed if chance < 0.6 else self.of_tag(tag) if chance < 0.97 else self.leaf()

    def request(self) -> bytes:
        each = self.random.choice(self.objects)
        where = (each.class_id, each.logical_name)
        indexes = [i for i, attribute in each.attributes.items() if attribute.writable] or [2]
        index = self.random.choice([*indexes, *each.attributes, self.random.randint(-1, 11)])
        current = each.value(index) if index in each.attributes else self.value()
        near = axdr.encode(self.like(current))
        parameter = axdr.encode(self.random.choice([self.leaf(), self.value()]))
        selection = (self.random.randint(0, 3), axdr.encode(self.value()))
        choices: list[Any] = [
            apdu.SetRequest(0x41, *where, index, None, near),
            apdu.SetFirstBlock(0x41, *where, index, None, True, 1, near),
            apdu.ActionRequest(0x41, *where, self.random.randint(0, 4), parameter),
            apdu.GetRequest(0x41, *where, index),
            apdu.GetRequest(0x41, *where, index, selection),
            apdu.GetListRequest(0x41, [(*where, index, None)] * 3),
            apdu.GetNext(0x41, self.random.randint(0, 3)),
            apdu.SetListRequest(0x41, [(*where, index, None)] * 2, [near, parameter]),
            apdu.SetListFirstBlock(0x41, [(*where, index, None)], True, 1, b"\x01" + near),
            apdu.ActionListRequest(0x41, [(*where, self.random.randint(0, 4))], [parameter]),
            apdu.ActionNext(0x41, self.random.randint(0, 3)),
            apdu.AccessRequest(
                1,
                b"",
                [
                    apdu.AccessGet(*where, index, selection),
                    apdu.AccessSet(*where, index, near),
                    apdu.AccessAction(*where, self.random.randint(0, 4), parameter),
                ],
            ),
        ]
        raw: bytes = self.random.choice(choices).encode()
        return raw if self.random.random() < 0.9 else raw[: self.random.randint(1, len(raw))]


def test_any_request_is_answered() -> None:
    done: Counter[str] = Counter()
    for seed in range(60):
        time = Time()
        meter = device.build_meter(SERIAL, password=PASSWORD, source=time)
        server = MeterServer(meter)
        initiate = acse.InitiateRequest(0xFFFFFF, 200).encode()
        server.handle(MANAGEMENT, 1, acse.Aarq(acse.LN, initiate, b"", LOW, PASSWORD).encode())
        client = Client(meter, seed)
        for _ in range(40):
            time.now += 1801
            answer = server.handle(MANAGEMENT, 1, client.request())
            assert answer is not None
            assert len(answer) <= 200
            assert not isinstance(apdu.decode(answer), acse.Aare)
        for each in meter.objects.values():
            for index in each.attributes:
                axdr.encode(each.value(index))
        for service, class_id, name, index in meter.log.counts:
            assert obis.parse(name)
            done["%s %d/%d" % (service, class_id, index)] += 1
    assert len(done) > 20, done  # the requests are not so wild that nothing ever happens


@settings(max_examples=300, deadline=None)
@given(st.binary(min_size=1, max_size=60), st.sampled_from([1, 16, 3]))
def test_any_bytes_are_answered(raw: bytes, sap: int) -> None:
    server = MeterServer(device.build_meter(SERIAL, keys=device.derive_test_keys(1, SERIAL)))
    for head in (b"", b"\x60", b"\xc8", b"\x62"):
        assert server.handle(sap, 1, head + raw) is not None


BLOCKS = st.builds(
    apdu.GeneralBlock,
    st.booleans(),
    st.booleans(),
    st.integers(0, 63),
    st.integers(0, 5),
    st.integers(0, 300),
    st.sampled_from(
        [b"", b"\xc0", b"\xc0\x01\x41", apdu.GetRequest(0x41, 15, bytes(6), 2).encode()]
    )
    | st.binary(max_size=30),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(BLOCKS | st.binary(max_size=12), max_size=30))
def test_any_general_blocks_are_borne(blocks: list[Any]) -> None:
    server = MeterServer(device.build_meter(SERIAL, password=PASSWORD))
    initiate = acse.InitiateRequest(0xFFFFFF, 200).encode()
    server.handle(MANAGEMENT, 1, acse.Aarq(acse.LN, initiate, b"", LOW, PASSWORD).encode())
    for block in blocks:
        raw = b"\xe0" + block if isinstance(block, bytes) else block.encode()
        for answer in server.answers(MANAGEMENT, 1, raw):
            assert len(answer) <= 200
            apdu.decode(answer)
    request = apdu.GetRequest(0x41, 1, obis.parse(device.TARIFF), 2).encode()
    assert apdu.decode(server.handle(MANAGEMENT, 1, request) or b"").data == b"\x11\x01"
