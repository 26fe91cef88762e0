"""Attempts without a meter that plays along: whatever comes, one Result with its reason."""

from __future__ import annotations

import asyncio

from gateway.activities.attempt import Attempts
from gateway.contract.kinds import READ
from gateway.contract.model import Model
from gateway.dlms import apdu
from gateway.dlms.apdu import acse
from gateway.dlms.data import axdr
from gateway.meters.counters import Counters
from gateway.meters.inventory import KEYS, METERS, Inventory, Meter
from gateway.meters.modem_port import SETTLE_MS
from gateway.meters.network import Network
from gateway.meters.reach import Reach
from gateway.meters.way import ASSOCIATION_REQUESTS
from hal.ports import (
    BadAddress,
    Busy,
    Coming,
    DutyCycle,
    Misbehaves,
    ModemReset,
    PortClosed,
    Quality,
    Rx,
    TooLong,
    Unreachable,
)
from hal.sim.clock import ManualClock
from hal.sim.storage import MemoryStorage
from tests.contract.here import SystemCrypto
from tests.portable.meters.test_network import PLC, ScriptedModem
from tests.portable.support import random_bytes, run

CRYPTO = SystemCrypto()
TIMEOUT_MS = 1000
TRIES = 2
COUNTED = []  # of the last attempt: kind, answered, silent, failed over to
NAME = (1, b"\x00\x00\x2a\x00\x00\xff", 2)


class AnsweringModem(ScriptedModem):
    """Answers each frame with what `reply` makes of it; None: nothing."""

    def __init__(self, name, reply):
        super().__init__(name, (PLC[1],))
        self._reply = reply

    async def send(self, address, data, source_sap, destination_sap):
        handle = await super().send(address, data, source_sap, destination_sap)
        answer = self._reply(bytes(data))
        if answer is not None:
            self.put(Rx(address, destination_sap, source_sap, answer, Quality()))
        return handle


def silent(data):
    return None


ONLY_PLC = '["plc", "0080e1000001"]'


def attempt(
    plc,
    rf,
    paths='["plc", "0080e1000001"], ["rf", "2c2d576866323002"]',
    keys=True,
    attempt_ms=600000,
    before=None,
    links=0,
    storage=None,
    model="",
):
    """(result, path, storage) of one attempt at reading."""
    storage = storage or MemoryStorage()
    named = '"model": "%s", ' % model if model else ""
    storage.replace(METERS, ('{"serial": "M1", %s"paths": [%s]}' % (named, paths)).encode())
    if keys:
        line = '{"serial": "M1", "ek": "%s", "ak": "%s"}' % ("01" * 16, "02" * 16)
        storage.replace(KEYS, line.encode())

    async def whole():
        clock = ManualClock(1790000000)
        network = Network(clock)
        network.add(plc, 2)
        network.add(rf, 2)
        reading = asyncio.create_task(network.run())
        reach = Reach(
            network=network,
            inventory=Inventory(storage),
            counters=Counters(storage, bytes),
            clock=clock,
            crypto=CRYPTO,
            system_title=b"AMI\x00\x00\x00\x00\x01",
            patience={"plc": (TIMEOUT_MS, TRIES), "rf": (TIMEOUT_MS, TRIES)},
        )
        attempts = Attempts(reach, attempt_ms)
        if before is not None:
            await before(network)
        task = asyncio.create_task(attempts.run("M1", READ, [NAME]))
        turns = 0
        while not task.done():
            await clock.run(TIMEOUT_MS)
            turns += 1
            assert turns < 200, "the attempt does not end"
        result, path = await task
        names = ("attempt-answered", "attempt-silent", "attempt-failover")
        COUNTED.clear()
        for kind, counts in network.statistics():
            COUNTED.append((kind,) + tuple([counts[name] for name in names]))
        assert sum([counts["links"] for _, counts in network.statistics()]) == links
        reading.cancel()
        try:
            await reading
        except asyncio.CancelledError:
            pass
        return result, path

    result, path = run(whole())
    return result, path, storage


