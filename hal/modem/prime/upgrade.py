"""Upgrading the firmware of the PRIME modems themselves, as the base node does it for its nodes.

The image goes to the base node over the serial line, frame by frame, each acknowledged; then the
base node carries it to the nodes over PLC by itself, one by one or to all at once (multicast), asks
for missing pages, restarts them and confirms or reverts the new image. Commands of PRIME API:

    3D clear the targets     -                     3E add a target   EUI48
    3F the firmware's names  (size text) x vendor, model, version
    40 options               arq page multicast delay(4) timer(4)
    41 a file begins         frames(2) size(4) frame-size(2) CRC32(4)
    42 a frame of it         number(2) size(2) data;  numbers from 1
    43 check the file        -                     44 abort          EUI48, FF..FF: all
    45 start                 1                     46 match rule     2 model + 4 vendor
    47 ask for versions      EUI48, FF..FF: all    48 ask for states EUI48, FF..FF: all
    49 acknowledgement       command code [data(2)]
    4A a node's state        state pages(2) EUI48  4B an error       code EUI48
    4C a node's version      EUI48 (size text) x vendor, model, version
    4D a node gave it up     EUI48;  answer to 44  4E signature      algorithm size(2)

delay: seconds a complete node waits before it restarts. timer: seconds after which it reverts when
nobody confirms the new image. The last frame is shorter than the others, if need be empty. State 80
of FF..FF says that the whole upgrade has ended.

Source: Microchip's public PRIME host software and base node headers; nothing of it was seen on a
wire. Not in evidence: how long a base node takes for each step, hence the settings; whether 47 and
48 are acknowledged by 49 besides being answered, either will do; whether states are told unasked,
hence the poll; what a base node makes of an upgrade when it restarts: taken as lost.
"""

from __future__ import annotations

from hal.modem import usi
from hal.modem.prime import api

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

PAGE_AUTO, PAGE_32, PAGE_64, PAGE_128, PAGE_192 = range(5)
MATCH_MODEL = 2
MATCH_VENDOR = 4

FRAME = 512  # bytes of the image in a frame; a base node has room for 1000
MAX_NAME = 32
ALL = b"\xff" * 6

_ACK_OK = 0
_ACK_CRC_ONGOING = 7
_ACKS = (
    "ok",
    "error",
    "wrong MAC address",
    "wrong model",
    "wrong CRC",
    "wrong data",
    "wrong CRC of the file",
    "the CRC is being checked",
    "an upgrade is running",
)
_ENDED = 0x80
_EXCEPTION = 5
_STATES = ("idle", "receiving", "complete", "countdown", "upgraded", "exception")
_EXCEPTIONS = ("general", "protocol", "CRC", "invalid image", "signature", "safety timer expired")
_FINAL = ("confirmed", "exception", "refused", "given up")

_CRC_STEP = 4096  # bytes of the image a tick computes
_CRC_POLL_MS = 1000
_CHECKS = 60  # polls while the base node checks the file
_TRIES = 3


class Target:
    """A node to be upgraded. state: "waiting", then as the base node tells: idle, receiving,
    complete, countdown, upgraded, and at last confirmed, exception, refused (by the base node, as a
    target) or given up. pages: how many it has. text: what went wrong. version: "vendor model
    version", where it was told."""

    __slots__ = ("eui48", "pages", "state", "text", "version")

    def __init__(self, eui48: bytes) -> None:
        self.eui48 = eui48
        self.state = "waiting"
        self.pages = 0
        self.text = ""
        self.version = ""


class Firmware:
    """The image: `read(offset, size)` gives its bytes, `size` of them in all. vendor, model and
    version are at most 32 bytes each, as the image itself names them; which nodes it is for."""

    def __init__(
        self,
        read: Callable[[int, int], bytes],
        size: int,
        vendor: bytes,
        model: bytes,
        version: bytes,
        signature: tuple[int, int] | None = None,
    ) -> None:
        """signature: (algorithm, bytes of it at the end of the image) of a signed one."""
        if not 0 < size < 0xFFFF * FRAME:
            raise ValueError("an image of a PRIME modem has 1..%d bytes" % (0xFFFF * FRAME - 1))
        for name in (vendor, model, version):
            if len(name) > MAX_NAME:
                raise ValueError("names of PRIME firmware have at most 32 bytes: %r" % name)
        self.read = read
        self.size = size
        self.vendor = vendor
        self.model = model
        self.version = version
        self.signature = signature


