"""HDLC frames: published ones, addresses, and what a receiver must stand."""

from __future__ import annotations

from gateway.dlms.errors import ProtocolError
from gateway.dlms.hdlc import frames
from gateway.dlms.hdlc.frames import Receiver, client_address, encode, server_address, split_address
from gateway.dlms.hdlc.numbered import Parameters
from hal.rt.crc import x25, x25_good
from tests.portable.support import raises, random_bytes

# "Examples for DLMS/COSEM information exchange" by G. Kmethy of the DLMS User Association:
# client 16, logical device 1, physical device 17.
SNRM = bytes.fromhex("7ea00a00020023219318717e")
UA = bytes.fromhex("7ea023210002002373f6c58180140502008006020080070400000001080400000001ce6a7e")
AARQ = bytes.fromhex(
    "7ea02e0002002321107ecbe6e600601da109060760857405080101be10040e01000000065f1f040000301d"
    "ffffd4c57e"
)
# Other meters, from public issue trackers: Kamstrup SNRM with parameters of 1 and 2 bytes (u9n/
# dlms-cosem 62); an Iskra AM550's notification in three UI frames with single flags and double ones
# between them (arendst/Tasmota 8790).
SHORT_PARAMETERS = bytes.fromhex(
    "7ea020204127930c0c81801305018006020200070400000001080400000001b4f97e"
)
NOTIFICATION = bytes.fromhex(
    "7ea8a4cf0223039996e6e7000f0004022c0c07e50b020215330000ffc4000210020209060000600100ff090837"
    "38333434353337020209060000600101ff0906313331333034020309060101010700ff060000000002020f0016"
    "1b020309060101020700ff060000000002020f00161b020309060101010800ff060000e3a402020f00161e0203"
    "09060101020800ff0600000bde02020f00161e02030906010020070002c87e7ea8a4cf0223039996ff12092002"
    "020fff1623020309060100340700ff12000002020fff1623020309060100480700ff12000002020fff16230203"
    "090601001f0700ff12000002020ffe1621020309060100330700ff12000002020ffe1621020309060100470700"
    "ff12000002020ffe1621020309060101010801ff060000848102020f00161e020309060101010802ff0600005f"
    "2302020f00161e02030906010102e7517e7ea02dcf022313717c0801ff060000000002020f00161e0203090601"
    "01020802ff0600000bde02020f00161ee3f67e"
)
CLIENT = client_address(1)
SERVER = server_address(1, 17)


def fed(data: bytes, size: int) -> list[frames.Frame]:
    """What a receiver makes of `data` when it comes in pieces of `size`."""
    receiver = Receiver()
    found = []
    for start in range(0, len(data), size):
        found += receiver.feed(data[start : start + size])
    return found


def test_check_sequence() -> None:
    # CRC-16/X-25's check value (RFC 1662; catalogue of parametrised CRCs)
    assert x25(b"123456789") == bytes.fromhex("6e90")
    assert x25(b"") == b"\0\0"
    for size in (1, 2, 30, 300):
        data = random_bytes(size, size)
        assert x25_good(data + x25(data))
        assert x25_good(memoryview(data + x25(data)))
        assert not x25_good(data + bytes((x25(data)[0] ^ 1, x25(data)[1])))


def test_published_frames() -> None:
    for raw, name, poll, information in (
        (SNRM, "SNRM", True, b""),
        (UA, "UA", True, UA[11:-3]),
        (AARQ, "I", True, AARQ[11:-3]),
    ):
        frame = frames.decode(raw)
        assert (frame.name, frame.poll, frame.segmented) == (name, poll, False)
        assert frame.information == information
        addresses = [split_address(frame.destination), split_address(frame.source)]
        assert sorted(addresses) == [(1, 17), (16, -1)]
        again = encode(frame.destination, frame.source, frame.control, frame.information)
        assert again == raw
    assert Parameters.decode(frames.decode(UA).information).are_default
    assert Parameters().encode() == frames.decode(UA).information


