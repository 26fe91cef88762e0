"""The gurux client on one TCP connection."""

from __future__ import annotations

import asyncio
from typing import Any

from gurux_dlms import GXByteBuffer, GXDLMSClient, GXReplyData
from gurux_dlms.enums import Authentication, Conformance, InterfaceType, Security
from gurux_dlms.secure import GXDLMSSecureClient

from tests.interop.links import HOST

WAIT_S = 60


class Refused(Exception):
    """The meter answered with this error number."""


class GuruxClient:
    """`authentication` of gurux; `keys` (title, ek, ak) make it ciphered: by general-glo where
    `general` and the meter agrees, under the key `dedicated` where there is one."""

    def __init__(
        self,
        interface: int = InterfaceType.WRAPPER,
        client_sap: int = 16,
        authentication: int = Authentication.NONE,
        secret: bytes = b"",
        keys: tuple[bytes, bytes, bytes] | None = None,
        general: bool = False,
        dedicated: bytes = b"",
    ) -> None:
        dlms = GXDLMSSecureClient(True, client_sap, 1, authentication, secret or None, interface)
        if keys is not None:
            dlms.ciphering.security = Security.AUTHENTICATION_ENCRYPTION
            dlms.ciphering.systemTitle = keys[0]
            dlms.ciphering.blockCipherKey = bytearray(keys[1])
            dlms.ciphering.authenticationKey = bytearray(keys[2])
            dlms.ciphering.dedicatedKey = bytearray(dedicated) or None
        if not general:
            dlms.proposedConformance &= ~Conformance.GENERAL_PROTECTION
        self.dlms = dlms
        self.sent: list[bytes] = []
        # Gurux numbers the HDLC frames of a long value when it makes them. When it is refused
        # midway, the numbers of what was not sent are missing for good.
        self.spoilt = False

    def use(self, interface: int) -> None:
        """WRAPPER or HDLC, the latter to logical device 1 in physical device 17."""
        self.dlms.interfaceType = interface
        if interface == InterfaceType.HDLC:
            self.dlms.serverAddress = GXDLMSClient.getServerAddress(1, 17)
            self.dlms.serverAddressSize = 2

    async def open(self, port: int) -> None:
        """Connect, associate and authenticate."""
        self._reader, self._writer = await asyncio.open_connection(HOST, port)
        if self.dlms.interfaceType == InterfaceType.HDLC:
            self.dlms.parseUAResponse((await self.ask(self.dlms.snrmRequest())).data)
        self.dlms.parseAareResponse((await self.ask(self.dlms.aarqRequest())).data)
        if self.dlms.authentication > Authentication.LOW:
            reply = await self.ask(self.dlms.getApplicationAssociationRequest())
            self.dlms.parseApplicationAssociationResponse(reply.data)

    async def close(self) -> None:
        if not self.spoilt:
            await self.ask(self.dlms.releaseRequest())
        if self.dlms.interfaceType == InterfaceType.HDLC:
            await self.ask(self.dlms.disconnectRequest())
        self._writer.close()

    async def ask(self, messages: Any) -> GXReplyData:
        """Send each message and take its whole answer, through however many blocks or frames."""
        reply = GXReplyData()
        for message in messages if isinstance(messages, list) else [messages]:
            if isinstance(message, list):  # readList nests them
                reply = await self.ask(message)
                continue
            reply.clear()
            await self._exchange(bytes(message), reply)
            while reply.isMoreData():
                await self._exchange(bytes(self.dlms.receiverReady(reply)), reply)
        return reply

    async def _exchange(self, message: bytes, reply: GXReplyData) -> None:
        self.sent.append(message)
        self._writer.write(message)
        line = GXByteBuffer()
        while True:
            data = await asyncio.wait_for(self._reader.read(4096), WAIT_S)
            assert data, "the meter closed the connection"
            line.set(data)
            if self.dlms.getData(line, reply, GXReplyData()):
                break
        if reply.error:
            raise Refused(int(reply.error))

    async def read(self, item: Any, index: int) -> Any:
        """The attribute, as gurux understands it."""
        reply = await self.ask(self.dlms.read(item, index))
        return self.dlms.updateValue(item, index, reply.value)
