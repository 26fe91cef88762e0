"""What meters send unasked: proven, told once, and what is not proven believed in nothing."""

from __future__ import annotations

from gateway.alarms.hearing import QUEUED, SAME_MS, SAVE_MS, SUSPECT_MS, Hearing
from gateway.alarms.outages import MINUTE_MS, SINGLY, Outages
from gateway.alarms.telling import AN_HOUR, Telling
from gateway.alarms.told import Told
from gateway.audit import Audit
from gateway.contract.own_model import OWN_MODEL
from gateway.contract.reports import Event, MeterAlarm, Outage
from gateway.contract.task import ALARMS
from gateway.dlms import apdu
from gateway.dlms.data import axdr, moment
from gateway.dlms.protection.keyring import Keys
from gateway.dlms.protection.policy import GENERAL_GLO, GLO, Protection
from gateway.dlms.protection.security import Ciphering
from gateway.jobs.ledger import Ledger
from gateway.jobs.routine import ALARMS_SIZE
from gateway.meters.access import Access
from gateway.meters.inventory import Meter
from hal.ports import Rx
from hal.sim.clock import ManualClock
from hal.sim.storage import MemoryStorage
from tests.portable.local.test_server import AK, EK, OURS, THEIRS
from tests.portable.support import random_bytes, run
from tests.portable.uplink.support import crypto

NOW = 1_800_000_000
TAMPER = axdr.encode((axdr.DOUBLE_LONG_UNSIGNED, 1 << 13))
PLAIN_MODEL = "plain"


class Limits:
    jobs = 8
    ledger_bytes = 1 << 20
    free_bytes = 1000


class Inventory:
    def __init__(self, meters):
        self._meters = meters

    def serials(self):
        return [meter.serial for meter in self._meters]

    def meter(self, serial):
        for meter in self._meters:
            if meter.serial == serial:
                return meter
        return None


class Reach:
    """Of meters whose keys are EK and AK, but for those of the model PLAIN_MODEL."""

    system_title = OURS

    def __init__(self, clock, meters):
        self.clock = clock
        self.inventory = Inventory(meters)
        self.crypto = crypto()

    def access(self, meter):
        return Access(OWN_MODEL, None if meter.model == PLAIN_MODEL else Keys(OURS, EK, AK))


class Scene:
    def __init__(self, meters=None):
        self.storage = MemoryStorage(1 << 22, False)
        self.clock = ManualClock(NOW)
        self.meters = meters or [Meter("M1", [("plc", "01")], title=THEIRS)]
        self.counter = 0
        self.start()

    def start(self):
        trail = Audit(self.storage, self.clock, 16384)
        self.ledger = Ledger(
            self.storage, self.clock, lambda n: random_bytes(1, n), Limits(), trail
        )
        self.visits = []
        self.hearing = Hearing(
            Reach(self.clock, self.meters),
            Telling(self.ledger, Told(self.storage), self.clock),
            self.visit,
            self.ledger.event,
            self.storage,
            Outages(self.ledger, self.clock),
        )

    def visit(self, serial, task):
        assert [item.what for item in task.items] == [ALARMS] and task.priority == 8
        self.visits.append(serial)
        return True

    def push(self, said=None, form=GENERAL_GLO, title=THEIRS, ek=EK):
        self.counter += 1
        ciphering = Ciphering(
            crypto(), Keys(title, ek, AK), lambda: self.counter, OURS, -1, Protection(form)
        )
        plain = (said or apdu.DataNotification(self.counter, b"", TAMPER)).encode()
        return ciphering.protect(plain)

    def hear(self, *frames, kind="plc", address="01"):
        for frame in frames:
            self.hearing.take(kind, Rx(address, 1, 102, frame, None))
        run(self.hearing.attend())

    def told(self):
        found = [report.body for report in self.ledger.reports(0, 5000)]
        return [(each.serial, each.source) for each in found if isinstance(each, MeterAlarm)]

    def outages(self):
        found = [report.body for report in self.ledger.reports(0, 5000)]
        return [(x.over, x.meters, x.first, x.serials) for x in found if isinstance(x, Outage)]

    def named(self):
        found = [report.body for report in self.ledger.reports(0, 5000)]
        return [each.detail for each in found if isinstance(each, Event)]


