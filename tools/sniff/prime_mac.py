"""PRIME's MAC on the power line, field by field in the names of the specification: beacons (BCN),
promotion needed (PNPDU), and packets with their control data (PRO, REG, ALV), in the layouts of
PRIME 1.3.6 and of 1.4.

Those of 1.4 are held against the captured session (its lengths, sequence numbers, frame length and
modulations fit); of 1.3.6 none was captured here. HCS and CRC are shown and not checked. What may
hold keys (REG with security, anything behind PSH) is not shown.
"""

from __future__ import annotations

from tools.sniff.frame import Layer, Part

# (name, bits), as they come
Layout = tuple[tuple[str, int], ...]
Values = dict[str, int]

_GENERIC, _PROMOTION, _BEACON = 0, 1, 2  # HDR.HT
_RESERVED = "reserved"

_HEADER: Layout = (
    ("unused", 2), ("HDR.HT", 2), (_RESERVED, 5), ("HDR.DO", 1), ("HDR.LEVEL", 6), ("HDR.HCS", 8),
)  # fmt: skip
_BEACON_13: Layout = (
    ("unused", 2), ("HDR.HT", 2), (_RESERVED, 1), ("BCN.QLTY", 3), ("BCN.SID", 8), ("BCN.CNT", 3),
    ("BCN.SLT", 3), ("BCN.CFP", 10), (_RESERVED, 2), ("BCN.LEVEL", 6), ("BCN.SEQ", 5),
    ("BCN.FRQ", 3), ("BCN.SNA", 48), ("BCN.UPCOST", 8), ("BCN.DNCOST", 8), ("CRC", 32),
)  # fmt: skip
_BEACON_14: Layout = (
    ("unused", 2), ("HDR.HT", 2), ("BCN.QLTY", 4), ("BCN.SID", 8), ("BCN.LEVEL", 6),
    ("BCN.CFP", 10), ("BCN.CSMA", 1), ("BCN.POS", 7), ("BCN.FRA_LEN", 2), ("BCN.PHYBC", 1),
    ("BCN.MACBC", 1), (_RESERVED, 4), ("BCN.SEQ", 5), ("BCN.FRQ", 3), ("BCN.SNA", 48),
    ("BCN.COST", 8), ("CRC", 32),
)  # fmt: skip
_PNPDU_13: Layout = (
    ("unused", 2), ("HDR.HT", 2), (_RESERVED, 4), ("PNH.SNA", 48), ("PNH.PNA", 48), ("PNH.HCS", 8),
)  # fmt: skip
_PNPDU_14: Layout = (
    ("unused", 2), ("HDR.HT", 2), ("PNH.VER", 2), ("PNH.CAP_R", 1), ("PNH.CAP_BC", 1),
    ("PNH.SNA", 48), ("PNH.PNA", 48), ("PNH.HCS", 8),
)  # fmt: skip
_PACKET_13: Layout = (
    (_RESERVED, 3), ("PKT.NAD", 1), ("PKT.PRIO", 2), ("PKT.C", 1), ("PKT.LCID/CTYPE", 9),
    ("PKT.SID", 8), ("PKT.LNID", 14), ("PKT.SPAD", 1), ("PKT.LEN", 9),
)  # fmt: skip
_PACKET_14: Layout = (
    ("PKT.RM", 4), ("PKT.PRIO", 2), ("PKT.C", 1), ("PKT.LCID/CTYPE", 9), ("PKT.SID", 8),
    ("PKT.LNID", 14), (_RESERVED, 1), ("PKT.LEN", 9), ("PKT.NAD", 1), ("PKT.TREF", 1),
    ("PKT.ARQ", 1), ("PKT.PSH", 1), (_RESERVED, 4),
)  # fmt: skip
_PRO_13: Layout = (
    ("PRO.N", 1), (_RESERVED, 1), ("PRO.RQ", 3), ("PRO.TIME", 3), ("PRO.NSID", 8),
)  # fmt: skip
_PRO_13_REQUEST: Layout = (
    ("PRO.PNA", 48), ("PRO.UPCOST", 8), ("PRO.DNCOST", 8), (_RESERVED, 4), ("PRO.SWC_DC", 1),
    ("PRO.SWC_MC", 1), ("PRO.SWC_PRM", 1), ("PRO.SWC_ARQ", 1),
)  # fmt: skip
_PRO_14: Layout = (
    ("PRO.N", 1), ("PRO.BCN_POS", 7), ("PRO.NSID", 8), ("PRO.RQ", 3), ("PRO.TIME", 3),
    ("PRO.SEQ", 5), ("PRO.FRQ", 3), ("PRO.MOD", 2), ("PRO.ACK", 1), ("PRO.DS", 1), (_RESERVED, 2),
    ("PRO.PN_BC", 1), ("PRO.PN_R", 1), ("PRO.SWC_DC", 1), ("PRO.SWC_ARQ", 1),
)  # fmt: skip
_PRO_14_REQUEST: Layout = (("PRO.PNA", 48), ("PRO.COST", 8))
_REG_13: Layout = (
    ("REG.N", 1), ("REG.R", 1), ("REG.SPC", 2), (_RESERVED, 2), ("REG.CAP_SW", 1),
    ("REG.CAP_PA", 1), ("REG.CAP_CFP", 1), ("REG.CAP_DC", 1), ("REG.CAP_MC", 1),
    ("REG.CAP_PRM", 1), ("REG.CAP_ARQ", 1), ("REG.TIME", 3), ("REG.EUI-48", 48),
)  # fmt: skip
_REG_14: Layout = (
    ("REG.N", 1), ("REG.R", 1), ("REG.SPC", 2), ("REG.CAP_R", 1), ("REG.CAP_BC", 1),
    ("REG.CAP_SW", 1), ("REG.CAP_PA", 1), ("REG.CAP_CFP", 1), ("REG.CAP_DC", 1), ("REG.ALV_F", 1),
    (_RESERVED, 1), ("REG.CAP_ARQ", 1), ("REG.TIME", 3), ("REG.EUI-48", 48),
)  # fmt: skip
_ALV_13: Layout = (
    ("ALV.RXCNT", 3), ("ALV.TXCNT", 3), (_RESERVED, 7), ("ALV.TIME", 3), ("ALV.SSID", 8),
)  # fmt: skip
_ALV_14: Layout = (
    ("ALV.R", 1), ("ALV.RTL", 4), ("ALV.TIME", 3), ("ALV.MIN_LEVEL", 6), (_RESERVED, 2),
    ("ALV.TX_SEQ", 3), (_RESERVED, 5),
)  # fmt: skip
_ALV_14_ACK: Layout = (
    ("ALV.R", 1), (_RESERVED, 3), ("ALV.RX_ENC", 4), ("ALV.RX_SNR", 4), ("ALV.RX_POW", 4),
)  # fmt: skip

