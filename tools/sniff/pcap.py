"""Captures of networks: what libpcap writes (microseconds and nanoseconds, either byte order), down
to the bytes of TCP and UDP on a port. Link types: Ethernet, raw IP, Linux cooked, BSD loopback.

A TCP direction is put in order as far as its segments arrive so; one that is missing (the capture
lost it) is skipped over once 16 others wait behind it. Fragments of IP are left out.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

from tools.sniff.frame import Chunk

PORT = 4059
_MAGIC = {
    b"\xd4\xc3\xb2\xa1": ("little", 1000),
    b"\xa1\xb2\xc3\xd4": ("big", 1000),
    b"\x4d\x3c\xb2\xa1": ("little", 1_000_000),
    b"\xa1\xb2\x3c\x4d": ("big", 1_000_000),
}
_NG = b"\x0a\x0d\x0d\x0a"
_LONGEST = 1 << 18  # bytes of a packet
_FLOWS = 64
_WAITING = 16
_TCP, _UDP = 6, 17


class PcapProblem(Exception):
    """It is no capture that is read here; the text says why."""


def is_pcap(beginning: bytes) -> bool:
    return beginning[:4] in _MAGIC or beginning[:4] == _NG


def chunks(path: Path, port: int = PORT) -> Iterator[Chunk]:
    """Payload to and from `port`; stream: both ends, peer: the meter's. PcapProblem, OSError. A
    capture cut short ends where it is cut."""
    flows: OrderedDict[tuple[bytes, bytes], _Flow] = OrderedDict()
    with path.open("rb") as file:
        head = file.read(24)
        if head[:4] == _NG:
            raise PcapProblem("%s: this is pcapng; `editcap -F pcap` makes a pcap of it" % path)
        if head[:4] not in _MAGIC or len(head) < 24:
            raise PcapProblem("%s: expected a pcap file" % path)
        order, fraction = _MAGIC[head[:4]]
        little = order == "little"

        def number(data: bytes) -> int:
            return int.from_bytes(data, "little" if little else "big")

        link = number(head[20:24]) & 0xFFFF
        if link not in _LINKS:
            raise PcapProblem("%s: link type %d is not known here" % (path, link))
        while len(head := file.read(16)) == 16:
            size = number(head[8:12])
            if size > _LONGEST:
                raise PcapProblem("%s: a packet of %d bytes, which cannot be" % (path, size))
            packet = file.read(size)
            at_ms = number(head[:4]) * 1000 + number(head[4:8]) // fraction
            found = _payload(_ip(packet, link), port)
            if found is None:
                continue
            outward, client, meter, key, sequence, data = found
            stream = "%s > %s" % (client, meter)
            if sequence is None:
                if data:
                    yield Chunk(data, at_ms, outward, stream, meter)
                continue
            flow = flows.setdefault(key, _Flow())
            flows.move_to_end(key)
            if len(flows) > _FLOWS:
                flows.popitem(last=False)
            for piece in flow.take(sequence, data):
                yield Chunk(piece, at_ms, outward, stream, meter)


class _Flow:
    """One direction of a TCP connection."""

    def __init__(self) -> None:
        self._next: int | None = None
        self._waiting: dict[int, bytes] = {}

    def take(self, sequence: tuple[int, bool], data: bytes) -> list[bytes]:
        number, syn = sequence
        if syn:
            self._next = (number + 1) & 0xFFFFFFFF
            self._waiting = {}
            return []
        if not data:
            return []
        if self._next is None:
            self._next = number
        self._waiting[number] = data
        found = self._ready()
        if len(self._waiting) > _WAITING:
            self._next = min(self._waiting, key=self._ahead)
            found += self._ready()
        return found

    def _ahead(self, number: int) -> int:
        """How far behind what was given out; above 2^31: it was given out already."""
        assert self._next is not None
        return (number - self._next) & 0xFFFFFFFF

    def _ready(self) -> list[bytes]:
        found: list[bytes] = []
        assert self._next is not None
        more = True
        while more:
            more = False
            for number in list(self._waiting):
                data = self._waiting[number]
                old = (self._next - number) & 0xFFFFFFFF
                if old >= 1 << 31:
                    continue
                del self._waiting[number]
                if old < len(data):
                    found.append(data[old:])
                    self._next = (number + len(data)) & 0xFFFFFFFF
                    more = True
        return found


_LINKS = {0: 4, 1: 14, 12: 0, 14: 0, 101: 0, 113: 16, 276: 20}  # link type: bytes before IP
_VLAN = (0x8100, 0x88A8)


def _ip(packet: bytes, link: int) -> bytes:
    skip = _LINKS[link]
    if link == 1:
        while int.from_bytes(packet[skip - 2 : skip], "big") in _VLAN and len(packet) > skip + 4:
            skip += 4
    return packet[skip:]


Found = tuple[bool, str, str, tuple[bytes, bytes], tuple[int, bool] | None, bytes]


def _payload(ip: bytes, port: int) -> Found | None:
    """(outward, client, meter, flow, (sequence, SYN) of TCP, payload); None for all else."""
    if len(ip) < 20:
        return None
    if ip[0] >> 4 == 4:
        size = (ip[0] & 15) * 4
        if int.from_bytes(ip[6:8], "big") & 0x3FFF:
            return None  # a fragment
        protocol, source, destination = ip[9], ip[12:16], ip[16:20]
        whole = int.from_bytes(ip[2:4], "big") or len(ip)
    elif ip[0] >> 4 == 6 and len(ip) >= 40:
        size, protocol, source, destination = 40, ip[6], ip[8:24], ip[24:40]
        whole = 40 + int.from_bytes(ip[4:6], "big")
    else:
        return None
    rest = ip[size:whole]
    if protocol not in (_TCP, _UDP) or len(rest) < (20 if protocol == _TCP else 8):
        return None
    ports = int.from_bytes(rest[:2], "big"), int.from_bytes(rest[2:4], "big")
    if port not in ports:
        return None
    outward = ports[1] == port
    ends = [_spelt(source, ports[0]), _spelt(destination, ports[1])]
    client, meter = ends if outward else ends[::-1]
    key = source + rest[:2], destination + rest[2:4]
    if protocol == _UDP:
        return outward, client, meter, key, None, rest[8:]
    sequence = int.from_bytes(rest[4:8], "big"), bool(rest[13] & 2)
    return outward, client, meter, key, sequence, rest[(rest[12] >> 4) * 4 :]


def _spelt(address: bytes, port: int) -> str:
    host = str(ipaddress.ip_address(address))
    return ("[%s]:%d" if ":" in host else "%s:%d") % (host, port)
