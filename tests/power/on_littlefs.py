"""MicroPython's side of test_littlefs_cuts.py: the whole scenario on a real littlefs, on a block
device that loses power.

    micropython -m tests.power.on_littlefs STEP [readings | folder]

Cuts at every STEP-th operation of the device; with `readings` or `folder` in the life of those.

Prints the count of cut points; ends with status 1 at the first promise that was broken.
"""

from __future__ import annotations

import sys

import vfs  # type: ignore[import-not-found, unused-ignore]

from hal.micropython.storage import FolderAppendFile, FolderStorage
from hal.rt import log
from tests.power.block_device import LEFT, BlockDevice
from tests.power.folder_scenario import Life as Folder
from tests.power.readings_scenario import Life as Readings
from tests.power.scenario import Life, with_cuts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

BLOCKS = 256
LIVES: dict[str, Any] = {"": Life, "readings": Readings, "folder": Folder}
FOLDER = "/littlefs"

opened: list[FolderAppendFile] = []
mounted: list[BlockDevice] = []


class Storage(FolderStorage):  # type: ignore[misc, unused-ignore]
    """Remembers what is open: collected with the power gone, files complain when they close."""

    def append(self, name: str, reserve: int = 0) -> FolderAppendFile:
        file = super().append(name, reserve)
        opened.append(file)
        return file


def start(device: BlockDevice) -> Storage:
    """The device is plugged in (the one before is out), and the board boots."""
    while mounted:
        mounted.pop().unplug()
        while opened:
            try:
                opened.pop().close()
            except OSError:
                pass  # of a device that is gone
        vfs.umount(FOLDER)
    vfs.mount(vfs.VfsLfs2(device), FOLDER)
    mounted.append(device)
    return Storage(FOLDER + "/flash")


def new() -> BlockDevice:
    device = BlockDevice(bytes(BLOCKS * BlockDevice.SIZE))
    vfs.VfsLfs2.mkfs(device)
    return BlockDevice(device._now)


def operations(kind: Any) -> int:
    """Of the device, in a life without a cut."""
    device = new()
    kind().boot(start(device))
    return device.operations


def main(step: int, kind: Any) -> None:
    log.set_level("error")
    count = operations(kind)
    total = 0
    for number in range(len(LEFT)):
        once = thrice = 0
        for cut in range(number % step, count, step):
            try:
                assert with_cuts(new(), start, [cut], LEFT[number], kind) == 1
                thrice += with_cuts(new(), start, [cut, cut % 11, cut % 7], LEFT[number], kind)
            except BaseException:
                print("cut at operation %d of %d, left: %s" % (cut, count, LEFT[number]))
                raise
            once += 1
        print(
            "littlefs: %d cut points of %d survived, and %d in threes, left: %s"
            % (once, count, thrice, LEFT[number])
        )
        total += once + thrice
    print("littlefs: %d cuts" % total)


if __name__ == "__main__":
    main(int(sys.argv[1]), LIVES[sys.argv[2] if sys.argv[2:] else ""])
