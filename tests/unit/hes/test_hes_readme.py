"""The operator's guide says what is so: its commands parse, its words for trouble are ours."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tools.hes.cli.main import _parser

HES = Path(__file__).parents[3] / "tools" / "hes"
TEXT = (HES / "README.md").read_text()
COMMANDS = [
    line.partition(" #")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("ami-hes ")
]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_guide_is_one(command: str) -> None:
    options = _parser().parse_args(shlex.split(command)[1:])
    assert callable(options.run)


def test_every_command_has_an_example() -> None:
    parser = _parser()
    (commands,) = [action.choices for action in parser._actions if isinstance(action.choices, dict)]
    shown = {shlex.split(command)[1] for command in COMMANDS}
    assert shown == set(commands)
    for name in ("trust", "concentrator", "task", "readings", "inventory"):
        (actions,) = [
            action.choices for action in commands[name]._actions if isinstance(action.choices, dict)
        ]
        words = [shlex.split(command)[1:3] for command in COMMANDS]
        assert {each[1] for each in words if each[0] == name} == set(actions)


def test_what_the_screen_says_is_what_we_write() -> None:
    folders = (HES, HES.parents[1] / "gateway")
    source = "".join(path.read_text() for each in folders for path in each.rglob("*.py"))
    written = re.sub(r'"\s*\n\s*"', "", source)  # texts that go on in the next line
    table = TEXT.split("## When something is wrong")[1].split("## ")[0]
    rows = [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 15
    for said in rows:
        if said.startswith(("submitted;", "sent;", "rejected:", "nothing is heard")):
            words = said.partition(";")[2] or said.partition(":")[0]
        else:
            words = said.removeprefix("event ").strip("`") if "event" in said else said
        for part in re.split(r"\.\.\.", words):
            assert part.strip() in written, said
