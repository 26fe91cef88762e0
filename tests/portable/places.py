"""Folders for storage tests: the host's file system, and on MicroPython a littlefs in RAM as
well."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

if sys.implementation.name == "micropython":
    import vfs  # type: ignore[import-not-found, unused-ignore]

    def with_folders(test: Callable[[str], None]) -> None:
        """Call `test` with the path of a fresh folder of each kind."""
        with_folder(test)
        with_littlefs(test)

    def with_folder(test: Callable[[str], None]) -> None:
        """Call `test` with the path of a fresh folder of the host's."""
        folder = "/tmp/ami-test-" + os.urandom(8).hex()
        os.mkdir(folder)
        try:
            test(folder)
        finally:
            remove_folder(folder)

    def with_littlefs(test: Callable[[str], None], blocks: int = 64) -> None:
        """Call `test` with the path of a fresh littlefs of `blocks` times 512 bytes."""
        device = RamDevice(blocks)
        vfs.VfsLfs2.mkfs(device)
        vfs.mount(vfs.VfsLfs2(device), "/ram")
        try:
            test("/ram")
        finally:
            vfs.umount("/ram")

    def remove_folder(folder: str) -> None:
        for name in os.listdir(folder):
            path = folder + "/" + name
            if os.stat(path)[0] & 0x4000:
                remove_folder(path)
            else:
                os.remove(path)
        os.rmdir(folder)

else:
    import tempfile

    def with_folder(test: Callable[[str], None]) -> None:
        """Call `test` with the path of a fresh folder."""
        with tempfile.TemporaryDirectory() as folder:
            test(folder)

    with_folders = with_folder


class RamDevice:
    """A block device for MicroPython's file systems, of blocks of 512 bytes (extended
    interface)."""

    SIZE = 512

    def __init__(self, blocks: int) -> None:
        self.data = bytearray(blocks * self.SIZE)

    def readblocks(self, block: int, buffer: bytearray, offset: int = 0) -> None:
        start = block * self.SIZE + offset
        for i in range(len(buffer)):
            buffer[i] = self.data[start + i]

    def writeblocks(self, block: int, buffer: bytearray, offset: int = 0) -> None:
        start = block * self.SIZE + offset
        for i in range(len(buffer)):
            self.data[start + i] = buffer[i]

    def ioctl(self, operation: int, argument: int) -> int | None:
        if operation == 4:
            return len(self.data) // self.SIZE
        if operation == 5:
            return self.SIZE
        return 0