def test_a_ciphered_push_is_told_and_the_meter_visited():
    scene = Scene()
    when = moment.date_time(NOW - 60, 60, True)
    scene.hear(scene.push(apdu.DataNotification(7, when, TAMPER)))
    assert scene.told() == [("M1", "data-notification")] and scene.visits == ["M1"]
    alarm = scene.ledger.reports(0, 9)[0].body
    assert (alarm.time, alarm.bits, alarm.data) == (NOW - 60, [], TAMPER)
    assert (scene.hearing.unproven, scene.named()) == (0, [])


def test_every_form_that_a_meter_may_use():
    scene = Scene()
    event = apdu.EventNotification(b"", 1, bytes((0, 0, 97, 98, 20, 255)), 2, TAMPER)
    scene.hear(scene.push(event, GLO), scene.push(event), scene.push(None))
    report = apdu.InformationReport("", [0xFA00], [TAMPER])
    scene.hear(scene.push(report, GLO))
    sources = [source for _, source in scene.told()]
    assert sources == ["event-notification", "data-notification", "information-report"]
    alarm = scene.ledger.reports(0, 9)[0].body
    assert alarm.detail == "class 1, 0.0.97.98.20.255, attribute 2"


def test_what_a_path_doubles_and_what_says_the_same_is_told_once():
    scene = Scene()
    when = moment.date_time(NOW - 60, 0, True)
    once = scene.push(apdu.DataNotification(7, when, TAMPER))
    scene.hear(once, once, scene.push(apdu.DataNotification(7, when, TAMPER)))
    assert len(scene.told()) == 1 and scene.named() == []
    scene.clock.advance(SAME_MS)
    scene.hear(scene.push(apdu.DataNotification(7, when, TAMPER)))
    assert len(scene.told()) == 2 and scene.visits == ["M1", "M1"]


def test_what_proves_nothing_is_named_once_and_may_cause_one_visit():
    plain = apdu.DataNotification(1, b"", TAMPER).encode()
    scene = Scene()
    forged = bytearray(scene.push())
    forged[-1] ^= 1
    for wrong in (plain, bytes(forged), scene.push(ek=bytes(16)), scene.push(title=OURS)):
        scene = Scene()
        scene.hear(*[wrong] * 5)
        assert scene.told() == [] and scene.hearing.unproven == 5
        assert len(scene.named()) == 1 and scene.named()[0].startswith("M1: "), wrong
        assert scene.visits == ["M1"]
        scene.clock.advance(SUSPECT_MS)
        scene.hear(wrong)
        assert scene.visits == ["M1", "M1"] and len(scene.named()) == 1


def test_a_replay_is_not_believed_after_a_restart_either():
    scene = Scene()
    first, second = scene.push(), scene.push()
    scene.hear(second)
    scene.hear(first)
    assert len(scene.told()) == 1 and scene.hearing.unproven == 1
    scene.hearing.save()
    scene.start()
    scene.hear(second)
    assert scene.hearing.unproven == 1 and len(scene.told()) == 1
    scene.hear(scene.push(apdu.DataNotification(99, b"", b"\x00")))
    assert len(scene.told()) == 2


def test_counters_are_saved_now_and_then():
    scene = Scene()
    writes = [0]
    replace = scene.storage.replace

    def counting(name, data):
        writes[0] += name == "heard"
        replace(name, data)

    scene.storage.replace = counting
    for number in range(5):
        scene.hear(scene.push(apdu.DataNotification(number, b"", bytes((17, number)))))
    assert writes[0] == 1
    scene.clock.advance(SAVE_MS)
    scene.hear(scene.push())
    assert writes[0] == 2


def test_a_stranger_is_never_believed_and_nobody_is_visited_for_it():
    scene = Scene()
    scene.hear(scene.push(), address="99")
    scene.hear(scene.push(), kind="rf")
    assert (scene.told(), scene.visits, scene.hearing.unproven) == ([], [], 2)


