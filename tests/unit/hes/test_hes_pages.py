"""A page of meters: who is gone because it is not on it, what is remembered, page by page."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.contract.messages import Meters
from tests.unit.hes.orders import CONCENTRATOR
from tests.unit.hes.test_hes_meters import NOW, SERIALS, way
from tools.hes.store.store import Store

OTHER = "street-2"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "hes.sqlite", lambda: float(NOW))
    for concentrator in (CONCENTRATOR, OTHER):
        store.line.take_meters(concentrator, Meters("", False, [[s, [way()]] for s in SERIALS]))
    return store


def serials(store: Store, concentrator: str = CONCENTRATOR) -> list[str]:
    return [row.serial for row in store.street.ways(concentrator)]


@pytest.mark.parametrize(
    ("after", "more", "page", "gone"),
    [
        # Of A00 to A06: the page says which serials lie between its ends.
        ("", True, ["A00", "A02"], ["A01"]),
        ("", True, ["A00", "A01", "A02"], []),
        ("", False, ["A00", "A01"], ["A02", "A03", "A04", "A05", "A06"]),
        ("A02", True, ["A04", "A05"], ["A03"]),
        ("A02", True, ["A03"], []),
        ("A02", False, ["A03"], ["A04", "A05", "A06"]),
        ("A05", False, [], ["A06"]),
        ("A06", False, [], []),
        ("", False, [], SERIALS),
        ("A02", True, [], ["A03", "A04", "A05", "A06"]),
    ],
)
def test_who_is_gone(
    store: Store, after: str, more: bool, page: list[str], gone: list[str]
) -> None:
    store.line.take_meters(CONCENTRATOR, Meters(after, more, [[s, [way()]] for s in page]))
    assert serials(store) == [serial for serial in SERIALS if serial not in gone]
    assert serials(store, OTHER) == SERIALS, "each concentrator for itself"


def test_the_next_page_is_asked_for_where_this_one_ends(store: Store) -> None:
    store.street.ask_meters(CONCENTRATOR)
    store.line.ask_sent(CONCENTRATOR)
    store.line.take_meters(CONCENTRATOR, Meters("A01", True, [["A02", [way()]]]))
    assert store.line.asks() == [], "an answer to something else"
    store.line.take_meters(CONCENTRATOR, Meters("", True, [["A00", [way()]], ["A01", [way()]]]))
    assert store.line.asks() == [(CONCENTRATOR, "A01")]
    store.line.take_meters(CONCENTRATOR, Meters("A01", False, [["A02", [way()]]]))
    assert store.line.asks() == [] and not store.street.asking(CONCENTRATOR)
    store.street.ask_meters(CONCENTRATOR)
    store.line.take_meters(CONCENTRATOR, Meters("", True, []))
    assert not store.street.asking(CONCENTRATOR), "an empty page is the last"
