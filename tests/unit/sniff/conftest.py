"""ami-sniff and ami-replay, run as commands."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tools.replay.__main__ import main as replay_main
from tools.sniff.__main__ import main as sniff_main


class Ran:
    def __init__(self, status: int, out: str, err: str) -> None:
        self.status = status
        self.out = out
        self.err = err

    @property
    def frames(self) -> list[dict[str, Any]]:
        """Of --json."""
        return [json.loads(line) for line in self.out.splitlines()][:-1]

    @property
    def summary(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out.splitlines()[-1])["summary"]
        return found


Tool = Callable[..., Ran]


def _tool(main: Callable[[list[str]], int], capsys: pytest.CaptureFixture[str]) -> Tool:
    def run(*arguments: object) -> Ran:
        capsys.readouterr()
        try:
            status = main([str(each) for each in arguments])
        except SystemExit as end:
            status = int(end.code or 0)
        out, err = capsys.readouterr()
        assert "Traceback" not in err, err
        return Ran(status, out, err)

    return run


@pytest.fixture
def sniff(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Tool:
    monkeypatch.delenv("AMI_SNIFF_EK", raising=False)
    monkeypatch.delenv("AMI_SNIFF_AK", raising=False)
    return _tool(sniff_main, capsys)


@pytest.fixture
def replay(capsys: pytest.CaptureFixture[str]) -> Tool:
    return _tool(replay_main, capsys)