def test_silence_on_all_paths():
    plc, rf = AnsweringModem("plc", silent), AnsweringModem("rf", silent)
    result, path, _ = attempt(plc, rf)
    assert (result.outcome, result.reason, path) == ("KO", "no-answer", "")
    assert len(plc.sent) == TRIES and len(rf.sent) == TRIES
    assert "plc: " in result.detail and "rf: " in result.detail
    assert COUNTED == [("plc", 0, 1, 0), ("rf", 0, 1, 1)]


def test_an_unregistered_node_is_not_asked():
    plc = AnsweringModem("plc", silent)
    paths = '["plc", "0080e1000009"]'
    result, _, _ = attempt(plc, AnsweringModem("rf", silent), paths)
    assert (result.outcome, result.reason) == ("HINDERED", "network-forming")
    assert plc.sent == [] and plc.asked == []
    result, _, _ = attempt(plc, AnsweringModem("rf", silent), paths, before=settle)
    assert (result.reason, result.detail) == (
        "no-answer",
        "plc: not registered; recovery: plc: asked the modem to look for nodes",
    )
    assert plc.asked == ["discover"]
    assert plc.sent == []


async def settle(network):
    """Long after the start."""
    network._clock.advance(SETTLE_MS)


def test_modems_that_are_gone():
    plc, rf = AnsweringModem("plc", silent), AnsweringModem("rf", silent)
    plc.refuse = [OSError("no line")]
    rf.refuse = [OSError("no line")]
    result, path, _ = attempt(plc, rf)
    assert (result.outcome, result.reason, path) == ("HINDERED", "modem-gone", "")
    assert COUNTED == [("plc", 0, 0, 0), ("rf", 0, 0, 1)], "no meter was silent"


def test_what_is_ours_is_no_attempt():
    """Whatever is in our way on the only path, at any moment of a conversation."""
    for error, reason, wait_s in (
        (DutyCycle(3_420_000), "radio-budget", 3420),
        (TooLong("242 bytes at most"), "too-long", 0),
        (OSError("no line"), "modem-gone", 0),
    ):
        for before in range(2):
            meter = Countless(0x4000, REFUSALS[0])
            plc = AnsweringModem("plc", meter)
            plc.refuse = [None] * before + [error]
            result, path, _ = attempt(plc, AnsweringModem("rf", silent), ONLY_PLC)
            assert (result.outcome, result.reason, path) == ("HINDERED", reason, ""), error
            assert result.wait_s == wait_s and "plc: " in result.detail
            assert COUNTED[0] == ("plc", 0, 0, 0)


def test_a_modem_that_is_reset_in_the_middle():
    class Reset(AnsweringModem):
        async def send(self, *what):
            handle = await super().send(*what)
            self.put(ModemReset())
            return handle

    result, _, _ = attempt(Reset("plc", silent), AnsweringModem("rf", silent), ONLY_PLC)
    assert (result.outcome, result.reason) == ("HINDERED", "modem-busy")


def test_a_flash_that_has_no_room_for_counters():
    class Full(MemoryStorage):
        def append(self, name, reserve=0):
            raise OSError(28, "full")

    plc = AnsweringModem("plc", silent)
    result, _, _ = attempt(plc, AnsweringModem("rf", silent), ONLY_PLC, storage=Full())
    assert (result.outcome, result.reason) == ("HINDERED", "flash-full")
    assert plc.sent == []


def test_a_flash_that_does_not_give_the_keys():
    class Failing(MemoryStorage):
        failing = False

        def read(self, name, offset=0, size=-1):
            if self.failing and name == "keys.jsonl":
                raise OSError(5, "I/O error")
            return super().read(name, offset, size)

    storage = Failing()
    plc = AnsweringModem("plc", silent)

    async def fails(network):
        storage.failing = True

    result, _, _ = attempt(
        plc, AnsweringModem("rf", silent), ONLY_PLC, storage=storage, before=fails
    )
    assert (result.outcome, result.reason) == ("HINDERED", "flash-full")
    assert plc.sent == []


def test_one_path_hindered_and_silence_on_the_other():
    for error, reason, wait_s in (
        (OSError("no line"), "modem-gone", 0),
        (DutyCycle(3_420_000), "radio-budget", 3420),
    ):
        plc, rf = AnsweringModem("plc", silent), AnsweringModem("rf", silent)
        plc.refuse = [error]
        result, _, _ = attempt(plc, rf)
        assert (result.outcome, result.reason) == ("KO", "no-answer")
        assert (result.hindered, result.wait_s) == (reason, wait_s)
        assert len(rf.sent) == TRIES