_CONTROL = {
    1: "REG", 2: "CON", 3: "PRO", 4: "BSI", 5: "FRA", 6: "CFP", 7: "ALV", 8: "MUL", 9: "PRM",
    10: "SEC",
}  # fmt: skip
_ADDRESSES = ("BCN.SNA", "PNH.SNA", "PNH.PNA", "PRO.PNA", "REG.EUI-48")
_CHECKS = ("HDR.HCS", "PNH.HCS", "CRC")
_SYMBOLS = (276, 552, 828, 1104)  # of BCN.FRA_LEN
_NO_SID = 0xFF  # PRO.NSID of a node that has none yet
_NO_LNID = 0x3FFF
_CRC = 4  # bytes


def decode(pdu: bytes, newer: bool) -> Layer:
    """A PDU as it was heard; `newer`: in the layout of PRIME 1.4. What it is too short for is shown
    as it is."""
    kind = pdu[0] >> 4 & 3 if pdu else 3
    if kind == _BEACON:
        return _beacon(pdu, _BEACON_14 if newer else _BEACON_13)
    if kind == _PROMOTION:
        return _promotion_needed(pdu, _PNPDU_14 if newer else _PNPDU_13)
    if kind == _GENERIC:
        return _packet(pdu, newer)
    return _short("type 3", pdu)


def _beacon(pdu: bytes, layout: Layout) -> Layer:
    values, parts, more = _read(pdu, layout)
    if not values:
        return _short("beacon", pdu)
    shown = ["beacon"]
    for name in ("QLTY", "SID", "LEVEL", "CNT", "SLT", "CFP", "CSMA", "POS", "SEQ"):
        if "BCN." + name in values:
            shown.append("%s %d" % (name, values["BCN." + name]))
    if "BCN.FRA_LEN" in values:
        shown.append("frame of %d symbols" % _SYMBOLS[values["BCN.FRA_LEN"]])
    every = 1 << values["BCN.FRQ"]
    shown.append(
        "FRQ %d (every %s)" % (values["BCN.FRQ"], "frame" if every == 1 else "%d frames" % every)
    )
    shown.append("SNA %012x" % values["BCN.SNA"])
    for name in ("UPCOST", "DNCOST", "COST"):
        if "BCN." + name in values:
            shown.append("%s %d" % (name, values["BCN." + name]))
    return Layer("PRIME MAC", ", ".join(shown), parts + _more(more))


def _promotion_needed(pdu: bytes, layout: Layout) -> Layer:
    values, parts, more = _read(pdu, layout)
    if not values:
        return _short("promotion needed", pdu)
    text = "promotion needed, SNA %012x, PNA %012x" % (values["PNH.SNA"], values["PNH.PNA"])
    return Layer("PRIME MAC", text, parts + _more(more))


