"""Any value of the right shape, sense or not, is judged, shown and written back without ado."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from gateway.contract.model import OWN
from gateway.contract.package import Check, Package
from gateway.dlms.data import axdr, obis
from tests.unit.dlms_tool.test_shown import values as any_values
from tools.cosem import shapes, source
from tools.cosem.names import ATTRIBUTE, Member
from tools.cosem.source import Problems
from tools.cosem.values import INTEGERS, Typed
from tools.package import diff, held
from tools.package.compile import compile_file
from tools.package.forms.all import FORMS
from tools.package.forms.words import Words
from tools.package.model import file
from tools.package.plan import Plan

TABLES = file.find(OWN).tables
FEW = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
octets = st.sampled_from(
    [obis.parse("0.0.10.0.100.255"), b"W", bytes(4), bytes.fromhex("0600ffff"), bytes(12),
     bytes.fromhex("ffff0401ff"), bytes.fromhex("ffff0401ff00000000800000"),
     bytes.fromhex("07eb02fe07ff00000000f000")]
)  # fmt: skip


def of(shape: shapes.Shape) -> st.SearchStrategy[Typed]:
    """Values of the shape, some with scalars that mean nothing."""
    if isinstance(shape, shapes.Array):
        return st.lists(of(shape.element), max_size=3).map(lambda rows: (axdr.ARRAY, rows))
    if isinstance(shape, shapes.Structure):
        fields = [of(field) for _, field in shape.fields]
        return st.tuples(*fields).map(lambda row: (axdr.STRUCTURE, list(row)))
    if isinstance(shape, shapes.Choice):
        return st.one_of(*map(of, shape.shapes))
    if isinstance(shape, shapes.Scalar):
        return st.sampled_from(shape.tags).flatmap(scalar)
    return any_values


def scalar(tag: int) -> st.SearchStrategy[Typed]:
    if tag in INTEGERS:
        least, most = INTEGERS[tag]
        small = st.integers(max(least, -1), min(most, 12))
        return (small | st.integers(least, most)).map(lambda value: (tag, value))
    if tag == axdr.OCTET_STRING:
        return octets.map(lambda value: (tag, value))
    if tag in (axdr.FLOAT32, axdr.FLOAT64):
        return st.just((tag, 1.5))
    if tag == axdr.BOOLEAN:
        return st.booleans().map(lambda value: (tag, value))
    return st.just((axdr.NULL, None))


KEYS = sorted(shapes._ATTRIBUTES) + [(7, 4), (8, 8), (20, 2), (20, 6), (40, 5), (71, 6), (1, 2)]


@pytest.mark.parametrize("key", KEYS, ids=lambda key: "%d-%d" % key)
@FEW
@given(st.data())
def test_any_value_is_judged_and_shown(key: tuple[int, int], data: st.DataObject) -> None:
    class_id, index = key
    shape = shapes.attribute(class_id, index)
    typed = data.draw(of(shape) | any_values)
    item = source.parse("x", "value")
    plan = Plan()
    plan.permits = ["switch", "billing"]
    plan.held = held.of_tables(TABLES)
    name = obis.parse("0.0.97.98.10.255" if class_id == 1 else "0.0.13.0.0.255")
    member = Member(ATTRIBUTE, class_id, name, index)
    fits = not list(shapes.faults(shape, typed))
    plan.write(member, typed, item, item)
    assert fits == bool(plan.steps) == (not plan.problems)
    plan.judge()
    words = Words(plan, TABLES)
    console = Console(quiet=True, width=80)
    if fits:
        for form in FORMS.values():
            assert isinstance(form.lines({member.key: typed}, words), list)
            if (shown := form.shown({member.key: typed}, words)) is not None:
                console.print(shown)
    other = data.draw(of(shape) | any_values)
    packages = [
        Package("p", "1", "", [("M", [])], [], [Check(*member.key, axdr.encode(each))], [])
        for each in (typed, other)
    ]
    same = axdr.encode(typed) == axdr.encode(other)
    # 0.0 and -0.0 are other octets, and one value for people; so are the many NaN.
    alike = repr(typed).replace("-0.0", "0.0") == repr(other).replace("-0.0", "0.0")
    assert (diff.differences(*packages) == []) == same or alike


@FEW
@given(st.recursive(
    st.text("a0:-. ", max_size=6) | st.sampled_from(["normal", "00:00", "0x01", "none", "every"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["name", "seasons", "weeks", "days", "from", "week", "mon-sun", "00:00",
                         "period", "columns", "limiter", "monitor", "normal", "thresholds", "zone",
                         "summer", "load-profile", "alarm-filter-1", "holidays", "scripts", "do"]),
        inner, max_size=4),
    max_leaves=12,
), st.sampled_from(sorted(FORMS)))  # fmt: skip
def test_any_form_is_compiled_or_refused(tmp_path: Path, tree: object, form: str) -> None:
    path = tmp_path / "test.yaml"
    text = 'name: test\nversion: "1"\nfor: [{model: M}]\npermits: [switch]\n%s: %s\n'
    path.write_text(text % (form, json.dumps(tree)))
    try:
        compile_file(path)
    except Problems as problems:
        assert str(problems)
