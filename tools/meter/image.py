"""Class 18, image transfer: holds the image block by block, verifies it, and becomes it."""

from __future__ import annotations

import hashlib

from gateway.dlms.data import axdr
from tools.meter import kinds
from tools.meter.kinds import Typed
from tools.meter.makes import FIRMWARE_ACTIVATED
from tools.meter.model import CosemObject, Meter, Refused

NOT_INITIATED, INITIATED, VERIFYING, VERIFIED, VERIFY_FAILED = 0, 1, 2, 3, 4
ACTIVATING, ACTIVATED, ACTIVATION_FAILED = 5, 6, 7
MOST_BYTES = 4 << 20
MAGIC = b"AMI-IMAGE"


def make_image(model: str, firmware: str, body: bytes) -> bytes:
    """An image this virtual meter takes: a line `AMI-IMAGE model firmware sha256(body)`, then
    the body."""
    head = "%s %s %s %s\n" % (MAGIC.decode(), model, firmware, hashlib.sha256(body).hexdigest())
    return head.encode() + body


def read_image(image: bytes) -> tuple[str, str]:
    """Model and firmware of a sound image; ValueError otherwise."""
    head, _, body = image.partition(b"\n")
    magic, model, firmware, digest = head.decode("ascii").split(" ")
    if magic != MAGIC.decode() or hashlib.sha256(body).hexdigest() != digest:
        raise ValueError("not an image, or damaged")
    return model, firmware


class ImageTransfer(CosemObject):
    """Class 18. `verify_s` and `activate_s`: how long these take; meanwhile the methods answer
    "temporary-failure"."""

    class_id = 18

    def __init__(self, meter: Meter, name: str, block_size: int = 200) -> None:
        super().__init__(meter, name)
        self.verify_s = 0
        self.activate_s = 0
        self.image = bytearray()
        self._have = bytearray()  # one byte, 0 or 1, a block
        self._identification = b""
        self._due = 0.0  # when what is under way ends
        self._status = NOT_INITIATED
        self.attribute(
            2, kinds.DOUBLE_LONG_UNSIGNED, (axdr.DOUBLE_LONG_UNSIGNED, block_size), public=True
        )
        self.attribute(3, kinds.BIT_STRING, get=self._bitmap)
        self.attribute(4, kinds.DOUBLE_LONG_UNSIGNED, get=self._first_not_transferred)
        self.attribute(5, kinds.BOOLEAN, (axdr.BOOLEAN, True), writable=True)
        self.attribute(6, kinds.enum(*range(8)), get=lambda: (axdr.ENUM, self.status()))
        self.attribute(7, kinds.array(kinds.ANY), (axdr.ARRAY, []))
        self.method(1, kinds.structure(kinds.OCTETS, kinds.DOUBLE_LONG_UNSIGNED), self._initiate)
        self.method(2, kinds.structure(kinds.DOUBLE_LONG_UNSIGNED, kinds.OCTETS), self._transfer)
        self.method(3, kinds.NOTHING, lambda _: self._verify())
        self.method(4, kinds.NOTHING, lambda _: self._activate())

    def status(self) -> int:
        """image_transfer_status now: ends what was under way and is due."""
        if self._status in (VERIFYING, ACTIVATING) and self.meter.source() >= self._due:
            if self._status == VERIFYING:
                self._finish_verify()
            else:
                self._finish_activate()
        return self._status

    def _block_size(self) -> int:
        return int(self.value(2)[1])

    def _bitmap(self) -> Typed:
        have = "".join(map(str, self._have))
        said = self.meter.faults.false_blocks
        if said == "short":
            have = have[: len(have) // 2]
        elif said == "padded":
            have += "0" * (40 - len(have) % 8)
        elif said == "late":
            have = have if "1" in have else ""
        elif said:
            have = ("1" if said == "all" else "0") * len(have)
        return (axdr.BIT_STRING, have)

    def _first_not_transferred(self) -> Typed:
        first = self._have.find(0)
        return (axdr.DOUBLE_LONG_UNSIGNED, first if first >= 0 else len(self._have))

    def _initiate(self, typed: Typed) -> None:
        (_, identification), (_, size) = typed[1]
        if not self.value(5)[1]:
            raise Refused("read-write-denied")
        if not self._block_size():
            raise Refused("other-reason")
        if not 0 < size <= (self.meter.faults.image_memory or MOST_BYTES) or not identification:
            raise Refused("other-reason")
        self._identification = identification
        self.image = bytearray(size)
        self._have = bytearray(-(-size // self._block_size()))
        self.put(7, (axdr.ARRAY, []))
        self._status = INITIATED
        self._due = self.meter.source() + self.meter.faults.erase_s

    def _transfer(self, typed: Typed) -> None:
        (_, number), (_, block) = typed[1]
        if self.status() not in (INITIATED, VERIFY_FAILED):
            raise Refused("object-unavailable")
        if self._status == INITIATED and self.meter.source() < self._due:
            raise Refused("temporary-failure")  # it erases its flash
        start = number * self._block_size()
        if number >= len(self._have):
            raise Refused("data-block-unavailable")
        if len(block) != min(self._block_size(), len(self.image) - start):
            raise Refused("other-reason")
        if number != self.meter.faults.drop_block:
            self.image[start : start + len(block)] = block
            self._have[number] = 1

    def _verify(self) -> None:
        faults = self.meter.faults
        if faults.lose_verify:
            faults.lose_verify -= 1
            faults.lose_answers += 1
            return
        status = self.status()
        if status == VERIFIED:
            return
        if status == VERIFYING:
            raise Refused("temporary-failure")
        if status not in (INITIATED, VERIFY_FAILED) or 0 in self._have:
            raise Refused("other-reason")
        self._status = VERIFYING
        self._due = self.meter.source() + max(self.verify_s, self.meter.faults.slow_verify_s)
        if self.status() == VERIFYING:
            raise Refused("temporary-failure")
        if self._status == VERIFY_FAILED:
            raise Refused("other-reason")

    def _finish_verify(self) -> None:
        try:
            model, _ = read_image(bytes(self.image))
        except ValueError:
            model = ""
        if model != self.meter.model or self.meter.faults.verify_fails:
            self._status = VERIFY_FAILED
            return
        self._status = VERIFIED
        info = [
            (axdr.DOUBLE_LONG_UNSIGNED, len(self.image)),
            (axdr.OCTET_STRING, self._identification),
            (axdr.OCTET_STRING, hashlib.sha256(self.image).digest()),
        ]
        self.put(7, (axdr.ARRAY, [(axdr.STRUCTURE, info)]))

    def _activate(self) -> None:
        status = self.status()
        if status == ACTIVATED:
            return
        if status == ACTIVATING:
            raise Refused("temporary-failure")
        if status != VERIFIED:
            raise Refused("other-reason")
        self._status = ACTIVATING
        self._due = self.meter.source() + max(self.activate_s, self.meter.faults.slow_activate_s)
        if self.status() == ACTIVATING:
            raise Refused("temporary-failure")
        if self._status == ACTIVATION_FAILED:
            raise Refused("other-reason")

    def _finish_activate(self) -> None:
        if self.meter.faults.activate_fails:
            self._status = ACTIVATION_FAILED
            return
        _, self.meter.firmware = read_image(bytes(self.image))
        self.meter.happen(FIRMWARE_ACTIVATED)
        self._status = ACTIVATED
