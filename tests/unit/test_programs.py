"""The table of other people's programs: each starts with a PATH that holds nothing else, and nobody
finds a program in another way.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tools import programs

# Set-up has nothing of the table yet; and what is sought here stands here.
BESIDE_THE_TABLE = ("tools/bootstrap.py", "tools/programs.py", "tests/unit/test_programs.py")


def test_the_path_holds_the_table_and_our_own() -> None:
    ours, links = os.environ["PATH"].split(os.pathsep)
    assert ours == str(Path(sys.prefix) / "bin")
    outside = [p.name for p in programs.PROGRAMS if p.package and not p.folder]
    assert sorted(os.listdir(links)) == sorted(name for name in outside if programs.find(name))


@pytest.mark.parametrize("name", programs.BY_NAME)
def test_each_starts_and_says_who_it_is(name: str) -> None:
    program = programs.BY_NAME[name]
    if program.skipped and not programs.find(name):
        pytest.skip(programs.why_not(name))
    done = subprocess.run(
        [programs.need(name), *program.asked],
        env=programs.surroundings(name),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=300,
    )
    assert program.says in done.stdout.decode(errors="replace").lower()


def test_nobody_finds_programs_in_another_way() -> None:
    found = []
    for folder in ("gateway", "hal", "board", "tools", "tests"):
        for path in (ROOT / folder).rglob("*.py"):
            name = str(path.relative_to(ROOT))
            if name not in BESIDE_THE_TABLE:
                tree = ast.parse(path.read_text())
                found += ["%s:%d" % (name, node.lineno) for node in ast.walk(tree) if _seeks(node)]
    assert found == [], "tools/programs.py is the one table of programs"


def _seeks(node: ast.AST) -> bool:
    """`shutil.which`, or an absolute path of a program."""
    if isinstance(node, ast.Attribute):
        return node.attr == "which"
    if isinstance(node, ast.ImportFrom):
        return any(name.name == "which" for name in node.names)
    return (
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and node.value.startswith(("/bin/", "/sbin/", "/usr/"))
        and not node.value.startswith("/usr/share/")
    )


def test_nothing_of_the_table_is_there_twice() -> None:
    assert len(programs.BY_NAME) == len(programs.PROGRAMS)


def test_the_newest_version_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that came after this module was imported, as in set-up."""
    row = programs.BY_NAME["initdb"]._replace(folder=str(tmp_path / "*/bin"))
    monkeypatch.setitem(programs.BY_NAME, "initdb", row)
    assert programs.find("initdb") is None
    for version in ("9", "17", "15"):
        (tmp_path / version / "bin").mkdir(parents=True)
        (tmp_path / version / "bin/initdb").touch(mode=0o755)
    assert programs.find("initdb") == str(tmp_path / "17/bin/initdb")
