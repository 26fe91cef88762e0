"""From a frame that a host once wrote back to what its driver was told: a field trace has bytes,
and no calls."""

from __future__ import annotations

from typing import Any

from gateway.dlms.errors import DlmsError
from hal.modem import dlmsotcp, usi
from hal.modem.mam import frames as mam_frames
from hal.modem.prime import api
from hal.modem.wmbus import amber_frames, hci, wmbus
from tools.sniff import framing, plc, radio
from tools.sniff.frame import Decoded, Raw
from tools.sniff.lines import WrapperLine
from tools.sniff.prime import Nodes

Call = list[Any]

FORMATS = {
    "prime-usi": framing.USI,
    "meters-and-more": framing.USI,
    "dlms-o-tcp": framing.WRAPPER,
    "imst": framing.IMST,
    "amber": framing.AMBER,
}


class Trace:
    """What a trace has said so far: who has which number. Frames of the driver `name`; ValueError
    where they are unknown."""

    def __init__(self, name: str) -> None:
        if name not in FORMATS:
            raise ValueError(
                "no trace of %s can be read: tools/sniff does not know its frames" % name
            )
        self.format = FORMATS[name]
        self._nodes = Nodes()
        self._wrapper = WrapperLine()

    def decode(self, raw: Raw, outward: bool) -> Decoded:
        """Notes nodes that come and go."""
        if raw.damage:
            return Decoded([], outward, None, raw.damage)
        if self.format == framing.USI:
            return plc.decode(raw.data, self._nodes)
        if self.format == framing.IMST:
            return radio.imst(raw.data)
        if self.format == framing.AMBER:
            return radio.module(raw.data, False)
        return self._wrapper.decode(raw.data, outward)

    def describe(self, raw: Raw) -> str:
        try:
            layers = self.decode(raw, True).layers
        except DlmsError as error:
            return str(error)
        return " | ".join(layer.text for layer in layers) or "%s: %s" % (raw.damage, raw.why)

    def order(self, raw: Raw) -> Call | None:
        """The call that makes a driver write this frame; None where there is none."""
        if raw.damage:
            return None
        carried = self.decode(raw, True).carried
        if carried is not None:
            return ["send", carried.peer, carried.client, carried.server, carried.apdu.hex()]
        if self.format == framing.IMST:
            return _imst(raw.data)
        if self.format == framing.AMBER:
            return _amber(raw.data)
        if self.format == framing.WRAPPER:
            return self._over_tcp(raw.data)
        protocol, data = raw.data[1] & 0x3F, raw.data[2 : -usi.crc_size(raw.data[1] & 0x3F)]
        if not data:
            return None
        if protocol == usi.PRIME_GET_QUERY_ENHANCED:
            return ["discover"]
        if protocol == usi.PRIME_API:
            return self._prime(data)
        return _mam(data) if protocol == usi.METERS_AND_MORE else None

    def _prime(self, data: bytes) -> Call | None:
        command = data[0] & 0x7F
        if command in (api.MLME_GET_REQUEST, api.MLME_LIST_GET_REQUEST):
            return ["get", data[1:3].hex()]
        if command == api.MLME_SET_REQUEST:
            return ["set", data[1:3].hex(), data[4:].hex()]
        if command == api.MLME_RESET_REQUEST:
            return ["reset"]
        if command == api.CL432_RELEASE_REQUEST:
            return ["kick", self._nodes.peer(int.from_bytes(data[1:3], "big"))]
        return None

    def _over_tcp(self, frame: bytes) -> Call | None:
        if frame[8] == dlmsotcp.ENABLE:
            return ["reset"]
        number = int.from_bytes(frame[9:11], "big")
        return ["kick", self._wrapper.nodes.peer(number)] if frame[8] == dlmsotcp.DELETE else None


def _mam(data: bytes) -> Call | None:
    command = data[0] & 0x7F
    if command in (mam_frames.GET_REQUEST, mam_frames.SET_REQUEST):
        number, index = int.from_bytes(data[1:5], "big"), int.from_bytes(data[5:7], "big")
        name = "%x.%d" % (number, index)
        if command == mam_frames.GET_REQUEST:
            return ["get", name]
        return ["set", name, data[8:].hex()]
    return ["discover"] if command == mam_frames.DATA_REQUEST else None


def _imst(frame: bytes) -> Call | None:
    if frame[1] & 0x0F != hci.DEVICE:
        return None
    payload = frame[4 : 4 + frame[3]]
    calls: dict[int, Call] = {
        hci.GET_CONFIG_REQUEST: ["get", "config"],
        hci.DEVICE_INFO_REQUEST: ["get", "info"],
        hci.SET_CONFIG_REQUEST: ["set", "config", payload.hex()],
        hci.RESET_REQUEST: ["reset"],
    }
    return calls.get(frame[2])


def _amber(frame: bytes) -> Call | None:
    data = frame[3:-1]
    calls: dict[int, Call] = {
        amber_frames.RESET: ["reset"],
        amber_frames.SERIAL_NUMBER: ["get", "serial"],
        amber_frames.FIRMWARE: ["get", "firmware"],
        amber_frames.RSSI: ["get", "rssi"],
        amber_frames.SET_MODE: ["set", "mode", data.hex()],
        amber_frames.SET_CHANNEL: ["set", "channel", data.hex()],
        amber_frames.FACTORY_RESET: ["set", "factory", ""],
    }
    if frame[1] in (amber_frames.GET, amber_frames.SET) and len(data) >= 2:
        place = "%02x.%02x" % (data[0], data[1])
        return ["get", place] if frame[1] == amber_frames.GET else ["set", place, data[2:].hex()]
    return calls.get(frame[1])


def likeness(name: str, raw: Raw) -> bytes:
    """What two frames have to have in common to be the same: all of it, but for the access number
    of wireless M-Bus, which counts on from one life of a gateway to the next, and its check
    sequence."""
    data = raw.data
    if raw.damage or name not in ("imst", "amber"):
        return data
    start = 4 if name == "imst" else 3
    if name == "imst":
        is_frame = data[1] & 0x0F == hci.RADIO and data[2] == hci.SEND_REQUEST
        end = len(data) - 2
    else:
        is_frame = data[1] == amber_frames.DATA
        end = len(data) - 1
    access = start + wmbus.LINK + 1 + 8
    if not is_frame or end <= access or data[start + wmbus.LINK] != wmbus.CI_TO_METER_LONG:
        return data
    return data[:access] + data[access + 1 : end]
