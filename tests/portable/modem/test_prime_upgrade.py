"""The upgrade of PRIME modems: commands byte for byte, what goes wrong, and a whole one on a
scripted base node in four conditions of the line."""

from __future__ import annotations

from hal.modem import usi
from hal.modem.prime import api
from hal.modem.prime.prime import Prime
from hal.modem.prime.upgrade import FRAME, MATCH_MODEL, PAGE_128, Firmware, Options, Upgrade
from hal.ports import PortError
from hal.sim.channel import Rng
from tests.portable.support import raises, random_bytes

A = "0080e1000001"
B = "0080e1000002"
C = "0080e1000003"
ALL = "ff" * 6


def firmware(size: int = 1300, signature: tuple[int, int] | None = None) -> Firmware:
    image = random_bytes(5, size)
    return Firmware(
        lambda offset, length: image[offset : offset + length],
        size,
        b"ATMEL",
        b"PRIME",
        b"1.4.9",
        signature,
    )


def upgrade(size: int = 1300, targets: tuple[str, ...] = (A, B)) -> Upgrade:
    options = Options(True, False, PAGE_128, 60, 3600, MATCH_MODEL)
    return Upgrade(firmware(size), list(targets), options, answer_ms=1000, poll_ms=5000)


def ack(command: int, code: int = 0, data: str = "") -> bytes:
    return bytes((api.FUP_ACK, command, code)) + bytes.fromhex(data)


def status(state: int, pages: int, address: str) -> bytes:
    return bytes((api.FUP_STATUS, state)) + pages.to_bytes(2, "big") + bytes.fromhex(address)


def asked(procedure: Upgrade, now: int = 0) -> str:
    """The next command; the image's CRC is computed on the way."""
    for _ in range(10):
        command = procedure.tick(now)
        if command:
            return command.hex()
    return ""


def acknowledged(procedure: Upgrade, until: str, now: int = 0) -> str:
    """Acknowledge everything up to the command that begins so; returns that."""
    while True:
        command = asked(procedure, now)
        if command.startswith(until) or not command:
            return command
        procedure.feed(ack(bytes.fromhex(command)[0]), now)


def running() -> Upgrade:
    procedure = upgrade()
    assert acknowledged(procedure, "45") == "4501"
    procedure.feed(ack(0x45), 0)
    assert procedure.state == "running"
    return procedure


def test_every_command_byte_for_byte() -> None:
    procedure = upgrade()
    image = random_bytes(5, 1300)
    expected = [
        "40 00 03 01 0000003c 00000e10",
        "3d",
        "3e" + A,
        "3e" + B,
        "3f 05 41544d454c 05 5052494d45 05 312e342e39",
        "46 02",
        "41 0003 00000514 0200 %08x" % usi.crc32(image),
        "42 0001 0200 " + image[:512].hex(),
        "42 0002 0200 " + image[512:1024].hex(),
        "42 0003 0114 " + image[1024:].hex(),
        "43",
        "45 01",
    ]
    for text in expected:
        command = asked(procedure)
        assert command == text.replace(" ", "")
        assert procedure.tick(0) == b""  # one after the other
        assert procedure.feed(ack(bytes.fromhex(command)[0]), 0)
    assert procedure.state == "running" and procedure.frame == procedure.frames == 3
    assert asked(procedure, 4999) == ""
    assert asked(procedure, 5000) == "48" + ALL


def test_a_signature_and_an_image_that_fills_its_frames() -> None:
    signed = Upgrade(firmware(2 * FRAME, (2, 71)), [A])
    assert acknowledged(signed, "4e") == "4e020047"
    signed.feed(ack(0x4E), 0)
    assert acknowledged(signed, "41")[2:6] == "0003"
    signed.feed(ack(0x41), 0)
    assert acknowledged(signed, "420003") == "4200030000"  # the last frame is short, so: empty


def test_states_errors_and_versions_of_the_nodes() -> None:
    procedure = running()
    targets = procedure.targets
    procedure.feed(status(1, 7, A), 1)
    assert (targets[A].state, targets[A].pages) == ("receiving", 7)
    procedure.feed(status(3, 11, A), 2)
    procedure.feed(bytes((api.FUP_ERROR, 6)) + bytes.fromhex(B), 3)
    assert procedure.progress() == {"countdown": 1, "waiting": 1} and targets[B].text == "error 6"
    procedure.feed(status(5, 0x82, B), 4)
    assert (targets[B].state, targets[B].text) == ("exception", "CRC, permanent")
    procedure.feed(status(1, 1, B), 5)
    assert targets[B].state == "exception"  # for good
    procedure.feed(status(0x80, 11, A), 6)
    assert procedure.state == "asking" and asked(procedure, 6) == "47" + ALL
    procedure.feed(ack(0x47), 7)
    version = b"\x05ATMEL\x05PRIME\x10" + b"1.4.9" + bytes(8) + b"\x1b[m"
    procedure.feed(bytes((api.FUP_VERSION,)) + bytes.fromhex(A) + version, 8)
    assert targets[A].version == "ATMEL PRIME 1.4.9[m"  # nothing a terminal obeys
    assert asked(procedure, 1006) == "" and procedure.state == "asking"
    assert asked(procedure, 1007) == "" and procedure.state == "done"
    assert procedure.progress() == {"confirmed": 1, "exception": 1}