def test_parameters_in_fewer_bytes() -> None:
    found = Parameters.decode(frames.decode(SHORT_PARAMETERS).information)
    assert (found.send_size, found.receive_size) == (128, 512)
    assert (found.send_window, found.receive_window) == (1, 1)


def test_malformed_parameters() -> None:
    good = Parameters(512, 256, 3, 7).encode()
    found = Parameters.decode(good)
    assert (found.send_size, found.receive_size, found.send_window, found.receive_window) == (
        512,
        256,
        3,
        7,
    )
    for size in range(1, len(good)):
        raises(ProtocolError, Parameters.decode, good[:size])
    for wrong in ("818003070100", "818003050107", "818002050", "8180020500", "8080020101"):
        raw = bytes.fromhex(wrong + "0" * (len(wrong) % 2))
        raises(ProtocolError, Parameters.decode, raw)
    # more than there can be is as good as the most there can be
    most = Parameters.decode(bytes.fromhex("8180080502ffff070200ff"))
    assert (most.send_size, most.send_window) == (frames.MAX_INFORMATION, 7)
    for arguments in ((7, 128, 1, 1), (128, 2031, 1, 1), (128, 128, 0, 1), (128, 128, 1, 8)):
        raises(ValueError, Parameters, *arguments)


def test_a_real_notification_in_segments() -> None:
    for size in (1, 7, 150, len(NOTIFICATION)):
        found = fed(NOTIFICATION, size)
        assert [frame.name for frame in found] == ["UI"] * 3
        assert [frame.segmented for frame in found] == [True, True, False]
        assert sum([len(frame.information) for frame in found]) == 154 + 154 + 35
        assert split_address(found[0].source) == (1, 17)
        assert split_address(found[0].destination) == (103, -1)


def test_addresses() -> None:
    for upper, lower, size, raw in (
        (1, -1, 0, "03"),
        (1, 17, 0, "0223"),
        (1, 17, 4, "00020023"),
        (0x7F, 0x7F, 2, "feff"),
        (0x1234, 0x3FFF, 0, "4868feff"),
        (1, 128, 0, "00020201"),
        (0, 0, 0, "0001"),
    ):
        assert server_address(upper, lower, size).hex() == raw
        assert split_address(bytes.fromhex(raw)) == (upper, lower)
    assert client_address(16) == b"\x21"
    for arguments in (
        (128, -1, 1),
        (128, 17, 2),
        (1, 128, 2),
        (0x4000, 1, 4),
        (1, 0x4000, 4),
        (1, 17, 3),
        (1, 17, 1),
        (1, -1, 2),
        (1, -1, 4),
        (-1, -1, 0),
        (128, -1, 0),
    ):
        raises(ValueError, server_address, *arguments)
    for sap in (0, 128, -1):
        raises(ValueError, client_address, sap)


def test_every_size_comes_back() -> None:
    for address in (server_address(1), SERVER, server_address(1, 17, 4)):
        for size in (0, 1, 2, 3, 127, 128, 500, frames.MAX_INFORMATION):
            information = random_bytes(size + 1, size)
            for segmented in (False, True):
                raw = encode(address, CLIENT, 0x32, information, segmented)
                frame = frames.decode(raw)
                assert frame.information == information and frame.segmented == segmented
                assert (frame.destination, frame.source) == (address, CLIENT)
                assert frame.control == 0x32
    raises(ValueError, encode, SERVER, CLIENT, 0, bytes(2040))


def test_shared_flags_and_idle_ones() -> None:
    body = SNRM[1:-1]
    flag = b"\x7e"
    for between in (flag, flag * 2, flag * 40, flag + b"\0\xff" + flag):
        data = flag + body + between + body + between + UA[1:-1] + flag
        for size in (1, 2, 5, len(data)):
            assert [f.name for f in fed(data, size)] == ["SNRM", "SNRM", "UA"]


def test_flags_inside_a_frame_are_data() -> None:
    for information in (b"\x7e", b"\x7e\x7e", b"\x7e\x7e\xa0\x07", b"\x7e" * 100, SNRM, AARQ + UA):
        raw = encode(SERVER, CLIENT, 0x10, information)
        for data in (raw, raw[:-1] + raw, b"\x7e" + raw):
            for size in (1, 3, len(data)):
                found = fed(data, size)
                assert found and found[0].information == information
                assert all(frame.information == information for frame in found)


