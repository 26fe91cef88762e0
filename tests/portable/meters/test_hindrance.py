"""What of ours is in the way of a meter: told by its reason, and never a meter's fault."""

from __future__ import annotations

from gateway.meters import hindrance
from gateway.meters.counters import NotStored
from gateway.meters.hindrance import Hindrance, soonest
from gateway.meters.inventory import Meter
from gateway.meters.modem_port import PROMISED_MS, SETTLE_MS
from hal.modem.duty import DutyBudget
from hal.ports import (
    Busy,
    Capabilities,
    DutyCycle,
    Joined,
    ModemGone,
    ModemReset,
    ModemRestarted,
    NoRoute,
    StorageFailed,
    TooLong,
)
from tests.portable.meters.test_network import METER, OTHER, PLC, RF, ScriptedModem, outcome, scene

HOUR_MS = 3_600_000
ONLY_RF = Meter("C", [RF])
ANOTHER = Meter("D", [("rf", "2c2d576866323003")])
TALK = (10, 1000)  # 10 frames of 100 octets: with 1 ms an octet, 1 s on air


class Radio(ScriptedModem):
    """`seconds` an hour on air, one octet takes a millisecond."""

    def __init__(self, seconds):
        super().__init__("rf", ())
        self.budget = DutyBudget(seconds * 1000 // 3600)
        self.capabilities = Capabilities("rf", 200, 0, 1, False, budget=self.budget)


def reason(network, meter, traffic=(0, 0)):
    found = network.hindrance(meter, traffic)
    return "" if found is None else found.reason


def test_what_is_ours_and_what_is_the_meters():
    for error, expected in (
        (DutyCycle(90), "radio-budget"),
        (Busy("full"), "modem-busy"),
        (ModemRestarted("reset"), "modem-busy"),
        (ModemGone("no line"), "modem-gone"),
        (TooLong("200 at most"), "too-long"),
        (NotStored("no room"), "flash-full"),
        (StorageFailed("the image cannot be read"), "flash-full"),
        (NoRoute("left"), ""),
        (OSError("it left the network"), ""),
        (ValueError("no"), ""),
    ):
        found = hindrance.of(error)
        assert (found.reason if found else "") == expected, error
    assert hindrance.of(DutyCycle(90)).wait_ms == 90


def test_the_one_that_is_over_first():
    never, late, soon = Hindrance("no-slot", ""), Hindrance("a", "", 90), Hindrance("b", "", 5)
    for found, expected in (
        ([never], never),
        ([never, late, soon], soon),
        ([soon, late, never], soon),
        ([never, late], late),
    ):
        assert soonest(found) is expected
    assert repr(soon) == "Hindrance(b, '', 5)"


def test_a_network_that_forms_a_slot_and_a_modem():
    modem = ScriptedModem(nodes=())

    async def play(network, clock):
        assert reason(network, OTHER) == "network-forming"
        assert reason(network, Meter("X", [("ip", "a:1")])) == "", "an attempt tells at once"
        modem.put(Joined(OTHER.paths[0][1]))
        await clock.settle()
        assert reason(network, OTHER) == ""
        link = await network.open(OTHER, OTHER.paths[0])
        assert reason(network, OTHER) == "no-slot"
        await link.close()
        clock.advance(SETTLE_MS)
        assert reason(network, Meter("A", [PLC])) == "", "it has not registered: that is no matter"
        modem.put(ModemReset())
        await clock.settle()
        assert reason(network, Meter("A", [PLC])) == "network-forming"
        modem.counters["up"] = 0
        network.ports()[0].look()
        assert reason(network, OTHER) == "modem-gone"

    scene(play, modem, meters_at_once=1)


def test_a_free_path_is_enough():
    radio = Radio(36)

    async def play(network, clock):
        radio.budget.spend(35_500, clock.ticks_ms())
        assert reason(network, METER, TALK) == "" and network.ready(METER, TALK)
        assert reason(network, ONLY_RF, TALK) == "radio-budget"
        assert network.claim(METER, TALK)
        assert [port.claims for port in network.ports()] == [["A"], []], "PLC has no limit"

    scene(play, ScriptedModem(), radio)


def test_nothing_is_begun_that_the_budget_cannot_finish():
    radio = Radio(36)

    async def play(network, clock):
        clock.advance(2 * HOUR_MS - clock.ticks_ms() % HOUR_MS)
        radio.budget.spend(35_001, clock.ticks_ms())
        found = network.hindrance(ONLY_RF, TALK)
        assert found.reason == "radio-budget" and found.wait_ms == HOUR_MS + 60_000
        assert not network.claim(ONLY_RF, TALK)
        assert isinstance(await outcome(network.open(ONLY_RF, RF, TALK)), DutyCycle)
        assert network.hindrance(ONLY_RF, (9, 900)) is None, "a shorter one has room"
        assert network.hindrance(ONLY_RF) is None, "of a technician nothing is known"
        clock.advance(found.wait_ms - 1)
        assert network.hindrance(ONLY_RF, TALK) is not None
        clock.advance(1)
        assert network.hindrance(ONLY_RF, TALK) is None
        await network.open(ONLY_RF, RF, TALK)

    scene(play, radio)


def test_what_is_promised_to_one_is_not_given_to_another():
    radio = Radio(36)

    async def play(network, clock):
        radio.budget.spend(34_500, clock.ticks_ms())
        assert network.claim(ONLY_RF, TALK)
        assert not network.claim(ANOTHER, TALK)
        network.release(ONLY_RF)
        assert network.claim(ANOTHER, TALK)
        network.release(ANOTHER)
        link = await network.open(ONLY_RF, RF, TALK)
        assert not network.claim(ANOTHER, TALK)
        for _ in range(6):  # of 10
            await link.send(bytes(100))
            radio.budget.spend(100, clock.ticks_ms())
        assert link.promised_ms == 400
        assert not network.claim(ANOTHER, TALK)
        await link.close()  # it needed less than was thought
        assert radio.budget.left_ms(clock.ticks_ms()) == 900
        assert network.claim(ANOTHER, (9, 900)) and not network.claim(ONLY_RF, (1, 1))

    scene(play, radio)


def test_more_than_there_ever_is_begins_with_the_whole_of_it():
    radio = Radio(36)

    async def play(network, clock):
        huge = (1000, 100_000)
        radio.budget.spend(1, clock.ticks_ms())
        assert reason(network, ONLY_RF, huge) == "radio-budget"
        clock.advance(2 * HOUR_MS)
        assert network.claim(ONLY_RF, huge)
        assert network.hindrance(ANOTHER, (1, 1)).wait_ms == PROMISED_MS, "all is promised"

    scene(play, radio)


def test_when_there_is_room_for_the_last_of_many():
    radio = Radio(36)  # of 36 such conversations in an hour

    async def play(network, clock):
        assert network.radio_ms(Meter("X", [PLC]), TALK) is None
        assert network.radio_ms(ONLY_RF, (0, 0)) is None
        clock.advance(2 * HOUR_MS - clock.ticks_ms() % HOUR_MS)
        last_of = network.radio_ms(ONLY_RF, TALK)
        assert [last_of(meters) for meters in (0, 1, 36, 37, 73)] == [0, 0, 0, HOUR_MS, 2 * HOUR_MS]
        radio.budget.spend(30_000, clock.ticks_ms())
        back_ms = HOUR_MS + 60_000
        assert [last_of(meters) for meters in (6, 7, 36)] == [0, back_ms, back_ms]

    scene(play, ScriptedModem(), radio)


def test_what_people_are_told_of_a_modem():
    radio, plc = Radio(36), ScriptedModem(nodes=())

    async def play(network, clock):
        def told():
            names = ("budget-wait-ms", "forming", "full")
            rows = [counts for _, counts in network.statistics()]
            return [{name: row[name] for name in names if name in row} for row in rows]

        assert told() == [{"forming": 1}, {}]
        clock.advance(2 * HOUR_MS - clock.ticks_ms() % HOUR_MS)
        radio.budget.spend(35_500, clock.ticks_ms())
        link = await network.open(ONLY_RF, RF)
        assert told() == [{}, {"budget-wait-ms": HOUR_MS + 60_000, "full": 1}]
        await link.close()

    scene(play, plc, radio, meters_at_once=1)
