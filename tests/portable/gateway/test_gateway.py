"""The gateway as a whole, with its real parts but modem, line and time: supervision of all tasks,
what is learned over a restart, strangers and modems told to the HES.
"""

from __future__ import annotations

import asyncio

from gateway.app import SESSION_STUCK_MS, Gateway, Ports, RestartOrdered
from gateway.contract.change import Change
from gateway.contract.job import Job
from gateway.contract.kinds import READ
from gateway.contract.messages import Ask
from gateway.contract.reports import Event, MeterReport
from gateway.contract.restart import Restart
from gateway.meters.counters import LOST
from gateway.meters.inventory import KEYS, METERS
from gateway.meters.reachability import FILE
from gateway.settings import SettingsError, parse
from hal.modem.drivers import DRIVERS
from hal.ports import Joined
from hal.sim.clock import ManualClock
from hal.sim.storage import MemoryStorage
from tests.portable.meters.test_network import ScriptedModem
from tests.portable.support import raises, run
from tests.portable.uplink.support import BOARD_KEY, HERE, NOW, PUBLIC, Hes, Line, crypto, signed

MINUTE = 60000
ADDRESS = "0080e1000001"


class Dog:
    timeout_ms = 20000

    def __init__(self):
        self.fed = 0
        self.status = ""

    def feed(self, status=""):
        self.fed += 1
        self.status = status


class Street:
    """A concentrator with one meter that is registered and never answers."""

    def __init__(self):
        self.storage = MemoryStorage()
        self.storage.replace(
            METERS, ('{"serial": "M1", "paths": [["plc", "%s"]]}' % ADDRESS).encode()
        )
        self.storage.replace(
            KEYS, ('{"serial": "M1", "ek": "%s", "ak": "%s"}' % ("01" * 16, "02" * 16)).encode()
        )
        self.clock = ManualClock(NOW)
        self.hes = Hes(self.clock)
        self.line = Line(self.hes, self.clock)
        self.dog = Dog()
        self.zone = "UTC0"
        self.boot()

    def boot(self):
        self.modem = ScriptedModem(nodes=(ADDRESS,))
        settings = parse(
            '{"zone": "%s", "concentrator": "%s", "system_title": "414d490000000001",'
            ' "attempt_s": 60,'
            ' "uplink": {"host": "x"}, "workers": 2, "plain": true,'
            ' "signers": [{"kid": "6865732d31", "key": "%s"}]}' % (self.zone, HERE, PUBLIC.hex()),
            DRIVERS,
        )
        modems = [(self.modem, 4)]
        self.gateway = Gateway(
            settings,
            Ports(
                clock=self.clock,
                storage=self.storage,
                crypto=crypto(),
                uplink=self.line,
                modems=modems,
                board_key=BOARD_KEY,
                watchdog=self.dog,
            ),
        )

    def play(self, scene):
        async def whole():
            task = asyncio.create_task(self.gateway.run())
            await self.clock.settle()
            try:
                await scene(self)
            finally:
                task.cancel()
                try:
                    await task
                except asyncio.CancelledError:
                    pass

        run(whole())

    def play_out(self, scene, rest_ms):
        """play(), and `rest_ms` more, in which the gateway ends by itself."""

        async def whole():
            task = asyncio.create_task(self.gateway.run())
            await self.clock.settle()
            await scene(self)
            await self.clock.run(rest_ms)
            await task

        run(whole())

    async def order(self, tries=2):
        job = Job(bytes(16), READ, HERE, NOW, 9, 0, NOW + 864000, tries, 10, ["M1"], None, [NAME])
        self.hes.order("job", signed(job.encode()))
        await self.clock.settle()

    def events(self):
        return [(event.name, event.detail) for event in self.hes.bodies(Event)]


NAME = (1, b"\x00\x00\x2a\x00\x00\xff", 2)


def test_the_watchdog_is_fed_through_quiet_times_and_failing_attempts():
    async def scene(street):
        await street.clock.run(MINUTE)
        assert street.dog.fed >= 12
        assert "plc up" in street.dog.status
        street.line.up = False  # no HES for hours is no reason to restart
        street.line.cut()
        await street.order()
        before = street.dog.fed
        await street.clock.run(10 * MINUTE)
        assert street.dog.fed - before >= 119

    Street().play(scene)


def test_a_stuck_task_stops_the_feeding():
    async def scene(street):
        await street.clock.run(MINUTE)

        async def never(*_):
            await asyncio.Event().wait()

        publish, street.line.publish = street.line.publish, never
        street.gateway._session._hello_due = 0
        while street.gateway._liveness.look():
            assert street.clock.ticks_ms() < 2 * SESSION_STUCK_MS
            street.clock.advance(MINUTE)
            await street.clock.settle()
        assert street.clock.ticks_ms() >= SESSION_STUCK_MS
        before = street.dog.fed
        await street.clock.run(MINUTE)
        assert street.dog.fed == before
        street.line.publish = publish  # for the farewell

    Street().play(scene)


