"""PRIME API (USI protocol 30), the base node's lists (06 and 07), and DLMSoTCP's own messages.

Layouts as in hal/modem/prime/api.py, walk.py and hal/modem/dlmsotcp.py, computed and not seen on a
wire. Commands 3D to 4E, by which a base node upgrades its nodes' modems, are known here alone: the
firmware takes no part in that."""

from __future__ import annotations

from hal.modem import dlmsotcp
from hal.modem.prime import api
from hal.modem.prime import walk as prime_walk
from tools.sniff.frame import Carried, Decoded, Layer, Reader

_TO_MODEM = True
_FROM_MODEM = False

COMMANDS = {
    api.MLME_RESET_REQUEST: ("reset.request", _TO_MODEM),
    api.MLME_RESET_CONFIRM: ("reset.confirm", _FROM_MODEM),
    api.MLME_GET_REQUEST: ("get.request", _TO_MODEM),
    api.MLME_GET_CONFIRM: ("get.confirm", _FROM_MODEM),
    api.MLME_LIST_GET_REQUEST: ("list-get.request", _TO_MODEM),
    api.MLME_LIST_GET_CONFIRM: ("list-get.confirm", _FROM_MODEM),
    api.MLME_SET_REQUEST: ("set.request", _TO_MODEM),
    api.MLME_SET_CONFIRM: ("set.confirm", _FROM_MODEM),
    api.CL432_RELEASE_REQUEST: ("release.request", _TO_MODEM),
    api.CL432_RELEASE_CONFIRM: ("release.confirm", _FROM_MODEM),
    api.CL432_DATA_REQUEST: ("data.request", _TO_MODEM),
    api.CL432_DATA_INDICATION: ("data.indication", _FROM_MODEM),
    api.CL432_DATA_CONFIRM: ("data.confirm", _FROM_MODEM),
    api.CL432_JOIN_INDICATION: ("join.indication", _FROM_MODEM),
    api.CL432_LEAVE_INDICATION: ("leave.indication", _FROM_MODEM),
    0x3D: ("upgrade: clear targets", _TO_MODEM),
    0x3E: ("upgrade: add target", _TO_MODEM),
    0x3F: ("upgrade: names of the firmware", _TO_MODEM),
    0x40: ("upgrade: options", _TO_MODEM),
    0x41: ("upgrade: a file begins", _TO_MODEM),
    0x42: ("upgrade: frame of the file", _TO_MODEM),
    0x43: ("upgrade: check the file", _TO_MODEM),
    0x44: ("upgrade: abort", _TO_MODEM),
    0x45: ("upgrade: start", _TO_MODEM),
    0x46: ("upgrade: match rule", _TO_MODEM),
    0x47: ("upgrade: ask for versions", _TO_MODEM),
    0x48: ("upgrade: ask for states", _TO_MODEM),
    0x49: ("upgrade: acknowledgement", _FROM_MODEM),
    0x4A: ("upgrade: state", _FROM_MODEM),
    0x4B: ("upgrade: error", _FROM_MODEM),
    0x4C: ("upgrade: version", _FROM_MODEM),
    0x4D: ("upgrade: given up", _FROM_MODEM),
    0x4E: ("upgrade: signature", _TO_MODEM),
    api.NETWORK_EVENT: ("network event", _FROM_MODEM),
}
_STATUSES = {
    api.STATUS_OK: "ok",
    api.STATUS_TIMEOUT: "timeout",
    api.STATUS_BAD_ADDRESS: "bad address",
    api.STATUS_BAD_HANDLE: "bad handle",
    api.STATUS_PREVIOUS_PENDING: "previous one pending",
}


class Nodes:
    """What the numbers of a network's nodes stand for, as far as it was heard: there are no more
    than 2^16 of them."""

    def __init__(self) -> None:
        self._eui48: dict[int, bytes] = {}

    def learn(self, number: int, eui48: bytes) -> None:
        self._eui48[number] = eui48

    def forget(self, number: int) -> None:
        self._eui48.pop(number, None)

    def peer(self, number: int) -> str:
        """The EUI-48 as the inventory spells it, or "node 5"."""
        known = self._eui48.get(number)
        if number == api.BROADCAST_NODE:
            return "broadcast"
        return known.hex() if known else "node %d" % number

    def text(self, number: int) -> str:
        known = self._eui48.get(number)
        return "node %d (%s)" % (number, known.hex()) if known else self.peer(number)


