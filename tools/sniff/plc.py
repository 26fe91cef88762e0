"""USI frames of all protocols, Meters and More (31), and what a PRIME sniffer hands over (13).

The layout of a sniffer's record is taken from the captured session (its 193 records fit it); some
sniffers leave the time in it at zero. Of the G3 protocols nothing but the frame itself is in
evidence."""

from __future__ import annotations

from datetime import UTC, datetime

from hal.modem import usi
from hal.modem.mam import frames as mam
from tools.sniff import prime, prime_mac
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
    if protocol == usi.PRIME_SNIFFER and data[:1] and data[0] in _TYPES:
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

# First octet of a record: how the PDU came. What came over the radio is not looked into.
_TYPE_A, _TYPE_B, _TYPE_BC = 0x20, 0x21, 0x22  # 0x20: PRIME 1.3, the others: 1.4
_TYPES = {_TYPE_A: "type A", _TYPE_B: "type B", _TYPE_BC: "type BC"}
_SCHEMES = {
    0x00: "DBPSK", 0x01: "DQPSK", 0x02: "D8PSK", 0x04: "DBPSK_C", 0x05: "DQPSK_C",
    0x06: "D8PSK_C", 0x0C: "R_DBPSK", 0x0D: "R_DQPSK",
}  # fmt: skip
_TICK_US = 10
_EARLIEST_MS = 946_684_800_000  # 2000-01-01: before that there was no PRIME, and no time is told


def sniffed(data: bytes) -> Decoded:
    """A record of a PRIME sniffer. ValueError where it is not as long as it says."""
    reader = Reader(data)
    reader.named("type", _TYPES)
    reader.number("version")
    reader.take("device", 1)
    scheme = reader_name(reader, "modulation", _SCHEMES)
    reader.number("symbols")
    quality = reader.number("quality")
    reader.number("SNR")
    reader.number("channel")
    reader.take("reserved", 5)
    heard = reader.number("heard", 6)
    when = _moment(heard)
    reader.parts[-1] = Part("heard", data[13:19], when or "not told")
    began = reader.number("began", 4)
    reader.parts[-1] = Part("began", data[19:23], _ticks(began))
    ended = reader.number("ended", 4)
    reader.parts[-1] = Part("ended", data[23:27], _ticks(ended))
    level = reader.number("level", 2)
    reader.parts[-1] = Part("level", data[27:29], "%d dBuV" % level)
    reader.number("MAC enabled")
    size = reader.number("length", 2)
    pdu = reader.take("PDU", size)
    if reader.left:
        reader.rest("more")
    text = "%d bytes heard %s, %s, %d dBuV, quality %d" % (
        size, when or "at " + _ticks(began), scheme, level, quality)  # fmt: skip
    layers = [Layer("PRIME sniffer", text, reader.parts)]
    if pdu:
        layers.append(prime_mac.decode(pdu, data[0] != _TYPE_A))
    return Decoded(layers)


def _ticks(count: int) -> str:
    """Of the sniffer's own clock, which begins with it."""
    return "%.5f s" % (count * _TICK_US / 1e6)


def _moment(unix_ms: int) -> str:
    """ "" where the record tells no time: its octets are 0 then, or count from a start."""
    if unix_ms < _EARLIEST_MS:
        return ""
    try:
        moment = datetime.fromtimestamp(unix_ms / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return ""
    return moment.isoformat(" ", "milliseconds")[:-6] + "Z"
