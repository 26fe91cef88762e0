"""The linter of imports says no: in a copy of the tree, an import against each of its contracts."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.conftest import ROOT

CONTRACTS = [
    contract["name"]
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
        "contracts"
    ]
]
TYPES = "TYPE_CHECKING = False\nif TYPE_CHECKING:\n    "
# The beginning of the contract's name; the file that gets a line more; the line.
PLANTED = [
    ("gateway stands on", "gateway/journal.py", TYPES + "from tools.package import keys"),
    ("gateway stands on", "gateway/uplink/session.py", "from hal.cpython import clock"),
    ("gateway stands on", "gateway/dlms/client/client.py", TYPES + "from hal.modem import wrapper"),
    ("inside gateway", "gateway/liveness.py", "import gateway.work"),
    ("inside gateway", "gateway/liveness.py", TYPES + "import gateway.work"),
    ("inside gateway", "gateway/contract/limits.py", "from gateway import journal"),
    ("inside gateway", "gateway/uplink/session.py", "import gateway.activities"),
    ("inside gateway", "gateway/status.py", "from gateway.uplink import session"),
    ("inside gateway", "gateway/attic.py", "ROOM = 'that nobody gave a place'"),
    ("jobs know", "gateway/jobs/queue.py", TYPES + "import gateway.dlms"),
    ("inside hal", "hal/ports.py", "from hal.rt import log"),
    ("inside hal", "hal/modem/wrapper.py", "import hal.micropython"),
    ("inside hal", "hal/attic.py", "ROOM = 'that nobody gave a place'"),
    ("hal knows", "hal/sim/channel.py", TYPES + "from gateway import settings"),
    ("boards import", "board/wiring.py", "import tools.cosem"),
    ("inside tools:", "tools/cosem/names.py", TYPES + "import tools.package"),
    ("inside tools:", "tools/emulator/line.py", "import tools.simulation"),
    ("inside tools:", "tools/attic.py", "ROOM = 'that nobody gave a place'"),
    ("inside tools.hes: cli", "tools/hes/store/store.py", "import tools.hes.orders"),
    ("inside tools.hes: cli", "tools/hes/line/service.py", "import tools.hes.orders"),
    ("in tools.hes only", "tools/hes/report.py", "import sqlite3"),
    ("in tools.hes only", "tools/hes/line/inbox.py", TYPES + "from sqlalchemy import Table"),
    ("only hal.rt", "gateway/settings.py", "import datetime"),
    ("only hal.rt", "hal/modem/wrapper.py", "import functools"),
]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tree = tmp_path_factory.mktemp("tree")
    for name in ("gateway", "hal", "board", "tools"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tree)
    return tree


def verdicts(tree: Path) -> tuple[int, dict[str, bool]]:
    """The linter's exit status, and whether each contract, by its name, is kept."""
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [linter, "--no-cache"],
        cwd=tree,
        env={"COLUMNS": "200", "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said = " ".join(done.stdout.split())
    kept = {name: name + " KEPT" in said for name in CONTRACTS}
    assert all(kept[name] or name + " BROKEN" in said for name in CONTRACTS), done.stdout
    return done.returncode, kept


def test_the_tree_as_it_is(tree: Path) -> None:
    assert verdicts(tree) == (0, dict.fromkeys(CONTRACTS, True))


@pytest.mark.parametrize(
    ("contract", "file", "line"), PLANTED, ids=[str(n) for n in range(len(PLANTED))]
)
def test_a_wrong_import_is_found(tree: Path, contract: str, file: str, line: str) -> None:
    (name,) = (name for name in CONTRACTS if name.startswith(contract))
    path = tree / file
    before = path.read_bytes() if path.exists() else None
    try:
        with path.open("a") as text:
            text.write("\n%s\n" % line)
        status, kept = verdicts(tree)
    finally:
        path.unlink() if before is None else path.write_bytes(before)
    assert status == 1 and not kept[name], kept


def test_each_contract_is_tried() -> None:
    tried = {name for name in CONTRACTS for begin, _, _ in PLANTED if name.startswith(begin)}
    assert tried == set(CONTRACTS)