def test_a_meter_whose_model_has_no_ciphering_is_taken_at_its_word():
    scene = Scene([Meter("P1", [("ip", "10.0.0.7:4059")], model=PLAIN_MODEL)])
    plain = apdu.DataNotification(1, b"", TAMPER).encode()
    scene.hear(plain, kind="ip", address="10.0.0.7:51000")
    assert scene.told() == [("P1", "data-notification")]
    scene.hear(scene.push(), kind="ip", address="10.0.0.7:51000")
    assert len(scene.told()) == 1 and scene.hearing.unproven == 1


def test_late_answers_are_no_pushes_and_the_queue_is_bounded():
    scene = Scene()
    scene.hear(b"\xc4\x01\x41\x00\x11\x07", b"\xcc\x00", b"", b"\x0f")
    late = scene.push(apdu.GetResponse(1, 0, b"\x11\x07"))
    scene.hear(scene.push(), late)
    assert (len(scene.told()), scene.hearing.unproven, scene.named()) == (1, 0, [])
    for _ in range(QUEUED + 3):
        scene.hearing.take("plc", Rx("01", 1, 102, scene.push(), None))
    assert scene.hearing.dropped == 3


def test_a_meter_that_pushes_for_ever_is_throttled():
    scene = Scene()
    for number in range(AN_HOUR + 10):
        scene.hear(scene.push(apdu.DataNotification(number, b"", bytes((17, number)))))
    assert len(scene.told()) == AN_HOUR and len(scene.visits) == 1


def test_without_room_for_a_report_the_meter_still_is_visited():
    scene = Scene()
    for _ in range(ALARMS_SIZE):
        scene.ledger.alarm(MeterAlarm("X", "x", [], 0, "", b""))
    scene.hear(scene.push())
    assert scene.visits == ["M1"] and len(scene.told()) == ALARMS_SIZE


def test_what_comes_within_a_conversation_is_told_too():
    scene = Scene()
    scene.hearing.said("M1", apdu.DataNotification(1, b"", TAMPER))
    scene.hear()
    assert scene.told() == [("M1", "data-notification")] and scene.visits == ["M1"]


def many(count):
    return [Meter("M%02d" % i, [("plc", "%02d" % i)], title=THEIRS) for i in range(count)]


GASP = apdu.EventNotification(
    b"", 1, bytes((0, 0, 97, 98, 2, 255)), 2, axdr.encode((axdr.DOUBLE_LONG_UNSIGNED, 1))
)
BACK = apdu.EventNotification(
    b"", 1, bytes((0, 0, 96, 11, 0, 255)), 2, axdr.encode((axdr.UNSIGNED, 2))
)


def test_many_last_gasps_within_a_minute_are_one_outage_and_the_return_likewise():
    scene = Scene(many(40))
    for said in (GASP, BACK):
        for number in range(40):
            scene.hear(scene.push(said), address="%02d" % number)
            scene.hear(scene.push(said), address="%02d" % number)
        assert scene.outages()[2:] == [] or said is BACK
        scene.clock.advance(MINUTE_MS)
        scene.hear()
    names = ["M%02d" % i for i in range(40)]
    assert len(scene.told()) == 2 * SINGLY
    assert scene.outages() == [
        (False, 40, 1, names[:32]),
        (False, 40, 33, names[32:]),
        (True, 40, 1, names[:32]),
        (True, 40, 33, names[32:]),
    ]
    assert scene.visits == ["M00", "M01"] * 2


def test_a_single_last_gasp_is_an_alarm_and_no_outage():
    scene = Scene(many(40))
    scene.hear(scene.push(GASP), address="07")
    scene.clock.advance(MINUTE_MS)
    scene.hear()
    assert scene.told() == [("M07", "event-notification")] and scene.outages() == []


def test_an_outage_without_room_is_told_later():
    scene = Scene(many(5))
    for number in range(5):
        scene.hear(scene.push(GASP), address="%02d" % number)
    for _ in range(ALARMS_SIZE - SINGLY):
        scene.ledger.alarm(MeterAlarm("X", "x", [], 0, "", b""))
    scene.clock.advance(MINUTE_MS)
    scene.hear()
    assert scene.outages() == []
    scene.ledger.acknowledge(scene.ledger.last_number)
    scene.hear()
    assert [(over, meters) for over, meters, _, _ in scene.outages()] == [(False, 5)]
