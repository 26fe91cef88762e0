"""Files that only their owner may read."""

from __future__ import annotations

import os


def make_private_file(path: str, data: bytes) -> None:
    """Put the file in place, mode 0600 from the beginning, whole and durable when it returns."""
    new = path + ".new"
    if os.path.exists(new):
        os.unlink(new)
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(fd)
    os.replace(new, path)
