"""Files that only their owner may read, on the unix port; a board without users has none to
exclude."""

from __future__ import annotations

import os


def make_private_file(path: str, data: bytes) -> None:
    """Put the file in place, mode 0600 before anything is in it, whole when it returns."""
    import ffi  # only the unix port has it

    new = path + ".new"
    open(new, "wb").close()
    chmod = ffi.open(None).func("i", "chmod", "si")
    if chmod(new, 0o600) != 0:
        raise OSError(1, "cannot make %s private" % new)
    with open(new, "wb") as file:
        file.write(data)
    ffi.open(None).func("v", "sync", "")()
    os.rename(new, path)
