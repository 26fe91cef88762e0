"""Image files: read from the flash block by block, and proven before."""

from __future__ import annotations

import hashlib

from gateway.contract.image_file import CIPHERED, ImageFile, joined, split
from gateway.contract.refused import Refused
from hal.rt import cbor
from hal.sim.storage import MemoryStorage
from tests.portable.support import raises, random_bytes
from tests.portable.uplink.support import OTHER_TRUST, TRUST, crypto, signed

CONTENT = random_bytes(5, 1000)


def manifest(content: bytes = CONTENT) -> ImageFile:
    digest = hashlib.sha256(content).digest()
    targets = [("AMI-E450", ["V02."])]
    return ImageFile("fw", "3", "", targets, b"V03", len(content), digest, "V03.00.00", CIPHERED)


def stored(raw: bytes) -> MemoryStorage:
    storage = MemoryStorage()
    storage.replace("image", raw)
    return storage


def opened(raw: bytes, trust: object = TRUST) -> ImageFile:
    return ImageFile.open(stored(raw), "image", trust, crypto())


def reason(raw: bytes, trust: object = TRUST) -> str:
    return raises(Refused, opened, raw, trust).reason


def test_blocks_of_the_stored_image() -> None:
    image = opened(joined(signed(manifest().to_payload()), CONTENT))
    assert (image.size, image.identifier, image.firmware) == (1000, b"V03", "V03.00.00")
    assert image.targets == [("AMI-E450", ["V02."])] and image.delivery == CIPHERED
    blocks = [image.block(number, 64) for number in range(16)]
    assert b"".join(blocks) == CONTENT and len(blocks[15]) == 1000 - 15 * 64
    raises(ValueError, image.block, 16, 64)


def test_there_and_back() -> None:
    raw = manifest().to_payload()
    assert ImageFile.from_payload(raw).to_payload() == raw
    assert split(joined(b"signed", b"image")) == (b"signed", b"image")


def test_only_what_the_manifest_describes() -> None:
    good = signed(manifest().to_payload())
    for content in (CONTENT[:-1], CONTENT + b"x", random_bytes(6, 1000), b""):
        assert reason(joined(good, content)) == "bad-package"


def test_only_by_whom_we_trust() -> None:
    raw = joined(signed(manifest().to_payload()), CONTENT)
    assert reason(raw, []) == "unknown-signer"
    assert reason(raw, OTHER_TRUST) == "bad-signature"


def test_what_is_no_image_file() -> None:
    good = joined(signed(manifest().to_payload()), CONTENT)
    for raw in (
        b"",
        b"AMIIMAGE",
        b"AMIIMAGE\x00\x00\x00\x00",
        b"AMIIMAGE\xff\xff\xff\xff" + CONTENT,
        b"AMIIMAGE\x00\x00\x00\x05abcde",
        b"x" + good,
        good[:40],
        joined(signed(b"\x80"), CONTENT),
    ):
        assert reason(raw) == "bad-package", raw[:20]


def test_each_part_of_the_manifest_is_checked() -> None:
    good = cbor.decode(manifest().to_payload())
    for place, value in (
        (0, 2),
        (1, ""),
        (2, "v" * 33),
        (3, None),
        (4, []),
        (4, [["AMI"]]),
        (5, b""),
        (5, bytes(65)),
        (6, 0),
        (6, 1 << 25),
        (7, bytes(31)),
        (8, ""),
        (9, 3),
        (9, True),
    ):
        bad = list(good)
        bad[place] = value
        error = raises(Refused, ImageFile.from_payload, cbor.encode(bad))
        assert error.reason == "bad-package", (place, value)
    for bad in (good[:-1], good + [0], {}, None):
        assert raises(Refused, ImageFile.from_payload, cbor.encode(bad)).reason == "bad-package"


def test_a_file_that_shrinks_while_it_is_used() -> None:
    storage = stored(joined(signed(manifest().to_payload()), CONTENT))
    image = ImageFile.open(storage, "image", TRUST, crypto())
    storage.truncate("image", 300)
    raises(OSError, image.block, 15, 64)
