"""Every DLMS codec gives back what it was given, and bears any input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dlms import apdu
from gateway.dlms.apdu import acse, gbt, short
from gateway.dlms.data import axdr, obis
from gateway.dlms.data.datetime import parse_date_time, text_date_time
from gateway.dlms.errors import ProtocolError, SecurityFailed
from gateway.dlms.protection.keyring import Keys
from gateway.dlms.protection.security import Ciphering
from hal.cpython.crypto import SystemCrypto
from hal.modem.wrapper import HEADER, Unwrapper, wrap

few = settings(max_examples=100, deadline=None)
many = settings(max_examples=1000, deadline=None)


def integer(tag: int, bits: int, signed: bool) -> st.SearchStrategy:
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    return st.tuples(st.just(tag), st.integers(low, high))


SIMPLE = st.one_of(
    st.just((axdr.NULL, None)),
    st.just((axdr.DONT_CARE, None)),
    st.tuples(st.just(axdr.BOOLEAN), st.booleans()),
    st.tuples(st.just(axdr.BIT_STRING), st.text("01", max_size=300)),
    st.tuples(st.just(axdr.OCTET_STRING), st.binary(max_size=300)),
    st.tuples(st.just(axdr.VISIBLE_STRING), st.text(st.characters(max_codepoint=127))),
    st.tuples(st.just(axdr.UTF8_STRING), st.text()),
    st.tuples(st.just(axdr.FLOAT32), st.floats(width=32, allow_nan=False)),
    st.tuples(st.just(axdr.FLOAT64), st.floats(allow_nan=False)),
    st.tuples(st.just(axdr.DATE_TIME), st.binary(min_size=12, max_size=12)),
    st.tuples(st.just(axdr.DATE), st.binary(min_size=5, max_size=5)),
    st.tuples(st.just(axdr.TIME), st.binary(min_size=4, max_size=4)),
    integer(axdr.DOUBLE_LONG, 32, True),
    integer(axdr.DOUBLE_LONG_UNSIGNED, 32, False),
    integer(axdr.BCD, 8, True),
    integer(axdr.INTEGER, 8, True),
    integer(axdr.LONG, 16, True),
    integer(axdr.UNSIGNED, 8, False),
    integer(axdr.LONG_UNSIGNED, 16, False),
    integer(axdr.LONG64, 64, True),
    integer(axdr.LONG64_UNSIGNED, 64, False),
    integer(axdr.ENUM, 8, False),
    integer(axdr.DELTA_INTEGER, 8, True),
    integer(axdr.DELTA_DOUBLE_LONG_UNSIGNED, 32, False),
)


@st.composite
def compact_arrays(draw: st.DrawFn) -> tuple:
    columns = draw(st.lists(st.sampled_from([(17, 1), (18, 2), (6, 4)]), min_size=1, max_size=4))
    count = draw(st.integers(0, 3))
    inner = draw(st.sampled_from([[], [(axdr.ARRAY, count, axdr.ENUM)]]))
    row = (axdr.STRUCTURE, [tag for tag, _ in columns] + inner)

    def number(tag: int, size: int) -> tuple:
        return (tag, draw(st.integers(0, (1 << 8 * size) - 1)))

    rows = [
        (
            axdr.STRUCTURE,
            [number(*column) for column in columns]
            + [(axdr.ARRAY, [number(axdr.ENUM, 1) for _ in range(count)]) for _ in inner],
        )
        for _ in range(draw(st.integers(0, 4)))
    ]
    return (axdr.COMPACT_ARRAY, (row, rows))


TYPED = st.recursive(
    st.one_of(SIMPLE, compact_arrays()),
    lambda inner: st.tuples(
        st.sampled_from((axdr.ARRAY, axdr.STRUCTURE)), st.lists(inner, max_size=5)
    ),
    max_leaves=20,
).filter(lambda typed: depth(typed) <= 16)


def depth(typed: tuple) -> int:
    if typed[0] not in (axdr.ARRAY, axdr.STRUCTURE):
        return 1
    return 1 + max((depth(item) for item in typed[1]), default=0)


def values(typed: tuple) -> int:
    """How many values a typed datum holds."""
    tag, value = typed
    if tag == axdr.COMPACT_ARRAY:
        return 1 + sum(values(item) for item in value[1])
    if tag in (axdr.ARRAY, axdr.STRUCTURE):
        return 1 + sum(values(item) for item in value)
    return 1


@few
@given(TYPED)
def test_axdr_gives_back_what_it_was_given(typed: tuple) -> None:
    encoded = axdr.encode(typed)
    assert axdr.decode(encoded) == typed
    assert axdr.decode_at(memoryview(b"\x00" + encoded + b"\x00"), 1) == (typed, len(encoded) + 1)


ROWS = st.lists(st.tuples(TYPED, st.integers(1, 4)), max_size=5)


@few
@given(ROWS, st.data())
def test_axdr_rows_decode_as_each_would_alone(runs: list, data: st.DataObject) -> None:
    rows = [item for item, times in runs for _ in range(times)]
    raw = bytearray(axdr.encode((axdr.ARRAY, rows)))
    if depth((axdr.ARRAY, rows)) <= 16:
        assert axdr.decode(raw) == (axdr.ARRAY, rows)
        assert axdr.values(raw) == axdr.to_values((axdr.ARRAY, rows))
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    if raw[0] != axdr.ARRAY:
        return
    # what one by one makes of the changed bytes is what all at once must make of them
    try:
        count, pos = axdr.length_at(raw, 1)
        alone = []
        for _ in range(count):
            item, pos = axdr.decode_at(raw, pos)
            alone.append(item)
    except ProtocolError:
        count = -1
    if count < 0 or pos != len(raw) or depth((axdr.ARRAY, alone)) > 16:
        for decoder in (axdr.decode, axdr.values):
            with pytest.raises(ProtocolError):
                decoder(raw)
    else:
        assert repr(axdr.decode(raw)) == repr((axdr.ARRAY, alone))
        assert repr(axdr.values(raw)) == repr(axdr.to_values((axdr.ARRAY, alone)))


@many
@given(st.binary(max_size=200))
def test_axdr_bears_any_input(raw: bytes) -> None:
    try:
        typed = axdr.decode(raw)
    except ProtocolError:
        return
    assert values(typed) <= 9 * len(raw)
    assert repr(axdr.decode(axdr.encode(typed))) == repr(typed)  # a NaN is not equal to itself


@many
@given(st.binary(max_size=60))
def test_compact_array_bears_any_input(raw: bytes) -> None:
    try:
        typed = axdr.decode(b"\x13" + raw)
    except ProtocolError:
        return
    assert values(typed) <= 9 * (1 + len(raw))


@few
@given(TYPED, st.data())
def test_axdr_bears_changed_and_cut_data(typed: tuple, data: st.DataObject) -> None:
    raw = bytearray(axdr.encode(typed))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] = data.draw(st.integers(0, 255))
    try:
        found = axdr.decode(raw)
    except ProtocolError:
        pass
    else:
        assert values(found) <= 9 * len(raw)
    with pytest.raises(ProtocolError):
        axdr.decode(axdr.encode(typed)[:at])


INVOKE = st.integers(0, 255)
CLASS = st.integers(0, 65535)
NAME = st.binary(min_size=6, max_size=6)
INDEX = st.integers(-128, 127)
BLOCK = st.integers(0, 0xFFFFFFFF)
RAW = st.binary(max_size=300)
DATA = TYPED.map(axdr.encode)
SELECTION = st.none() | st.tuples(st.integers(0, 255), DATA)
REFUSAL = st.integers(1, 255)
TARGET = st.tuples(CLASS, NAME, INDEX, SELECTION)
ANSWER = st.tuples(st.just(0), DATA) | st.tuples(REFUSAL, st.none())
TITLE = st.binary(min_size=8, max_size=8)
VALUE = st.binary(min_size=1, max_size=64)

TARGETS = st.lists(TARGET, max_size=4)
METHODS = st.lists(st.tuples(CLASS, NAME, INDEX), max_size=4)
BYTES = st.lists(st.integers(0, 255), max_size=5)
DATE = st.just(b"") | st.binary(min_size=12, max_size=12)
OUTCOME = st.one_of(
    st.tuples(st.integers(0, 255), st.none() | DATA, st.just(0)),
    st.tuples(st.integers(0, 255), st.none(), REFUSAL),
)
OPERATION = st.one_of(
    st.builds(apdu.AccessGet, CLASS, NAME, INDEX, SELECTION),
    st.builds(apdu.AccessSet, CLASS, NAME, INDEX, DATA, SELECTION),
    # null-data comes back as none at all
    st.builds(apdu.AccessAction, CLASS, NAME, INDEX, st.none() | DATA.filter(bool)).filter(
        lambda action: action.data != b"\x00"
    ),
)


def lists(items: list) -> tuple:
    """The same items, and a value for each."""
    return st.just(items), st.lists(DATA, min_size=len(items), max_size=len(items))


APDUS = st.one_of(
    st.builds(apdu.GetRequest, INVOKE, CLASS, NAME, INDEX, SELECTION),
    st.builds(apdu.GetNext, INVOKE, BLOCK),
    st.builds(apdu.GetListRequest, INVOKE, st.lists(TARGET, max_size=4)),
    st.builds(apdu.GetResponse, INVOKE, st.just(0), DATA),
    st.builds(apdu.GetResponse, INVOKE, REFUSAL, st.none()),
    st.builds(apdu.GetBlock, INVOKE, st.booleans(), BLOCK, st.just(0), RAW),
    st.builds(apdu.GetBlock, INVOKE, st.booleans(), BLOCK, REFUSAL, st.just(b"")),
    st.builds(apdu.GetListResponse, INVOKE, st.lists(ANSWER, max_size=4)),
    st.builds(apdu.SetRequest, INVOKE, CLASS, NAME, INDEX, SELECTION, DATA),
    st.builds(apdu.SetFirstBlock, INVOKE, CLASS, NAME, INDEX, SELECTION, st.booleans(), BLOCK, RAW),
    st.builds(apdu.SetBlock, INVOKE, st.booleans(), BLOCK, RAW),
    st.builds(apdu.SetResponse, INVOKE, st.integers(0, 255)),
    st.builds(apdu.SetBlockAck, INVOKE, BLOCK),
    st.builds(apdu.SetLastAck, INVOKE, st.integers(0, 255), BLOCK),
    st.builds(apdu.ActionRequest, INVOKE, CLASS, NAME, INDEX, st.none() | DATA),
    st.builds(apdu.ActionFirstBlock, INVOKE, CLASS, NAME, INDEX, st.booleans(), BLOCK, RAW),
    st.builds(apdu.ActionBlock, INVOKE, st.booleans(), BLOCK, RAW),
    st.builds(apdu.ActionNext, INVOKE, BLOCK),
    st.builds(apdu.ActionResponse, INVOKE, st.integers(0, 255), st.none() | DATA),
    st.builds(apdu.ActionResponse, INVOKE, st.integers(0, 255), st.none(), REFUSAL),
    st.builds(apdu.ActionResponseBlock, INVOKE, st.booleans(), BLOCK, RAW),
    st.builds(apdu.ActionBlockAck, INVOKE, BLOCK),
    TARGETS.flatmap(lambda items: st.builds(apdu.SetListRequest, INVOKE, *lists(items))),
    st.builds(apdu.SetListFirstBlock, INVOKE, TARGETS, st.booleans(), BLOCK, RAW),
    st.builds(apdu.SetListResponse, INVOKE, BYTES),
    st.builds(apdu.SetLastListAck, INVOKE, BYTES, BLOCK),
    METHODS.flatmap(lambda items: st.builds(apdu.ActionListRequest, INVOKE, *lists(items))),
    st.builds(apdu.ActionListFirstBlock, INVOKE, METHODS, st.booleans(), BLOCK, RAW),
    st.builds(apdu.ActionListResponse, INVOKE, st.lists(OUTCOME, max_size=4)),
    st.builds(apdu.AccessRequest, BLOCK, DATE, st.lists(OPERATION, max_size=5)),
    st.builds(
        apdu.AccessResponse,
        BLOCK,
        DATE,
        st.lists(st.tuples(st.integers(1, 3), st.integers(0, 255), DATA), max_size=5),
    ),
    st.builds(apdu.DataNotification, BLOCK, DATE, DATA),
    st.builds(apdu.EventNotification, DATE, CLASS, NAME, INDEX, DATA),
    st.lists(st.tuples(CLASS, DATA), max_size=4).flatmap(
        lambda rows: st.builds(
            apdu.InformationReport,
            st.text("0123456789Z", max_size=20),
            st.just([name for name, _ in rows]),
            st.just([value for _, value in rows]),
        )
    ),
    st.builds(
        apdu.GeneralBlock,
        st.booleans(),
        st.booleans(),
        st.integers(0, 63),
        st.integers(0, 65535),
        st.integers(0, 65535),
        RAW,
    ),
    st.builds(apdu.ExceptionResponse, st.integers(0, 255), st.integers(0, 5)),
    st.builds(apdu.ExceptionResponse, st.integers(0, 255), st.just(6), st.none() | BLOCK),
    st.builds(
        apdu.ConfirmedServiceError, st.integers(0, 255), st.integers(0, 255), st.integers(0, 255)
    ),
    st.builds(acse.Aarq, st.integers(1, 4), VALUE, st.just(b"") | TITLE),
    st.builds(acse.Aarq, st.integers(1, 4), VALUE, TITLE, st.integers(1, 7), VALUE),
    st.builds(
        acse.Aare,
        st.integers(1, 4),
        st.integers(0, 2),
        st.tuples(st.integers(1, 2), st.integers(0, 14)),
        st.just(b"") | VALUE,
        st.just(b"") | TITLE,
        st.integers(1, 7),
        st.just(b"") | VALUE,
    ),
    st.builds(acse.Rlrq, st.integers(0, 255), st.just(b"") | VALUE),
    st.builds(acse.Rlre, st.integers(0, 255), st.just(b"") | VALUE),
    st.builds(
        acse.InitiateRequest,
        st.integers(0, 0xFFFFFF),
        st.integers(0, 65535),
        st.just(b"") | VALUE,
        st.booleans(),
    ),
    st.builds(
        acse.InitiateResponse,
        st.integers(0, 0xFFFFFF),
        st.integers(0, 65535),
        st.sampled_from((acse.VAA_LN, acse.VAA_SN)),
    ),
)

NUMBER = st.integers(0, 65535)  # of a block, with short names
VARIABLES = st.lists(st.tuples(NUMBER, SELECTION), max_size=4)
SHORT = st.one_of(
    st.builds(short.ReadRequest, VARIABLES),
    st.builds(short.ReadNext, NUMBER),
    st.builds(short.ReadRequestBlock, st.booleans(), NUMBER, RAW),
    st.builds(short.ReadResponse, st.lists(ANSWER, max_size=4)),
    st.builds(short.ReadBlock, st.booleans(), NUMBER, RAW),
    st.builds(short.ReadBlockAck, NUMBER),
    VARIABLES.flatmap(lambda items: st.builds(short.WriteRequest, *lists(items))),
    VARIABLES.flatmap(lambda items: st.builds(short.UnconfirmedWriteRequest, *lists(items))),
    st.builds(short.WriteRequestBlock, st.booleans(), NUMBER, RAW),
    st.builds(short.WriteResponse, BYTES),
    st.builds(short.WriteBlockAck, NUMBER),
)


@few
@given(APDUS)
def test_apdus_give_back_what_they_were_given(message: object) -> None:
    encoded = message.encode()  # type: ignore[attr-defined]
    assert apdu.decode(encoded) == message
    assert apdu.decode(memoryview(encoded)) == message


@few
@given(SHORT | APDUS)
def test_apdus_with_short_names_give_back_what_they_were_given(message: object) -> None:
    encoded = message.encode()  # type: ignore[attr-defined]
    assert short.decode(encoded) == message
    assert short.decode(memoryview(encoded)) == message


@few
@given(SHORT, st.data())
def test_apdus_with_short_names_bear_changed_and_cut_bytes(
    message: object, data: st.DataObject
) -> None:
    raw = bytearray(message.encode())  # type: ignore[attr-defined]
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    raw[data.draw(st.integers(0, len(raw))) :] = b""
    comes_back(raw, short.decode)


@few
@given(APDUS, st.data())
def test_apdus_bear_changed_and_cut_bytes(message: object, data: st.DataObject) -> None:
    raw = bytearray(message.encode())  # type: ignore[attr-defined]
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    raw[data.draw(st.integers(0, len(raw))) :] = b""
    comes_back(raw)


def comes_back(raw: bytes | bytearray, decode: Callable[[Any], Any] = apdu.decode) -> None:
    """What is taken encodes, and decodes to the same again."""
    try:
        message = decode(raw)
    except ProtocolError:
        return
    encoded = message.encode()
    again = decode(encoded)
    assert again.encode() == encoded
    assert type(again) is type(message)


KNOWN_TAGS = sorted(apdu._WHOLE) + sorted({key >> 8 for key in apdu._VARIANTS})


@many
@given(st.sampled_from(KNOWN_TAGS), st.integers(0, 8), st.binary(max_size=100))
def test_apdus_bear_any_input(tag: int, choice: int, rest: bytes) -> None:
    for raw in (bytes((tag, choice)) + rest, bytes((tag, len(rest))) + rest, rest):
        comes_back(raw)


@few
@given(st.binary(max_size=200), st.sampled_from((0x21, 0x28, 0xC8, 0xCC, 0xCF)))
def test_unprotect_bears_any_input(rest: bytes, tag: int) -> None:
    receiver = Ciphering(SystemCrypto(), Keys(bytes(8), bytes(16), bytes(16)), int, bytes(8))
    for raw in (rest, bytes((tag, len(rest) & 0x7F)) + rest, bytes((tag, 30, 0x30)) + rest):
        with pytest.raises((ProtocolError, SecurityFailed)):
            receiver.unprotect(raw)
    assert receiver.received == -1


@few
@given(st.sampled_from((0xC0, 0xC4, 0x01)), st.binary(max_size=500))
def test_protect_and_unprotect(tag: int, rest: bytes) -> None:
    plain = bytes((tag,)) + rest
    counter = iter(range(1, 99)).__next__
    keys = Keys(b"sender00", bytes(16), bytes(16))
    sender = Ciphering(SystemCrypto(), keys, counter)
    receiver = Ciphering(SystemCrypto(), Keys(b"receiver", bytes(16), bytes(16)), int, b"sender00")
    ciphered = sender.protect(plain)
    assert len(ciphered) == len(plain) + sender.overhead(len(plain))
    assert receiver.unprotect(ciphered) == plain


@few
@given(
    st.lists(st.tuples(st.integers(0, 65535), st.integers(0, 65535), RAW), max_size=5), st.data()
)
def test_wrapper_reads_any_cut_of_a_stream(frames: list, data: st.DataObject) -> None:
    stream = b"".join(wrap(*frame) for frame in frames)
    reader = Unwrapper()
    found = []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        found += reader.feed(stream[:size])
        stream = stream[size:]
    assert found == frames


@few
@given(st.lists(st.binary(max_size=30), max_size=10))
def test_wrapper_bears_any_input(pieces: list[bytes]) -> None:
    reader = Unwrapper(100)
    try:
        for piece in pieces:
            reader.feed(piece)
            assert len(reader._buffer) <= HEADER + 100
    except ValueError:
        pass


@few
@given(NAME)
def test_logical_names_both_ways(name: bytes) -> None:
    assert obis.parse(obis.text(name)) == name


@few
@given(st.text(max_size=40))
def test_logical_names_bear_any_text(text: str) -> None:
    try:
        name = obis.parse(text)
    except ValueError:
        return
    assert len(name) == 6 and obis.parse(obis.text(name)) == name


LIMITS = (8, 256, 13, 32, 8, 24, 60, 60, 100, 4, 256, 256)


@few
@given(st.tuples(*[st.integers(0, limit - 1) | st.just(255) for limit in LIMITS]))
def test_date_times_that_can_be_spelt_parse_back(octets: tuple[int, ...]) -> None:
    raw = bytes(octets)
    try:
        text = text_date_time(raw)
    except ValueError:
        return
    assert parse_date_time(text) == raw


@few
@given(st.text(max_size=40) | st.from_regex(r"[0-9*]{1,4}-[0-9*]{1,2}-\w+ \d+:\d+ [+Z]?\w*"))
def test_date_times_bear_any_text(text: str) -> None:
    try:
        raw = parse_date_time(text)
    except ValueError:
        return
    assert parse_date_time(text_date_time(raw)) == raw


@few
@given(st.binary(min_size=1, max_size=2000), st.integers(1, 200), st.randoms(), st.data())
def test_general_blocks_come_together_whatever_happens_to_them(
    whole: bytes, size: int, chance: object, data: st.DataObject
) -> None:
    outgoing = gbt.Outgoing(whole, size)
    incoming = gbt.Incoming(len(whole))
    for _ in range(10000):
        window = outgoing.window(incoming.received, data.draw(st.integers(1, 63)), 1, 0)
        if not window:
            break
        kept = [block for block in window if chance.random() < 0.7]  # type: ignore[attr-defined]
        chance.shuffle(kept)  # type: ignore[attr-defined]
        for block in kept + kept[:1]:
            incoming.take(block)
        assert incoming.missing() <= 62
    assert incoming.whole() == whole


@few
@given(
    st.lists(
        st.builds(
            apdu.GeneralBlock,
            st.booleans(),
            st.booleans(),
            st.integers(0, 63),
            st.integers(0, 80),
            st.integers(0, 80),
            st.binary(max_size=20),
        ),
        max_size=100,
    )
)
def test_blocks_of_anything_never_exceed_their_limit(blocks: list) -> None:
    incoming = gbt.Incoming(300)
    try:
        for block in blocks:
            incoming.take(block)
            assert len(incoming.whole() or b"") <= 300
    except ProtocolError:
        pass
