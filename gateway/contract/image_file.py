"""An image file: firmware, or a vendor's configuration file, as the meter takes it, and the signed
manifest that says what it is.

    "AMIIMAGE"  length of the manifest (4, big-endian)  manifest  the image's octets

The manifest is a COSE_Sign1 envelope over the rule `image` of messages.cddl. The image stays on the
flash: a meter's blocks are read from there one by one.
"""

from __future__ import annotations

import hashlib

from gateway.contract import envelope
from gateway.contract.fields import Record, field, message
from gateway.contract.limits import MAX_IMAGE
from gateway.contract.package import TARGETS
from gateway.contract.refused import Refused
from gateway.contract.rules import DIGEST, octets, text, uint
from hal.rt import cbor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from hal.ports import Crypto, Storage

MAGIC = b"AMIIMAGE"
HEAD = len(MAGIC) + 4
MAX_MANIFEST = 8192
_PIECE = 4096

# how its blocks may travel: a property of the fleet it is made for
UNICAST = 0  # the meters take no broadcast
CLEAR = 1  # by broadcast, in clear
CIPHERED = 2  # by broadcast, under the fleet's broadcast key
DELIVERIES = ("unicast", "clear", "ciphered")


@message("image")
class ImageFile(Record):
    """`targets` as of a Package; `identifier` for image_transfer_initiate; `size` and `digest`
    (SHA-256) of the image; `firmware`: what a meter says it runs once the image is active;
    `delivery`: UNICAST, CLEAR or CIPHERED."""

    REASON = "bad-package"

    name: str = field(text(64, 1))
    version: str = field(text(32, 1))
    description: str = field(text(1024))
    targets: list[tuple[str, list[str]]] = field(TARGETS)
    identifier: bytes = field(octets(64, 1))
    size: int = field(uint(MAX_IMAGE, 1))
    digest: bytes = field(DIGEST)
    firmware: str = field(text(64, 1))
    delivery: int = field(uint(CIPHERED))

    # where it lies, once open() has proven it; no fields: the manifest does not say it
    _storage = None  # type: Storage | None
    _name = ""
    _offset = 0

    @classmethod
    def open(
        cls,
        storage: Storage,
        name: str,
        trust: Sequence[tuple[bytes, bytes]],
        crypto: Crypto,
    ) -> ImageFile:
        """The file `name` of the storage, proven: a key of `trust` signed the manifest, and the
        image is the one it describes. Refused `bad-package`, `unknown-signer`, `bad-signature`."""
        length = _manifest_length(storage.read(name, 0, HEAD))
        signed = storage.read(name, HEAD, length)
        image = cls.from_payload(envelope.verify_package(signed, trust, crypto))
        image._storage, image._name, image._offset = storage, name, HEAD + length
        size = storage.size(name) - image._offset
        if size != image.size:
            raise Refused("bad-package", "an image of %d octets, came %d" % (image.size, size))
        state = hashlib.sha256()
        for offset in range(0, size, _PIECE):
            state.update(image.block(offset // _PIECE, _PIECE))
        if state.digest() != image.digest:
            raise Refused("bad-package", "the image is not the one of its manifest (SHA-256)")
        return image

    @classmethod
    def from_payload(cls, payload: bytes) -> ImageFile:
        """The manifest inside the envelope. Refused `bad-package`."""
        return cls.of_octets(payload)

    def to_payload(self) -> bytes:
        """The CBOR that goes into the envelope."""
        return cbor.encode(self.to_array())

    def block(self, number: int, size: int) -> bytes:
        """Block `number` (from 0) of the image cut into blocks of `size` octets. OSError when the
        flash does not give it."""
        start = number * size
        length = min(size, self.size - start)
        if length <= 0 or self._storage is None:
            raise ValueError("block %d of %d octets is beyond the image" % (number, size))
        data = self._storage.read(self._name, self._offset + start, length)
        if len(data) != length:
            raise OSError("%s is shorter than it was" % self._name)
        return data


def _manifest_length(head: bytes) -> int:
    length = int.from_bytes(head[len(MAGIC) :], "big")
    if head[: len(MAGIC)] != MAGIC or len(head) != HEAD or not 0 < length <= MAX_MANIFEST:
        raise Refused("bad-package", "no image file; `ami-package image` makes one")
    return length


def split(raw: bytes) -> tuple[bytes, bytes]:
    """The signed manifest and the image of a file. Refused `bad-package`."""
    start = HEAD + _manifest_length(raw[:HEAD])
    return raw[HEAD:start], raw[start:]


def joined(signed: bytes, image: bytes) -> bytes:
    """The file of a signed manifest and its image."""
    return MAGIC + len(signed).to_bytes(4, "big") + signed + image
