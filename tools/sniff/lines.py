"""The DLMS wrapper of TCP and UDP, DLMSoTCP behind the same header, and HDLC frames."""

from __future__ import annotations

from collections import OrderedDict

from gateway.dlms.errors import ProtocolError
from gateway.dlms.hdlc import frames as hdlc_frames
from hal.modem import dlmsotcp, wrapper
from tools.sniff import prime
from tools.sniff.frame import Carried, Decoded, Layer, Part
from tools.sniff.tags import direction, is_apdu

_LONGEST = 1 << 16  # bytes of an APDU put together from segments
_MOST = 64  # of these at once


class WrapperLine:
    """A connection, or a flow of datagrams. Once messages of a PRIME base node have been seen, the
    server's SAP is a node's number."""

    def __init__(self) -> None:
        self.nodes = prime.Nodes()
        self._over_tcp = False
        self._clients: OrderedDict[int, None] = OrderedDict()  # SAPs that asked something

    def decode(self, raw: bytes, outward: bool | None) -> Decoded:
        """One message. `outward`: as far as the source knows."""
        source = int.from_bytes(raw[2:4], "big")
        destination = int.from_bytes(raw[4:6], "big")
        body = raw[wrapper.HEADER :]
        parts = [
            Part("version", raw[:2]),
            Part("source", raw[2:4], str(source)),
            Part("destination", raw[4:6], str(destination)),
            Part("length", raw[6:8], str(len(body))),
        ]
        line = Layer("wrapper", "%d to %d" % (source, destination), parts)
        if (source, destination) in (
            (dlmsotcp.CONCENTRATOR, dlmsotcp.BASE_NODE),
            (dlmsotcp.BASE_NODE, dlmsotcp.CONCENTRATOR),
        ):
            try:
                inner = prime.over_tcp(body, self.nodes)
            except ValueError as error:
                layer = Layer("DLMSoTCP", "malformed: %s" % error)
                return Decoded([line, layer], outward, None, "malformed")
            self._over_tcp = True
            inner.layers.insert(0, line)
            return inner
        if outward is None:
            outward = direction(body)
        if outward is None and source != destination:
            if source in self._clients:
                outward = True
            elif destination in self._clients:
                outward = False
        client, server = (destination, source) if outward is False else (source, destination)
        if outward is not None:
            self._clients[client] = None
            if len(self._clients) > _MOST:
                self._clients.popitem(last=False)
        if self._over_tcp:
            everybody = server == dlmsotcp.BROADCAST_NODE
            peer = "broadcast" if everybody else self.nodes.peer(server)
            line.text = "%d to %s" if outward else "%d from %s"
            line.text %= (client, "all" if everybody else self.nodes.text(server))
            server = 0 if everybody else dlmsotcp.SERVER_SAP
            return Decoded([line], outward, Carried(body, client, server, peer))
        return Decoded([line], outward, Carried(body, client, server))


_CONTROL = ("RR", "RNR", "REJ", "I")
_COMMANDS = (hdlc_frames.SNRM, hdlc_frames.DISC)
_RESPONSES = (hdlc_frames.UA, hdlc_frames.DM, hdlc_frames.FRMR)
_LLC = {b"\xe6\xe6\x00": True, b"\xe6\xe7\x00": False}
# Of FRMR (ISO/IEC 13239, 5.5.3.4.2): bits of its third octet
_REASONS = {
    0x01: "W: the control field is not known or not allowed",
    0x02: "X: information where none is allowed",
    0x04: "Y: the information is longer than agreed",
    0x08: "Z: N(R) is not right",
}


