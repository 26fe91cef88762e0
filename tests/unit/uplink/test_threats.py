"""The table of threats names tests that exist, and at least one for each line."""

from __future__ import annotations

import re
from pathlib import Path

import gateway.contract.messages

PAGE = Path(gateway.contract.messages.__file__).with_name("threats.md")
TESTS = Path(__file__).parents[2]


def test_each_threat_names_tests_that_exist() -> None:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    threats = [line for line in lines if not line.startswith("| wants ")]
    assert len(threats) > 20
    for line in threats:
        named = re.findall(r"`(\w+\.py)::(test_\w+)`", line)
        assert named, line
        for file, test in named:
            found = [path.read_text() for path in TESTS.rglob(file)]
            pattern = r"^(async )?def %s\(" % test
            assert any(re.search(pattern, text, re.MULTILINE) for text in found), (file, test)
