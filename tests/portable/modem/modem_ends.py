"""The other end of each driver's line as a script: it does at once what it is told, its nodes echo
what they are sent. An end has take(bytes from the host) -> frames for the host.

A driver enters the contract's tests (test_contract.py) by one Entry in ENTRIES, of
the name that it has in hal/modem/drivers.py."""

from __future__ import annotations

from hal.modem import dlmsotcp as tcp
from hal.modem import usi
from hal.modem.dlmsotcp import DlmsOTcp
from hal.modem.mam.mam import MetersAndMore
from hal.modem.prime import api
from hal.modem.prime.prime import Prime
from hal.modem.prime.walk import LIST_RECORD, LIST_RESPONSE
from hal.modem.wmbus import amber_frames, hci, wmbus
from hal.modem.wmbus.amber import Amber
from hal.modem.wmbus.imst import Imst
from hal.modem.wrapper import Unwrapper, wrap
from tests.portable.modem.mam_network import MODEM, Network

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from hal.modem.attached import Driver

    class End(Protocol):
        def take(self, data: bytes) -> list[bytes]: ...


PLC_NODES = ["0080e100000%d" % number for number in range(1, 7)]
RF_NODES = ["2d2c57686632300%d" % number for number in range(1, 4)]
MAM_NODES = ["02000000000a", "02000000000b", "02000000000c"]


class Entry:
    """One driver in the contract's tests. parameter: (its name, a value to set, what get() then
    gives), or None when the modem has none."""

    def __init__(
        self,
        name: str,
        driver: Callable[[], Driver],
        end: Callable[[], End],
        nodes: list[str],
        unknown: str,
        parameter: tuple[str, bytes, bytes] | None,
    ) -> None:
        self.name = name
        self.driver = driver
        self.end = end
        self.nodes = nodes
        self.unknown = unknown
        self.parameter = parameter


class PrimeEnd:
    """A PRIME base node."""

    def __init__(self) -> None:
        self._parser = usi.Parser()
        self._numbers = {number + 1: PLC_NODES[number] for number in range(len(PLC_NODES))}
        self._pibs = {api.PIB_MAC_STATE: b"\x03", 0x0013: b"\x00"}

    def take(self, data: bytes) -> list[bytes]:
        answers: list[bytes] = []
        for frame in self._parser.feed(data):
            if frame.protocol == usi.PRIME_GET_QUERY_ENHANCED:
                answers.append(usi.frame(usi.PRIME_GET_RESPONSE_ENHANCED, self._list()))
            else:
                answers += [usi.frame(usi.PRIME_API, answer) for answer in self._do(frame.data)]
        return answers

    def _list(self) -> bytes:
        page = bytearray((LIST_RESPONSE, 0x82, 0x50, len(self._numbers), LIST_RECORD))
        for number, address in self._numbers.items():
            page += number.to_bytes(2, "big") + number.to_bytes(2, "big")
            page += bytes(17) + bytes.fromhex(address)
        return bytes(page)

    def _do(self, data: bytes) -> list[bytes]:
        command = data[0]
        if command == api.CL432_DATA_REQUEST:
            confirm = bytes([api.CL432_DATA_CONFIRM]) + data[1:5] + b"\x00"
            if data[3:5] == b"\x0f\xff":
                return [confirm]
            saps = bytes((api.CL432_DATA_INDICATION, data[2], data[1], 0, 0))
            return [confirm, saps + data[3:5] + data[5:]]
        if command == api.MLME_GET_REQUEST:
            value = self._pibs.get(int.from_bytes(data[1:3], "big"))
            head = bytes((api.MLME_GET_CONFIRM, 11 if value is None else 0)) + data[1:3]
            value = value or b""
            return [head + bytes([len(value)]) + value]
        if command == api.MLME_SET_REQUEST:
            pib = int.from_bytes(data[1:3], "big")
            known = pib in self._pibs
            if known:
                self._pibs[pib] = data[4:]
            return [bytes((api.MLME_SET_CONFIRM, 0 if known else 11))]
        if command == api.MLME_RESET_REQUEST:
            return [bytes((api.MLME_RESET_CONFIRM, 0))] + [self._join(n) for n in self._numbers]
        if command == api.CL432_RELEASE_REQUEST:
            released = bytes([api.CL432_RELEASE_CONFIRM]) + data[1:3] + b"\x00"
            return [released, self._join(int.from_bytes(data[1:3], "big"))]
        return []

    def _join(self, number: int) -> bytes:
        address = bytes.fromhex(self._numbers[number])
        head = bytes((api.CL432_JOIN_INDICATION, 3)) + b"AMI"
        return head + number.to_bytes(2, "big") + address + b"\x00"


