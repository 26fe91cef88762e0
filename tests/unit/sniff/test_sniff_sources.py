"""Where the bytes come from: files of every kind, live ports, and the middle of a line."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import tty
from pathlib import Path

import pytest

from hal.cpython.clock import SystemClock
from hal.cpython.ports import open_port
from hal.modem import usi
from tests.conftest import ROOT
from tests.unit.sniff.conftest import Tool
from tests.unit.sniff.test_sniff_lines import LINES, NAMED
from tools.emulator.line import PtyLine, TcpLine
from tools.sniff import recording
from tools.sniff.middle import Middle, offered
from tools.sniff.recording import rows

REQUEST, REPLY = LINES["wrapper"]
PING = usi.frame(usi.PRIME_API, b"\x2d\x00\x24")
PONG = usi.frame(usi.PRIME_API, b"\x2e\x00\x00\x24\x01\x03")

# ---------------------------------------------------------------- pcap


def ip(source: str, destination: str, protocol: int, content: bytes) -> bytes:
    if ":" in source:
        ends = [socket.inet_pton(socket.AF_INET6, each) for each in (source, destination)]
        return struct.pack(">IHBB", 6 << 28, len(content), protocol, 64) + b"".join(ends) + content
    ends = [socket.inet_aton(each) for each in (source, destination)]
    size = 20 + len(content)
    return struct.pack(">BBHHHBBH", 0x45, 0, size, 0, 0, 64, protocol, 0) + b"".join(ends) + content


def tcp(ports: tuple[int, int], sequence: int, data: bytes, flags: int = 0x18) -> bytes:
    return struct.pack(">HHIIBBHHH", *ports, sequence & 0xFFFFFFFF, 0, 0x50, flags, 0, 0, 0) + data


def udp(ports: tuple[int, int], data: bytes) -> bytes:
    return struct.pack(">HHHH", *ports, 8 + len(data), 0) + data


def pcap(packets: list[bytes], order: str = "<", link: int = 1) -> bytes:
    out = struct.pack(order + "IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, link)
    for at, packet in enumerate(packets):
        out += struct.pack(order + "IIII", 1790000000 + at, 5000, len(packet), len(packet)) + packet
    return out


def ethernet(content: bytes, kind: int = 0x0800, vlan: bool = False) -> bytes:
    tag = b"\x81\x00\x00\x05" if vlan else b""
    return bytes(12) + tag + kind.to_bytes(2, "big") + content


US, METER = "10.0.0.1", "10.0.0.7"
UP, DOWN = (50000, 4059), (4059, 50000)


def conversation() -> list[bytes]:
    """A handshake, an answer in pieces out of order, one of them twice, and others' traffic."""
    begin = 0xFFFFFFF0  # sequence numbers wrap
    return [
        ethernet(ip(US, METER, 6, tcp(UP, begin - 1, b"", 2))),
        ethernet(ip(METER, US, 6, tcp(DOWN, 99, b"", 0x12))),
        ethernet(ip(US, METER, 6, tcp(UP, begin, REQUEST))),
        ethernet(ip(US, METER, 6, tcp((50000, 80), begin, b"GET / HTTP/1.1"))),
        ethernet(ip(METER, US, 6, tcp(DOWN, 110, REPLY[10:]))),
        ethernet(ip(METER, US, 6, tcp(DOWN, 100, REPLY[:10]))),
        ethernet(ip(METER, US, 6, tcp(DOWN, 100, REPLY[:10]))),
        ethernet(b"\x00" * 30, 0x0806),
        ethernet(ip(US, METER, 6, tcp(UP, begin + len(REQUEST), REQUEST)), vlan=True),
    ]


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_capture_of_tcp(order: str, tmp_path: Path, sniff: Tool) -> None:
    (tmp_path / "a.pcap").write_bytes(pcap(conversation(), order))
    place = {"serial": "AMI0000000007", "paths": [["ip", METER + ":4059"]]}
    (tmp_path / "meters.jsonl").write_text(json.dumps(place))
    ran = sniff("--json", "--meters", tmp_path / "meters.jsonl", tmp_path / "a.pcap")
    assert ran.status == 0 and ran.summary["damaged"] == {}
    assert ran.frames[0]["layers"][0]["text"] == "16 to 1 [AMI0000000007]"
    assert [frame["outward"] for frame in ran.frames] == [True, False, True]
    assert {frame["stream"] for frame in ran.frames} == {"10.0.0.1:50000 > 10.0.0.7:4059"}
    assert ran.frames[0]["at_ms"] == 1790000002005
    assert NAMED in ran.frames[2]["layers"][-1]["text"]


def test_a_capture_of_udp_over_ipv6_without_ethernet(tmp_path: Path, sniff: Tool) -> None:
    packets = [ip("fd00::1", "fd00::7", 17, udp(UP, REQUEST))]
    packets += [ip("fd00::7", "fd00::1", 17, udp(DOWN, REPLY))]
    (tmp_path / "a.pcap").write_bytes(pcap(packets, link=101))
    ran = sniff(tmp_path / "a.pcap")
    assert ran.status == 0 and NAMED in ran.out and "double-long-unsigned 900" in ran.out
    assert "-- [fd00::1]:50000 > [fd00::7]:4059" in ran.out


