"""A technician's line to the millisecond: speeds, pauses, how many requests wait; and what the
settings make of it."""

from __future__ import annotations

import asyncio

from gateway.dlms.client.client import HIGH_GMAC, Association, Client
from gateway.dlms.hdlc import frames
from gateway.dlms.hdlc.mode_e import option_select, request
from gateway.dlms.hdlc.numbered import LLC_COMMAND
from gateway.dlms.protection.keyring import Keys
from gateway.local.access import LocalAccess, LocalPort
from gateway.local.assemble import COUNTER, local_access
from gateway.meters.counters import Counters
from gateway.meters.inventory import Inventory
from gateway.meters.network import Network
from gateway.meters.reach import Reach
from hal.rt import log
from hal.sim.clock import ManualClock
from hal.sim.storage import MemoryStorage
from tests.portable.local.support import Times, kept
from tests.portable.local.test_server import AK, EK, OURS, THEIRS, Bench, Status
from tests.portable.support import run
from tests.portable.uplink.support import crypto

STATION = frames.server_address(1)
TO_METER = b"\xe6\x00\x01A\xc0"


class Port:
    """What is done to the line, and when: (ms, speed) and (ms, bytes)."""

    def __init__(self, clock):
        self.done = []
        self._clock = clock
        self._began = clock.ticks_ms()
        self._incoming = []
        self._more = asyncio.Event()

    def came(self, data):
        self._incoming.append(data)
        self._more.set()

    def told(self):
        done, self.done = self.done, []
        return done

    async def read(self):
        while not self._incoming:
            self._more.clear()
            await self._more.wait()
        return self._incoming.pop(0)

    async def write(self, data):
        self.done.append((self._clock.ticks_ms() - self._began, bytes(data)))

    async def set_baud(self, baud):
        self.done.append((self._clock.ticks_ms() - self._began, baud))

    async def close(self):
        pass


class Server:
    """Everybody has proven himself."""

    def __init__(self):
        self.forgotten = []

    def proven(self, client_sap):
        return True

    def title(self, client_sap):
        return bytes(8)

    def forget(self, client_sap):
        self.forgotten.append(client_sap)


class Meters:
    """Answers nobody before `may` is set."""

    def __init__(self):
        self.asked = []
        self.may = asyncio.Event()
        self.ended = 0

    async def answers(self, client_sap, title, request):
        self.asked.append(client_sap)
        await self.may.wait()
        return [request]

    async def end(self):
        self.ended += 1


def frame(client_sap, control, information=b""):
    source = frames.client_address(client_sap)
    return frames.encode(STATION, source, control | frames.POLL, information)


def played(play, mode_e):
    async def whole():
        clock = ManualClock(1_800_000_000)
        port, server, meters = Port(clock), Server(), Meters()

        async def open_port():
            return port

        access = LocalAccess(open_port, clock, server, meters, "street-1", mode_e)
        task = asyncio.create_task(access.run())
        await clock.settle()
        await play(clock, port, server, meters)
        task.cancel()
        await clock.settle()

    run(whole())


def test_the_opening_of_mode_e_and_back_to_it():
    async def play(clock, port, server, meters):
        identification = b"/AMI5\\2street-1\r\n"
        assert port.told() == [(0, 300)]
        port.came(request())
        await clock.run(200)
        assert port.told() == [(200, 300), (200, identification)]
        # The next message is read once these 17 characters of ten bits have left at 300 baud.
        port.came(option_select(9600))
        await clock.run(566)
        assert port.told() == []
        await clock.run(200)
        assert port.told() == [(966, 9600), (966, option_select(9600))]
        await clock.run(6)
        # HDLC: who has been connected and is not any more makes it begin anew at once
        port.came(frame(16, frames.SNRM))
        await clock.settle()
        port.came(frame(16, frames.DISC))
        await clock.settle()
        assert [at for at, _ in port.told()] == [972, 972]
        assert server.forgotten == [16] and meters.ended == 1
        await clock.run(299)
        assert port.told() == []
        await clock.run(1)
        assert port.told() == [(1272, 300)]

    played(play, 9600)


