"""Files that only their owner may read. A board without users has none to exclude."""

from __future__ import annotations

import os


def make_private_file(path: str, data: bytes) -> None:
    """Put the file in place, mode 0600 before anything is in it, whole when it returns."""
    new = path + ".new"
    open(new, "wb").close()
    try:
        import ffi  # only the unix port has it, and modes
    except ImportError:
        ffi = None
    if ffi is not None and ffi.open(None).func("i", "chmod", "si")(new, 0o600) != 0:
        raise OSError(1, "cannot make %s private" % new)
    with open(new, "wb") as file:
        file.write(data)
        file.flush()  # an fsync
    if ffi is not None:
        ffi.open(None).func("v", "sync", "")()
    os.rename(new, path)