def _packet(pdu: bytes, newer: bool) -> Layer:
    header, parts, rest = _read(pdu, _HEADER)
    packet, packet_parts, rest = _read(rest, _PACKET_14 if newer else _PACKET_13)
    if not header or not packet:
        return _short("generic", pdu)
    parts += packet_parts
    control, channel = packet["PKT.C"], packet["PKT.LCID/CTYPE"]
    what = _CONTROL.get(channel, "control %d" % channel) if control else "data, LCID %d" % channel
    content, tail = rest[: packet["PKT.LEN"]], rest[packet["PKT.LEN"] :]
    said = ""
    if packet.get("PKT.PSH") or not control:
        parts.append(Part("content", b"", "%d bytes" % len(content)))
    else:
        kind, said, inner = _control_data(
            what, content, newer, header["HDR.DO"], packet["PKT.LNID"]
        )
        what = kind or what
        parts += inner
    if len(tail) >= _CRC:
        parts += [Part("more", b"", "%d bytes" % (len(tail) - _CRC))] if tail[_CRC:] else []
        parts.append(Part("CRC", tail[-_CRC:]))
    text = "%slink, level %d: %s, SID %d, LNID %d, %d bytes%s" % (
        "down" if header["HDR.DO"] else "up",
        header["HDR.LEVEL"],
        what,
        packet["PKT.SID"],
        packet["PKT.LNID"],
        packet["PKT.LEN"],
        said,
    )
    return Layer("PRIME MAC", text, parts)


def _control_data(
    what: str, data: bytes, newer: bool, down: int, lnid: int
) -> tuple[str, str, list[Part]]:
    """(which of its packets, what it says, its parts)."""
    if what == "PRO":
        return _pro(data, newer, down)
    if what == "REG":
        values, parts, more = _read(data, _REG_14 if newer else _REG_13)
        if values:
            kind = _registration(values["REG.N"], down, lnid)
            parts += [Part("more", b"", "%d bytes, not shown" % len(more))] if more else []
            return kind, ", EUI-48 %012x" % values["REG.EUI-48"], parts
    elif what == "ALV":
        answered = newer and data[:1] < b"\x80"
        layout = (_ALV_14_ACK if answered else _ALV_14) if newer else _ALV_13
        values, parts, more = _read(data, layout)
        if values:
            names = [name for name, _ in layout if name != _RESERVED]
            said = ", ".join("%s %d" % (name[4:], values[name]) for name in names)
            return "ALV_ACK" if answered else "", ", " + said, parts + _more(more)
    return "", "", _more(data)


def _pro(data: bytes, newer: bool, down: int) -> tuple[str, str, list[Part]]:
    values, parts, more = _read(data, _PRO_14 if newer else _PRO_13)
    if not values:
        return "", "", _more(data)
    kind = _promotion(values["PRO.N"], values["PRO.NSID"], values.get("PRO.ACK", 0), newer, down)
    said = ", NSID %d, RQ %d, TIME %d" % (
        values["PRO.NSID"], values["PRO.RQ"], values["PRO.TIME"])  # fmt: skip
    if kind == "PRO_REQ_S":
        asked, asked_parts, left = _read(more, _PRO_14_REQUEST if newer else _PRO_13_REQUEST)
        if asked:
            parts, more = parts + asked_parts, left
            said += ", PNA %012x" % asked["PRO.PNA"]
            for name in ("UPCOST", "DNCOST", "COST"):
                if "PRO." + name in asked:
                    said += ", %s %d" % (name, asked["PRO." + name])
    return kind, said, parts + _more(more)


def _promotion(negative: int, sid: int, ack: int, newer: bool, down: int) -> str:
    if ack:
        return "PRO_NACK" if negative else "PRO_ACK"
    if not down and not negative:
        return "PRO_REQ_S" if sid == _NO_SID or newer else "PRO_ACK"
    if not negative:
        return "PRO_REQ_B"
    if sid == _NO_SID:
        return "PRO_REJ"
    return "PRO_DEM_B" if down else "PRO_DEM_S"


def _registration(negative: int, down: int, lnid: int) -> str:
    if not negative:
        return "REG_RSP" if down else "REG_REQ" if lnid == _NO_LNID else "REG_ACK"
    if down:
        return "REG_REJ" if lnid == _NO_LNID else "REG_UNR_B"
    return "REG_UNR_S"


def _read(data: bytes, layout: Layout) -> tuple[Values, list[Part], bytes]:
    """(values by name, parts, what stands behind); nothing where `data` is too short."""
    size = sum(bits for _, bits in layout) // 8
    if len(data) < size:
        return {}, [], data
    left, number = size * 8, int.from_bytes(data[:size], "big")
    values: Values = {}
    parts = []
    for name, bits in layout:
        left -= bits
        value = number >> left & (1 << bits) - 1
        if name in (_RESERVED, "unused"):
            continue
        values[name] = value
        if name in _ADDRESSES or name in _CHECKS:
            parts.append(Part(name, value.to_bytes(bits // 8, "big")))
        else:
            parts.append(Part(name, b"", str(value)))
    return values, parts, data[size:]


def _more(data: bytes) -> list[Part]:
    return [Part("content", data)] if data else []


def _short(name: str, pdu: bytes) -> Layer:
    return Layer("PRIME MAC", name, [Part("content", pdu)])