def test_a_meter_that_does_not_answer_is_kicked_and_the_report_says_so():
    street = Street()

    async def scene(street):
        await street.clock.run(5000)
        await street.order()
        for _ in range(60):
            await street.clock.run(5000)
            if street.hes.bodies(MeterReport):
                break
        report = street.hes.bodies(MeterReport)[0]
        assert (report.state, report.reason, report.attempts) == ("failed", "no-answer", 2)
        assert "recovery: plc: asked it to register anew" in report.detail
        assert street.modem.asked == ["kick " + ADDRESS]
        street.hes.tell("ask", Ask("").encode())
        await street.clock.run(3000)
        name, page = street.hes.heard[-1]
        assert name == "meters" and page.meters[0][0] == "M1"
        kind, state, _, _, heard, rate, silent, _, _ = page.meters[0][1][0]
        assert (kind, state, heard, silent) == ("plc", 2, 0, 2) and rate < 60

    street.play(scene)
    assert street.storage.size(FILE) > 0  # the farewell has written it
    street.boot()
    meter = street.gateway._inventory.meter("M1")
    assert street.gateway._network.reachability.state(meter, meter.paths[0]).silent == 2


def test_strangers_and_modems_are_told():
    async def scene(street):
        await street.clock.run(MINUTE)
        street.modem.put(Joined("0080e1000009"))
        await street.clock.run(3 * MINUTE)
        assert street.events() == [("stranger", "plc 0080e1000009")]
        street.modem.counters = {"up": 0}
        await street.clock.run(2 * MINUTE)
        assert street.events()[1][0] == "modem-down"
        street.modem.counters = {"up": 1}
        await street.clock.run(5 * MINUTE)
        assert [name for name, _ in street.events()] == ["stranger", "modem-down", "modem-up"]
        street.clock.advance(6 * MINUTE)
        await street.clock.run(MINUTE)
        kind, up, nodes, counters = street.hes.state.modems[0]
        assert (kind, up, nodes) == ("plc", True, 2) and counters.get("up") == 1

    Street().play(scene)


def test_a_zone_that_is_none_keeps_it_from_starting():
    street = Street()
    street.zone = "Europe/Madrid"
    assert "zone: expected a POSIX TZ text" in str(raises(SettingsError, street.boot))


def test_a_task_that_the_flash_has_lost_is_told():
    street = Street()
    street.storage.replace("task-nightly", b"damaged")
    street.boot()

    async def scene(street):
        await street.clock.run(5000)
        assert [event for event in street.events() if event[0] == "task-damaged"]

    street.play(scene)


def test_what_is_lost_is_told_and_the_rest_goes_on():
    """Lost counters do not begin again, and a lost trust store does not trust the settings'
    signers again, of whom somebody may have been removed."""
    street = Street()
    street.storage.replace("trust.0", b"")
    street.boot()
    street.gateway._counters.next("M1")
    street.boot()
    for name in street.storage.names():
        if name.startswith(("counters.", "trust.")):
            street.storage.remove(name)
    street.boot()
    assert street.gateway._counters.next("M1") > LOST
    assert street.gateway._session.trust.damaged

    async def scene(street):
        await street.clock.run(MINUTE)
        assert ("files-lost", "counters, trust") in street.events()
        assert street.hes.bodies(Event)[-1].name == "trust-damaged"

    street.play(scene)


def test_a_first_start_and_a_second_miss_nothing():
    async def scene(street):
        await street.clock.run(2 * MINUTE)
        assert street.events() == []
        street.boot()
        assert street.gateway._folder.missing == [] and street.gateway._folder.starts == 2

    Street().play(scene)


def test_a_restart_that_the_hes_orders_is_told_and_happens_once():
    async def scene(street):
        change = Change(HERE, NOW, NOW + 3600, 1, Restart("a new antenna"))
        street.hes.order("change", signed(change.encode()))
        await street.clock.run(3000)
        told = [detail for name, detail in street.events() if name == "changed"]
        assert len(told) == 1 and told[0].endswith("restart: a new antenna")

    street = Street()
    error = raises(RestartOrdered, street.play_out, scene, 10_000)
    assert "the HES has ordered" in str(error)
    street.boot()

    async def after(street):
        await street.clock.run(60_000)
        hellos = [content for name, content in street.hes.heard if name == "hello"]
        assert hellos[-1].changes == 1

    street.play(after)
