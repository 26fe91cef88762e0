"""Section 5: one owner of the data folder, and its past."""

from __future__ import annotations

import shutil
import subprocess

from tests.attack.cell import PATIENCE, Cell
from tests.attack.test_2_faults import next_counter
from tools.bootstrap import ROOT


def test_a_second_gateway_on_the_same_folder_ends_with_words(cell: Cell) -> None:
    done = subprocess.run(
        cell.gateway_command(), cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 2 and "another gateway" in done.stderr, done.stderr
    cell.legal_job()


def test_a_folder_that_was_put_back_is_named_and_uses_no_number_twice(cell: Cell) -> None:
    """And whoever has recorded the line gets nothing done by it."""
    copy = cell.folder / "copy"
    cell.kill("gateway")
    shutil.copytree(cell.data, copy)
    cell.resume_gateway()
    cell.legal_job()
    cell.kill("gateway")
    used = [next_counter(cell, serial) for serial in cell.serials]
    shutil.rmtree(cell.data)
    copy.rename(cell.data)
    named = cell.count("folder-rolled-back")
    cell.resume_gateway()
    cell.wait_for_birth()
    cell.attacker.play_again(cell.attacker.heard()[-100:])
    cell.wait_for("the HES to name it", PATIENCE, lambda: cell.count("folder-rolled-back") > named)
    cell.legal_job()
    found = [next_counter(cell, serial) for serial in cell.serials]
    assert all(number > before for number, before in zip(found, used, strict=True))


def test_two_of_one_identity_are_named(cell: Cell) -> None:
    """The second one runs on a copy of the folder, elsewhere."""
    clone = cell.folder / "clone"
    shutil.copytree(cell.data, clone)
    names = ("same-identity", "folder-rolled-back", "restless")
    before = sum(map(cell.count, names))
    with open(cell.folder / "clone.log", "wb") as log:
        second = subprocess.Popen(cell.gateway_command(clone), cwd=ROOT, stderr=log)
    try:
        cell.wait_for("it to be named", PATIENCE, lambda: sum(map(cell.count, names)) > before)
    finally:
        second.kill()
        second.wait()
        shutil.rmtree(clone)
    cell.legal_job()
