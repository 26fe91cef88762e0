"""dlms-cosem at the work of `ami-bench dlms`. Objects that hold for a whole association (target,
invoke id, addresses, security control) are made once, as its users would."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dlms_cosem import cosem, dlms_data, enumerations
from dlms_cosem.hdlc.address import HdlcAddress
from dlms_cosem.hdlc.frames import InformationFrame
from dlms_cosem.protocol.xdlms.action import ActionRequestNormal
from dlms_cosem.protocol.xdlms.get import GetRequestNormal, GetResponseNormal
from dlms_cosem.protocol.xdlms.invoke_id_and_priority import InvokeIdAndPriority
from dlms_cosem.security import SecurityControlField, decrypt, encrypt
from dlms_cosem.utils import parse_as_dlms_data

from tools.bench import dlms_work as work
from tools.bench.dlms_ours import ciphered_shown

NAME = "dlms-cosem"

_INVOKE = InvokeIdAndPriority(work.INVOKE & 0x0F, True, True)


def shown(key: str, result: Any) -> Any:
    if key == "ciphering":
        return ciphered_shown(*result)
    if key == "profile":
        return [[bytes(row[0]), *row[1:]] for row in result]
    if key == "hdlc":
        return tuple(map(bytes, result))
    return bytes(result)


def make(key: str) -> Callable[[], Any]:
    return _MAKERS[key]()


def _get_request() -> Callable[[], Any]:
    target = cosem.CosemAttribute(
        enumerations.CosemInterface(work.PROFILE_CLASS),
        cosem.Obis(*work.PROFILE_NAME),
        work.BUFFER,
    )

    def run() -> Any:
        return GetRequestNormal(target, _INVOKE).to_bytes()

    return run


def _get_response() -> Callable[[], Any]:
    def run() -> Any:
        return parse_as_dlms_data(GetResponseNormal.from_bytes(work.GET_RESPONSE).data)

    return run


def _profile() -> Callable[[], Any]:
    def run() -> Any:
        return parse_as_dlms_data(work.PROFILE)

    return run


def _ciphering() -> Callable[[], Any]:
    """It has no glo-ciphered APDUs, only what is in them; the envelope here is the least one."""
    control = SecurityControlField(0, authenticated=True, encrypted=True)
    before = work.CIPHERED_HEAD[:-4]
    head = len(work.CIPHERED_HEAD)
    counter = work.COUNTER - 1

    def run() -> Any:
        nonlocal counter
        counter += 1
        ciphered = (
            before
            + counter.to_bytes(4, "big")
            + encrypt(control, work.METER_TITLE, counter, work.EK, work.PLAIN, work.AK)
        )
        came = int.from_bytes(ciphered[head - 4 : head], "big")
        return ciphered, decrypt(control, work.METER_TITLE, came, work.EK, ciphered[head:], work.AK)

    return run


def _hdlc() -> Callable[[], Any]:
    client = HdlcAddress(work.CLIENT_SAP, None, "client")
    server = HdlcAddress(work.SERVER_SAP, None, "server")

    def run() -> Any:
        frame = InformationFrame(
            client, server, work.INFORMATION, receive_sequence_number=1
        ).to_bytes()
        return frame, InformationFrame.from_bytes(frame).payload

    return run


class _Octets(dlms_data.OctetStringData):  # type: ignore[misc]
    """Its own writes the length 200 as one byte; A-XDR wants 81 C8."""

    def to_bytes(self) -> bytes:
        return bytes((self.TAG, 0x81, len(self.value))) + bytes(self.value)


def _image_block() -> Callable[[], Any]:
    target = cosem.CosemMethod(
        enumerations.CosemInterface(work.IMAGE_CLASS),
        cosem.Obis(*work.IMAGE_NAME),
        work.BLOCK_TRANSFER,
    )

    def run() -> Any:
        data = dlms_data.DataStructure(
            [
                dlms_data.DoubleLongUnsignedData(work.BLOCK_NUMBER),
                _Octets(work.BLOCK),
            ]
        )
        return ActionRequestNormal(target, data.to_bytes(), _INVOKE).to_bytes()

    return run


_MAKERS: dict[str, Callable[[], Callable[[], Any]]] = {
    "get-request": _get_request,
    "get-response": _get_response,
    "profile": _profile,
    "ciphering": _ciphering,
    "hdlc": _hdlc,
    "image-block": _image_block,
}