def test_noise_around_frames() -> None:
    for seed in range(40):
        noise = random_bytes(seed + 1, 30).replace(b"\x7e", b"\x7f")
        data = noise + SNRM + noise + AARQ + noise
        for size in (1, 9, len(data)):
            assert [f.name for f in fed(data, size)] == ["SNRM", "I"]


def test_a_false_beginning_holds_nothing_up() -> None:
    # a flag and a long length, as noise may look: the header's check sequence tells at once
    for false in (
        b"\x7e\xa7\xff",
        b"\x7e\xa7\xff\x03\x21\x10",
        b"\x7e\xa1\x00\x03",
        b"\x7e\xa0\x20\x03\x21",
    ):
        receiver = Receiver()
        assert not receiver.feed(false)
        assert [f.name for f in receiver.feed(AARQ)] == ["I"]
        assert [f.name for f in receiver.feed(AARQ[1:])] == ["I"]


def test_a_frame_that_broke_off() -> None:
    # its header is right, so that it is waited for: silence ends that
    long = encode(SERVER, CLIENT, 0x10, random_bytes(1, 500).replace(b"\x7e", b"\x7f"))
    receiver = Receiver()
    assert not receiver.feed(long[:300] + SNRM + UA)
    assert receiver.amid_frame
    assert [f.name for f in receiver.silence()] == ["SNRM", "UA"]
    assert not receiver.amid_frame and not receiver.silence()
    assert [f.name for f in receiver.feed(SNRM)] == ["SNRM"]
    # or what comes next does
    receiver = Receiver()
    assert not receiver.feed(long[:300])
    found = receiver.feed(long + long)
    assert [f.control for f in found] == [0x10, 0x10]


def test_damage_is_not_taken_for_a_frame() -> None:
    for raw in (SNRM, AARQ):
        for i in range(len(raw)):
            for bit in range(8):
                damaged = raw[:i] + bytes((raw[i] ^ 1 << bit,)) + raw[i + 1 :]
                assert not fed(damaged, len(damaged))
                raises(ProtocolError, frames.decode, damaged)
        for size in range(len(raw)):
            assert not fed(raw[:size], 5)
            raises(ProtocolError, frames.decode, raw[:size])
    raises(ProtocolError, frames.decode, SNRM + SNRM)


def test_lengths_and_addresses_that_cannot_be() -> None:
    for wrong, body in (
        (-3, "032193"),  # shorter than the shortest
        (0, "020203" + "2193"),  # an address of 3 bytes
        (0, "0202020203" + "2193"),  # of 5
        (0, "03" + "020221" + "93"),
        (0, "020202029300"),  # one that does not end
        (0, "0002002321"),  # no room for a control field
        (0, "03219300"),  # for a HCS
        (0, "0321930000"),  # for anything behind it
        (-1, "032193"),
        (1, "032193"),
    ):
        raw = bytes((0xA0, len(body) // 2 + 4 + wrong)) + bytes.fromhex(body)
        data = b"\x7e" + raw + x25(raw) + b"\x7e"
        assert not fed(data, len(data)), body
        assert [f.name for f in fed(data + bytes(20) + SNRM, 1)] == ["SNRM"], body
    raw = bytes.fromhex("a007032193")
    assert [f.name for f in fed(b"\x7e" + raw + x25(raw) + b"\x7e", 3)] == ["SNRM"]


def test_random_bytes_neither_crash_nor_pile_up() -> None:
    receiver = Receiver()
    for seed in range(60):
        data = random_bytes(seed + 1, 1500)
        if seed % 3 == 0:
            data = data.replace(b"\x11", b"\x7e\xa7\xff")
        receiver.feed(data)
        receiver.silence()
        receiver.feed(data[:700])
        assert len(receiver._buffer) <= frames.MAX_LENGTH + 2
    receiver.silence()
    assert [f.name for f in receiver.feed(SNRM)] == ["SNRM"]
