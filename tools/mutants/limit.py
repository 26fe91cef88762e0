"""A time limit for one test, also for one that does not let itself be stopped.

A single signal is not enough: raised in a task of an event loop it ends that task, and who waits
for the task waits on. So it comes again every second, and who goes on in spite of that is given up.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType

import pytest

# Of pytest, for every run here: our limits instead of pytest-timeout's, and nothing at random.
OPTIONS = ["-q", "-o", "addopts="]
OPTIONS += [word for name in ("timeout", "xdist", "cacheprovider") for word in ("-p", "no:" + name)]
OPTIONS += ["--hypothesis-seed=0"]
PATIENCE = 10  # signals, one a second


class TimeIsOver(BaseException):
    """The test has had its time. Not an Exception: nobody is to catch it by the way."""


@contextmanager
def limited(seconds: float, give_up: Callable[[], None]) -> Iterator[None]:
    """TimeIsOver in the main thread after so many seconds, and again; in the end give_up()."""
    raised = 0

    def over(number: int, frame: FrameType | None) -> None:
        nonlocal raised
        raised += 1
        if raised > PATIENCE:
            give_up()
        raise TimeIsOver("no end within %.0f s" % seconds)

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Limits:
    """A pytest plugin: setting up, the test itself and clearing away have so many seconds each.

    What pytest makes of a failure is outside: a signal in the middle of a traceback would end the
    whole run.
    """

    def __init__(self, seconds_of: Callable[[str], float], give_up: Callable[[str], None]) -> None:
        self.seconds_of = seconds_of
        self.give_up = give_up

    def _limited(self, item: pytest.Item) -> AbstractContextManager[None]:
        name = item.nodeid
        return limited(self.seconds_of(name), lambda: self.give_up(name))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Iterator[None]:
        with self._limited(item):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        with self._limited(item):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Iterator[None]:
        with self._limited(item):
            return (yield)
