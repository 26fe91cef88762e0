"""The READMEs' blocks of commands that a test runs."""

from __future__ import annotations

import re

from tests.conftest import ROOT


def block(readme: str, mark: str) -> str:
    """The one block of `readme`, a path from the project's root, that has `mark` above it."""
    text = (ROOT / readme).read_text()
    (script,) = re.findall(re.escape(mark) + r"\n```sh\n(.*?)```", text, re.DOTALL)
    return str(script)