class DlmsOTcpEnd:
    """A PRIME base node over TCP."""

    def __init__(self) -> None:
        self._unwrapper = Unwrapper()

    def take(self, data: bytes) -> list[bytes]:
        answers: list[bytes] = []
        for source, destination, body in self._unwrapper.feed(data):
            if destination == tcp.BASE_NODE:
                answers += self._do(body)
            elif destination != tcp.BROADCAST_NODE:
                answers.append(wrap(destination, source, body))
        return answers

    def _do(self, body: bytes) -> list[bytes]:
        if body[0] == tcp.ENABLE:
            return [self._new(number) for number in range(len(PLC_NODES))]
        gone = bytes([tcp.NODE_GONE]) + body[1:]
        number = int.from_bytes(body[1:3], "big") - 1
        return [wrap(tcp.BASE_NODE, tcp.CONCENTRATOR, gone), self._new(number)]

    def _new(self, number: int) -> bytes:
        node = bytes([tcp.NEW_NODE]) + (number + 1).to_bytes(2, "big") + b"\x00\x01\x03AMI"
        return wrap(tcp.BASE_NODE, tcp.CONCENTRATOR, node + bytes.fromhex(PLC_NODES[number]))


def _echo(frame: bytes) -> bytes:
    """The meter's answer to a link frame."""
    request = wmbus.parse(frame, wmbus.CI_TO_METER_LONG, wmbus.CI_TO_METER_SHORT)
    assert request is not None
    saps = request.destination_sap, request.source_sap
    answer = wmbus.Telegram(request.address, request.access, saps[0], saps[1], request.apdu)
    return wmbus.from_meter(answer)


class ImstEnd:
    """An IMST module."""

    def __init__(self) -> None:
        self._parser = hci.Parser()
        self._config = b"\x00\x01"

    def take(self, data: bytes) -> list[bytes]:
        answers: list[bytes] = []
        for frame in self._parser.feed(data, 0):
            answer = b""
            if frame.endpoint == hci.RADIO:
                answers.append(hci.frame(hci.RADIO, hci.SEND_RESPONSE))
                answers.append(hci.frame(hci.RADIO, hci.INDICATION, _echo(frame.payload)))
                continue
            if frame.message == hci.SET_CONFIG_REQUEST:
                self._config = frame.payload[1:]
            elif frame.message == hci.GET_CONFIG_REQUEST:
                answer = self._config
            answers.append(hci.frame(hci.DEVICE, frame.message + 1, answer))
        return answers


class AmberEnd:
    """An Amber (Würth) module."""

    def __init__(self) -> None:
        self._parser = amber_frames.Parser()
        self._memory = bytearray(0x80)

    def take(self, data: bytes) -> list[bytes]:
        answers: list[bytes] = []
        for command, content in self._parser.feed(data, 0):
            answer = b"\x00"
            if command == amber_frames.GET:
                start, size = content
                answer = content + bytes(self._memory[start : start + size])
            elif command == amber_frames.SET:
                self._memory[content[0] : content[0] + content[1]] = content[2:]
            answers.append(amber_frames.frame(command | 0x80, answer))
            if command == amber_frames.DATA:
                answers.append(amber_frames.frame(amber_frames.DATA_INDICATION, _echo(content)))
        return answers


def _mam_network() -> Network:
    near, middle, far = MAM_NODES
    return Network({MODEM: [near, middle], near: [middle, far], middle: [near, far], far: [near]})


ENTRIES = (
    Entry("prime-usi", Prime, PrimeEnd, PLC_NODES, "0080e1ffffff", ("0013", b"\x2a", b"\x2a")),
    Entry("dlms-o-tcp", DlmsOTcp, DlmsOTcpEnd, PLC_NODES, "0080e1ffffff", None),
    Entry(
        "meters-and-more",
        MetersAndMore,
        _mam_network,
        MAM_NODES,
        "0200000000ff",
        ("5", b"\x01", b"\x01"),
    ),
    Entry(
        "imst",
        lambda: Imst(duty_permille=1000),
        ImstEnd,
        RF_NODES,
        "2d2c",
        ("config", b"\x00\x07\x08", b"\x07\x08"),
    ),
    Entry(
        "amber", lambda: Amber(duty_permille=1000), AmberEnd, RF_NODES, "2d2c", ("46", b"x", b"x")
    ),
)
