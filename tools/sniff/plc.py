"""USI frames of all protocols, Meters and More (31), and what a PRIME sniffer hands over (13).

The layout of a sniffer's record is taken from the captured session (its 193 records fit it); the
headers in it are those of PRIME's MAC (PRIME 1.3.6, 4.4.2 and 4.4.3). Of the G3 protocols nothing
but the frame itself is in evidence."""

from __future__ import annotations

from datetime import UTC, datetime

from hal.modem import usi
from hal.modem.mam import frames as mam
from tools.sniff import prime
from tools.sniff.frame import Carried, Decoded, Layer, Part, Reader
from tools.sniff.prime import reader_name

_NAMES = {
    usi.PRIME_SNIFFER: "PRIME sniffer",
    0x1F: "sniffer",
    0x25: "G3 ADP",
    usi.PRIME_API: "PRIME API",
    usi.METERS_AND_MORE: "Meters and More",
}


def protocol_name(protocol: int) -> str:
    if protocol <= 0x07:
        return "management"
    return _NAMES.get(protocol, "G3")


def decode(raw: bytes, nodes: prime.Nodes) -> Decoded:
    """A good USI frame: header, data, CRC."""
    protocol = raw[1] & 0x3F
    checked = usi.crc_size(protocol)
    data = raw[2:-checked]
    if protocol in usi.LONG_PROTOCOLS and data:
        data = bytes((data[0] & 0x7F,)) + data[1:]
    line = Layer(
        "USI",
        "%02x %s" % (protocol, protocol_name(protocol)),
        [
            Part("length, protocol", raw[:2], "%d, %02x" % (len(data), protocol)),
            Part("data", b"", "%d bytes" % len(data)),
            Part("CRC", raw[-checked:], "right"),
        ],
    )
    try:
        inner = _inner(protocol, data, nodes)
    except ValueError as error:
        text = "malformed: %s" % error
        return Decoded([line, Layer(protocol_name(protocol), text)], damage="malformed")
    inner.layers.insert(0, line)
    return inner


def _inner(protocol: int, data: bytes, nodes: prime.Nodes) -> Decoded:
    if protocol == usi.PRIME_API:
        return prime.command(data, nodes)
    if protocol in (usi.PRIME_GET_QUERY_ENHANCED, usi.PRIME_GET_RESPONSE_ENHANCED) and data:
        return prime.node_list(data, nodes)
    if protocol == usi.METERS_AND_MORE:
        return meters_and_more(data)
    if protocol == usi.PRIME_SNIFFER and data[:1] == b"\x21":
        return sniffed(data)
    text = "%d bytes" % len(data)
    return Decoded([Layer(protocol_name(protocol), text, [Part("data", data)])])


# ---------------------------------------------------------------- Meters and More

_SERVICES = {mam.SEND: "send", mam.REQUEST: "request", mam.REQUEST_MANY: "request to many"}
_ATTRIBUTES = {
    mam.ADDRESS_REQUEST: "address.request",
    mam.ADDRESS_RESPONSE: "address.response",
    mam.TCT_SET_REQUEST: "threshold.set",
    mam.LOOK_REQUEST: "reqaddr.request",
    mam.LOOK_RESPONSE: "reqaddr.response",
    mam.ACKNOWLEDGE: "acknowledge",
}
_SENT = {mam.TX_OK: "ok", mam.TX_BUSY: "busy"}
_HAPPENED = {mam.EVENT_ACA: "came to nothing at", mam.EVENT_TIMEOUT: "nobody answered"}


def meters_and_more(data: bytes) -> Decoded:
    """Data of a frame of protocol 31. ValueError where it is cut short."""
    reader = Reader(data)
    command = reader.number("command")
    outward: bool | None = False
    carried = None
    if command == mam.DATA_REQUEST:
        text, carried = _mam_send(reader)
        outward = True
    elif command == mam.DATA_INDICATION:
        text, carried = _mam_indication(reader)
    elif command == mam.DATA_CONFIRM:
        to = _aca(reader.take("destination", 6))
        reader.number("DSAP")
        reader.number("ECC")
        text = "confirm %s: %s" % (to, reader_name(reader, "status", _SENT))
    elif command == mam.EVENT_INDICATION:
        text = "event: " + reader_name(reader, "event", _HAPPENED)
        value = reader.take("value", reader.number("length"))
        text += " %s" % value.hex() if value else ""
    elif command in (mam.SET_REQUEST, mam.GET_REQUEST):
        outward = True
        text = "%s parameter %s" % ("get" if command == mam.GET_REQUEST else "set", _place(reader))
        if command == mam.SET_REQUEST:
            text += ": %s" % reader.take("value", reader.number("length")).hex()
    elif command in (mam.SET_CONFIRM, mam.GET_CONFIRM):
        result = reader.number("result")
        text = "parameter %s: %s" % (_place(reader), "ok" if not result else "error %d" % result)
        if command == mam.GET_CONFIRM and reader.left:
            text += " %s" % reader.take("value", reader.number("length")).hex()
    elif command == mam.STATUS:
        error = reader.number("error")
        text = "not carried out: command %02x, error %d" % (reader.number("command"), error)
    else:
        outward = None
        text = "command %02x, %d bytes" % (command, len(data))
    if reader.left:
        reader.rest("more")
    return Decoded([Layer("Meters and More", text, reader.parts)], outward, carried)