class BusyModem(AnsweringModem):
    async def send(self, address, data, source_sap, destination_sap):
        raise Busy("it has frames enough")


def test_a_modem_that_stays_busy_is_no_silence_of_the_meter():
    """Its time is over before the modem has taken the first frame."""
    plc = BusyModem("plc", silent)
    result, _, _ = attempt(plc, AnsweringModem("rf", silent), ONLY_PLC)
    assert (result.outcome, result.reason) == ("HINDERED", "modem-busy")
    assert COUNTED[0] == ("plc", 0, 0, 0), "no meter was silent"


def test_no_modem_for_any_path_is_no_hindrance():
    plc, rf = AnsweringModem("plc", silent), AnsweringModem("rf", silent)
    result, _, _ = attempt(plc, rf, '["ip", "192.0.2.1:4059"]')
    assert (result.outcome, result.reason) == ("KO", "modem-gone")


def test_what_the_network_says_is_no_silence_of_the_meter():
    """A closed port is told at once, by its name; nobody is asked to register anew, and nothing is
    held against meter and modem."""
    for error, other, reason, again in (
        (PortClosed("closed, after 3 ms"), PortClosed("closed"), "port-closed", True),
        (Unreachable("no way"), PortClosed("closed"), "unreachable", True),
        (Misbehaves("floods"), Misbehaves("floods"), "meter-protocol-error", True),
        (BadAddress("none"), Unreachable("no way"), "unreachable", True),
        (BadAddress("none"), BadAddress("none"), "bad-address", False),
    ):
        plc, rf = AnsweringModem("plc", silent), AnsweringModem("rf", silent)
        plc.status, plc.error = 1, error
        rf.status, rf.error = 1, other
        result, path, _ = attempt(plc, rf)
        assert (result.reason, path, result.worth_retrying()) == (reason, "", again)
        assert "plc: %s; rf: %s" % (error, other) == result.detail
        assert len(plc.sent) == 1 and len(rf.sent) == 1
        assert plc.asked == [] and COUNTED == [("plc", 0, 0, 0), ("rf", 0, 0, 1)]
    plc, rf = AnsweringModem("plc", silent), AnsweringModem("rf", silent)
    plc.status, plc.error = 1, PortClosed("closed")
    result, _, _ = attempt(plc, rf)
    assert result.reason == "no-answer", "the other path is silent"


def test_what_the_modem_says_of_frames_that_do_not_get_through_is_told():
    plc, rf = AnsweringModem("plc", silent), AnsweringModem("rf", silent)
    plc.status = 2
    result, _, _ = attempt(plc, rf)
    assert result.reason == "no-answer" and len(plc.sent) == TRIES
    of_plc, _, of_rf = result.detail.partition("; rf: ")
    assert of_plc.endswith("the modem did not get 2 of 2 frames through, after 0 ms in all")
    assert "get 2 of" not in of_rf, "there it was the meter that did not answer"


class StuckModem(AnsweringModem):
    """Takes frames and never says what became of them."""

    def __init__(self, name):
        super().__init__(name, silent)
        self.status = None


