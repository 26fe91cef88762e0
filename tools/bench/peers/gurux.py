"""gurux-dlms at the work of `ami-bench dlms`, through the entrances it has for each: the client for
requests and answers, GXCiphering for glo, GXDLMS for HDLC frames."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gurux_dlms.AesGcmParameter import AesGcmParameter
from gurux_dlms.enums import (
    Authentication,
    Command,
    DataType,
    InterfaceType,
    Priority,
    Security,
    ServiceClass,
)
from gurux_dlms.GXByteBuffer import GXByteBuffer
from gurux_dlms.GXCiphering import GXCiphering
from gurux_dlms.GXDLMS import GXDLMS
from gurux_dlms.GXDLMSClient import GXDLMSClient
from gurux_dlms.GXReplyData import GXReplyData
from gurux_dlms.internal._GXCommon import _GXCommon
from gurux_dlms.objects import GXDLMSImageTransfer, GXDLMSProfileGeneric

from tools.bench import dlms_work as work
from tools.bench.dlms_ours import ciphered_shown

NAME = "gurux-dlms"


def shown(key: str, result: Any) -> Any:
    if key == "ciphering":
        return ciphered_shown(*result)
    if key == "profile":
        return [[bytes(row[0]), *row[1:]] for row in result]
    if key == "hdlc":
        frame, apdu = result
        return bytes(frame), work.INFORMATION[:3] + bytes(apdu)  # it takes the LLC off as well
    return bytes(result)


def make(key: str) -> Callable[[], Any]:
    return _MAKERS[key]()


def _client(interface: InterfaceType) -> GXDLMSClient:
    client = GXDLMSClient(
        True, work.CLIENT_SAP, work.SERVER_SAP, Authentication.NONE, None, interface
    )
    client.setPriority(Priority.HIGH)
    client.setServiceClass(ServiceClass.CONFIRMED)
    client.setInvokeID(work.INVOKE & 0x0F)
    return client


def _get_request() -> Callable[[], Any]:
    client = _client(InterfaceType.PDU)
    profile = GXDLMSProfileGeneric(".".join(str(part) for part in work.PROFILE_NAME))

    def run() -> Any:
        return client.read(profile, work.BUFFER)[0]

    return run


def _get_response() -> Callable[[], Any]:
    client = _client(InterfaceType.PDU)

    def run() -> Any:
        reply = GXReplyData()
        client.getData(GXByteBuffer(work.GET_RESPONSE), reply, None)
        return reply.value

    return run


def _profile() -> Callable[[], Any]:
    def run() -> Any:
        return GXDLMSClient.getValue(GXByteBuffer(work.PROFILE), False)

    return run


def _ciphering() -> Callable[[], Any]:
    settings = _client(InterfaceType.PDU).settings
    settings.cipher = GXCiphering(work.CLIENT_TITLE)
    counter = work.COUNTER - 1

    def parameters() -> AesGcmParameter:
        found = AesGcmParameter(Command.GLO_GET_RESPONSE, work.METER_TITLE, work.EK, work.AK)
        found.security = Security.AUTHENTICATION_ENCRYPTION
        found.settings = settings
        return found

    def run() -> Any:
        nonlocal counter
        counter += 1
        sent = parameters()
        sent.invocationCounter = counter
        ciphered = GXCiphering.encrypt(sent, work.PLAIN)
        return ciphered, GXCiphering.decrypt(settings, parameters(), GXByteBuffer(ciphered))

    return run


def _hdlc() -> Callable[[], Any]:
    meter = _client(InterfaceType.HDLC).settings
    meter.isServer = True
    meter.hdlc.maxInfoTX = len(work.INFORMATION) + 3  # it keeps 3 back, for an LLC that is in here
    client = _client(InterfaceType.HDLC).settings
    client.resetFrameSequence()
    client.getNextSend(True)  # the frame is the answer to its first one
    expecting = client.senderFrame, client.receiverFrame

    def run() -> Any:
        frame = GXDLMS.getHdlcFrame(meter, work.CONTROL, GXByteBuffer(work.INFORMATION))
        client.senderFrame, client.receiverFrame = expecting  # the same frame is new each time
        received = GXByteBuffer(frame)
        reply = GXReplyData()
        GXDLMS.getHdlcData(False, client, received, reply, None)
        GXDLMS.getDataFromFrame(received, reply, True)
        return frame, reply.data.array()

    return run


def _image_block() -> Callable[[], Any]:
    client = _client(InterfaceType.PDU)
    image = GXDLMSImageTransfer(".".join(str(part) for part in work.IMAGE_NAME))

    def run() -> Any:  # what its imageBlockTransfer does for each block
        data = GXByteBuffer()
        data.setUInt8(DataType.STRUCTURE)
        data.setUInt8(2)
        _GXCommon.setData(None, data, DataType.UINT32, work.BLOCK_NUMBER)
        _GXCommon.setData(None, data, DataType.OCTET_STRING, work.BLOCK)
        return client.method(image, work.BLOCK_TRANSFER, data, DataType.ARRAY)[0]

    return run


_MAKERS: dict[str, Callable[[], Callable[[], Any]]] = {
    "get-request": _get_request,
    "get-response": _get_response,
    "profile": _profile,
    "ciphering": _ciphering,
    "hdlc": _hdlc,
    "image-block": _image_block,
}
