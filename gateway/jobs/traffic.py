"""What a conversation of a job is likely to put on the medium from our side: a radio budget must
have room for it before the conversation begins.

Until the first meter of a job is done, it is judged by the size of what is ordered; from then on by
the most that one of its meters has taken, and half of that again for what gets lost.
"""

from __future__ import annotations

from gateway.contract.kinds import IMAGE_FILE, OBJECTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.contract.job import Job

# To associate, prove who we are, ask who it is, and release.
_FRAMES = 6
_OCTETS = 400
_PIECE = 16384  # of an image: a transfer goes on where it was broken off
_APDU = 128  # octets of one request, where many share it
_REFERENCE = 12  # octets of the name of an attribute
_MOST_JOBS = 16  # remembered


class TrafficOfJobs:
    def __init__(self) -> None:
        self._most: dict[bytes, tuple[int, int]] = {}  # by the job's id

    def of(self, job: Job) -> tuple[int, int]:
        """Frames, and octets in all, that are enough for a conversation in which some get lost."""
        frames, octets = self.likely(job)
        return frames + frames // 2, octets + octets // 2

    def likely(self, job: Job) -> tuple[int, int]:
        """What one takes if all goes well."""
        if job.traits.takes == IMAGE_FILE or job.id not in self._most:
            return _expected(job)
        return self._most[job.id]

    def note(self, job: Job, sent: tuple[int, int]) -> None:
        """One of its meters is done, after so many frames and octets."""
        if job.id not in self._most and len(self._most) >= _MOST_JOBS:
            del self._most[min(self._most)]
        frames, octets = self._most.get(job.id, (0, 0))
        self._most[job.id] = max(frames, sent[0]), max(octets, sent[1])


def _expected(job: Job) -> tuple[int, int]:
    if job.traits.takes == OBJECTS or job.package is None:
        octets = _REFERENCE * len(job.objects)
    else:
        # Each value goes out once, with its name; its name again to read it before and after.
        octets = min(job.package.size, _PIECE)
    return _FRAMES + octets // _APDU, _OCTETS + octets
