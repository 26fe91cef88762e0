"""Image files: what `ami-package image` makes of a firmware and what is said about it."""

from __future__ import annotations

import hashlib

from gateway.contract import envelope, image_file
from gateway.contract.image_file import DELIVERIES, ImageFile
from gateway.contract.limits import MAX_IMAGE
from gateway.contract.refused import Refused
from tools.cosem import values
from tools.package.keys import SigningKey


class ImageProblem(Exception):
    """The image file cannot be made; the text says what was expected."""


def describe(
    content: bytes,
    name: str,
    version: str,
    description: str,
    targets: list[str],
    identifier: str,
    firmware: str,
    delivery: str,
) -> ImageFile:
    """The manifest. `targets` as "AMI-E450" or "AMI-E450:V02.,V03."; `identifier` text, or octets
    as 0x and hex digits."""
    if not 0 < len(content) <= MAX_IMAGE:
        raise ImageProblem("expected an image of 1 to %d bytes, got %d" % (MAX_IMAGE, len(content)))
    image = ImageFile(
        name,
        version,
        description,
        [_target(text) for text in targets],
        _octets(identifier),
        len(content),
        hashlib.sha256(content).digest(),
        firmware,
        DELIVERIES.index(delivery),
    )
    try:
        ImageFile.from_payload(image.to_payload())
    except Refused as refused:
        raise ImageProblem(refused.detail) from None
    return image


def signed(image: ImageFile, content: bytes, key: SigningKey) -> bytes:
    """The file."""
    return image_file.joined(envelope.sign(image.to_payload(), key.kid, key.sign), content)


def is_image(raw: bytes) -> bool:
    return raw[: len(image_file.MAGIC)] == image_file.MAGIC


def opened(raw: bytes) -> tuple[bytes, ImageFile]:
    """(envelope, manifest) of a file whose image is the one of its manifest. Refused."""
    envelope_raw, content = image_file.split(raw)
    _, payload, _ = envelope.split(envelope_raw)
    image = ImageFile.from_payload(payload)
    if len(content) != image.size or hashlib.sha256(content).digest() != image.digest:
        raise Refused("bad-package", "the image is not the one of its manifest (SHA-256)")
    return envelope_raw, image


def _target(text: str) -> tuple[str, list[str]]:
    model, _, prefixes = text.partition(":")
    return model, [prefix for prefix in prefixes.split(",") if prefix]


def _octets(text: str) -> bytes:
    try:
        return values.octets(text)
    except ValueError as error:
        raise ImageProblem("identifier: %s" % error) from None
