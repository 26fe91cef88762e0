"""Our side of `ami-bench dlms`, on either runtime.

`make(key)` gives what does the work of one row once, as a function without parameters whose result
`shown(key, result)` makes comparable with the row's `expected`. Run as a program it measures itself
(`micropython -m tools.bench.dlms_ours 5`: five rounds) and prints one line of JSON: operations a
second by row.
"""

from __future__ import annotations

import binascii
import hashlib
import json
import sys

from gateway.dlms import apdu
from gateway.dlms.data import axdr
from gateway.dlms.hdlc import frames as hdlc_frames
from gateway.dlms.protection.keyring import Keys
from gateway.dlms.protection.security import Ciphering
from tools.bench import dlms_work as work
from tools.bench.rounds import measure

if sys.implementation.name == "micropython":
    from hal.micropython.crypto import SystemCrypto
else:
    from hal.cpython.crypto import SystemCrypto

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

NAME = "ami"


def shown(key: str, result: Any) -> Any:
    if key == "ciphering":
        return ciphered_shown(*result)
    return result


def ciphered_shown(ciphered: bytes, plain: bytes) -> Any:
    """The envelope, a digest of the whole, and the plaintext found again."""
    digest = binascii.hexlify(hashlib.sha256(ciphered).digest()).decode()
    return bytes(ciphered[: len(work.CIPHERED_HEAD)]), digest, bytes(plain)


def make(key: str) -> Callable[[], Any]:
    made: Callable[[], Any] = _MAKERS[key]()
    return made


def _get_request() -> Callable[[], bytes]:
    def run() -> bytes:
        return apdu.GetRequest(
            work.INVOKE, work.PROFILE_CLASS, work.PROFILE_NAME, work.BUFFER
        ).encode()

    return run


def _get_response() -> Callable[[], Any]:
    def run() -> Any:
        return axdr.values(apdu.decode(work.GET_RESPONSE).data)

    return run


def _profile() -> Callable[[], Any]:
    def run() -> Any:
        return axdr.values(work.PROFILE)

    return run


def _ciphering() -> Callable[[], tuple[bytes, bytes]]:
    crypto = SystemCrypto()
    last = work.COUNTER - 1

    def next_counter() -> int:
        nonlocal last
        last += 1
        return last

    meter = Ciphering(crypto, Keys(work.METER_TITLE, work.EK, work.AK), next_counter)
    client = Ciphering(
        crypto, Keys(work.CLIENT_TITLE, work.EK, work.AK), next_counter, work.METER_TITLE
    )

    def run() -> tuple[bytes, bytes]:
        ciphered = meter.protect(work.PLAIN)
        return ciphered, client.unprotect(ciphered)

    return run


def _hdlc() -> Callable[[], tuple[bytes, bytes]]:
    client = hdlc_frames.client_address(work.CLIENT_SAP)
    server = hdlc_frames.server_address(work.SERVER_SAP)

    def run() -> tuple[bytes, bytes]:
        frame = hdlc_frames.encode(client, server, work.CONTROL, work.INFORMATION)
        return frame, hdlc_frames.decode(frame).information

    return run


def _image_block() -> Callable[[], bytes]:
    def run() -> bytes:
        number = (axdr.DOUBLE_LONG_UNSIGNED, work.BLOCK_NUMBER)
        data = axdr.encode((axdr.STRUCTURE, [number, (axdr.OCTET_STRING, work.BLOCK)]))
        return apdu.ActionRequest(
            work.INVOKE, work.IMAGE_CLASS, work.IMAGE_NAME, work.BLOCK_TRANSFER, data
        ).encode()

    return run


_MAKERS: dict[str, Any] = {
    "get-request": _get_request,
    "get-response": _get_response,
    "profile": _profile,
    "ciphering": _ciphering,
    "hdlc": _hdlc,
    "image-block": _image_block,
}


def main(rounds: int) -> dict[str, object]:
    """The speeds by row, after every row's work has been found right."""
    speeds = {}
    for row in work.ROWS:
        if shown(row.key, make(row.key)()) != row.expected:
            raise ValueError("%s: the work is not done right" % row.key)
        speeds[row.key] = measure([make(row.key)], rounds)[0].record()
    version = ".".join([str(part) for part in sys.implementation.version[:3]])
    return {"runtime": "MicroPython " + version, "speeds": speeds}


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]))))
