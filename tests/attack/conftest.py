"""One cell for many scenarios: a secured and a plain one on each runtime, made when the first
scenario asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.attack.cell import Cell
from tools.demonstration.stage import RUNTIMES

HERE = Path(__file__).parent


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Scenarios of one cell come after each other."""
    if all(item.path.parent == HERE for item in items):
        items.sort(key=_cell_of)


def _cell_of(item: pytest.Item) -> tuple[bool, bool]:
    return "micropython" in item.name, "plain_cell" in getattr(item, "fixturenames", ())


class Cells:
    def __init__(self, folders: pytest.TempPathFactory) -> None:
        self._folders = folders
        self._there: dict[tuple[str, bool], Cell] = {}
        self._ends = ExitStack()

    def get(self, runtime: str, secured: bool) -> Cell:
        if (runtime, secured) not in self._there:
            self._ends.close()  # one cell at a time: there are two cores
            self._there.clear()
            folder = self._folders.mktemp("%s-%s" % (runtime, "secured" if secured else "plain"))
            self._there[runtime, secured] = self._ends.enter_context(Cell(folder, runtime, secured))
        return self._there[runtime, secured]

    def close(self) -> None:
        self._ends.close()


@pytest.fixture(scope="session")
def cells(tmp_path_factory: pytest.TempPathFactory, micropython: str) -> Iterator[Cells]:
    cells = Cells(tmp_path_factory)
    yield cells
    cells.close()


@pytest.fixture(params=RUNTIMES)
def cell(request: pytest.FixtureRequest, cells: Cells) -> Cell:
    """A secured one."""
    return cells.get(request.param, True)


@pytest.fixture(params=RUNTIMES)
def plain_cell(request: pytest.FixtureRequest, cells: Cells) -> Cell:
    return cells.get(request.param, False)
