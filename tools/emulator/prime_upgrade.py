"""The base node's side of upgrading its nodes' modems; hal/modem/prime/upgrade.py faces it.

The image is cut into pages. With multicast each page is said once to all, and what a node missed
once more to it alone; else every page goes to every node alone, repeated by the link layer. Then
the node restarts with the new image, registers anew and is confirmed.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine

from hal.modem import usi
from hal.modem.prime import api
from tools.emulator.prime_network import Node, PrimeNetwork

ALL = b"\xff" * 6
_OK, _ERROR, _WRONG_MAC, _WRONG_CRC_OF_FILE, _RUNNING = 0, 1, 2, 6, 8
_RECEIVING, _COMPLETE, _COUNTDOWN, _UPGRADED, _CONFIRMED = 1, 2, 3, 4, 0x80
_UNICAST_TIMEOUT, _WRONG_VENDOR, _WRONG_MODEL = 10, 16, 17
_PAGES = (64, 32, 64, 128, 192)
_PAGE_OVERHEAD = 10
_ROUNDS = 5  # of repairing what a node has missed
_RESTART_MS = 20000


class _Target:
    def __init__(self, node: Node) -> None:
        self.node = node
        self.state = 0
        self.missing: set[int] = set()
        self.given_up = False


class BaseNodeUpgrade:
    """Commands 3D to 4E of one base node; `tell` sends a frame's data to the host, `begin` runs
    something that takes time."""

    def __init__(
        self,
        network: PrimeNetwork,
        tell: Callable[[bytes], None],
        begin: Callable[[Coroutine[None, None, None]], None],
    ) -> None:
        self._network = network
        self._tell = tell
        self._begin = begin
        self._runs = 0
        self.forget()

    def forget(self) -> None:
        """The base node restarted."""
        self._targets: dict[bytes, _Target] = {}
        self._firmware = (b"", b"", b"")
        self._match = 0
        self._multicast = False
        self._page = _PAGES[0]
        self._delay_ms = 0
        self._size = self._crc = 0
        self._frames: dict[int, bytes] = {}
        self._pages = 0
        self._run = 0  # number of the upgrade that runs; 0: none

    def image(self) -> bytes:
        return b"".join(data for _, data in sorted(self._frames.items()))

    def command(self, data: bytes) -> None:
        """One that has to do with upgrades is acknowledged; others are none of ours."""
        command = data[0]
        doings = {
            api.FUP_CLEAR_TARGETS: (1, self._clear),
            api.FUP_ADD_TARGET: (7, self._add),
            api.FUP_SET_FIRMWARE: (4, self._set_firmware),
            api.FUP_SET_OPTIONS: (12, self._set_options),
            api.FUP_INIT_FILE: (13, self._init_file),
            api.FUP_DATA_FRAME: (5, self._data_frame),
            api.FUP_CHECK_CRC: (1, self._check),
            api.FUP_ABORT: (7, self._abort),
            api.FUP_START: (2, self._start),
            api.FUP_SET_MATCH_RULE: (2, self._set_match),
            api.FUP_GET_VERSION: (7, self._versions),
            api.FUP_GET_STATE: (7, self._states),
            api.FUP_SET_SIGNATURE: (4, self._set_signature),
        }
        if command not in doings:
            return
        size, do = doings[command]
        code = _ERROR if len(data) < size else do(data)
        acknowledgement = bytes([api.FUP_ACK, command, code])
        self._tell(acknowledgement + (data[1:3] if command == api.FUP_DATA_FRAME else b""))

    def _clear(self, data: bytes) -> int:
        if self._run:
            return _RUNNING
        self._targets = {}
        return _OK

    def _add(self, data: bytes) -> int:
        node = self._network.node(data[1:7].hex())
        if node is None or not node.registered:
            return _WRONG_MAC
        self._targets[node.eui48] = _Target(node)
        return _OK

    def _set_firmware(self, data: bytes) -> int:
        names = []
        at = 1
        for _ in range(3):
            end = at + 1 + data[at] if at < len(data) else len(data) + 1
            if end > len(data):
                return _ERROR
            names.append(data[at + 1 : end])
            at = end
        self._firmware = (names[0], names[1], names[2])
        return _OK

    def _set_options(self, data: bytes) -> int:
        if data[2] >= len(_PAGES):
            return _ERROR
        self._page = _PAGES[data[2]]
        self._multicast = data[3] == 1
        self._delay_ms = 1000 * int.from_bytes(data[4:8], "big")
        return _OK

    def _init_file(self, data: bytes) -> int:
        if self._run:
            return _RUNNING
        self._size = int.from_bytes(data[3:7], "big")
        self._crc = int.from_bytes(data[9:13], "big")
        self._frames = {}
        return _OK

    def _data_frame(self, data: bytes) -> int:
        if len(data) != 5 + int.from_bytes(data[3:5], "big"):
            return _ERROR
        self._frames[int.from_bytes(data[1:3], "big")] = data[5:]
        return _OK

    def _check(self, data: bytes) -> int:
        image = self.image()
        good = len(image) == self._size and usi.crc32(image) == self._crc
        return _OK if good else _WRONG_CRC_OF_FILE

    def _set_match(self, data: bytes) -> int:
        self._match = data[1]
        return _OK

    def _set_signature(self, data: bytes) -> int:
        return _OK

    def _abort(self, data: bytes) -> int:
        eui48 = data[1:7]
        if eui48 == ALL:
            self._run = 0
        for target in self._of(eui48):
            target.given_up = True
            self._tell(bytes([api.FUP_KILL]) + target.node.eui48)
        return _OK

    def _start(self, data: bytes) -> int:
        if self._run:
            return _RUNNING
        if self._check(data) != _OK:
            return _ERROR
        if data[1] == 1:
            self._runs += 1
            self._run = self._runs
            self._begin(self._carry_out(self._run))
        return _OK

    def _versions(self, data: bytes) -> int:
        for node in self._network.nodes:
            if node.registered and data[1:7] in (ALL, node.eui48):
                names = b"".join(bytes([len(name)]) + name for name in node.firmware)
                self._tell(bytes([api.FUP_VERSION]) + node.eui48 + names)
        return _OK

    def _states(self, data: bytes) -> int:
        for target in self._of(data[1:7]):
            self._tell_state(target)
        return _OK

    def _of(self, eui48: bytes) -> list[_Target]:
        wanted = self._targets.values()
        return [one for one in wanted if eui48 in (ALL, one.node.eui48)]

    def _tell_state(self, target: _Target) -> None:
        have = self._pages - len(target.missing)
        state = bytes([api.FUP_STATUS, target.state]) + have.to_bytes(2, "big")
        self._tell(state + target.node.eui48)

    def _enter(self, target: _Target, state: int) -> None:
        target.state = state
        self._tell_state(target)

    # Over the air

    async def _carry_out(self, run: int) -> None:
        self._pages = -(-self._size // self._page)
        receiving = [target for target in self._targets.values() if self._matches(target)]
        for target in receiving:
            target.missing = set(range(self._pages))
            self._enter(target, _RECEIVING)
        if self._multicast:
            await self._say_to_all(run, receiving)
        for _ in range(_ROUNDS):
            for target in receiving:
                await self._repair(run, target)
        if self._run != run:
            return
        for target in receiving:
            if target.missing:
                self._tell(bytes([api.FUP_ERROR, _UNICAST_TIMEOUT]) + target.node.eui48)
            elif not target.given_up:
                self._enter(target, _COMPLETE)
                self._enter(target, _COUNTDOWN)
        await self._network.air.sleep_ms(self._delay_ms + _RESTART_MS)
        if self._run != run:
            return
        for target in receiving:
            if target.state == _COUNTDOWN and not target.given_up:
                target.node.firmware = self._firmware
                self._network.leave(target.node.address)
                self._network.join(target.node.address)
                self._enter(target, _UPGRADED)
                self._enter(target, _CONFIRMED)
        self._run = 0
        self._tell(bytes([api.FUP_STATUS, _CONFIRMED, 0, 0]) + ALL)

    def _matches(self, target: _Target) -> bool:
        for bit, which, error in ((4, 0, _WRONG_VENDOR), (2, 1, _WRONG_MODEL)):
            if self._match & bit and target.node.firmware[which] != self._firmware[which]:
                self._tell(bytes([api.FUP_ERROR, error]) + target.node.eui48)
                return False
        return True

    async def _say_to_all(self, run: int, receiving: list[_Target]) -> None:
        by_address = {target.node.address: target for target in receiving}
        for page in range(self._pages):
            listening = [
                address for address, target in by_address.items() if target.node.registered
            ]
            if self._run != run or not listening:
                return
            for address in await self._network.air.broadcast(
                listening, self._page + _PAGE_OVERHEAD
            ):
                by_address[address].missing.discard(page)

    async def _repair(self, run: int, target: _Target) -> None:
        for page in sorted(target.missing):
            if self._run != run or target.given_up or not target.node.registered:
                return
            arrived, _ = await self._network.arq(target.node, self._page + _PAGE_OVERHEAD)
            if arrived:
                target.missing.discard(page)
