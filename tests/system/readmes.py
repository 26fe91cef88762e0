"""The READMEs' blocks of commands that a test runs."""

from __future__ import annotations

import re

from tests.conftest import ROOT


def blocks(readme: str, mark: str) -> list[str]:
    """Those of `readme`, a path from the project's root, that have `mark` above them."""
    text = (ROOT / readme).read_text()
    return re.findall(re.escape(mark) + r"\n```sh\n(.*?)```", text, re.DOTALL)


def block(readme: str, mark: str) -> str:
    """The one of blocks()."""
    (script,) = blocks(readme, mark)
    return script
