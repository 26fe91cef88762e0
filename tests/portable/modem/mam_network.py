"""A Meters and More modem and its network as a script: who hears whom, and nothing of time or
loss. The modem carries out a request as soon as it is told."""

from __future__ import annotations

from hal.modem import usi
from hal.modem.mam import frames

MODEM = ""
_ACA = bytes.fromhex("0200000000f1")


class Network:
    """`hears`: node -> those that hear it; MODEM is the modem itself. Nodes echo what they are
    sent. `dead` nodes hear nothing. `said`: (path, service class, attribute, APDU) of each data
    request."""

    def __init__(self, hears: dict[str, list[str]]) -> None:
        self.hears = hears
        self.dead: set[str] = set()
        self.busy = 0  # so many requests are refused first
        self.thresholds: dict[str, int] = {}
        self.said: list[tuple[list[str], int, int, bytes]] = []
        self.received: dict[str, list[bytes]] = {}
        self._parser = usi.Parser()
        self._parameters = {
            frames.ACA_PARAMETER.to_bytes(4, "big"): _ACA,
            b"\x00\x00\x00\x05": b"\xff",
        }

    def take(self, data: bytes) -> list[bytes]:
        """Bytes from the host: the frames that the modem answers."""
        answers: list[bytes] = []
        for frame in self._parser.feed(data):
            assert frame.protocol == usi.METERS_AND_MORE
            answers += [usi.frame(usi.METERS_AND_MORE, answer) for answer in self._do(frame.data)]
        return answers

    def polls(self) -> int:
        return len([one for one in self.said if one[2] == frames.TCT_SET_REQUEST and one[1]])

    def _do(self, data: bytes) -> list[bytes]:
        if data[0] == frames.GET_REQUEST:
            value = self._parameters.get(data[1:5])
            head = bytes((frames.GET_CONFIRM, 1 if value is None else 0))
            value = value or b""
            return [head + data[1:7] + bytes((len(value),)) + value]
        if data[0] == frames.SET_REQUEST:
            known = len(self._parameters.get(data[1:5], b"")) == len(data) - 8 > 0
            if known:
                self._parameters[data[1:5]] = data[8:]
            return [bytes((frames.SET_CONFIRM, 0 if known else 1)) + data[1:7]]
        path, service, attribute, dsap, _, _, apdu = frames.parse_request(data)
        names = [address.hex() for address in path]
        self.said.append((names, service, attribute, apdu))
        status = 0
        if self.busy:
            self.busy -= 1
            status = frames.TX_BUSY
        confirm = bytes((frames.DATA_CONFIRM,)) + path[-1] + bytes((dsap, 0, status))
        if status:
            return [confirm]
        return [confirm] + self._carry_out(names, service, attribute, dsap, apdu)

    def _carry_out(
        self, path: list[str], service: int, attribute: int, dsap: int, apdu: bytes
    ) -> list[bytes]:
        place = MODEM
        silence = [bytes((frames.EVENT_INDICATION, frames.EVENT_TIMEOUT, 0))]
        for step in path[:-1]:
            if not self._heard(place, step):
                return [] if service == frames.SEND else silence
            place = step
        target = path[-1]
        if target == frames.TO_ALL.hex():
            nodes = [node for node in self.hears.get(place, []) if self._heard(place, node)]
            if service == frames.SEND:
                for node in nodes:
                    self._get(node, attribute, apdu)
                return []
            return self._look(place, nodes, apdu) or silence
        if not self._heard(place, target):
            return silence
        if dsap == frames.DSAP_MANAGEMENT:
            self.thresholds[target] = apdu[0]
            return [_indication(target, frames.ACKNOWLEDGE, dsap, b"\x00\xff\xff\xff")]
        self._get(target, attribute, apdu)
        if service == frames.SEND:
            return []
        answer = bytes((apdu[1], apdu[0])) + apdu[2:]
        return [_indication(target, attribute + 1, dsap, answer)]

    def _heard(self, place: str, node: str) -> bool:
        return node in self.hears.get(place, []) and node not in self.dead

    def _get(self, node: str, attribute: int, apdu: bytes) -> None:
        if attribute == frames.TCT_SET_REQUEST:
            self.thresholds[node] = apdu[0]
        else:
            self.received.setdefault(node, []).append(apdu)

    def _look(self, place: str, nodes: list[str], apdu: bytes) -> list[bytes]:
        _, threshold, add, shift = apdu
        answering = [
            node
            for node in nodes
            if self.thresholds.get(node, 0xFF) >= threshold
            and (bytes.fromhex(node)[-1] + add) % (1 << shift) == 0
        ]
        dsap = frames.DSAP_MANAGEMENT
        if place == MODEM:
            return [
                _indication(node, frames.ADDRESS_RESPONSE, dsap, _record(node))
                for node in answering
            ]
        told = bytes((len(answering),)) + b"".join([_record(node) for node in answering[:4]])
        return [_indication(place, frames.LOOK_RESPONSE, dsap, told)]


def _record(node: str) -> bytes:
    return frames.record(bytes.fromhex(node))


def _indication(node: str, attribute: int, dsap: int, apdu: bytes) -> bytes:
    return frames.Indication(bytes.fromhex(node), attribute, dsap, apdu).encode()