def test_a_capture_that_lost_a_segment_goes_on(tmp_path: Path, sniff: Tool) -> None:
    packets = [ethernet(ip(US, METER, 6, tcp(UP, 100, REQUEST[:6])))]
    begin = 100 + 2 * len(REQUEST)  # the rest of the first one is missing
    for place in range(20):
        data = tcp(UP, begin + place * len(REQUEST), REQUEST)
        packets.append(ethernet(ip(US, METER, 6, data)))
    (tmp_path / "a.pcap").write_bytes(pcap(packets))
    ran = sniff("--json", tmp_path / "a.pcap")
    named = [frame for frame in ran.frames if NAMED in frame["layers"][-1]["text"]]
    assert len(named) == 19 and ran.summary["damaged"]


def test_captures_that_are_none(tmp_path: Path, sniff: Tool) -> None:
    for content, expected in (
        (b"\x0a\x0d\x0d\x0a" + bytes(20), "pcapng"),
        (pcap([], link=9999), "link type 9999"),
        (pcap([bytes(10)])[:-10] + b"", ""),
        (pcap([])[:20], "expected a pcap file"),
        (pcap([]) + struct.pack("<IIII", 0, 0, 1 << 30, 1 << 30), "which cannot be"),
    ):
        (tmp_path / "a.pcap").write_bytes(content)
        ran = sniff(tmp_path / "a.pcap")
        assert ran.status == (1 if expected else 0) and expected in ran.err


# ---------------------------------------------------------------- the command


def test_wrong_calls(tmp_path: Path, sniff: Tool) -> None:
    ran = sniff(tmp_path / "none")
    assert ran.status == 1 and "No such file" in ran.err and "none" in ran.err
    assert sniff().status == 2
    assert sniff("--format", "x", "a").status == 2
    assert sniff("--count", "0", "a").status == 2
    assert sniff("--title", "00", "a").status == 2
    assert sniff("--record", tmp_path / "r", "serial:/dev/null").status == 2
    assert sniff("--record", tmp_path / "r", "--offer", "pty:/tmp/x", "file").status == 2
    ran = sniff("--record", tmp_path / "r", "--offer", "udp://x", "tcp://127.0.0.1:1")
    assert ran.status == 1 and "expected pty:" in ran.err
    assert not (tmp_path / "r").exists()
    (tmp_path / "r").write_text("precious")
    ran = sniff("--record", tmp_path / "r", "--offer", "tcp://127.0.0.1:1", "tcp://127.0.0.1:1")
    assert ran.status == 2 and "there already" in ran.err
    assert sniff("tcp://host").status == 1
    assert "--record" in sniff("--help").out


def test_only_the_first_frames(tmp_path: Path, sniff: Tool) -> None:
    (tmp_path / "a").write_bytes(REQUEST * 9)
    ran = sniff("--count", 2, "--json", tmp_path / "a")
    assert ran.status == 0 and len(ran.frames) == 2


def test_what_nobody_knows_is_told(tmp_path: Path, sniff: Tool) -> None:
    (tmp_path / "a").write_bytes(b"hello world, nothing to see here")
    ran = sniff(tmp_path / "a", "--json")
    assert ran.status == 1 and ran.summary["frames"] == 0
    assert ran.summary["damaged"] == {"not-recognised": 1}
    assert "not recognised" in ran.err and "--format" in ran.err


def test_a_meters_text_does_not_steer_the_terminal(tmp_path: Path, sniff: Tool) -> None:
    name = b"\x1b[2J\x07\x9b"
    joined = b"\x3a" + bytes((len(name),)) + name + b"\x00\x05" + bytes(6) + b"\x00"
    (tmp_path / "a").write_bytes(usi.frame(usi.PRIME_API, joined) * 3)
    ran = sniff("-v", tmp_path / "a")
    assert "join.indication" in ran.out and "\x1b" not in ran.out and "\x07" not in ran.out


