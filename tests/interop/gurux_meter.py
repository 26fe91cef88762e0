"""A meter made of gurux-dlms: its framing, APDU and A-XDR codecs, ciphering and COSEM objects.

GXDLMSServer itself does not run in Python (1.0.203: list(e) of an object, calls of methods that do
not exist, an AARE that does not encode when ciphered), so the services are dispatched here, over
the layers below it. Gurux does not check the tag of what it receives, nor its counter.
"""

from __future__ import annotations

import datetime
from typing import Any

from gurux_dlms import GXByteBuffer, GXDateTime, GXDLMSSettings, GXReplyData
from gurux_dlms._GXAPDU import _GXAPDU
from gurux_dlms.AesGcmParameter import AesGcmParameter
from gurux_dlms.ConnectionState import ConnectionState
from gurux_dlms.enums import (
    Authentication,
    Command,
    Conformance,
    DataType,
    ErrorCode,
    InterfaceType,
    ObjectType,
    RequestTypes,
    Security,
)
from gurux_dlms.GXCiphering import GXCiphering
from gurux_dlms.GXDLMS import GXDLMS
from gurux_dlms.GXDLMSLNParameters import GXDLMSLNParameters
from gurux_dlms.GXSecure import GXSecure
from gurux_dlms.internal._GXCommon import _GXCommon
from gurux_dlms.internal._GXDataInfo import _GXDataInfo
from gurux_dlms.ValueEventArgs import ValueEventArgs

WRAPPER = InterfaceType.WRAPPER
HDLC = InterfaceType.HDLC
REPLY_TO_HLS = (15, 1)
GLO_OR_DED = (0xC8, 0xC9, 0xCB, 0xD0, 0xD1, 0xD3, 0xDB, 0xDC)
UA = 0x73
UI = 0x13
PLAIN_SERVICES = (
    Conformance.BLOCK_TRANSFER_WITH_ACTION
    | Conformance.BLOCK_TRANSFER_WITH_SET_OR_WRITE
    | Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ
    | Conformance.SET
    | Conformance.SELECTIVE_ACCESS
    | Conformance.ACTION
    | Conformance.MULTIPLE_REFERENCES
    | Conformance.GET
)


class Cipher(GXCiphering):
    """Gurux's, which keeps its invocation counter over associations."""

    def __init__(self, title: bytes, ek: bytes, ak: bytes) -> None:
        super().__init__(title)
        self.blockCipherKey = bytearray(ek)
        self.authenticationKey = bytearray(ak)
        self.invocationCounter = 100