class HdlcLine:
    """A line with HDLC: I frames' segments are put together."""

    def __init__(self) -> None:
        self._segments: OrderedDict[tuple[bytes, bytes], bytearray] = OrderedDict()
        self._clients: OrderedDict[bytes, None] = OrderedDict()  # addresses, as in frames

    def decode(self, raw: bytes, outward: bool | None) -> Decoded:
        """One frame with its flags, whose check sequences are right."""
        try:
            frame = hdlc_frames.decode(raw)
        except ProtocolError as error:
            return Decoded([Layer("HDLC", str(error))], outward, None, "malformed")
        information = bytes(frame.information)
        if outward is None:
            outward = self._direction(frame, information)
        name = frame.name
        if frame.kind in (hdlc_frames.INFORMATION, hdlc_frames.RR, hdlc_frames.RNR):
            name += " N(R)=%d" % (frame.control >> 5)
        if frame.kind == hdlc_frames.INFORMATION:
            name += " N(S)=%d" % (frame.control >> 1 & 7)
        if frame.segmented:
            name += ", a segment"
        after = 3 + len(frame.destination) + len(frame.source)
        parts = [
            Part("flag, format", raw[:3], "%d bytes" % (len(raw) - 2)),
            Part("destination", frame.destination, _address(frame.destination)),
            Part("source", frame.source, _address(frame.source)),
            Part("control", raw[after : after + 1], name + (", P/F" if frame.poll else "")),
        ]
        if information:
            parts.append(Part("HCS", raw[after + 1 : after + 3], "right"))
            parts.append(Part("information", b"", "%d bytes" % len(information)))
        parts.append(Part("FCS, flag", raw[-3:], "right"))
        ways = _address(frame.source), _address(frame.destination)
        line = Layer("HDLC", "%s %s to %s" % (name, *ways), parts)
        if frame.kind == hdlc_frames.FRMR and len(information) >= 3:
            line.text += _rejected(information)
            parts.append(Part("rejected", information, _rejected(information).strip(", ")))
        if frame.kind not in (hdlc_frames.INFORMATION, hdlc_frames.UI):
            return Decoded([line], outward)
        whole = self._whole(frame, information)
        if whole is None:
            return Decoded([line], outward)
        return self._carried(frame, whole, outward, line)

    def _carried(
        self, frame: hdlc_frames.Frame, whole: bytes, outward: bool | None, line: Layer
    ) -> Decoded:
        """The APDU behind its LLC header. There are meters that send that header twice, and others
        that send it with the first of several general blocks only."""
        llc = _LLC.get(whole[:3])
        apdu = whole
        while _LLC.get(apdu[:3]) is not None:
            way = "command" if apdu[:3] == b"\xe6\xe6\x00" else "response"
            line.parts.append(Part("LLC", apdu[:3], way))
            apdu = apdu[3:]
        if llc is None and not is_apdu(apdu):
            line.parts.append(Part("LLC", whole[:3], "none that DLMS has"))
            return Decoded([line], outward)
        if llc is not None:
            outward = llc
        elif outward is None:
            outward = direction(apdu) or False  # a push: nobody else speaks first
        client, server = frame.source, frame.destination
        if not outward:
            client, server = server, client
        carried = Carried(apdu, _upper(client), _upper(server), "physical %d" % _lower(server))
        return Decoded([line], outward, carried)

    def _direction(self, frame: hdlc_frames.Frame, information: bytes) -> bool | None:
        outward: bool | None = _LLC.get(information[:3])
        if outward is None and frame.kind in _COMMANDS:
            outward = True
        if outward is None and frame.kind in _RESPONSES:
            outward = False
        if outward is not None:
            self._clients[frame.source if outward else frame.destination] = None
            if len(self._clients) > _MOST:
                self._clients.popitem(last=False)
        elif frame.source in self._clients:
            outward = True
        elif frame.destination in self._clients:
            outward = False
        return outward

    def _whole(self, frame: hdlc_frames.Frame, information: bytes) -> bytes | None:
        """The information once its last segment is there."""
        key = frame.destination, frame.source
        begun = self._segments.pop(key, bytearray())
        begun += information
        if not frame.segmented:
            return bytes(begun)
        if len(begun) <= _LONGEST:
            self._segments[key] = begun
            if len(self._segments) > _MOST:
                self._segments.popitem(last=False)
        return None


def _rejected(information: bytes) -> str:
    """What an FRMR says of the frame that it rejects."""
    reasons = [text for bit, text in _REASONS.items() if information[2] & bit]
    return ", of control %02x, reason %s" % (information[0], "; ".join(reasons) or "not told")


def _sevens(address: bytes) -> list[int]:
    return [byte >> 1 for byte in address]


def _upper(address: bytes) -> int:
    bits = _sevens(address)
    return bits[0] << 7 | bits[1] if len(bits) == 4 else bits[0]


def _lower(address: bytes) -> int:
    bits = _sevens(address)
    return bits[2] << 7 | bits[3] if len(bits) == 4 else bits[1] if len(bits) == 2 else 0


def _address(address: bytes) -> str:
    if len(address) == 1:
        return str(_upper(address))
    return "%d/%d" % (_upper(address), _lower(address))
