"""Whatever a meter says of itself, `ami-dlms learn` writes a file that is a model."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from gateway.contract.model import Model
from gateway.contract.own_model import OWN
from gateway.dlms.client.client import Association
from gateway.dlms.data import axdr, obis
from tools.dlms.learned import Seen, compiled, conclude, yaml
from tools.dlms.objects import Entry
from tools.dlms.output import printable

NAMES = [obis.parse(name + ".255") for name in ("0.0.42.0.0", "0.0.96.1.0", "0.0.96.1.4")]
NAMES += [obis.parse(name + ".255") for name in ("1.0.0.2.0", "0.0.43.1.0", "0.0.43.1.3")]
VALUES = st.one_of(
    st.tuples(st.just(axdr.OCTET_STRING), st.binary(max_size=40)),
    st.tuples(st.just(axdr.OCTET_STRING), st.text("aZ09 :#'\"\\[]{}&*!|>%@`-", max_size=40)),
    st.tuples(st.just(axdr.DOUBLE_LONG_UNSIGNED), st.integers(0, 0xFFFFFFFF)),
    st.tuples(st.just(axdr.LONG), st.integers(-32768, 32767)),
    st.tuples(st.just(axdr.BOOLEAN), st.booleans()),
    st.just((axdr.NULL, None)),
)
OBJECTS = st.lists(
    st.tuples(
        st.sampled_from([1, 3, 7, 15, 18, 64]),
        st.tuples(*[st.integers(0, 255)] * 6),
    ),
    max_size=40,  # of these a model has room for all
)


def settings() -> Any:
    return SimpleNamespace(
        model=Model(OWN, 1, ""),
        association=Association(16),
        place="tcp://host:4059",
        server=1,
        client=16,
        referencing=1,
    )


def raw(typed: tuple[int, Any]) -> bytes:
    tag, value = typed
    return axdr.encode((tag, value.encode() if isinstance(value, str) else value))


@limits(deadline=None)
@given(
    st.dictionaries(st.sampled_from(NAMES), VALUES),
    OBJECTS,
    st.text(max_size=40).filter(lambda text: "\n" not in text),
    st.booleans(),
)
def test_what_is_written_compiles(
    said: dict[bytes, tuple[int, Any]],
    objects: list[tuple[int, tuple[int, ...]]],
    refused: str,
    refuses: bool,
) -> None:
    public = Seen(16, 1, refused=refused if refuses else "")
    public.answers = {(1, name, 2): raw(typed) for name, typed in said.items()}
    for class_id, name in objects:
        public.objects.append(Entry(class_id, 0, bytes(name)))
    ours = Seen(1, 1, refused=refused or "no")
    found = conclude(public, ours, settings(), "", "acme")
    model = compiled(printable(yaml(found)))
    assert model.name == "acme"
    listed = {(class_id, bytes(name)) for class_id, name in objects if class_id == 7}
    assert listed <= {(class_id, name) for _, class_id, name in model.objects}
