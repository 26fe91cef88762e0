"""meters.jsonl written anew: lines replaced, added, taken out."""

from __future__ import annotations

from gateway.meters.json_lines import lines
from gateway.meters.line_fields import InventoryError, fields_of, serial_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from hal.ports import Storage

NEW = "meters.jsonl.new"


def rewrite(storage: Storage, name: str, new: dict[str, bytes], gone: Sequence[str]) -> None:
    """All lines but those of the serials `gone`, and the `new` ones, by serial, in place of what
    there was of them. A line that nobody can read stays, for people to look into. After a power cut
    it is all of the old file or all of the new."""
    if storage.size(NEW) >= 0:
        storage.remove(NEW)
    file = storage.append(NEW)
    written: dict[str, bool] = {}
    try:
        for _, _, line in lines(storage, name, lambda *_: None):
            try:
                serial = serial_of(fields_of(line))
            except InventoryError:
                file.write(line + b"\n")
                continue
            if serial in gone or serial in written:
                continue
            if serial in new:
                line, written[serial] = new[serial], True
            file.write(line + b"\n")
        for serial in sorted(new):
            if serial not in written:
                file.write(new[serial] + b"\n")
        file.sync()
    finally:
        file.close()
    storage.rename(NEW, name)
