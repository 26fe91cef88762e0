"""Frames of IMST and Amber modules, and wireless M-Bus inside them."""

from __future__ import annotations

from hal.modem.wmbus import amber_frames as amber
from hal.modem.wmbus import hci, wmbus
from tools.sniff.frame import Carried, Decoded, Layer, Part

_DEVICE = {
    1: "ping.request", 2: "ping.response", 3: "set-config.request", 4: "set-config.response",
    5: "get-config.request", 6: "get-config.response", 7: "reset.request", 8: "reset.response",
    15: "info.request", 16: "info.response",
}  # fmt: skip
_RADIO = {1: "send.request", 2: "send.response", 3: "indication", 4: "send-from-CI.request"}
_AMBER = {
    amber.DATA: "data", amber.DATA_INDICATION: "indication", amber.SET_MODE: "set mode",
    amber.RESET: "reset", amber.SET_CHANNEL: "set channel", amber.SET: "set", amber.GET: "get",
    amber.SERIAL_NUMBER: "serial number", amber.FIRMWARE: "firmware", amber.RSSI: "RSSI",
    amber.FACTORY_RESET: "factory reset",
}  # fmt: skip
_KINDS = {0x40: "SND-NKE", 0x43: "SND-UD2", 0x44: "SND-NR", 0x46: "SND-IR", 0x47: "ACC-NR",
          0x48: "ACC-DMD", 0x53: "SND-UD", 0x00: "ACK", 0x06: "CNF-IR", 0x08: "RSP-UD",
          0x5A: "REQ-UD1", 0x5B: "REQ-UD2"}  # fmt: skip


def is_hci_message(endpoint: int, message: int) -> bool:
    return message in {hci.DEVICE: _DEVICE, hci.RADIO: _RADIO}.get(endpoint, {})


def is_amber_command(command: int) -> bool:
    return command & 0x7F in _AMBER


def imst(raw: bytes) -> Decoded:
    """A whole HCI frame."""
    control, endpoint, message, length = raw[1] >> 4, raw[1] & 0x0F, raw[2], raw[3]
    payload, tail = raw[4 : 4 + length], raw[4 + length :]
    names = {hci.DEVICE: _DEVICE, hci.RADIO: _RADIO}.get(endpoint, {})
    text = names.get(message, "endpoint %d message %02x" % (endpoint, message))
    parts = [Part("header", raw[:4], text), Part("payload", b"", "%d bytes" % length)]
    if control & hci.WITH_TIME:
        stamp = int.from_bytes(tail[:4], "little")
        parts.append(Part("time", tail[:4], "%d ms" % stamp))
        tail = tail[4:]
    if control & hci.WITH_RSSI:
        dbm = -100 + (tail[0] - 45) // 2
        text += " %d dBm" % dbm
        parts.append(Part("RSSI", tail[:1], "%d dBm" % dbm))
        tail = tail[1:]
    if control & hci.WITH_CRC:
        parts.append(Part("CRC", tail, "right"))
    line = Layer("IMST", text, parts)
    if endpoint == hci.RADIO and message in (hci.SEND_REQUEST, hci.INDICATION) and payload:
        outward = message == hci.SEND_REQUEST
        return _with(line, wireless(payload, outward))
    parts[1] = Part("payload", payload)
    known = message in names
    return Decoded([line], message % 2 == 1 and message != hci.INDICATION if known else None)


