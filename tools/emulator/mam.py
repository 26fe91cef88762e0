"""A Meters and More modem and the network behind it, seen from the serial line;
hal/modem/mam/mam.py faces it.

As in Microchip's public stack, the modem carries out one request at a time and refuses others
meanwhile. The channel decides who hears whom: a node of level 2 hears only nodes of level 1 and 2,
so that it is reached over a repeater, and only over one that the host names. Answers to a look come
in random time slots; those that fall in the same one are lost.
"""

from __future__ import annotations

from collections.abc import Mapping

from hal.modem import usi
from hal.modem.mam import frames
from hal.sim.channel import Channel, Rng
from tools.emulator.air import Meter, Time
from tools.emulator.emulator import Emulator

DLMS_RESPONSE = frames.DLMS + 1  # all of the stack's own answers are one above their requests
_FOUND_SIZE = 13
_RELAYED_SLOTS = 64  # a node that looks around gives so many, and tells of four nodes at most
_MOST_TOLD = 4
_ALWAYS_ANSWERS = 0xFF
_UNKNOWN_COMMAND = 2
_OK, _ERROR = 0, 1


class _Node:
    def __init__(self, address: bytes, meter: Meter) -> None:
        self.address = address
        self.text = address.hex()
        self.meter = meter
        self.threshold = _ALWAYS_ANSWERS  # TCT
        self.on = True