def test_who_opens_and_says_no_more_has_ten_seconds():
    async def play(clock, port, server, meters):
        for chosen, speed in ((9600, 9600), (300, 300)):
            port.told()
            port.came(option_select(chosen))
            await clock.run(200)
            ((at, baud), _) = port.told()
            assert baud == speed
            await clock.run(6 * 10_000 // speed + 10_000 + 299)
            assert port.told() == []
            await clock.run(1)
            assert port.told() == [(at + 6 * 10_000 // speed + 10_300, 300)]

    played(play, 9600)


def test_one_request_in_hand_and_four_wait():
    async def play(clock, port, server, meters):
        assert port.told() == []  # no mode E: the speed of the line is left alone
        for sap in range(1, 8):
            port.came(frame(sap, frames.SNRM))
            await clock.settle()
            assert len(port.told()) == 1
            port.came(frame(sap, frames.INFORMATION, LLC_COMMAND + TO_METER))
            await clock.settle()
            # The sixth and seventh are told at once that there is nothing, and lose their request.
            told = port.told()
            assert len(told) == (1 if sap > 5 else 0), sap
            if told:
                (answer,) = frames.Receiver().feed(told[0][1])
                assert (answer.name, answer.destination) == ("RR", frames.client_address(sap))
        assert meters.asked == [1]
        meters.may.set()
        await clock.settle()
        assert meters.asked == [1, 2, 3, 4, 5]
        answers = frames.Receiver().feed(b"".join([raw for _, raw in port.told()]))
        assert [answer.name for answer in answers] == ["I"] * 5
        to = [answer.destination for answer in answers]
        assert to == [frames.client_address(sap) for sap in range(1, 6)]

    played(play, 0)


def test_what_is_for_everybody_is_for_nobody_here():
    async def play(clock, port, server, meters):
        port.came(frame(1, frames.SNRM))
        await clock.settle()
        port.came(frame(1, frames.UI, LLC_COMMAND + TO_METER))
        await clock.run(5000)
        assert meters.asked == [] and len(port.told()) == 1

    played(play, 0)


def test_a_line_that_is_gone_or_a_fault_of_ours_has_it_opened_again_after_a_second():
    async def play(how, mode_e):
        clock = ManualClock(1_800_000_000)
        opened = []
        began = clock.ticks_ms()
        meters = Meters()

        async def fault(client_sap, title, request):
            raise ValueError("a fault for the test")

        meters.answers = fault

        async def open_port():
            opened.append((clock.ticks_ms() - began, Port(clock)))
            return opened[-1][1]

        access = LocalAccess(open_port, clock, Server(), meters, "street-1", mode_e)
        task = asyncio.create_task(access.run())
        await clock.settle()
        port = opened[0][1]
        gone_ms = 100
        if mode_e:
            port.came(request())
            port.came(option_select(9600))
            gone_ms = 2000
        await clock.run(gone_ms)
        if how == "gone":
            port.came(b"")
        else:
            port.came(frame(1, frames.SNRM))
            port.came(frame(1, frames.INFORMATION, LLC_COMMAND + TO_METER))
        await clock.run(1000)
        assert [at for at, _ in opened] == [0, gone_ms + 1000], (how, mode_e)
        task.cancel()
        await clock.settle()

    log.set_level("error")
    for how in ("gone", "fault"):
        for mode_e in (0, 9600):
            run(play(how, mode_e))


class Settings:
    """Those that local access is made of."""

    concentrator = "street-1"
    system_title = OURS

    def __init__(self, mode_e, baud):
        self.local = self
        self.mode_e = mode_e
        self.baud = baud


def assembled(settings, clock, storage, port=None, records=None):
    """Local access as the gateway makes it, with the key of a file: ek, then ak."""

    async def open_port():
        return port

    reach = Reach(
        network=Network(clock),
        inventory=Inventory(storage),
        counters=Counters(storage, bytes),
        clock=clock,
        crypto=crypto(),
        system_title=OURS,
        patience={},
    )
    records = [] if records is None else records
    return local_access(
        settings,
        LocalPort(open_port, EK + AK),
        reach,
        Status(),
        lambda kind, details: records.append([kind] + details),
        kept(ManualClock()),
        Times(),
    )


def test_the_key_is_ek_and_then_ak():
    async def play():
        bench, storage = Bench(), MemoryStorage()
        bench.server = assembled(
            Settings(False, 9600), bench.clock, storage, records=bench.records
        )._server
        keys = Keys(THEIRS, EK, AK)
        association = Association(1, 1, HIGH_GMAC, keys=keys)
        next_counter = lambda: bench.next(THEIRS)  # noqa: E731
        client = Client(bench, bench.clock, crypto(), association, next_counter, 1000, 1)
        await client.associate()
        assert bench.records == [["local", "in", THEIRS.hex()]]
        # Its own invocation counters go on after a restart.
        used = Counters(storage, bytes).next(COUNTER)
        assert used > 2 and Counters(storage, bytes).next("another") == 1

    run(play())


def test_the_settings_choose_the_opening_and_its_fastest_speed():
    for mode_e, baud, offered in ((True, 9600, b"5"), (True, 19200, b"6"), (False, 9600, b"")):

        async def play(mode_e=mode_e, baud=baud, offered=offered):
            clock = ManualClock(1_800_000_000)
            port = Port(clock)
            access = assembled(Settings(mode_e, baud), clock, MemoryStorage(), port)
            task = asyncio.create_task(access.run())
            await clock.settle()
            port.came(request())
            await clock.run(1000)
            identification = (200, b"/AMI" + offered + b"\\2street-1\r\n")
            expected = [(0, 300), (200, 300), identification] if mode_e else []
            assert port.told() == expected
            task.cancel()
            await clock.settle()

        run(play())
