"""Coroutines that end together, though a library swallows a cancel."""

from __future__ import annotations

import asyncio

import pytest

from tools.hes.line import connection


def test_who_swallows_a_cancel_gets_another(monkeypatch: pytest.MonkeyPatch) -> None:
    swallowed: list[bool] = []

    async def stubborn() -> None:
        while True:
            try:
                await asyncio.sleep(1000)
            except asyncio.CancelledError:
                if swallowed:
                    raise
                swallowed.append(True)

    async def breaks() -> None:
        await asyncio.sleep(0)
        raise OSError("the line broke")

    monkeypatch.setattr(connection, "CANCEL_AGAIN", 0.01)
    with pytest.raises(OSError, match="broke"):
        asyncio.run(asyncio.wait_for(connection.together(stubborn(), breaks()), 30))
    assert swallowed
