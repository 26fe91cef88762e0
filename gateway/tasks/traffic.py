"""What a visit for a task is likely to put on the medium from our side, as gateway/jobs/traffic.py:
judged by its items until the first meter is done, then by the most that one has taken, and half of
that again for what gets lost."""

from __future__ import annotations

from gateway.contract.task import MAX_TASKS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.contract.task import Task

# To associate, prove who we are, and release.
_FRAMES = 6
_OCTETS = 400
# To ask for an object's attributes and its rows.
_ITEM_FRAMES = 4
_ITEM_OCTETS = 120


class TrafficOfTasks:
    def __init__(self) -> None:
        self._most: dict[str, tuple[int, int]] = {}  # by the task's name

    def of(self, task: Task) -> tuple[int, int]:
        """Frames, and octets in all."""
        items = len(task.items) + sum([len(item.objects) for item in task.items])
        expected = _FRAMES + _ITEM_FRAMES * items, _OCTETS + _ITEM_OCTETS * items
        frames, octets = self._most.get(task.name, expected)
        return frames + frames // 2, octets + octets // 2

    def note(self, task: Task, sent: tuple[int, int]) -> None:
        """One of its meters is done, after so many frames and octets."""
        if task.name not in self._most and len(self._most) >= 2 * MAX_TASKS:
            del self._most[min(self._most)]  # there have been others
        frames, octets = self._most.get(task.name, (0, 0))
        self._most[task.name] = max(frames, sent[0]), max(octets, sent[1])
