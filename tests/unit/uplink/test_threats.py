"""The pages on security name tests, files and commands that exist; and the table of threats has a
test for each of its lines."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import gateway
from tests.conftest import ROOT

GATEWAY = Path(gateway.__file__).parent
THREATS = GATEWAY / "contract/threats.md"
SECURITY = GATEWAY / "security.md"
TESTS = ROOT / "tests"


def rows(page: Path) -> list[str]:
    lines = [line for line in page.read_text().splitlines() if line.startswith("| ")]
    return [line for line in lines if not line.startswith(("| wants ", "| § ", "| CR "))]


def named_tests(line: str) -> list[tuple[str, str]]:
    """(file, test) of each, which exist."""
    named = re.findall(r"`(\w+\.py)::(test_\w+)`", line)
    for file, test in named:
        found = [path.read_text() for path in TESTS.rglob(file)]
        pattern = r"^(async )?def %s\(" % test
        assert any(re.search(pattern, text, re.MULTILINE) for text in found), (file, test)
    return named


def test_each_threat_names_tests_that_exist() -> None:
    threats = rows(THREATS)
    assert len(threats) > 20
    for line in threats:
        assert named_tests(line), line


def test_each_requirement_names_what_exists_or_what_is_missing() -> None:
    requirements = rows(SECURITY)
    assert len(requirements) > 30
    for line in requirements:
        shown = named_tests(line)
        for path in re.findall(r"`([\w.-]+/[\w./-]+)`", line):
            assert (ROOT / path).exists(), path
            shown.append((path, ""))
        missing = line.count("|") == 6 and line.split("|")[5].strip()
        assert shown or missing or "`ami-" in line, line


def test_the_commands_of_the_page_exist() -> None:
    """With the words and options after them."""
    scripts = {
        **tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"],
        **tomllib.loads((ROOT / "tools/pyproject.toml").read_text())["project"]["scripts"],
    }
    found = re.findall(r"`(ami-[\w-]+)((?: [\w-]+)*)`", SECURITY.read_text())
    assert len(found) > 5
    for command, rest in found:
        module = ROOT / scripts[command].partition(":")[0].replace(".", "/")
        folder = module.parent if module.with_suffix(".py").exists() else module
        source = "".join(path.read_text() for path in folder.rglob("*.py"))
        for word in rest.split():
            assert '"%s"' % word in source, (command, word)


def test_the_pages_are_found() -> None:
    text = (GATEWAY / "README.md").read_text()
    assert "(security.md)" in text and "(contract/threats.md)" in text
