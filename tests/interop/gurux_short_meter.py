"""The gurux meter with short names: base names, object list, offsets of methods and values are
gurux's, the dispatch and the blocks (which gurux's Python cannot make) are here."""

from __future__ import annotations

from typing import Any

from gurux_dlms import GXByteBuffer
from gurux_dlms.AesGcmParameter import AesGcmParameter
from gurux_dlms.enums import Command, Conformance, ErrorCode
from gurux_dlms.GXCiphering import GXCiphering
from gurux_dlms.GXDLMS import GXDLMS
from gurux_dlms.GXDLMSLNParameters import GXDLMSLNParameters
from gurux_dlms.GXDLMSSNParameters import GXDLMSSNParameters
from gurux_dlms.internal._GXCommon import _GXCommon
from gurux_dlms.objects import GXDLMSAssociationShortName
from gurux_dlms.SingleReadResponse import SingleReadResponse
from gurux_dlms.ValueEventArgs import ValueEventArgs
from gurux_dlms.VariableAccessSpecification import VariableAccessSpecification

from tests.interop.gurux_meter import GuruxMeter

SHORT_SERVICES = (
    Conformance.READ
    | Conformance.WRITE
    | Conformance.UN_CONFIRMED_WRITE
    | Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ
    | Conformance.BLOCK_TRANSFER_WITH_SET_OR_WRITE
    | Conformance.MULTIPLE_REFERENCES
    | Conformance.PARAMETERIZED_ACCESS
)
CIPHERED = (0x25, 0x26, 0xDB)
REPLY_TO_HLS = 8
BLOCK_HEAD = 9