def test_a_reader_that_goes_away(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(REQUEST * 20000)
    command = "%s -m tools.sniff %s | head -2" % (sys.executable, tmp_path / "a")
    done = subprocess.run(
        command, shell=True, cwd=ROOT, capture_output=True, timeout=300, check=False
    )
    assert done.stderr == b"" and NAMED.encode() in done.stdout


# ---------------------------------------------------------------- live


def test_a_live_port(sniff: Tool) -> None:
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = server.accept()
        connection.sendall(PING)
        connection.sendall(PONG[:4])
        connection.sendall(PONG[4:])
        connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    url = "tcp://127.0.0.1:%d" % server.getsockname()[1]
    ran = sniff("--json", "--seconds", 20, url)
    thread.join()
    server.close()
    assert ran.status == 0
    assert [frame["layers"][-1]["text"] for frame in ran.frames] == [
        "get.request PIB 0024",
        "get.confirm PIB 0024: done 03",
    ]
    assert sniff("--seconds", 1, url).status == 1  # nobody listens any more


def test_a_live_serial_line_ends_when_its_time_is_over(sniff: Tool) -> None:
    leader, follower = os.openpty()
    tty.setraw(follower)
    thread = threading.Timer(1.0, lambda: os.write(leader, PING + PONG))  # opening empties it
    thread.start()
    try:
        ran = sniff("--json", "--seconds", 4, "serial:" + os.ttyname(follower))
        thread.join()
    finally:
        os.close(leader)
        os.close(follower)
    assert ran.status == 0 and ran.summary["frames"] == 2


class Modem:
    """Answers each frame with PONG; a line that can be dropped."""

    def __init__(self, line: TcpLine | PtyLine) -> None:
        self.line = line

    async def start(self) -> None:
        await self.line.start(lambda data: self.line.send(PONG), lambda: None)


async def _ask(url: str) -> bytes:
    port = await open_port(url, SystemClock())
    await port.write(PING)
    answer = b""
    try:
        while len(answer) < len(PONG):
            data = await asyncio.wait_for(port.read(), 60)
            if not data:
                raise OSError("the line is gone")
            answer += data
    finally:
        await port.close()
    return answer


@pytest.mark.parametrize("offer", ["tcp", "pty"])
def test_in_the_middle_of_a_line(offer: str, tmp_path: Path) -> None:
    async def story() -> None:
        modem = Modem(TcpLine())
        await modem.start()
        assert isinstance(modem.line, TcpLine)
        line = TcpLine() if offer == "tcp" else offered("pty:%s" % (tmp_path / "modem"))
        seen = []
        with (tmp_path / "r.jsonl").open("w") as file:
            middle = Middle("tcp://127.0.0.1:%d" % modem.line.port, line, file)

            async def watch() -> None:
                async for chunk in middle.run(30):
                    seen.append(chunk)

            watching = asyncio.create_task(watch())
            for _ in range(6000):
                if (tmp_path / "modem").exists() or getattr(line, "port", 0):
                    break
                await asyncio.sleep(0.01)
            url = "tcp://127.0.0.1:%d" % line.port if isinstance(line, TcpLine) else ""
            url = url or "serial:%s" % (tmp_path / "modem")
            assert await _ask(url) == PONG
            modem.line.drop()  # the modem's adapter is pulled for a moment
            again = b""
            for _ in range(60):
                try:
                    again = await asyncio.wait_for(_ask(url), 2)
                    break
                except (OSError, TimeoutError):
                    await asyncio.sleep(0.1)
            assert again == PONG
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            assert watching.cancelled()
        await modem.line.stop()
        written = b"".join(chunk.data for chunk in seen if chunk.outward)
        assert PING in written

    asyncio.run(story())
    found = list(rows(tmp_path / "r.jsonl"))
    assert found[0]["recording"] == 1 and found[0]["started"] > 1_700_000_000_000
    assert next(row["line"] for row in found if "line" in row) == "open"
    assert "closed" in [row.get("line") for row in found[:-1]]
    read = "".join(row["read"] for row in found if "read" in row)
    assert read.count(PONG.hex()) >= 2
    chunks = list(recording.chunks(tmp_path / "r.jsonl"))
    assert chunks[0].outward and chunks[0].at_ms is not None
    assert chunks[0].at_ms >= found[0]["started"]


def test_a_recording_as_a_command(tmp_path: Path, sniff: Tool) -> None:
    server = socket.create_server(("127.0.0.1", 0))
    free = socket.create_server(("127.0.0.1", 0))
    offer = "tcp://127.0.0.1:%d" % free.getsockname()[1]
    free.close()

    def gateway() -> None:
        connection, _ = server.accept()
        for _ in range(200):
            try:
                host = socket.create_connection(("127.0.0.1", int(offer.rpartition(":")[2])), 5)
                break
            except OSError:
                threading.Event().wait(0.02)
        host.sendall(PING)
        assert connection.recv(100) == PING
        connection.sendall(PONG)
        assert host.recv(100) == PONG
        host.close()
        connection.close()

    thread = threading.Thread(target=gateway)
    thread.start()
    file = tmp_path / "r.jsonl"
    url = "tcp://127.0.0.1:%d" % server.getsockname()[1]
    ran = sniff("--seconds", 3, "--record", file, "--offer", offer, url)
    thread.join()
    server.close()
    assert ran.status == 0 and "get.request PIB 0024" in ran.out and "get.confirm" in ran.out
    assert file.stat().st_mode & 0o077 == 0
    again = sniff("--json", file)
    assert again.summary["frames"] == 2


def test_a_count_makes_nothing_recognised(tmp_path: Path, sniff: Tool) -> None:
    source = tmp_path / "no-capture"
    source.write_bytes(b"a" * 100_000)
    ran = sniff(source, "--count", 1)
    assert ran.status == 1 and "not recognised" in ran.err
