"""A meter behind a concentrator: what the command line wants for it. The whole way is in
tests/system/test_local_access.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.dlms.__main__ import main

READ = ["hdlc+serial:/dev/no-such-line", "get", "data 0.0.42.0.0.255 value"]


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main([*READ, *arguments]) == 2
    return capsys.readouterr().err


def test_the_local_key_is_wanted(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "--via needs --local-key" in refused(capsys, "--via", "AMI1")
    key = tmp_path / "local.key"
    missing = refused(capsys, "--via", "AMI1", "--local-key", str(key))
    assert "%s: No such file" % key in missing
    for text in ("", "00" * 31, "zz" * 32):
        key.write_text(text)
        said = refused(capsys, "--via", "AMI1", "--local-key", str(key))
        assert "expected 64 hex digits" in said and (not text or text not in said)