def module(raw: bytes, with_rssi: bool) -> Decoded:
    """A whole frame of an Amber module; `with_rssi`: it puts one behind what it received."""
    command, data = raw[1], raw[3:-1]
    confirm = command & amber.CONFIRM != 0
    text = _AMBER.get(command & 0x7F, "command %02x" % (command & 0x7F))
    text += " confirm" if confirm else ""
    parts = [Part("header", raw[:3], text), Part("data", b"", "%d bytes" % len(data))]
    checked = Part("XOR", raw[-1:], "right")
    if command in (amber.DATA, amber.DATA_INDICATION) and data:
        if with_rssi and command == amber.DATA_INDICATION:
            text += " %d dBm" % amber.dbm(data[-1])
            parts.append(Part("RSSI", data[-1:], "%d dBm" % amber.dbm(data[-1])))
            data = data[:-1]
        line = Layer("Amber", text, [*parts, checked])
        return _with(line, wireless(data, command == amber.DATA))
    parts[1] = Part("data", data)
    outward = not confirm and command != amber.DATA_INDICATION
    return Decoded([Layer("Amber", text, [*parts, checked])], outward)


def learn_rssi(raw: bytes) -> bool | None:
    """Whether an Amber module's frames come with their RSSI, if this confirm tells."""
    if raw[1] != amber.GET | amber.CONFIRM or len(raw) < 6:
        return None
    place = 5 + amber.RSSI_ENABLE - raw[3]
    return raw[place] == 1 if 5 <= place < len(raw) - 1 else None


def _with(line: Layer, inner: Decoded) -> Decoded:
    inner.layers.insert(0, line)
    return inner


def address_text(address: bytes) -> str:
    """Of 8 bytes on air: manufacturer's letters and number, as they stand on the meter."""
    code = int.from_bytes(address[:2], "little")
    letters = "".join(chr(64 + (code >> shift & 31)) for shift in (10, 5, 0))
    if not letters.isalpha():
        letters = address[:2].hex()
    return "%s %s" % (letters, address[5:1:-1].hex())


def wireless(frame: bytes, outward: bool) -> Decoded:
    """A link frame from the C-field on, without L-field and CRCs."""
    if len(frame) < wmbus.LINK + 1:
        text = "malformed: %d bytes are less than a link header" % len(frame)
        return Decoded([Layer("wM-Bus", text, [Part("bytes", frame)])], outward, None, "malformed")
    kind = _KINDS.get(frame[0], "C %02x" % frame[0])
    ci = frame[wmbus.LINK]
    sender = frame[1 : wmbus.LINK]
    parts = [
        Part("C", frame[:1], kind),
        Part("sender", sender, address_text(sender)),
        Part("CI", frame[9:10]),
    ]
    text = "%s from %s, CI %02x" % (kind, address_text(sender), ci)
    pairs = (
        (wmbus.CI_TO_METER_LONG, wmbus.CI_TO_METER_SHORT),
        (wmbus.CI_FROM_METER_LONG, wmbus.CI_FROM_METER_SHORT),
    )
    pair = next((pair for pair in pairs if ci in pair), None)
    if pair is None:
        parts.append(Part("content", frame[10:], "not DLMS"))
        return Decoded([Layer("wM-Bus", text + ", not DLMS", parts)], outward)
    try:
        telegram = wmbus.parse(frame, *pair)
    except ValueError as error:
        layer = Layer("wM-Bus", "malformed: %s" % error, parts)
        return Decoded([layer], outward, None, "malformed")
    assert telegram is not None  # its CI is one of the pair
    header = frame[10 : len(frame) - len(telegram.apdu) - wmbus.SAPS]
    saps = telegram.source_sap, telegram.destination_sap
    parts += [
        Part("header", header, "meter %s, access %d" % (telegram.address.hex(), telegram.access)),
        Part("SAPs", bytes(saps), "%d to %d" % saps),
        Part("APDU", b"", "%d bytes" % len(telegram.apdu)),
    ]
    to_meter = pair[0] == wmbus.CI_TO_METER_LONG
    peer = telegram.address.hex()
    text = "%s meter %s" % ("to" if to_meter else "from", peer)
    client, server = saps if to_meter else saps[::-1]
    carried = Carried(telegram.apdu, client, server, peer) if telegram.apdu else None
    return Decoded([Layer("wM-Bus", text, parts)], outward, carried)