class GuruxMeter:
    """Bytes of the line in, bytes for the line out. One client at a time.

    `secret` is the LLS password or the secret of HLS 2, 3, 4 and 6. Without `cipher` only plain
    associations come about. `max_pdu` is what the meter says it takes, `max_info` its HDLC
    information field in bytes.
    """

    def __init__(
        self,
        interface: int,
        objects: list[Any],
        authentication: int = Authentication.NONE,
        secret: bytes = b"",
        cipher: Cipher | None = None,
        conformance: int = PLAIN_SERVICES,
        max_pdu: int = 1024,
        max_info: int = 128,
    ) -> None:
        settings = GXDLMSSettings(True, None)
        settings.interfaceType = interface
        settings.proposedConformance = conformance
        settings.maxServerPDUSize = max_pdu
        settings.cipher = cipher
        settings.hdlc.maxInfoTX = settings.hdlc.maxInfoRX = max_info
        for each in objects:
            settings.objects.append(each)
        self.settings = settings
        self.authentication = authentication
        self.secret = secret
        self.max_pdu = max_pdu
        self.requests: list[int] = []  # the first byte of each APDU that came, in order
        self._info = GXReplyData()
        self._line = GXByteBuffer()
        self._reply = GXByteBuffer()  # what of the answer is still to be framed
        self._get = GXByteBuffer()  # what of a GET's value is still to be sent in blocks
        self._put = bytearray()  # the blocks of a SET or ACTION that have come
        self._target: tuple[int, bytes, int] = (0, b"", 0)

    # ------------------------------------------------------------ the line

    def receive(self, data: bytes) -> list[bytes]:
        """Frames to send for what came."""
        self._line.set(data)
        out = []
        while self._frame():
            out += self._framed()
        return out

    def _frame(self) -> bool:
        """Whether a whole frame has come; its content is in self._info."""
        settings, info = self.settings, self._info
        if len(self._line) == 0:
            return False
        start = self._line.position
        if settings.interfaceType == WRAPPER:
            settings.clientAddress = settings.serverAddress = 0
            GXDLMS._GXDLMS__getTcpData(settings, self._line, info, None)
            if not info.complete:
                self._line.position = start
                return False
            end = info.packetLength
            GXDLMS.getDataFromFrame(self._line, info, False)
        else:
            info.frameId = GXDLMS.getHdlcData(True, settings, self._line, info, None)
            if not info.complete:
                self._line.position = start
                return False
            end = info.packetLength + 3
            GXDLMS.getDataFromFrame(self._line, info, True)
        rest = bytes(self._line.array()[end:])
        self._line.clear()
        self._line.set(rest)
        return True

    def _framed(self) -> list[bytes]:
        settings, info = self.settings, self._info
        if settings.interfaceType == WRAPPER:
            self._reply.clear()
            self._reply.set(self._taken())
            return [bytes(GXDLMS.getWrapperFrame(settings, 0, self._reply))]
        control = info.frameId
        if control in (Command.SNRM, Command.DISCONNECT_REQUEST):
            self._reply.clear()
            if control == Command.SNRM:
                GXDLMS.parseSnrmUaResponse(info.data, settings.hdlc)
                self._reply.set(self._parameters())
            self._forget()
            return [bytes(GXDLMS.getHdlcFrame(settings, UA, self._reply))]
        if control & 1:  # RR: the next segment of the answer, if there is one
            return [self._hdlc(settings.getNextSend(False))] if len(self._reply) else []
        if info.moreData & RequestTypes.FRAME:
            return [bytes(GXDLMS.getHdlcFrame(settings, settings.getReceiverReady(), None))]
        self._reply.clear()
        self._reply.set(self._taken())
        if self._reply.array()[:1] != b"\xe6":
            GXDLMS.addLLCBytes(settings, self._reply)
        return [self._hdlc(0)]

    def _taken(self) -> bytes:
        """The answer to the APDU that has come whole."""
        request = GXByteBuffer(self._info.data.array())
        self._forget()
        return bytes(self._answer(request))

    def _forget(self) -> None:
        self._info = GXReplyData()

    def _hdlc(self, control: int) -> bytes:
        return bytes(GXDLMS.getHdlcFrame(self.settings, control, self._reply))

    def _parameters(self) -> bytes:
        hdlc = self.settings.hdlc
        buffer = GXByteBuffer(b"\x81\x80\x00")
        for identifier, value in ((5, hdlc.maxInfoTX), (6, hdlc.maxInfoRX)):
            buffer.setUInt8(identifier)
            GXDLMS.appendHdlcParameter(buffer, value)
        for identifier, value in ((7, hdlc.windowSizeTX), (8, hdlc.windowSizeRX)):
            buffer.setUInt8(identifier)
            buffer.setUInt8(4)
            buffer.setUInt32(value)
        buffer.setUInt8(len(buffer) - 3, 2)
        return bytes(buffer.array())

    # ------------------------------------------------------------ association

    def _answer(self, request: GXByteBuffer) -> bytes:
        tag = request.getUInt8(0)
        self.requests.append(tag)
        if tag == Command.AARQ:
            return self._associate(request)
        if tag == Command.RELEASE_REQUEST:
            self.settings.connected = ConnectionState.NONE
            return b"\x63\x03\x80\x01\x00"
        if tag == Command.GENERAL_BLOCK_TRANSFER:
            return self._next_general_block(request)
        if tag in GLO_OR_DED:
            cipher = self.settings.cipher
            dedicated = tag in (0xD0, 0xD1, 0xD3, 0xDC)
            assert self.settings.connected or not dedicated, "a dedicated key before HLS is through"
            key = cipher.dedicatedKey if dedicated else cipher.blockCipherKey
            title = self.settings.sourceSystemTitle
            protection = AesGcmParameter(0, title, key, cipher.authenticationKey)
            request = GXByteBuffer(GXCiphering.decrypt(self.settings, protection, request))
            tag = request.getUInt8(0)
        request.position = 3
        kind, invoke = request.getUInt8(1), request.getUInt8(2)
        service = {0xC0: self._on_get, 0xC1: self._on_set, 0xC3: self._on_action}[tag]
        return service(request, kind, invoke)

    def _associate(self, request: GXByteBuffer) -> bytes:
        settings, cipher = self.settings, self.settings.cipher
        settings.connected = ConnectionState.NONE
        settings.authentication = Authentication.NONE
        settings.password = None
        if cipher is not None:
            cipher.dedicatedKey = None
            cipher.security = Security.NONE
        _GXAPDU.parsePDU(settings, cipher, request, None)
        settings.maxPduSize = min(settings.maxPduSize, self.max_pdu)
        same = settings.authentication == self.authentication
        if same and settings.authentication == Authentication.LOW:
            same = bytes(settings.password) == self.secret
        if not same:
            return self._aare(1, 13)
        if settings.authentication <= Authentication.LOW:
            settings.connected = ConnectionState.DLMS
            return self._aare(0, 0)
        settings.setStoCChallenge(bytearray(GXSecure.generateChallenge()))
        return self._aare(0, 14)

    def _aare(self, result: int, diagnostic: int) -> bytes:
        """Gurux's own generateAARE cannot encode a system title; the parts it has are taken."""
        settings, cipher = self.settings, self.settings.cipher
        body = GXByteBuffer()
        _GXAPDU.generateApplicationContextName(settings, body, cipher)
        body.set(bytes((0xA2, 3, 2, 1, result, 0xA3, 5, 0xA1, 3, 2, 1, diagnostic)))
        if cipher is not None:
            body.set(b"\xa4\x0a\x04\x08" + bytes(cipher.systemTitle))
        if settings.authentication > Authentication.LOW and result == 0:
            body.set(b"\x88\x02\x07\x80\x89\x07\x60\x85\x74\x05\x08\x02")
            body.setUInt8(settings.authentication)
            challenge = bytes(settings.stoCChallenge)
            body.set(bytes((0xAA, 2 + len(challenge), 0x80, len(challenge))) + challenge)
        if result == 0:
            initiate = bytes(_GXAPDU.getUserInformation(settings, cipher))
            if cipher is not None:
                cipher.invocationCounter += 1  # gurux forgets to
            body.set(bytes((0xBE, 2 + len(initiate), 4, len(initiate))) + initiate)
        content = bytes(body.array())
        return bytes((0x61, len(content))) + content

    def _prove(self, proof: bytes) -> bytes | None:
        """f(CtoS) for a right f(StoC)."""
        settings, cipher = self.settings, self.settings.cipher
        counter = 0
        theirs: Any = self.secret
        ours: Any = self.secret
        if settings.authentication == Authentication.HIGH_GMAC:
            theirs, ours = settings.sourceSystemTitle, cipher.systemTitle
            counter = int.from_bytes(proof[1:5], "big")
        elif settings.authentication == Authentication.HIGH_SHA256:
            # HLS 6: secret, own title, the other's, the challenge to answer, the own challenge
            client, meter = bytes(settings.sourceSystemTitle), bytes(cipher.systemTitle)
            to_meter, to_client = bytes(settings.ctoSChallenge), bytes(settings.stoCChallenge)
            theirs = self.secret + client + meter + to_client + to_meter
            ours = self.secret + meter + client + to_meter + to_client
        expected = GXSecure.secure(settings, cipher, counter, settings.stoCChallenge, theirs)
        if bytes(expected) != proof:
            return None
        settings.connected = ConnectionState.DLMS
        counter = cipher.invocationCounter if cipher is not None else 0
        answer = GXSecure.secure(settings, cipher, counter, settings.ctoSChallenge, ours)
        if cipher is not None:
            cipher.invocationCounter += 1
        return bytes(answer)

    # ------------------------------------------------------------ services

    def _find(self, request: GXByteBuffer) -> tuple[Any, int]:
        class_id = request.getUInt16()
        name = bytearray(6)
        request.get(name)
        index = request.getUInt8()
        self._target = (class_id, bytes(name), index)
        return self._object(class_id, bytes(name)), index

    def _object(self, class_id: int, name: bytes) -> Any:
        return self.settings.objects.findByLN(
            ObjectType(class_id), _GXCommon.toLogicalName(bytearray(name))
        )

    def _data(self, buffer: GXByteBuffer) -> Any:
        return _GXCommon.getData(self.settings, buffer, _GXDataInfo())

    def _value(self, found: Any, index: int, selector: int, parameters: Any) -> tuple[int, bytes]:
        """data-access-result and, if that is 0, the Data."""
        if found is None:
            return ErrorCode.UNDEFINED_OBJECT, b""
        event = ValueEventArgs(self.settings, found, index, selector, parameters)
        self.settings.count = self.settings.index = 0
        value = found.getValue(self.settings, event)
        if event.error:
            return event.error, b""
        if isinstance(value, GXByteBuffer):
            return 0, bytes(value.array())
        if event.byteArray or found.getDataType(index) == DataType.ARRAY:
            return 0, bytes(value)
        buffer = GXByteBuffer()
        GXDLMS.appendData(self.settings, found, index, buffer, value)
        return 0, bytes(buffer.array())

    def _on_get(self, request: GXByteBuffer, kind: int, invoke: int) -> bytes:
        if kind == 2:
            number = request.getUInt32()
            assert number == self.settings.blockIndex, "the client acknowledges another block"
            self.settings.increaseBlockIndex()
            return self._respond(Command.GET_RESPONSE, 2, invoke, self._get, ErrorCode.OK, True)
        self.settings.resetBlockIndex()
        self._get = GXByteBuffer()
        if kind == 1:
            result, data = self._one(request)
            self._get.set(data)
            return self._respond(Command.GET_RESPONSE, 1, invoke, self._get, result)
        count = request.getUInt8()
        self._get.setUInt8(count)
        for _ in range(count):
            result, data = self._one(request)
            self._get.set(bytes((1, result)) if result else b"\x00" + data)
        # gurux knows no blocks for a list: they are begun here, and go on as those of any GET
        long = len(self._get) + 30 > self.settings.maxPduSize
        status = ErrorCode.OK if long else 0xFF
        kind = 2 if long else 3
        return self._respond(Command.GET_RESPONSE, kind, invoke, self._get, status, long)

    def _one(self, request: GXByteBuffer) -> tuple[int, bytes]:
        found, index = self._find(request)
        selector, parameters = 0, None
        if request.getUInt8():
            selector = request.getUInt8()
            parameters = self._data(request)
        return self._value(found, index, selector, parameters)

    def _on_set(self, request: GXByteBuffer, kind: int, invoke: int) -> bytes:
        if kind in (1, 2):
            self._find(request)
            assert request.getUInt8() == 0, "selective access with SET"
        if kind == 1:
            result = self._write(bytes(request.array()[request.position :]))
            return self._respond(Command.SET_RESPONSE, 1, invoke, None, result)
        last, number = self._block(request, kind == 2)
        # gurux encodes no acknowledgement of a SET's last block
        if not last:
            return self._ciphered(bytes((0xC5, 2, invoke)) + number.to_bytes(4, "big"))
        result = self._write(bytes(self._put))
        return self._ciphered(bytes((0xC5, 3, invoke, result)) + number.to_bytes(4, "big"))

    def _block(self, request: GXByteBuffer, first: bool) -> tuple[bool, int]:
        last, number = request.getUInt8() != 0, request.getUInt32()
        size = _GXCommon.getObjectCount(request)
        data = bytes(request.array()[request.position :])
        assert len(data) == size, "a block that says another length"
        self._put = bytearray() if first else self._put
        self._put += data
        return last, number

    def _write(self, data: bytes) -> int:
        class_id, name, index = self._target
        found = self._object(class_id, name)
        if found is None:
            return int(ErrorCode.UNDEFINED_OBJECT)
        event = ValueEventArgs(self.settings, found, index, 0, None)
        event.value = self._data(GXByteBuffer(data))
        found.setValue(self.settings, event)
        return int(event.error)

    def _on_action(self, request: GXByteBuffer, kind: int, invoke: int) -> bytes:
        if kind in (1, 4):
            self._find(request)
        if kind == 1:
            return self._act(invoke, bytes(request.array()[request.position + 1 :]))
        last, number = self._block(request, kind == 4)
        if not last:
            return self._ciphered(bytes((0xC7, 4, invoke)) + number.to_bytes(4, "big"))
        return self._act(invoke, bytes(self._put))

    def _act(self, invoke: int, data: bytes) -> bytes:
        class_id, name, index = self._target
        parameters = self._data(GXByteBuffer(data)) if data else None
        answer: bytes | None = None
        result = 0
        if (class_id, index) == REPLY_TO_HLS:
            answer = self._prove(bytes(parameters))
            result = 0 if answer else int(ErrorCode.OTHER_REASON)
        else:
            found = self._object(class_id, name)
            event = ValueEventArgs(self.settings, found, index, 0, parameters)
            found.invoke(self.settings, event)
            result = int(event.error)
        returned = GXByteBuffer()
        if answer is None:
            returned.setUInt8(0)
        else:
            returned.set(b"\x01\x00")
            _GXCommon.setData(self.settings, returned, DataType.OCTET_STRING, answer)
        return self._respond(Command.METHOD_RESPONSE, 1, invoke, returned, result)

    def _respond(
        self,
        command: int,
        kind: int,
        invoke: int,
        data: GXByteBuffer | None,
        status: int,
        blocks: bool = False,
    ) -> bytes:
        """One APDU as gurux encodes, blocks and ciphers it."""
        self.settings.count = self.settings.index = 0
        p = GXDLMSLNParameters(self.settings, invoke, command, kind, None, data, status)
        p.multipleBlocks = blocks
        reply = GXByteBuffer()
        GXDLMS.getLNPdu(p, reply)
        return bytes(reply.array())

    def _next_general_block(self, request: GXByteBuffer) -> bytes:
        """The client has a block and asks for the next; gurux makes them, one at a time."""
        acknowledged = request.getUInt16(4)
        assert acknowledged == self.settings.blockIndex, "the client acknowledges another block"
        self.settings.increaseBlockIndex()
        self.settings.blockNumberAck = request.getUInt16(2)
        command = Command.GENERAL_BLOCK_TRANSFER
        return self._respond(command, 0, 0, self._get, ErrorCode.OK, True)

    def push(self, at: datetime.datetime, data: bytes) -> bytes:
        """A frame with a DataNotification, on the connection there is."""
        settings = self.settings
        body = GXByteBuffer(data)
        p = GXDLMSLNParameters(settings, 1, Command.DATA_NOTIFICATION, 0, None, body, 0xFF)
        p.time = GXDateTime(at)
        reply = GXByteBuffer()
        GXDLMS.getLNPdu(p, reply)
        if settings.interfaceType == WRAPPER:
            return bytes(GXDLMS.getWrapperFrame(settings, Command.DATA_NOTIFICATION, reply))
        return bytes(GXDLMS.getHdlcFrame(settings, UI, reply))

    def _ciphered(self, plain: bytes) -> bytes:
        cipher = self.settings.cipher
        if cipher is None or cipher.security == Security.NONE:
            return plain
        p = GXDLMSLNParameters(self.settings, 0, plain[0], 1, None, None, 0)
        return bytes(GXDLMS.cipher0(p, plain))
