"""The commands of tools/README.md that need no meter, run as they stand there; and the options it
names are there.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.system.readmes import block

README = (ROOT / "tools/README.md").read_text()
MARK = "<!-- tests/system/test_tools_readme.py runs this block -->"
COMMANDS = ["package", "hes", "dlms", "meter", "sniff", "replay", "audit", "bench"]
LIMIT = 300  # seconds; only a defect takes so long


def test_packages_and_recordings(tmp_path: Path) -> None:
    done = subprocess.run(
        ["sh", "-eu", "-c", block("tools/README.md", MARK)],
        cwd=tmp_path,
        env={**os.environ, "AMI": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT,
    )
    assert done.returncode == 0, done.stdout
    for words in (
        "tariff-calendar.yaml: right.",
        "00:00 A  18:00 B  22:00 A",
        "tariff-calendar.yaml: the same for a meter",
        "Signature  good, by key",
        "the meter runs V03.00.00",
        "by broadcast, under the fleet's broadcast key",
        "aarq LN ciphered",
        "the same",
    ):
        assert words in done.stdout, done.stdout
    assert "AMI-E450" in (tmp_path / "objects.txt").read_text()


def help_of(command: str, *sub: str) -> str:
    module = importlib.import_module("tools.%s.__main__" % command.removeprefix("ami-"))
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), pytest.raises(SystemExit):
        module.main([*sub, "--help"])
    return shown.getvalue()


@pytest.mark.parametrize("command", ["ami-" + name for name in COMMANDS])
def test_what_it_says_of_a_command_is_so(command: str) -> None:
    """Every option in the section is in the help of the command, of one of its subcommands, or of
    another command that the section names.
    """
    section = README.split("\n## %s\n" % command)[1].split("\n## ")[0]
    assert "\nStatus 0: " in section
    named = sorted({command, *re.findall(r"ami-[a-z]+", section)} & {"ami-" + c for c in COMMANDS})
    helps = {name: help_of(name) for name in named}
    called = re.findall(r"(ami-[a-z]+) ([a-z-]+)\b", section)
    called += [(command, sub) for sub in subcommands(helps[command])]
    shown = "".join(helps.values())
    for name, sub in sorted(set(called)):
        if name in helps and sub in subcommands(helps[name]):
            shown += help_of(name, *(["tcp://meter"] if name == "ami-dlms" else []), sub)
    options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", section))
    assert {option for option in options if option not in shown} == set()


def subcommands(shown: str) -> list[str]:
    """That a command's help names, one a line."""
    return re.findall(
        r"^    ([a-z-]+)\b", shown.partition("positional arguments:")[2], re.MULTILINE
    )