def command(data: bytes, nodes: Nodes) -> Decoded:
    """Data of a frame of protocol 30. ValueError where it is cut short."""
    if not data:
        raise ValueError("PRIME API: expected a command, the frame is empty")
    name, outward = COMMANDS.get(data[0], ("command %02x" % data[0], None))
    reader = Reader(data)
    reader.take("command", 1, name)
    text, carried = _FIELDS.get(data[0], _other)(reader, nodes)
    if reader.left:
        reader.rest("more")
    layer = Layer("PRIME", "%s %s" % (name, text) if text else name, reader.parts)
    return Decoded([layer], outward, carried)


def _other(reader: Reader, nodes: Nodes) -> tuple[str, Carried | None]:
    size = reader.left
    reader.rest("data")
    return ("%d bytes" % size if size else ""), None


def _data_request(reader: Reader, nodes: Nodes) -> tuple[str, Carried | None]:
    server, client = reader.number("server SAP"), reader.number("client SAP")
    node = reader.number("node", 2)
    size = reader.number("length", 2)
    apdu = reader.inner("APDU", size)
    reader.take("link class", 1)
    return nodes.text(node), Carried(apdu, client, server, nodes.peer(node))


def _data_indication(reader: Reader, nodes: Nodes) -> tuple[str, Carried | None]:
    client, server = reader.number("client SAP"), reader.number("server SAP")
    reader.number("to node", 2)
    node = reader.number("from node", 2)
    size = reader.number("length", 2)
    apdu = reader.inner("APDU", size)
    reader.take("link class", 1)
    return nodes.text(node), Carried(apdu, client, server, nodes.peer(node))


def _data_confirm(reader: Reader, nodes: Nodes) -> tuple[str, Carried | None]:
    reader.number("server SAP")
    reader.number("client SAP")
    node = reader.number("node", 2)
    return "%s: %s" % (nodes.text(node), reader_name(reader, "status", _STATUSES)), None


def reader_name(reader: Reader, name: str, names: dict[int, str]) -> str:
    """The text of a named byte."""
    reader.named(name, names)
    return reader.parts[-1].text


def _join(reader: Reader, nodes: Nodes) -> tuple[str, Carried | None]:
    size = reader.number("length of its name")
    name = reader.take("name", size)
    number = reader.number("node", 2)
    eui48 = reader.take("EUI-48", 6)
    nodes.learn(number, eui48)
    return '%s "%s"' % (nodes.text(number), name.decode("ascii", "replace")), None


def _leave(reader: Reader, nodes: Nodes) -> tuple[str, Carried | None]:
    number = reader.number("node", 2)
    text = nodes.text(number)
    nodes.forget(number)
    return text, None


def _release(reader: Reader, nodes: Nodes) -> tuple[str, Carried | None]:
    text = nodes.text(reader.number("node", 2))
    if reader.left:
        text += ": %s" % api.mlme_result(reader.number("result"))
    return text, None


def _pib(reader: Reader, nodes: Nodes) -> tuple[str, Carried | None]:
    return "PIB %04x" % int.from_bytes(reader.take("PIB", 2), "big"), None


def _got(reader: Reader, nodes: Nodes) -> tuple[str, Carried | None]:
    result = api.mlme_result(reader.number("result"))
    pib = int.from_bytes(reader.take("PIB", 2), "big")
    value = reader.take("value", reader.number("length"))
    return "PIB %04x: %s %s" % (pib, result, value.hex()), None


def _set(reader: Reader, nodes: Nodes) -> tuple[str, Carried | None]:
    pib = int.from_bytes(reader.take("PIB", 2), "big")
    value = reader.take("value", reader.number("length"))
    return "PIB %04x: %s" % (pib, value.hex()), None


def _result(reader: Reader, nodes: Nodes) -> tuple[str, Carried | None]:
    return api.mlme_result(reader.number("result")), None


def _event(reader: Reader, nodes: Nodes) -> tuple[str, Carried | None]:
    kinds = dict(enumerate(api.EVENTS))
    kind = reader_name(reader, "event", kinds)
    eui48 = reader.take("EUI-48", 6)
    sid = reader.number("SID")
    lnid = reader.number("LNID", 2)
    lsid = reader.number("LSID")
    for name in ("ALV-RX", "ALV-TX", "ALV-time"):
        reader.number(name)
    if reader.left:
        reader.take("channels", min(4, reader.left))
    return "%s %s, SID %d, LNID %d, LSID %d" % (eui48.hex(), kind, sid, lnid, lsid), None