class Options:
    """How the base node goes about it; see the head of this file. Durations in seconds."""

    def __init__(
        self,
        multicast: bool = True,
        arq: bool = False,
        page: int = PAGE_AUTO,
        restart_delay: int = 60,
        safety_timer: int = 3600,
        match: int = MATCH_MODEL + MATCH_VENDOR,
    ) -> None:
        for seconds in (restart_delay, safety_timer):
            if not 0 <= seconds <= 0xFFFFFFFF:
                raise ValueError("PRIME upgrade: %d seconds do not fit 32 bits" % seconds)
        self.multicast = multicast
        self.arq = arq
        self.page = page
        self.restart_delay = restart_delay
        self.safety_timer = safety_timer
        self.match = match


class Upgrade:
    """One upgrade, driven by the driver (Prime.upgrade): tick() and feed() are its business.

    state: "preparing", "sending" (to the base node), "checking", "starting", "running" (over PLC),
    "asking" (for versions), and at last "done", "aborted" or "failed"; `text` says why it failed.
    Done means that the base node ended it: which nodes have the new image, targets tells."""

    def __init__(
        self,
        firmware: Firmware,
        targets: list[str],
        options: Options | None = None,
        answer_ms: int = 10000,
        poll_ms: int = 60000,
        limit_ms: int = 86400000,
    ) -> None:
        """targets: EUI-48s as 12 hex digits. answer_ms: an acknowledgement may take so long.
        poll_ms: how often nodes are asked for their states. limit_ms: how long the base node may
        take for the nodes, then it is aborted."""
        self.targets = {address: Target(bytes.fromhex(address)) for address in targets}
        self.state = "preparing"
        self.text = ""
        self.frames = firmware.size // FRAME + 1
        self.frame = 0  # how many of them the base node has
        self._firmware = firmware
        self._options = options or Options()
        self._answer_ms = answer_ms
        self._poll_ms = poll_ms
        self._limit_ms = limit_ms
        self._crc = 0
        self._hashed = 0
        self._steps = self._preparations()
        self._asked = b""  # the command that waits for its acknowledgement
        self._tries = 0
        self._checks = 0
        self._due = 0
        self._deadline = 0
        self._aborts: list[bytes] = []

    @property
    def ended(self) -> bool:
        return self.state in ("done", "aborted", "failed")

    def progress(self) -> dict[str, int]:
        """How many targets are in each state."""
        counts: dict[str, int] = {}
        for target in self.targets.values():
            counts[target.state] = counts.get(target.state, 0) + 1
        return counts

    def abort(self, address: str | None = None) -> None:
        """Have one target give it up, or all and end it."""
        if address is not None:
            self._aborts.append(self.targets[address].eui48)
        elif not self.ended:
            self._aborts.append(ALL)
        self._due = 0

    def fail(self, why: str) -> None:
        """It cannot go on."""
        if not self.ended:
            self.state = "failed"
            self.text = why
            self._asked = b""

    # What the driver calls

    def due_ms(self, now_ms: int) -> int:
        """When tick() has something to do."""
        return now_ms + 86400000 if self.ended else self._due

    def tick(self, now_ms: int) -> bytes:
        """The command to send now; b"" when there is none."""
        if self.ended or now_ms < self._due:
            return b""
        if self._aborts:
            return self._ask(bytes([api.FUP_ABORT]) + self._aborts.pop(0), now_ms)
        if self._asked:
            if self._tries < _TRIES:
                return self._ask(self._asked, now_ms)
            self._unanswered()
            return b""
        if self._hashed < self._firmware.size:
            self._hash()
            return b""
        return self._next(now_ms)

    def feed(self, data: bytes, now_ms: int) -> bool:
        """An indication 49..4D; False when it is malformed."""
        command = data[0]
        size = len(data)
        if command == api.FUP_ACK and size in (3, 5):
            self._acknowledged(data[1], data[2], now_ms)
        elif command == api.FUP_STATUS and size >= 10:
            self._status(data[1], int.from_bytes(data[2:4], "big"), data[4:10])
        elif command == api.FUP_ERROR and size >= 8:
            target = self._target(data[2:8])
            if target is not None:
                target.text = "error %d" % data[1]
        elif command == api.FUP_VERSION:
            return self._version(data)
        elif command == api.FUP_KILL and size >= 7:
            target = self._target(data[1:7])
            if target is not None and target.state not in _FINAL:
                target.state = "given up"
        else:
            return False
        if command == api.FUP_STATUS and self._asked[:1] == bytes([api.FUP_GET_STATE]):
            self._answered(now_ms)
        return True

    # From step to step

    def _preparations(self) -> list[bytes]:
        """What the base node is told before the image; the file's begin comes with its CRC."""
        options = self._options
        firmware = self._firmware
        seconds = options.restart_delay.to_bytes(4, "big") + options.safety_timer.to_bytes(4, "big")
        names = b""
        for name in (firmware.vendor, firmware.model, firmware.version):
            names += bytes([len(name)]) + name
        steps = [
            bytes([api.FUP_SET_OPTIONS, int(options.arq), options.page, int(options.multicast)])
            + seconds,
            bytes([api.FUP_CLEAR_TARGETS]),
        ]
        steps += [bytes([api.FUP_ADD_TARGET]) + target.eui48 for target in self.targets.values()]
        steps.append(bytes([api.FUP_SET_FIRMWARE]) + names)
        steps.append(bytes([api.FUP_SET_MATCH_RULE, options.match]))
        if firmware.signature is not None:
            algorithm, size = firmware.signature
            steps.append(bytes([api.FUP_SET_SIGNATURE, algorithm]) + size.to_bytes(2, "big"))
        return steps

    def _hash(self) -> None:
        size = min(_CRC_STEP, self._firmware.size - self._hashed)
        self._crc = usi.crc32(self._read(self._hashed, size), self._crc)
        self._hashed += size

    def _read(self, offset: int, size: int) -> bytes:
        """A piece of the image, or it has failed."""
        try:
            piece = self._firmware.read(offset, size) if size else b""
        except OSError as error:
            self.fail("the image cannot be read: %s" % error)
            return b""
        if len(piece) != size:
            self.fail("the image ends at byte %d" % (offset + len(piece)))
        return piece

    def _next(self, now_ms: int) -> bytes:
        """The step that nothing is waited for."""
        if self.state == "preparing":
            if self._steps:
                return self._ask(self._steps[0], now_ms)
            if not [target for target in self.targets.values() if target.state not in _FINAL]:
                self.fail("there is no target, or the base node takes none")
                return b""
            self.state = "sending"
            begin = bytearray([api.FUP_INIT_FILE])
            begin += self.frames.to_bytes(2, "big")
            begin += self._firmware.size.to_bytes(4, "big")
            begin += FRAME.to_bytes(2, "big")
            begin += self._crc.to_bytes(4, "big")
            return self._ask(bytes(begin), now_ms)
        if self.state == "sending":
            if self.frame < self.frames:
                frame = self._data_frame()
                return b"" if self.ended else self._ask(frame, now_ms)
            self.state = "checking"
        if self.state == "checking":
            return self._ask(bytes([api.FUP_CHECK_CRC]), now_ms)
        if self.state == "starting":
            return self._ask(bytes([api.FUP_START, 1]), now_ms)
        if self.state == "running":
            if now_ms >= self._deadline:
                self.text = "not ended within %d s" % (self._limit_ms // 1000)
                self._aborts.append(ALL)
                return b""
            return self._ask(bytes([api.FUP_GET_STATE]) + ALL, now_ms)
        if self._steps:
            return self._ask(self._steps[0], now_ms)
        self.state = "done"  # all that was to be asked is, and there was time for the answers
        return b""

    def _data_frame(self) -> bytes:
        start = self.frame * FRAME
        size = min(FRAME, self._firmware.size - start)
        data = self._read(start, size)
        head = bytearray([api.FUP_DATA_FRAME])
        head += (self.frame + 1).to_bytes(2, "big")
        head += size.to_bytes(2, "big")
        return bytes(head + data)

    def _ask(self, command: bytes, now_ms: int) -> bytes:
        self._tries = self._tries + 1 if command == self._asked else 1
        self._asked = command
        self._due = now_ms + self._answer_ms
        return command

    def _unanswered(self) -> None:
        command = self._asked[0]
        self._asked = b""
        if command in (api.FUP_GET_STATE, api.FUP_GET_VERSION):
            self._steps = []  # nodes tell by themselves, too, or will be asked again
        else:
            self.fail("no answer to command %02x" % command)

    def _acknowledged(self, command: int, code: int, now_ms: int) -> None:
        if self.ended or not self._asked or command != self._asked[0]:
            return
        if code == _ACK_OK:
            self._answered(now_ms)
            return
        why = "command %02x: %s" % (command, _ACKS[code] if code < len(_ACKS) else "code %d" % code)
        of_one = command in (api.FUP_ADD_TARGET, api.FUP_ABORT) and self._asked[1:] != ALL
        target = self._target(self._asked[1:7]) if of_one else None
        if target is not None:
            target.text = why
            if command == api.FUP_ADD_TARGET:
                target.state = "refused"
            self._answered(now_ms)
        elif command == api.FUP_CHECK_CRC and code == _ACK_CRC_ONGOING and self._checks < _CHECKS:
            self._checks += 1
            self._tries = 0
            self._due = now_ms + _CRC_POLL_MS
        elif command == api.FUP_DATA_FRAME and self._tries < _TRIES:
            self._due = now_ms  # once more
        elif command in (api.FUP_GET_STATE, api.FUP_GET_VERSION):
            self._answered(now_ms)
        else:
            self.fail(why)

    def _answered(self, now_ms: int) -> None:
        """The base node is finished with the command that was asked."""
        command = self._asked[0]
        everybody = self._asked[1:] == ALL
        self._asked = b""
        self._due = now_ms
        if command == api.FUP_ABORT:
            if everybody:
                self.state = "failed" if self.text else "aborted"
        elif command == api.FUP_DATA_FRAME:
            self.frame += 1
        elif command == api.FUP_CHECK_CRC:
            self.state = "starting"
        elif command == api.FUP_START:
            self.state = "running"
            self._deadline = now_ms + self._limit_ms
            self._due = now_ms + self._poll_ms
        elif command == api.FUP_GET_STATE:
            self._due = now_ms + self._poll_ms
        elif command == api.FUP_GET_VERSION:
            self._steps = []
            self._due = now_ms + self._answer_ms  # the nodes' answers come one by one
        elif self._steps and self._steps[0][0] == command:
            self._steps = self._steps[1:]

    # What is told of the nodes

    def _target(self, eui48: bytes) -> Target | None:
        return self.targets.get(eui48.hex())

    def _status(self, state: int, pages: int, eui48: bytes) -> None:
        if eui48 == ALL:
            if state == _ENDED and self.state == "running":
                self._ask_versions()
            return
        target = self._target(eui48)
        if target is None or target.state in _FINAL:
            return
        if state == _ENDED:
            target.state = "confirmed"
        elif state < len(_STATES):
            target.state = _STATES[state]
        if state == _EXCEPTION:
            code = pages & 0x7F
            name = _EXCEPTIONS[code] if code < len(_EXCEPTIONS) else "code %d" % code
            target.text = name + (", permanent" if pages & 0x80 else ", temporary")
        else:
            target.pages = pages
        unfinished = [one for one in self.targets.values() if one.state not in _FINAL]
        if self.state == "running" and not unfinished:
            self._ask_versions()

    def _ask_versions(self) -> None:
        self.state = "asking"
        self._asked = b""
        self._due = 0
        self._steps = [bytes([api.FUP_GET_VERSION]) + ALL]

    def _version(self, data: bytes) -> bool:
        names = []
        at = 7
        for _ in range(3):
            end = at + 1 + data[at] if at < len(data) else len(data) + 1
            if end > len(data):
                return False
            names.append(data[at + 1 : end])
            at = end
        target = self._target(data[1:7])
        if target is not None:
            target.version = " ".join([_printable(name) for name in names])
        return True


def _printable(name: bytes) -> str:
    """What can be read of a name; the rest of its field is zeros."""
    return "".join([chr(byte) for byte in name[:MAX_NAME] if 0x20 <= byte < 0x7F])
