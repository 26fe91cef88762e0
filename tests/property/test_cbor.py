"""hal.rt.cbor and MicroPython's cbor2 against the package cbor2."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import cbor2
from hypothesis import given
from hypothesis import strategies as st

from hal.rt.cbor import CborError, decode, encode


def load_ours() -> ModuleType:
    """MicroPython's cbor2, which CPython can run as well."""
    path = Path(__file__).parents[2] / "hal/micropython/lib/cbor2.py"
    spec = importlib.util.spec_from_file_location("cbor2_of_micropython", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


OURS = load_ours()
INTEGERS = st.integers(-(1 << 64), (1 << 64) - 1)
SCALARS = (
    st.none()
    | st.booleans()
    | INTEGERS
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.binary(max_size=300)
    | st.text(max_size=80)
)
KEYS = INTEGERS | st.binary(max_size=20) | st.text(max_size=20)
ITEMS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=30,
)


@given(ITEMS)
def test_roundtrip_and_both_libraries_agree(item: object) -> None:
    raw = encode(item)
    assert raw == cbor2.dumps(item) == OURS.dumps(item)
    assert decode(raw) == item
    assert OURS.loads(raw) == item


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_read_as_both_libraries_do(raw: bytes) -> None:
    try:
        item = decode(raw)
    except CborError:
        return
    assert repr(item) == repr(cbor2.loads(raw)) == repr(OURS.loads(raw))


@given(ITEMS, st.data())
def test_any_damage_is_refused_or_read(item: object, data: st.DataObject) -> None:
    raw = bytearray(encode(item))
    position = data.draw(st.integers(0, len(raw) - 1))
    raw[position] = data.draw(st.integers(0, 255))
    try:
        found = decode(bytes(raw))
    except CborError:
        return
    assert repr(found) == repr(cbor2.loads(bytes(raw)))
    assert repr(decode(encode(found))) == repr(found)
