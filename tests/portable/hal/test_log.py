"""hal.rt.log: one line each, printable, bounded, and never an exception."""

from __future__ import annotations

from hal.rt import log
from tests.portable.support import raises

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Paper:
    """A stderr that keeps what is written, or fails."""

    def __init__(self, error: Exception | None = None) -> None:
        self.text = ""
        self.error = error

    def write(self, text: str) -> int:
        if self.error is not None:
            raise self.error
        self.text += text
        return len(text)


def written(paper: Any, *calls: Any) -> None:
    """Run the calls with `paper` for stderr (MicroPython's sys.stderr cannot be replaced)."""
    module: Any = log
    real = module.sys
    level = module._level
    module.sys = Sys(paper)
    log.set_level("info")
    log.set_clock(lambda: 1784041200)
    try:
        for call in calls:
            call()
    finally:
        module.sys = real
        module._level = level
        log.set_clock(log._runtime_time)


class Sys:
    def __init__(self, stderr: Any) -> None:
        self.stderr = stderr


def test_one_line() -> None:
    paper = Paper()
    written(paper, lambda: log.info("meters", "AMI1 joined"))
    assert paper.text == "2026-07-14T15:00:00Z info    meters: AMI1 joined\n", paper.text


def test_the_journal_is_told_the_priority() -> None:
    """As sd-daemon(3) has it; it writes the date itself."""
    paper = Paper()
    levels = (log.debug, log.info, log.warning, log.error)
    log.set_journal(True)
    try:
        written(
            paper,
            lambda: log.set_level("debug"),
            *[lambda at=at: at("meters", "x\n<0>y") for at in levels],  # type: ignore[misc]
        )
    finally:
        log.set_journal(False)
    expected = ["<%d>meters: x\\x0a<0>y\n" % priority for priority in (7, 6, 4, 3)]
    assert paper.text == "".join(expected), paper.text


def test_levels() -> None:
    paper = Paper()
    written(
        paper,
        lambda: log.debug("a", "no"),
        lambda: log.set_level("error"),
        lambda: log.warning("a", "no"),
        lambda: log.error("a", "yes"),
        lambda: log.set_level("debug"),
        lambda: log.debug("a", "yes"),
    )
    assert paper.text.count("\n") == 2 and "no" not in paper.text
    assert "never" in str(raises(ValueError, log.set_level, "never"))


def test_what_comes_from_outside_forges_nothing() -> None:
    paper = Paper()
    written(paper, lambda: log.info("a", "x\n2026 error b: y\r\x1b[2J\u0085" + "z" * 5000))
    assert paper.text.count("\n") == 1 and "\x1b" not in paper.text and "\r" not in paper.text
    assert "\\x0a2026" in paper.text and "\\x85" in paper.text
    assert len(paper.text) < 1100


def test_a_broken_stderr_is_no_trouble() -> None:
    for paper in (None, Paper(OSError(32)), Paper(ValueError("I/O operation on closed file"))):
        written(paper, lambda: log.error("a", "b"))
