"""The wired M-Bus (EN 13757-2) with DLMS on it, as meters' customer ports send it.

68 | L | L | 68 | C | A | CI | user data | sum | 16, where L counts from C to the user data. A CI of
00 to 1F is the transport of EN 13757-1: sequence number in the low four bits, bit 4 in the last
segment, and behind it the SAPs of sender and receiver, STSAP and DTSAP. Any other CI is not DLMS.
"""

from __future__ import annotations

from collections import OrderedDict

from gateway.dlms import apdu
from gateway.dlms.data import axdr
from gateway.dlms.errors import DlmsError
from gateway.dlms.protection import envelope
from gateway.dlms.protection.tags import (
    GENERAL_CIPHERING_TAG,
    GENERAL_DED_TAG,
    GENERAL_GLO_TAG,
    GENERAL_SIGNING_TAG,
    PROTECTED,
)
from tools.sniff.frame import Carried, Decoded, Layer, Part
from tools.sniff.tags import direction

LONG = b"\x68"
STOP = 0x16
LEAST = 3  # L: C, A and CI
_LAST = 0x10
_SEQUENCE = 0x0F
_TRANSPORT = 0x1F
_LONGEST = 1 << 16  # bytes of an APDU put together from segments
_MOST = 64  # of these at once
_ACKNOWLEDGED = 0xE5
_SHORT = 0x10
_KINDS = {
    0x40: "SND-NKE", 0x53: "SND-UD", 0x73: "SND-UD", 0x08: "RSP-UD", 0x18: "RSP-UD",
    0x28: "RSP-UD", 0x38: "RSP-UD", 0x5A: "REQ-UD1", 0x7A: "REQ-UD1", 0x5B: "REQ-UD2",
    0x7B: "REQ-UD2",
}  # fmt: skip
_ADDRESSES = {0xFD: "by secondary address", 0xFE: "to all, answered", 0xFF: "to all"}

Ends = tuple[int, int, int]  # A, STSAP, DTSAP


def begins(data: bytes) -> bool:
    """Whether a long frame does, of a kind that there is; `data` has its start and C."""
    return data[3:4] == LONG and data[1] == data[2] >= LEAST and data[4] in _KINDS


class MbusLine:
    """A line whose segments are put together."""

    def __init__(self) -> None:
        self._segments: OrderedDict[Ends, tuple[int, bytes]] = OrderedDict()

    def decode(self, raw: bytes) -> Decoded:
        """A long frame whose sum is right."""
        control, address, ci, data = raw[4], raw[5], raw[6], raw[7:-2]
        kind = _KINDS.get(control, "C %02x" % control)
        text = "%s %s, CI %02x" % (kind, _address(address), ci)
        parts = [
            Part("start, L", raw[:4], "%d bytes" % raw[1]),
            Part("C", raw[4:5], kind),
            Part("A", raw[5:6], _address(address)),
        ]
        line = Layer("wired M-Bus", text, parts)
        if ci > _TRANSPORT or len(data) < 2:
            line.text += ", not DLMS"
            parts += [Part("CI", raw[6:7], "not DLMS"), Part("content", data)]
            return Decoded([line])
        number = ci & _SEQUENCE
        place = "segment %d%s" % (number, ", the last" if ci & _LAST else "")
        parts += [
            Part("CI", raw[6:7], place),
            Part("STSAP, DTSAP", data[:2], "%d to %d" % (data[0], data[1])),
            Part("segment", b"", "%d bytes" % (len(data) - 2)),
            Part("sum, stop", raw[-2:], "right"),
        ]
        line.text = "%s %s, %d to %d" % (kind, _address(address), data[0], data[1])
        ends = address, data[0], data[1]
        whole = self._whole(ends, number, ci & _LAST != 0, data[2:], line)
        if whole is None:
            return Decoded([line])
        outward = direction(whole)
        client, server = (data[0], data[1]) if outward else (data[1], data[0])
        peer = "M-Bus %d" % address if address not in _ADDRESSES else ""
        return Decoded([line], outward, Carried(whole, client, server, peer))

    def _whole(self, ends: Ends, number: int, last: bool, data: bytes, line: Layer) -> bytes | None:
        """The APDU, once it is there. There are meters that do not mark the last segment where it
        is the only one."""
        due, begun = self._segments.pop(ends, (0, b""))
        if number == 0:
            due, begun = 0, b""
        if number or not last:
            line.text += ", segment %d" % number
        if number != due:
            line.text += " of an APDU whose beginning is missing"
            return None
        begun += data
        if last or (number == 0 and is_whole(begun)):
            return begun
        if len(begun) <= _LONGEST:
            self._segments[ends] = (number + 1) & _SEQUENCE, begun
            if len(self._segments) > _MOST:
                self._segments.popitem(last=False)
        return None


def is_whole(data: bytes) -> bool:
    """Whether an APDU that tells where it ends, as pushes do, ends here."""
    try:
        if data[0] == GENERAL_CIPHERING_TAG:
            return bool(envelope.ciphering_parts(data))
        if data[0] == GENERAL_SIGNING_TAG:
            return bool(envelope.signing_parts(data))
        if data[0] in PROTECTED:
            titled = data[0] in (GENERAL_GLO_TAG, GENERAL_DED_TAG)
            at = axdr.bytes_at(data, 1)[1] if titled else 1
            return axdr.bytes_at(data, at)[1] == len(data)
        decoded = apdu.decode(data)
        if isinstance(decoded, apdu.DataNotification):
            axdr.decode(decoded.data)
    except (DlmsError, ValueError, IndexError):
        return False
    return True


def short_frames(noise: bytes) -> str:
    """What stands between long frames: acknowledgements and short frames; "" for anything else."""
    words = []
    while noise:
        if noise[0] == _ACKNOWLEDGED:
            words.append("acknowledged")
            noise = noise[1:]
        elif noise[0] == _SHORT and len(noise) >= 5 and noise[4] == STOP:
            if (noise[1] + noise[2]) & 0xFF != noise[3]:
                return ""
            kind = _KINDS.get(noise[1], "C %02x" % noise[1])
            words.append("%s %s" % (kind, _address(noise[2])))
            noise = noise[5:]
        else:
            return ""
    return ", ".join(words)


def _address(address: int) -> str:
    return _ADDRESSES.get(address, "%d" % address)