def _mac(reader: Reader, nodes: Nodes) -> tuple[str, Carried | None]:
    """Upgrade commands about one node, or all."""
    eui48 = reader.take("EUI-48", 6)
    return "all" if eui48 == b"\xff" * 6 else eui48.hex(), None


def _acknowledged(reader: Reader, nodes: Nodes) -> tuple[str, Carried | None]:
    of = reader.number("command")
    code = reader.number("code")
    return "%s: %s" % (COMMANDS.get(of, ("%02x" % of,))[0], "ok" if code == 0 else code), None


_FIELDS = {
    api.CL432_DATA_REQUEST: _data_request,
    api.CL432_DATA_INDICATION: _data_indication,
    api.CL432_DATA_CONFIRM: _data_confirm,
    api.CL432_JOIN_INDICATION: _join,
    api.CL432_LEAVE_INDICATION: _leave,
    api.CL432_RELEASE_REQUEST: _release,
    api.CL432_RELEASE_CONFIRM: _release,
    api.MLME_GET_REQUEST: _pib,
    api.MLME_LIST_GET_REQUEST: _pib,
    api.MLME_GET_CONFIRM: _got,
    api.MLME_SET_REQUEST: _set,
    api.MLME_SET_CONFIRM: _result,
    api.MLME_RESET_CONFIRM: _result,
    api.NETWORK_EVENT: _event,
    0x3E: _mac,
    0x44: _mac,
    0x47: _mac,
    0x48: _mac,
    0x4D: _mac,
    0x49: _acknowledged,
}


# ---------------------------------------------------------------- lists


def node_list(data: bytes, nodes: Nodes) -> Decoded:
    """Data of a frame of protocol 06 or 07 about the nodes of layer 4-32. ValueError."""
    reader = Reader(data)
    asked = reader_name(
        reader, "command", {prime_walk.LIST_QUERY: "list.query", prime_walk.LIST_RESPONSE: "list"}
    )
    pib = int.from_bytes(reader.take("PIB", 2), "big")
    text = "%s PIB %04x" % (asked, pib)
    if data[0] == prime_walk.LIST_QUERY:
        most = reader.number("records at most")
        text += ", up to %d from %d on" % (most, reader.number("iterator", 2))
    elif data[0] == prime_walk.LIST_RESPONSE:
        count = reader.number("records")
        size = reader.number("bytes of each") if reader.left else 0
        for _ in range(count if pib == api.PIB_432_NODES and size >= 25 else 0):
            reader.number("iterator", 2)
            number = reader.number("node", 2)
            reader.take("serial", 17)
            eui48 = reader.take("EUI-48", 6, nodes.text(number))
            nodes.learn(number, eui48)
            if size > 25:
                reader.take("more", size - 25)
        text += ", %d records" % count
    if reader.left:
        reader.rest("more")
    return Decoded([Layer("PRIME", text, reader.parts)], data[0] == prime_walk.LIST_QUERY)


# ---------------------------------------------------------------- DLMSoTCP


def over_tcp(data: bytes, nodes: Nodes) -> Decoded:
    """What a concentrator and a base node say to each other besides APDUs. ValueError."""
    reader = Reader(data)
    kind = reader.number("message")
    if kind == dlmsotcp.ENABLE:
        text, outward = "enable, and tell of the nodes", True
    elif kind == dlmsotcp.DELETE:
        text, outward = "delete %s" % nodes.text(reader.number("node", 2)), True
    elif kind == dlmsotcp.NEW_NODE:
        number = reader.number("node", 2)
        reader.take("flags", 2)
        name = reader.take("name", reader.number("length of its name"))
        nodes.learn(number, reader.take("EUI-48", 6))
        text = '%s "%s" is there' % (nodes.text(number), name.decode("ascii", "replace"))
        outward = False
    elif kind == dlmsotcp.NODE_GONE:
        number = reader.number("node", 2)
        text, outward = "%s has gone" % nodes.text(number), False
        nodes.forget(number)
    else:
        raise ValueError("DLMSoTCP: expected message 01 to 04, came %02x" % kind)
    if reader.left:
        reader.rest("more")
    return Decoded([Layer("DLMSoTCP", text, reader.parts)], outward)