class ShortGuruxMeter(GuruxMeter):
    """As GuruxMeter. The objects stand at 0x0100, 0x0200 and so on. `plain_blocks`: the first block
    of a long value begins with the value itself, as gurux makes it, and not with the list of
    answers (Green Book)."""

    def __init__(self, *arguments: Any, plain_blocks: bool = False, **more: Any) -> None:
        more.setdefault("conformance", SHORT_SERVICES)
        super().__init__(*arguments, **more)
        self.settings.setUseLogicalNameReferencing(False)
        self.settings.proposedConformance = more["conformance"]
        self.plain_blocks = plain_blocks
        self.association = GXDLMSAssociationShortName()
        for number, each in enumerate(list(self.settings.objects), 1):
            each.shortName = 0x100 * number
            self.association.objectList.append(each)
        self.settings.objects.append(self.association)
        self._read = b""  # what of a long answer is still to be sent in blocks
        self._number = 0
        self._written = bytearray()

    def _answer(self, request: GXByteBuffer) -> bytes:
        tag = request.getUInt8(0)
        if tag in (Command.AARQ, Command.RELEASE_REQUEST):
            return bytes(super()._answer(request))
        self.requests.append(tag)
        if tag in CIPHERED:
            cipher = self.settings.cipher
            title = self.settings.sourceSystemTitle
            protection = AesGcmParameter(0, title, cipher.blockCipherKey, cipher.authenticationKey)
            request = GXByteBuffer(GXCiphering.decrypt(self.settings, protection, request))
            tag = request.getUInt8(0)
        request.position = 1
        answer = {5: self._on_read, 6: self._on_write}[tag](request)
        return self._sealed(answer)

    def _sealed(self, plain: bytes) -> bytes:
        cipher = self.settings.cipher
        if cipher is None or not cipher.security:
            return plain
        p = GXDLMSLNParameters(self.settings, 0, plain[0], 1, None, None, 0)
        return bytes(GXDLMS.cipher0(p, plain))

    # ------------------------------------------------------------ Read

    def _on_read(self, request: GXByteBuffer) -> bytes:
        count = _GXCommon.getObjectCount(request)
        answers = []
        for _ in range(count):
            choice = request.getUInt8()
            if choice == VariableAccessSpecification.BLOCK_NUMBER_ACCESS:
                assert request.getUInt16() == self._number, "another block is acknowledged"
                return self._block()
            name = request.getUInt16()
            selector, parameters = 0, None
            if choice == VariableAccessSpecification.PARAMETERISED_ACCESS:
                selector = request.getUInt8()
                parameters = self._data(request)
            answers.append(self._one_of(name, selector, parameters))
        assert request.position == len(request), "bytes left over"
        body = b"".join(
            b"\x00" + data if not error else bytes((1, error)) for error, data in answers
        )
        long = len(body) + 3 > self.settings.maxPduSize
        if not long and count == 1 and not answers[0][0]:
            return self._as_gurux_encodes(answers[0][1])
        counted = GXByteBuffer()
        _GXCommon.setObjectCount(count, counted)
        whole = bytes(counted.array()) + body
        if not long:
            return bytes((Command.READ_RESPONSE,)) + whole
        self._read, self._number = (body[1:] if self.plain_blocks else whole), 0
        return self._block()

    def _as_gurux_encodes(self, data: bytes) -> bytes:
        reply = GXByteBuffer()
        cipher, self.settings.cipher = self.settings.cipher, None  # it cannot cipher these
        interface, self.settings.interfaceType = self.settings.interfaceType, -1  # no LLC here
        try:
            p = GXDLMSSNParameters(
                self.settings,
                Command.READ_RESPONSE,
                1,
                SingleReadResponse.DATA,
                None,
                GXByteBuffer(data),
            )
            GXDLMS.getSNPdu(p, reply)
        finally:
            self.settings.cipher, self.settings.interfaceType = cipher, interface
        return bytes(reply.array())

    def _block(self) -> bytes:
        size = self.settings.maxPduSize - BLOCK_HEAD - 30
        part, self._read = self._read[:size], self._read[size:]
        self._number += 1
        head = GXByteBuffer(bytes((Command.READ_RESPONSE, 1, SingleReadResponse.DATA_BLOCK_RESULT)))
        head.setUInt8(0 if self._read else 1)
        head.setUInt16(self._number)
        _GXCommon.setObjectCount(len(part), head)
        return bytes(head.array()) + part

    def _one_of(self, name: int, selector: int, parameters: Any) -> tuple[int, bytes]:
        found, index, is_method = self._named(name)
        if is_method:
            returned = GXByteBuffer()
            assert found is self.association and index == REPLY_TO_HLS
            proof = self._prove(bytes(parameters))
            if proof is None:
                return int(ErrorCode.OTHER_REASON), b""
            returned.set(bytes((9, len(proof))) + proof)
            return 0, bytes(returned.array())
        if found is self.association and index == 2:
            event = ValueEventArgs(self.settings, found, index, 0, None)
            event.isSkipMaxPduSize = lambda: True  # gurux calls what it has not
            self.settings.count = self.settings.index = 0
            return 0, bytes(found.getObjects(self.settings, event))
        return self._value(found, index, selector, parameters)

    def _named(self, name: int) -> tuple[Any, int, bool]:
        """(object, index, whether it is a method); None for the object where there is none."""
        for each in self.settings.objects:
            offset = name - each.shortName
            if offset < 0 or offset % 8:
                continue
            if offset < 8 * each.getAttributeCount():
                return each, offset // 8 + 1, False
            first, count = [0], [0]
            GXDLMS.getActionInfo(each.objectType, first, count)
            if first[0] <= offset < first[0] + 8 * count[0]:
                return each, (offset - first[0]) // 8 + 1, True
        return None, 0, False

    # ------------------------------------------------------------ Write

    def _on_write(self, request: GXByteBuffer) -> bytes:
        count = _GXCommon.getObjectCount(request)
        names = []
        for _ in range(count):
            choice = request.getUInt8()
            if choice == VariableAccessSpecification.WRITE_DATA_BLOCK_ACCESS:
                return self._on_block(request)
            assert choice == VariableAccessSpecification.VARIABLE_NAME
            names.append(request.getUInt16())
        assert _GXCommon.getObjectCount(request) == count
        results = [self._assigned(name, self._data(request)) for name in names]
        assert request.position == len(request), "bytes left over"
        body = b"".join(b"\x00" if not result else bytes((1, result)) for result in results)
        return bytes((Command.WRITE_RESPONSE, count)) + body

    def _on_block(self, request: GXByteBuffer) -> bytes:
        last, number = request.getUInt8(), request.getUInt16()
        assert (request.getUInt8(), request.getUInt8()) == (1, 9), "not one octet-string"
        size = _GXCommon.getObjectCount(request)
        part = bytes(request.array()[request.position :])
        assert len(part) == size, "a block that says another length"
        if number == 1:
            self._written = bytearray()
        self._written += part
        if not last:
            return bytes((Command.WRITE_RESPONSE, 1, 2)) + number.to_bytes(2)
        return self._on_write(GXByteBuffer(bytes(self._written)))

    def _assigned(self, name: int, value: Any) -> int:
        found, index, is_method = self._named(name)
        if found is None:
            return int(ErrorCode.UNDEFINED_OBJECT)
        event = ValueEventArgs(self.settings, found, index, 0, value)
        if is_method:
            found.invoke(self.settings, event)
        else:
            event.value = value
            found.setValue(self.settings, event)
        return int(event.error)
