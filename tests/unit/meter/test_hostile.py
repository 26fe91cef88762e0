"""Whatever a client sends, the meter answers, by the standard's names, and lives on."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dlms import acse, apdu, axdr
from gateway.dlms.client import LOW
from tests.unit.meter.conftest import SERIAL, Time
from tools.meter import device
from tools.meter.model import MANAGEMENT
from tools.meter.server import MeterServer

PASSWORD = b"12345678"
METER = device.build_meter(SERIAL, password=PASSWORD, source=Time())
TARGETS = sorted((class_id, each.logical_name) for (class_id, _), each in METER.objects.items())

integers = {
    axdr.DOUBLE_LONG_UNSIGNED: (0, 2**32 - 1),
    axdr.LONG_UNSIGNED: (0, 65535),
    axdr.UNSIGNED: (0, 255),
    axdr.ENUM: (0, 255),
    axdr.INTEGER: (-128, 127),
    axdr.LONG: (-32768, 32767),
}
leaves = st.one_of(
    st.just((axdr.NULL, None)),
    st.booleans().map(lambda value: (axdr.BOOLEAN, value)),
    st.binary(max_size=14).map(lambda value: (axdr.OCTET_STRING, value)),
    st.binary(min_size=12, max_size=12).map(lambda value: (axdr.OCTET_STRING, value)),
    st.sampled_from([name for _, name in TARGETS]).map(lambda name: (axdr.OCTET_STRING, name)),
    *[st.tuples(st.just(tag), st.integers(*limits)) for tag, limits in integers.items()],
)
values = st.recursive(
    leaves,
    lambda inner: st.tuples(
        st.sampled_from((axdr.ARRAY, axdr.STRUCTURE)), st.lists(inner, max_size=9)
    ),
    max_leaves=30,
)


def like(typed: Any) -> st.SearchStrategy[Any]:
    """Data shaped as `typed` is, with other leaves now and then."""
    tag, value = typed
    if tag in (axdr.ARRAY, axdr.STRUCTURE):
        return st.tuples(st.just(tag), st.tuples(*map(like, value)).map(list))
    same_tag = leaves.filter(lambda leaf: leaf[0] == tag)
    return st.one_of(st.just(typed), st.just(typed), same_tag if tag in integers else leaves)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    class_id, name = draw(st.sampled_from(TARGETS))
    found = METER.objects[class_id, ".".join(map(str, name))]
    index = draw(st.sampled_from([*found.attributes, 0, 11, -1]))
    current = found.value(index) if index in found.attributes else (axdr.NULL, None)
    data = axdr.encode(draw(st.one_of(values, like(current))))
    selection = (draw(st.integers(0, 3)), data)
    choices: list[Any] = [
        apdu.GetRequest(1, class_id, name, index),
        apdu.GetRequest(1, class_id, name, index, selection),
        apdu.SetRequest(1, class_id, name, index, None, data),
        apdu.SetFirstBlock(1, class_id, name, index, None, True, 1, data),
        apdu.ActionRequest(1, class_id, name, draw(st.integers(1, 6)), data),
        apdu.GetListRequest(1, [(class_id, name, index, None)] * 3),
        apdu.GetNext(1, draw(st.integers(0, 3))),
    ]
    request: bytes = draw(st.sampled_from(choices)).encode()
    cut = draw(st.integers(0, 40))
    return request[:-cut] if 0 < cut < len(request) and draw(st.booleans()) else request


@settings(max_examples=400, deadline=None)
@given(st.lists(requests(), min_size=1, max_size=12))
def test_any_request_is_answered(sequence: list[bytes]) -> None:
    time = Time()
    server = MeterServer(device.build_meter(SERIAL, password=PASSWORD, source=time))
    initiate = acse.InitiateRequest(0xFFFFFF, 200).encode()
    server.handle(MANAGEMENT, 1, acse.Aarq(acse.LN, initiate, b"", LOW, PASSWORD).encode())
    for request in sequence:
        time.now += 1801
        answer = server.handle(MANAGEMENT, 1, request)
        assert answer is not None
        assert len(answer) <= 200
        decoded = apdu.decode(answer)
        assert not isinstance(decoded, acse.Aare)
        for each in server.meter.objects.values():
            for index in each.attributes:
                axdr.encode(each.value(index))


@settings(max_examples=300, deadline=None)
@given(st.binary(min_size=1, max_size=60), st.sampled_from([1, 16, 3]))
def test_any_bytes_are_answered(raw: bytes, sap: int) -> None:
    server = MeterServer(device.build_meter(SERIAL, keys=device.derive_test_keys(1, SERIAL)))
    for head in (b"", b"\x60", b"\xc8", b"\x62"):
        assert server.handle(sap, 1, head + raw) is not None