class MamEmulator(Emulator):
    """population: ACA (12 hex digits) -> meter. leave() and join() take nodes off the network.

    meter_ms: how long a meter takes to answer. speed, clock: as in Emulator."""

    def __init__(
        self,
        population: Mapping[str, Meter],
        channel: Channel | None = None,
        meter_ms: int = 50,
        speed: float = 1.0,
        clock: Time | None = None,
    ) -> None:
        super().__init__(channel or Channel(bit_rate=4800, overhead=24), speed, clock)
        self._meter_ms = meter_ms
        self._nodes = {
            bytes.fromhex(address): _Node(bytes.fromhex(address), meter)
            for address, meter in population.items()
        }
        self._parser = usi.Parser()
        self._rng = Rng(len(population), "slots")
        self._busy = False
        # The modem's own: ACA, thresholds and retries as the stack numbers them.
        self._parameters = {
            (frames.ACA_PARAMETER, 0): bytes.fromhex("0200000000f1"),
            (5, 0): bytes([_ALWAYS_ANSWERS]),
            (6, 0): b"\x03",
        }

    def leave(self, address: str) -> None:
        self._nodes[bytes.fromhex(address)].on = False

    def join(self, address: str) -> None:
        """Back after a power cut: the node has forgotten that it was to be silent."""
        node = self._nodes[bytes.fromhex(address)]
        node.on = True
        node.threshold = _ALWAYS_ANSWERS

    def reboot(self) -> None:
        """Restart the modem: what it was doing is lost, and it says nothing of that."""
        for task in list(self._tasks):
            task.cancel()

    # The line

    def _connected(self) -> None:
        self._parser.reset()

    def _received(self, data: bytes) -> None:
        for frame in self._parser.feed(data):
            if self.hanging or frame.protocol != usi.METERS_AND_MORE or not frame.data:
                continue
            self._command(frame.data)

    def _tell(self, data: bytes) -> None:
        self._say(usi.frame(usi.METERS_AND_MORE, data))

    def _command(self, data: bytes) -> None:
        command = data[0]
        if command == frames.DATA_REQUEST:
            try:
                request = frames.parse_request(data)
            except ValueError:
                return
            self.requests += 1
            if self._busy:
                self._confirm(request[0], frames.TX_BUSY)
            else:
                self._busy = True
                self._begin(self._carry_out(*request))
        elif command == frames.GET_REQUEST and len(data) == 7:
            self._get(data)
        elif command == frames.SET_REQUEST and len(data) >= 8:
            self._set(data)
        else:
            self._tell(bytes((frames.STATUS, _UNKNOWN_COMMAND, command)))

    def _key(self, data: bytes) -> tuple[int, int]:
        return int.from_bytes(data[1:5], "big"), int.from_bytes(data[5:7], "big")

    def _get(self, data: bytes) -> None:
        value = self._parameters.get(self._key(data))
        result = _ERROR if value is None else _OK
        value = value or b""
        self._tell(bytes((frames.GET_CONFIRM, result)) + data[1:7] + bytes((len(value),)) + value)

    def _set(self, data: bytes) -> None:
        key, value = self._key(data), data[8:]
        good = key in self._parameters and len(self._parameters[key]) == len(value) == data[7]
        if good:
            self._parameters[key] = value
        self._tell(bytes((frames.SET_CONFIRM, _OK if good else _ERROR)) + data[1:7])

    def _confirm(self, path: list[bytes], status: int) -> None:
        target = path[-1] if path else bytes(frames.ADDRESS)
        self._tell(bytes((frames.DATA_CONFIRM,)) + target + bytes((0, 0, status)))

    def _indicate(self, source: bytes, attribute: int, dsap: int, apdu: bytes) -> None:
        self._tell(frames.Indication(source, attribute, dsap, apdu).encode())

    # The network

    async def _carry_out(
        self,
        path: list[bytes],
        service_class: int,
        attribute: int,
        dsap: int,
        largest: int,
        slots: int,
        apdu: bytes,
    ) -> None:
        try:
            *via, target = path
            route = [address.hex() for address in via]
            if target == frames.TO_ALL:
                heard = await self._to_all(route, 1 + len(apdu))
                self._confirm(path, frames.TX_OK)
                if service_class == frames.REQUEST_MANY:
                    answered = await self._look(via, heard, attribute, slots, apdu)
                else:
                    self._all_heard(heard, attribute, dsap, apdu)
                    answered = True
            else:
                arrived = await self._arrives(target, 1 + len(apdu), route)
                self._confirm(path, frames.TX_OK)
                if service_class == frames.SEND:
                    self._all_heard([self._nodes[target]] if arrived else [], attribute, dsap, apdu)
                    answered = True
                else:
                    answered = arrived and await self._answer(target, route, attribute, dsap, apdu)
            if not answered:
                # The modem waits as long as the largest answer could take.
                longest = self.air.channel.airtime_ms(target.hex(), largest, route)
                await self.air.sleep_ms(4 * self._meter_ms + longest)
                self._tell(bytes((frames.EVENT_INDICATION, frames.EVENT_TIMEOUT, 0)))
        finally:
            self._busy = False

    async def _arrives(self, target: bytes, size: int, route: list[str]) -> bool:
        on_the_way = [bytes.fromhex(text) for text in route]
        present = all(
            step in self._nodes and self._nodes[step].on for step in [*on_the_way, target]
        )
        return await self.air.transmit(target.hex(), size, route) and present

    async def _answer(
        self, target: bytes, route: list[str], attribute: int, dsap: int, apdu: bytes
    ) -> bool:
        """One node has the request; whether its answer came back."""
        node = self._nodes[target]
        if dsap == frames.DSAP_MANAGEMENT:
            if attribute != frames.TCT_SET_REQUEST or len(apdu) != 1:
                return False
            refused = apdu[0] == 0
            if not refused:
                node.threshold = apdu[0]
            attribute, response = frames.ACKNOWLEDGE, bytes((refused,)) + b"\xff\xff\xff"
            await self.air.sleep_ms(self._meter_ms)
        else:
            if len(apdu) < frames.SAPS:
                return False
            answer = node.meter.handle(apdu[0], apdu[1], apdu[frames.SAPS :])
            if answer is None or len(answer) > frames.MTU:
                return False
            attribute, response = DLMS_RESPONSE, bytes((apdu[1], apdu[0])) + answer
            await self.air.sleep_ms(self._meter_ms + node.meter.delay_ms)
        if not await self._arrives(target, 1 + len(response), route):
            return False
        self._indicate(target, attribute, dsap, response)
        return True

    async def _to_all(self, route: list[str], size: int) -> list[_Node]:
        """Who hears a frame said to all at the end of a route."""
        if route and not await self._arrives(bytes.fromhex(route[-1]), size, route[:-1]):
            return []
        await self.air.broadcast([], size)
        channel, now = self.air.channel, self.air.now_ms()
        others = [node for node in self._nodes.values() if node.on and node.text not in route]
        return [node for node in others if channel.delivered(node.text, now, route)]

    def _all_heard(self, heard: list[_Node], attribute: int, dsap: int, apdu: bytes) -> None:
        for node in heard:
            if dsap == frames.DSAP_APPLICATION and len(apdu) >= frames.SAPS:
                node.meter.handle(apdu[0], apdu[1], apdu[frames.SAPS :])
            elif attribute == frames.TCT_SET_REQUEST and len(apdu) == 1 and apdu[0]:
                node.threshold = apdu[0]

    async def _look(
        self, via: list[bytes], heard: list[_Node], attribute: int, slots: int, apdu: bytes
    ) -> bool:
        """Whether the modem itself hears anything of it."""
        wanted = frames.LOOK_REQUEST if via else frames.ADDRESS_REQUEST
        if attribute != wanted or len(apdu) != 4 or not slots:
            return False
        _, threshold, add, shift = apdu
        slots = _RELAYED_SLOTS if via else slots
        taken: dict[int, list[_Node]] = {}
        for node in heard:
            in_group = (node.address[-1] + add) & ((1 << shift) - 1) == 0
            if node.threshold >= threshold and in_group:
                taken.setdefault(self._rng.below(slots), []).append(node)
        slot_ms = self.air.channel.airtime_ms("", _FOUND_SIZE, [])
        await self.air.sleep_ms(slots * slot_ms)
        found = [nodes[0] for nodes in taken.values() if len(nodes) == 1]
        if not via:
            for node in found:
                record = frames.record(node.address)
                self._indicate(
                    node.address, frames.ADDRESS_RESPONSE, frames.DSAP_MANAGEMENT, record
                )
            return bool(found)
        told = bytes((len(found),)) + b"".join(
            frames.record(node.address) for node in found[:_MOST_TOLD]
        )
        route = [address.hex() for address in via]
        looking = via[-1]
        if not await self._arrives(looking, 1 + len(told), route[:-1]):
            return False
        self._indicate(looking, frames.LOOK_RESPONSE, frames.DSAP_MANAGEMENT, told)
        return True