def test_the_base_node_ends_it() -> None:
    procedure = running()
    procedure.feed(status(2, 9, A), 1)
    procedure.feed(status(0x80, 0, ALL), 2)
    assert procedure.state == "asking"
    for now in (2, 1003, 2004, 3005, 3006):  # nobody answers
        asked(procedure, now)
    assert procedure.state == "done" and procedure.progress() == {"complete": 1, "waiting": 1}


def test_targets_that_the_base_node_refuses() -> None:
    procedure = upgrade()
    acknowledged(procedure, "3e" + A)
    procedure.feed(ack(0x3E, 2), 0)
    assert procedure.targets[A].state == "refused"
    assert procedure.targets[A].text == "command 3e: wrong MAC address"
    assert asked(procedure) == "3e" + B
    procedure.feed(ack(0x3E, 3), 0)
    acknowledged(procedure, "41")
    assert procedure.state == "failed" and "takes none" in procedure.text


def test_unanswered_commands_are_repeated_then_it_fails() -> None:
    procedure = upgrade()
    acknowledged(procedure, "3f")
    for now in (1000, 2000):
        assert asked(procedure, now - 1) == ""
        assert asked(procedure, now).startswith("3f")
    assert asked(procedure, 3000) == ""
    assert (procedure.state, procedure.text) == ("failed", "no answer to command 3f")
    assert procedure.due_ms(3000) > 80000000


def test_frames_that_arrive_damaged_are_sent_again() -> None:
    procedure = upgrade()
    frame = acknowledged(procedure, "420002")
    for _ in range(2):
        procedure.feed(ack(0x42, 5, "0002"), 0)
        assert asked(procedure) == frame
    procedure.feed(ack(0x42, 0, "0002"), 0)
    assert asked(procedure).startswith("420003")
    for _ in range(3):
        procedure.feed(ack(0x42, 4), 0)
        asked(procedure)
    assert (procedure.state, procedure.text) == ("failed", "command 42: wrong CRC")


def test_the_file_is_checked_as_long_as_that_takes() -> None:
    procedure = upgrade()
    acknowledged(procedure, "43")
    for second in range(30):
        procedure.feed(ack(0x43, 7), 1000 * second)
        assert asked(procedure, 1000 * second + 999) == ""
        assert asked(procedure, 1000 * second + 1000) == "43"
    procedure.feed(ack(0x43, 6), 99000)
    assert procedure.text == "command 43: wrong CRC of the file"


def test_abort_of_one_and_of_all() -> None:
    procedure = running()
    procedure.abort(B)
    assert asked(procedure, 1) == "44" + B
    procedure.feed(ack(0x44), 2)
    procedure.feed(bytes((api.FUP_KILL,)) + bytes.fromhex(B), 3)
    assert procedure.targets[B].state == "given up" and procedure.state == "running"
    procedure.abort()
    assert asked(procedure, 4) == "44" + ALL
    procedure.feed(ack(0x44), 5)
    assert procedure.state == "aborted" and procedure.ended
    sending = upgrade()
    acknowledged(sending, "420002")
    sending.abort()
    assert asked(sending) == "44" + ALL


def test_one_that_takes_too_long_is_aborted() -> None:
    procedure = Upgrade(firmware(), [A], limit_ms=60000, poll_ms=30000)
    acknowledged(procedure, "45")
    procedure.feed(ack(0x45), 0)
    for now in (30000, 60000):
        command = asked(procedure, now)
        if command:
            procedure.feed(ack(bytes.fromhex(command)[0]), now)
    assert command == "44" + ALL
    assert (procedure.state, procedure.text) == ("failed", "not ended within 60 s")


def test_an_image_that_cannot_be_read() -> None:
    def broken(offset: int, size: int) -> bytes:
        raise OSError("EIO")

    procedure = Upgrade(Firmware(broken, 100, b"", b"", b""), [A])
    assert asked(procedure) == "" and procedure.text == "the image cannot be read: EIO"
    procedure = Upgrade(Firmware(lambda offset, size: b"short", 100, b"", b"", b""), [A])
    assert asked(procedure) == "" and procedure.text == "the image ends at byte 5"
    raises(ValueError, Firmware, broken, 0, b"", b"", b"")
    raises(ValueError, Firmware, broken, 100, bytes(33), b"", b"")
    raises(ValueError, Options, True, False, 0, -1)


