"""When the HES is told how far the jobs are, to the millisecond."""

from __future__ import annotations

from gateway.uplink.progress_pace import EVERY_MS, LOOK_MS, ProgressPace
from hal.sim.clock import ManualClock
from tests.portable.uplink.support import NOW


class Standing:
    """How far a job is: `done` of its meters; what changes by one is not worth telling."""

    def __init__(self, job_id, done):
        self.job_id = job_id
        self.done = done

    def differs(self, told, now):
        assert now == NOW + 100
        return abs(self.done - told.done) > 1

    def to_array(self):
        return [self.job_id, self.done]


class Queue:
    def __init__(self, **jobs):
        self.jobs = jobs
        self.asked = 0

    def open_jobs(self):
        return sorted(self.jobs)

    def progress(self):
        self.asked += 1
        return [Standing(name, self.jobs[name]) for name in sorted(self.jobs)]


def bench(**jobs):
    clock = ManualClock(NOW + 100)
    queue = Queue(**jobs)
    return clock, queue, ProgressPace(queue, clock)


def after(clock, pace, wait_ms):
    """What is told after that long: {job: done}, or None."""
    clock.advance(wait_ms)
    clock.set_unix_time(NOW + 100)
    message = pace.message()
    if message is None:
        return None
    assert message.time == NOW + 100
    return [tuple(row) for row in message.jobs]


def test_times():
    assert (EVERY_MS, LOOK_MS) == (60_000, 2_000)


def test_all_at_once_and_then_what_has_changed_once_a_minute():
    clock, queue, pace = bench(a=1, b=5)
    assert after(clock, pace, 0) == [("a", 1), ("b", 5)]
    queue.jobs["a"] = 9
    assert after(clock, pace, 59_999) is None and queue.asked == 1
    assert after(clock, pace, 1999) is None, "it has looked just now"
    assert after(clock, pace, 1) == [("a", 9)]
    assert after(clock, pace, 60_000) is None, "nothing has changed"


def test_what_is_new_is_told_at_the_next_look_and_alone():
    clock, queue, pace = bench(a=1)
    assert after(clock, pace, 0) == [("a", 1)]
    queue.jobs["a"] = 9
    queue.jobs["b"] = 0
    assert after(clock, pace, 1999) is None
    assert after(clock, pace, 1) == [("b", 0)]
    # The minute counts from there, and what had changed before is not forgotten.
    assert after(clock, pace, 59_999) is None
    assert after(clock, pace, 2000) == [("a", 9)]


def test_small_changes_add_up():
    clock, queue, pace = bench(a=1)
    assert after(clock, pace, 0) == [("a", 1)]
    queue.jobs["a"] = 2
    assert after(clock, pace, 60_000) is None
    queue.jobs["a"] = 3
    assert after(clock, pace, 2000) == [("a", 3)]


def test_a_minute_without_news_is_no_reason_to_wait_for_the_next():
    clock, queue, pace = bench()
    assert after(clock, pace, 0) is None
    queue.jobs["a"] = 0
    assert after(clock, pace, 2000) == [("a", 0)]
    del queue.jobs["a"]
    assert after(clock, pace, 60_000) is None
    queue.jobs["a"] = 0
    assert after(clock, pace, 2000) == [("a", 0)], "it is new again"


def test_a_new_connection_is_told_all():
    clock, _, pace = bench(a=1)
    assert after(clock, pace, 0) == [("a", 1)]
    pace.connected()
    assert after(clock, pace, 0) == [("a", 1)]