class Trickling(AnsweringModem):
    """A part of an answer comes again and again, and never the rest."""

    async def send(self, address, data, source_sap, destination_sap):
        handle = await super().send(address, data, source_sap, destination_sap)
        self.trickle = asyncio.create_task(self.say(address, source_sap, destination_sap))
        return handle

    async def say(self, address, client_sap, server_sap):
        for _ in range(100):
            self.put(Coming(address, server_sap, client_sap))
            await asyncio.sleep(0)
            await self.clock.sleep_ms(TIMEOUT_MS // 2)


def test_an_answer_that_never_ends_is_the_meters_fault():
    plc, rf = Trickling("plc", silent), AnsweringModem("rf", silent)
    plc.clock = None

    async def before(network):
        plc.clock = network._clock

    result, _, _ = attempt(plc, rf, before=before)
    assert (result.outcome, result.reason) == ("KO", "meter-protocol-error")
    assert "a part of an answer came, and never the rest" in result.detail
    assert plc.asked == [] and rf.asked == []


def test_a_meter_that_takes_the_first_request_and_drops_the_rest_is_there():
    """No technician has to look for it: it is one who has other keys, or a bad path."""

    def answers(data):
        request = apdu.decode(data)
        if not isinstance(request, acse.Aarq):
            return None
        initiate = acse.InitiateResponse(acse.GET, 500).encode()
        answer = (acse.LN, 0, (1, 14), initiate, b"AAAAAAAA", acse.HIGH_GMAC, bytes(range(16)))
        return acse.Aare(*answer).encode()

    storage = MemoryStorage()
    Inventory(storage).models().take(
        Model("x", 1, "", mechanism=acse.HIGH_GMAC, form=0).to_payload()
    )
    plc, rf = AnsweringModem("plc", answers), AnsweringModem("rf", silent)
    result, _, _ = attempt(plc, rf, storage=storage, model="x")
    assert (result.outcome, result.reason) == ("KO", "link-lost"), result.detail
    assert "it answered, and then no more (check its keys" in result.detail
    assert plc.asked == [], "it is not registered anew"


def test_a_stuck_modem_does_not_eat_the_time_of_the_other_path():
    plc, rf = StuckModem("plc"), AnsweringModem("rf", silent)
    result, _, _ = attempt(plc, rf)
    assert result.reason == "no-answer"
    limit_s = ASSOCIATION_REQUESTS * TIMEOUT_MS * TRIES // 1000
    assert "plc: no association within %d s" % limit_s in result.detail
    assert len(rf.sent) == TRIES


def test_what_is_left_of_the_time_is_shared():
    # As slow as it may be: each answer at the last moment, and ever more questions.
    plc, rf = AnsweringModem("plc", silent), AnsweringModem("rf", silent)
    result, _, _ = attempt(plc, rf, attempt_ms=1500)
    assert "plc: no result within 1 s" in result.detail
    assert "rf: no result within 1 s" in result.detail
    assert len(plc.sent) == 1 and len(rf.sent) == 1


def test_a_slot_that_never_comes_says_nothing_of_the_meter():
    plc, rf = AnsweringModem("plc", silent), AnsweringModem("rf", silent)

    async def occupy(network):
        for number in range(2):
            other = Meter("O%d" % number, [("plc", PLC[1])], 1, 2 + number)
            await network.open(other, other.paths[0])

    result, _, _ = attempt(plc, rf, attempt_ms=20000, before=occupy, links=2)
    assert "plc: no slot within 5 s" in result.detail
    assert plc.sent == [] and len(rf.sent) == TRIES


def test_a_model_that_is_not_here_is_waited_for():
    plc = AnsweringModem("plc", silent)
    result, path, _ = attempt(plc, AnsweringModem("rf", silent), model="unheard-of")
    assert (result.outcome, result.reason, path) == ("HINDERED", "unknown-model", "")
    assert "unheard-of" in result.detail and plc.sent == []


def test_a_model_that_wants_what_we_cannot_do():
    storage = MemoryStorage()
    ecdsa = Model("x", 1, "", mechanism=7).to_payload()
    Inventory(storage).models().take(ecdsa)
    plc = AnsweringModem("plc", silent)
    result, _, _ = attempt(plc, AnsweringModem("rf", silent), storage=storage, model="x")
    assert (result.outcome, result.reason) == ("KO", "model-unfit")
    assert "authentication 7" in result.detail and plc.sent == []


def test_no_keys_no_attempt():
    plc = AnsweringModem("plc", silent)
    result, _, _ = attempt(plc, AnsweringModem("rf", silent), keys=False)
    assert result.reason == "no-keys"
    assert plc.sent == []


def test_a_meter_that_wants_ever_higher_counters():
    # exception-response, service-not-allowed, invocation-counter-error, counter
    demand = b"\xd8\x01\x06\x00\x00\x40\x00"
    plc = AnsweringModem("plc", lambda data: demand)
    result, _, storage = attempt(plc, AnsweringModem("rf", silent))
    assert (result.outcome, result.reason) == ("KO", "security-failed")
    assert len(plc.sent) == 2
    assert Counters(storage, bytes).next("M1") > 0x4000


def test_a_meter_that_takes_nobody_now_is_tried_later():
    """rejected-transient, whatever the diagnostic: another client is connected."""
    for diagnostic in (1, acse.AUTHENTICATION_FAILURE, 14):
        busy = acse.Aare(acse.LN_CIPHERED, acse.REJECTED_TRANSIENT, (1, diagnostic), b"").encode()
        plc = AnsweringModem("plc", lambda data, busy=busy: busy)
        result, path, _ = attempt(plc, AnsweringModem("rf", silent))
        assert (result.reason, path) == ("meter-busy", "plc") and result.worth_retrying()
        assert "try again later" in result.detail and "key" not in result.detail
        assert len(plc.sent) == 1, "nor is its counter to blame"


def test_a_demand_beyond_belief():
    plc = AnsweringModem("plc", lambda data: b"\xd8\x01\x06\xff\xff\xff\xf0")
    result, _, storage = attempt(plc, AnsweringModem("rf", silent))
    assert result.reason == "security-failed" and "not believed" in result.detail
    assert Counters(storage, bytes).next("M1") < 1000


class Countless:
    """A meter that refuses low counters without telling the least it takes, but lets the public
    client read what it has counted to. `refusal`: what it answers."""

    def __init__(self, counted, refusal):
        self.counted = counted
        self.refusal = refusal
        self.used = []  # counters of the AARQs that came

    def __call__(self, data):
        request = apdu.decode(data)
        if isinstance(request, acse.Aarq):
            if request.context == acse.LN_CIPHERED:
                self.used.append(int.from_bytes(request.user_information[3:7], "big"))
                return self.refusal
            initiate = acse.InitiateResponse(acse.GET, 500).encode()
            return acse.Aare(acse.LN, 0, (1, 0), initiate).encode()
        if isinstance(request, apdu.GetRequest):
            assert request.obis == b"\x00\x00\x2b\x01\x00\xff"
            value = axdr.encode((axdr.DOUBLE_LONG_UNSIGNED, self.counted))
            return apdu.GetResponse(request.invoke, 0, value).encode()
        return acse.Rlre().encode()


REFUSALS = (
    b"\xd8\x01\x06",  # exception-response, service-not-allowed, invocation-counter-error
    acse.Aare(acse.LN_CIPHERED, 1, (1, acse.AUTHENTICATION_FAILURE), b"").encode(),
)


def test_a_counter_the_meter_does_not_tell_is_read_by_the_public_client():
    for refusal in REFUSALS:
        meter = Countless(0x4000, refusal)
        plc = AnsweringModem("plc", meter)
        result, _, storage = attempt(plc, AnsweringModem("rf", silent))
        assert result.outcome == "KO" and len(meter.used) == 2
        # AARQ, refused; as the public client AARQ, GET, RLRQ; AARQ, refused
        kinds = [data[0] for _, data, _, _ in plc.sent]
        assert kinds == [0x60, 0x60, 0xC0, 0x62, 0x60]
        assert meter.used[0] < 0x4000 < meter.used[1]
        assert Counters(storage, bytes).next("M1") > meter.used[1]


def test_a_counter_read_is_of_no_use_when_low_and_not_believed_when_far():
    for refusal in REFUSALS:
        for counted in (0, 0xFFFFFFF0):
            meter = Countless(counted, refusal)
            plc = AnsweringModem("plc", meter)
            result, _, storage = attempt(plc, AnsweringModem("rf", silent))
            assert result.outcome == "KO" and len(meter.used) == 1
            assert Counters(storage, bytes).next("M1") < 1000
            if counted:
                assert result.reason == "security-failed"
                assert "4294967281" in result.detail and "with that counter" in result.detail


def test_noise_for_an_answer():
    for seed in range(30):
        noise = random_bytes(seed, 1 + seed * 7)
        plc = AnsweringModem("plc", lambda data, noise=noise: noise)
        result, _, _ = attempt(plc, AnsweringModem("rf", silent))
        assert result.outcome == "KO"
        reasons = ("meter-protocol-error", "security-failed", "link-lost")  # it is there
        assert result.reason in reasons, result


def test_an_echo_for_an_answer():
    plc = AnsweringModem("plc", lambda data: data)
    result, _, _ = attempt(plc, AnsweringModem("rf", silent))
    assert result.outcome == "KO" and result.reason != "gateway-error"