def test_malformed_indications_are_counted() -> None:
    driver = Prime()
    driver.start(0)
    driver.upgrade(upgrade(), 0)
    bad = ("49", "49 40", "49 40 00 00", "4a 00", "4b 00", "4c", "4c %s 05" % A, "4d 00")
    for text in bad:
        frame = bytes.fromhex(text.replace(" ", ""))
        driver.feed(usi.frame(usi.PRIME_API, frame), 1)
    for text in ("49 42 00", "4a 01 0001 " + C, "4b 01 " + C, "4d " + C):  # of no concern to us
        driver.feed(usi.frame(usi.PRIME_API, bytes.fromhex(text.replace(" ", ""))), 1)
    assert driver.statistics()["malformed"] == len(bad)


def test_one_at_a_time_and_a_restart_ends_it() -> None:
    driver = Prime()
    driver.start(0)
    first = upgrade()
    driver.upgrade(first, 0)
    raises(PortError, driver.upgrade, upgrade(), 0)
    reboot = bytes((api.NETWORK_EVENT, api.EVENT_REBOOT)) + bytes(13)
    driver.feed(usi.frame(usi.PRIME_API, reboot), 1)
    assert (first.state, first.text) == ("failed", "the base node restarted")
    driver.upgrade(upgrade(), 2)


class BaseNode:
    """Takes an image, carries it to its nodes in `rounds` polls, and confirms all of them."""

    def __init__(self) -> None:
        self.parser = usi.Parser()
        self.frames: dict[int, bytes] = {}
        self.targets: list[bytes] = []
        self.crc = 0
        self.polls = 0

    def take(self, data: bytes) -> list[bytes]:
        answers: list[bytes] = []
        for frame in self.parser.feed(data):
            if frame.protocol == usi.PRIME_API:
                answers += [usi.frame(usi.PRIME_API, answer) for answer in self.do(frame.data)]
        return answers

    def do(self, data: bytes) -> list[bytes]:
        command = data[0]
        code = 0
        said: list[bytes] = []
        if command == api.FUP_ADD_TARGET:
            if data[1:] not in self.targets:
                self.targets.append(data[1:])
        elif command == api.FUP_INIT_FILE:
            self.crc = int.from_bytes(data[9:13], "big")
        elif command == api.FUP_DATA_FRAME:
            self.frames[int.from_bytes(data[1:3], "big")] = data[5:]
        elif command == api.FUP_CHECK_CRC:
            code = 0 if usi.crc32(self.image()) == self.crc else 6
        elif command == api.FUP_GET_STATE:
            self.polls += 1
            for target in self.targets:
                state = 1 if self.polls < 4 else 0x80
                said.append(status(state, self.polls, target.hex()))
        elif command == api.FUP_GET_VERSION:
            for target in self.targets:
                said.append(bytes([api.FUP_VERSION]) + target + b"\x01V\x01M\x03new")
        elif command < api.FUP_CLEAR_TARGETS:
            return []
        return [ack(command, code)] + said

    def image(self) -> bytes:
        return b"".join([self.frames[number] for number in sorted(self.frames)])


def play(condition: str) -> tuple[Upgrade, BaseNode]:
    rng = Rng(3, condition)
    node = BaseNode()
    driver = Prime(silence_ms=10**9, refresh_ms=10**9)
    driver.start(0)
    procedure = Upgrade(
        firmware(9000), [A, B, C], Options(), answer_ms=3000, poll_ms=10000, limit_ms=600000
    )
    driver.upgrade(procedure, 0)
    late: list[tuple[int, bytes]] = []
    now = 0
    while not procedure.ended:
        now = min([now + driver.due_ms(now)] + [max(now, at) for at, _ in late[:1]])
        assert now < 3600000
        driver.tick(now)
        for answer in node.take(driver.outgoing()):
            if condition == "lossy" and rng.chance(0.2):
                continue
            late.append((now + (rng.between(1, 9) * 100 if condition == "delayed" else 0), answer))
        while late and late[0][0] <= now:
            data = late.pop(0)[1]
            step = 1 if condition == "bytewise" else len(data)
            for start in range(0, len(data), step):
                driver.feed(data[start : start + step], now)
    return procedure, node


def test_a_whole_upgrade_in_four_conditions_of_the_line() -> None:
    for condition in ("clean", "bytewise", "delayed", "lossy"):
        procedure, node = play(condition)
        assert procedure.state == "done", (condition, procedure.text)
        assert node.image() == random_bytes(5, 9000)
        assert procedure.progress() == {"confirmed": 3}
        versions = [target.version for target in procedure.targets.values()]
        assert versions == ["V M new"] * 3 or condition == "lossy"
