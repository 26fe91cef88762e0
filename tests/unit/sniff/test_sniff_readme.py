"""The blocks of tools/README.md about captures and pushes, run as they stand there."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT, find_free_port
from tests.system.readmes import blocks

MARK = "<!-- tests/unit/sniff/test_sniff_readme.py runs this block -->"
BLOCKS = blocks("tools/README.md", MARK)
LIMIT = 300  # seconds; only a defect takes so long


def run(block: str, folder: Path) -> str:
    block = block.replace("4061", str(find_free_port()))
    done = subprocess.run(
        ["sh", "-eu", "-c", block],
        cwd=folder,
        env={**os.environ, "AMI": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT,
    )
    assert done.returncode == 0, done.stdout
    assert "Traceback" not in done.stdout
    return done.stdout


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("notify", ["NOT AUTHENTICATED: no AK to check its tag", "1.1.1.8.0.255: double-long"]),
        (
            "ami-sniff",
            [
                "data-notification invoke 1001, 2027-01-05-tue 12:00:10 ok",
                "1.1.61.7.0.255",
                "structure {double-long-unsigned 7101",
                "FCS: expected 4e7e, came 416e",
                "1-0:1.8.0(000007001*Wh)",
                "beacon, QLTY 15",
            ],
        ),
    ],
)
def test_the_block_does_what_it_says(command: str, words: list[str], tmp_path: Path) -> None:
    assert len(BLOCKS) == 2
    (block,) = [each for each in BLOCKS if ("notify" in each) == (command == "notify")]
    shown = run(block, tmp_path)
    for each in words:
        assert each in shown, shown
    if command == "ami-sniff":
        assert "6100 Wh" not in shown and "1.0.1.8.0.255" in (tmp_path / "wired.json").read_text()
