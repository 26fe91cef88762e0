"""Whether systemd's journal reads what we write."""

from __future__ import annotations

import os

STREAM = "JOURNAL_STREAM"  # device and inode of the journal's socket, systemd.exec(5)


def reads_stderr() -> bool:
    try:
        found = os.fstat(2)
    except OSError:
        return False
    return os.environ.get(STREAM) == "%d:%d" % (found.st_dev, found.st_ino)