def _aca(address: bytes) -> str:
    return "broadcast" if address == mam.TO_ALL else address.hex()


def _place(reader: Reader) -> str:
    number, index = reader.number("parameter", 4), reader.number("index", 2)
    return "%x.%d" % (number, index) if index else "%x" % number


def _mam_send(reader: Reader) -> tuple[str, Carried | None]:
    reader.take("date and time", 8)
    reader.take("LMON", 8)
    reader.number("longest answer", 2)
    reader.number("time slots", 2)
    path = [reader.take("address", 6) for _ in range(reader.number("addresses"))]
    service = reader_name(reader, "service", _SERVICES)
    attribute = reader_name(reader, "attribute", _ATTRIBUTES)
    dsap = reader.number("DSAP")
    reader.number("ECC")
    content = reader.inner("APDU", reader.number("length", 2))
    if not path:
        raise ValueError("a send without addresses")
    peer = _aca(path[-1])
    via = " via %s" % ", ".join(_aca(each) for each in path[:-1]) if path[1:] else ""
    text = "%s to %s%s" % (service, peer, via)
    if dsap == mam.DSAP_APPLICATION and len(content) > 2:
        return text, Carried(content[2:], content[0], content[1], peer)
    return "%s, %s" % (text, attribute), None


def _mam_indication(reader: Reader) -> tuple[str, Carried | None]:
    reader.take("date and time", 8)
    reader.take("LMON", 8)
    source = _aca(reader.take("source", 6))
    attribute = reader_name(reader, "attribute", _ATTRIBUTES)
    dsap = reader.number("DSAP")
    reader.number("ECC")
    reader.number("status")
    content = reader.inner("APDU", reader.number("length", 2))
    text = "indication from %s" % source
    if dsap == mam.DSAP_APPLICATION and len(content) > 2:
        return text, Carried(content[2:], content[1], content[0], source)
    return "%s, %s" % (text, attribute), None


# ---------------------------------------------------------------- PRIME on the power line

_HEADER_TYPES = {0: "generic", 1: "promotion needed", 2: "beacon"}
_CONTROL = {
    1: "REG", 2: "CON", 3: "PRO", 4: "BSI", 5: "FRA", 6: "CFP", 7: "ALV", 8: "MUL", 9: "PRM",
    10: "SEC",
}  # fmt: skip


def sniffed(data: bytes) -> Decoded:
    """A record of a PRIME sniffer. ValueError where it is not as long as it says."""
    reader = Reader(data)
    reader.take("record", 13)
    heard = reader.number("heard", 6)
    when = _moment(heard)
    if when:
        reader.parts[-1] = Part("heard", data[13:19], when)
    reader.number("began", 4)
    reader.number("ended", 4)
    reader.take("levels", 3)
    size = reader.number("length", 2)
    pdu = reader.take("PDU", size)
    if reader.left:
        reader.rest("more")
    text = "%d bytes heard%s" % (size, " " + when if when else "")
    layers = [Layer("PRIME sniffer", text, reader.parts)]
    if len(pdu) >= 3:
        layers.append(_mac(pdu))
    return Decoded(layers)


def _moment(unix_ms: int) -> str:
    try:
        moment = datetime.fromtimestamp(unix_ms / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return ""
    return moment.isoformat(" ", "milliseconds")[:-6] + "Z"


def _mac(pdu: bytes) -> Layer:
    kind = pdu[0] >> 4 & 3
    down = "down" if pdu[1] & 0x40 else "up"
    level = pdu[1] & 0x3F
    name = _HEADER_TYPES.get(kind, "type 3")
    parts = [Part("header", pdu[:3], name)]
    if kind != 0 or len(pdu) < 9:
        return Layer("PRIME MAC", name, [*parts, Part("content", pdu[3:])])
    header = int.from_bytes(pdu[3:9], "big")
    control = header >> 41 & 1
    channel = header >> 32 & 0x1FF
    sid, lnid, length = header >> 24 & 0xFF, header >> 10 & 0x3FFF, header & 0x1FF
    what = _CONTROL.get(channel, "control %d" % channel) if control else "data, LCID %d" % channel
    text = "%slink, level %d: %s, SID %d, LNID %d, %d bytes" % (
        down, level, what, sid, lnid, length)  # fmt: skip
    parts += [Part("packet header", pdu[3:9], what), Part("content", pdu[9:])]
    return Layer("PRIME MAC", text, parts)
