"""What a box in the street gets, and what a desk: both wheels are built, and each is run in an
environment of its own that holds nothing but what the wheel asks for.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from gateway.version import VERSION
from tests.conftest import ROOT

FIRMWARE, TOOLS = (
    tomllib.loads((ROOT / path).read_text()) for path in ("pyproject.toml", "tools/pyproject.toml")
)
OURS = ("ami-concentrator", "ami-concentrator-tools")
# Of a desk only; `tests` and `tools` are names that others have too.
NOT_IN_A_BOX = ("tools", "tests", "amqtt", "matplotlib", "rich", "ruamel.yaml", "sqlalchemy")
EVERY_MODULE = """
import importlib, pkgutil, sys
for name in ("gateway", "hal", "board"):
    package = importlib.import_module(name)
    for found in pkgutil.walk_packages(package.__path__, name + "."):
        if not found.name.startswith(%r):
            importlib.import_module(found.name)
print(len(sys.modules))
"""
FOR_MICROPYTHON = ("hal.micropython", "board.firmware", "board.heap", "board.unix", "board.mimxrt")


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(firmware, tools), built from a copy: building leaves folders behind."""
    folder = tmp_path_factory.mktemp("wheels")
    copy = folder / "checkout"
    passed = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "tests")
    shutil.copytree(ROOT, copy, ignore=passed)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-index", "--no-deps"]
    given = ["--no-build-isolation", "--wheel-dir", str(folder), str(copy), str(copy / "tools")]
    done(*pip, *given)
    firmware, tools = sorted(folder.glob("*.whl"))
    return firmware, tools


def done(*command: str | Path, folder: Path = ROOT, status: int = 0) -> str:
    """Run without our paths; what it wrote."""
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    ended = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
    )
    assert ended.returncode == status, ended.stdout
    return ended.stdout


def environment(folder: Path, wheels: list[Path], asked: list[str]) -> Path:
    """An environment with these wheels and, linked from ours, what `asked` needs; its `bin`."""
    done(sys.executable, "-m", "venv", "--without-pip", folder)
    (packages,) = folder.glob("lib/python*/site-packages")
    for name in needed(asked):
        distribution = metadata.distribution(name)
        for top in {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
            if not (packages / top).exists():
                (packages / top).symlink_to(str(distribution.locate_file(top)))
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin/python"), "install"]
    done(*pip, "--quiet", "--no-index", "--no-deps", *wheels)
    return folder / "bin"


def needed(asked: list[str]) -> set[str]:
    """The names of all distributions that these requirements bring, ours left out."""
    found: set[str] = set()
    waiting = [Requirement(text) for text in asked]
    seen = set()
    while waiting:
        wanted = waiting.pop()
        if str(wanted) in seen:
            continue
        seen.add(str(wanted))
        if wanted.name not in OURS:
            found.add(wanted.name)
        for extra in ("", *wanted.extras):
            for text in requires(wanted.name, extra):
                more = Requirement(text)
                if more.marker is None or more.marker.evaluate({"extra": extra}):
                    waiting.append(more)
    return found


def requires(name: str, extra: str) -> list[str]:
    if name not in OURS:
        return metadata.requires(name) or []
    project: dict[str, Any] = (FIRMWARE if name == OURS[0] else TOOLS)["project"]
    return list(project["optional-dependencies"][extra] if extra else project["dependencies"])


def test_the_same_release() -> None:
    assert TOOLS["project"]["version"] == VERSION
    assert TOOLS["project"]["dependencies"][0] == "ami-concentrator==" + VERSION


def test_a_box_gets_the_firmware_only(wheels: tuple[Path, Path], tmp_path: Path) -> None:
    names = zipfile.ZipFile(wheels[0]).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"gateway", "hal", "board"}
    bin = environment(tmp_path / "box", [wheels[0]], ["ami-concentrator"])
    assert sorted(path.name for path in bin.glob("ami-*")) == ["ami-gateway"]
    assert done(bin / "ami-gateway", "--version", folder=tmp_path) == f"ami-gateway {VERSION}\n"
    done(bin / "python", "-c", EVERY_MODULE % (FOR_MICROPYTHON,), folder=tmp_path)
    for name in NOT_IN_A_BOX:
        said = done(bin / "python", "-c", "import " + name, folder=tmp_path, status=1)
        assert said.splitlines()[-1].startswith("ModuleNotFoundError"), (name, said)


def test_a_desk_gets_the_tools_too(wheels: tuple[Path, Path], tmp_path: Path) -> None:
    inside = set(zipfile.ZipFile(wheels[1]).namelist())
    rooms = {str(path.relative_to(ROOT)) for path in (ROOT / "tools").rglob("*/*.py")}
    assert {name for name in rooms if "/build/" not in name} <= inside
    examples = [path.name for path in (ROOT / "tools/package/examples").iterdir()]
    assert examples and {"tools/package/examples/" + name for name in examples} <= inside
    bin = environment(tmp_path / "desk", list(wheels), ["ami-concentrator-tools[hes]"])
    commands = sorted(path.name for path in bin.glob("ami-*"))
    assert commands == sorted([*FIRMWARE["project"]["scripts"], *TOOLS["project"]["scripts"]])
    for command in commands:
        assert done(bin / command, "--version", folder=tmp_path) == f"{command} {VERSION}\n"
    (folder,) = bin.parent.glob("lib/python*/site-packages/tools/package/examples")
    for name in examples:
        done(bin / "ami-package", "check", folder / name, folder=tmp_path)
    done(bin / "ami-hes", "list", folder=tmp_path)
