"""An image into one meter: all seven steps, resumed, and every fault named and bounded."""

from __future__ import annotations

from gateway.activities.image import image_object, transfer
from gateway.activities.image.block_planning import Bitmap
from gateway.activities.image.transfer import CLOCK_S, Order, until_its_time
from gateway.activities.verdict import explained
from gateway.contract.model import Model, Place
from gateway.contract.own_model import OWN_MODEL
from gateway.contract.place import UP_TO_NUL
from gateway.contract.result import HINDERED, WAIT
from gateway.dlms.data import axdr
from gateway.dlms.errors import ActionRefused, NoAnswer, NotSupported, ProtocolError
from hal.ports import StorageFailed
from hal.sim.clock import ManualClock
from tests.portable.dlms.scripted_meter import FIRMWARE, ScriptedMeter, octets
from tests.portable.support import raises, random_bytes, run

NOW = 1_700_000_000
BLOCK = 16
CONTENT = random_bytes(3, 100)  # 7 blocks
BLOCKS = 7
NEW = "V03.00.00"
TEMPORARY, OTHER = 2, 250


class Content:
    identifier = b"V03"
    firmware = NEW
    targets = [("AMI-E450", ["V02."])]

    def __init__(self, data=CONTENT):
        self.data = data
        self.size = len(data)

    def block(self, number, size):
        return self.data[number * size :][:size]


class ImageMeter(ScriptedMeter):
    """Has an image transfer object as the Blue Book describes it, with faults to order."""

    def __init__(self, **identity):
        ScriptedMeter.__init__(self, **identity)
        self.capacity = 200
        self.status = 0
        self.image = b""
        self.have = None
        self.identifier = b""
        self.sent = []  # block numbers, in order
        self.refuses = {}  # method -> action-result
        self.drops = []  # block numbers that never stick
        self.lose = []  # what comes of the next block ACTIONs: True lost, False not
        self.verify_polls = 0  # how often verification is still under way
        self.activate_polls = 0
        self.verdict = 3
        self.then_runs = NEW
        self.enabled = True
        self.told = None  # identifier it would activate, where not the one it was given
        self.silent = False
        self.block_size = BLOCK
        self.bits = None  # a false bitmap
        self.spells = lambda bits: bits  # as it tells them

    async def get(self, class_id, name, attribute):
        if self.silent:
            raise NoAnswer("no answer")
        if class_id != image_object.CLASS:
            return await ScriptedMeter.get(self, class_id, name, attribute)
        if attribute == 2:
            return axdr.encode((axdr.DOUBLE_LONG_UNSIGNED, self.block_size))
        if attribute == 3:
            bits = "" if self.have is None else self.have
            bits = self.spells(bits if self.bits is None else self.bits)
            return axdr.encode((axdr.NULL if bits is None else axdr.BIT_STRING, bits))
        if attribute == 5:
            return axdr.encode((axdr.BOOLEAN, self.enabled))
        if attribute == 6:
            self._advance()
            return axdr.encode((axdr.ENUM, self.status))
        infos = []
        if self.status >= 3:
            name = self.identifier if self.told is None else self.told
            fields = [
                (axdr.DOUBLE_LONG_UNSIGNED, len(self.image)),
                (axdr.OCTET_STRING, name),
                (axdr.OCTET_STRING, b""),
            ]
            infos.append((axdr.STRUCTURE, fields))
        return axdr.encode((axdr.ARRAY, infos))

    def _advance(self):
        if self.status == 2:
            self.verify_polls -= 1
            if self.verify_polls < 0:
                good = bytes(self.image) == CONTENT and "0" not in self.have
                self.status = self.verdict if good else 4
        elif self.status == 5:
            self.activate_polls -= 1
            if self.activate_polls < 0:
                self.status = 6 if self.then_runs == NEW else 7
                self.values[FIRMWARE] = octets(self.then_runs)

    async def set(self, class_id, name, attribute, data):
        assert (class_id, attribute, data) == (18, 5, image_object.TRUE)
        self.enabled = True

    async def action_list(self, items):
        results = []
        lost = self.lose.pop(0) if self.lose else False
        for (class_id, _, method), data in items:
            assert (class_id, method) == (18, 2)
            (_, number), (_, block) = axdr.decode(data)[1]
            self.sent.append(number)
            if not lost:
                results.append((self._take(number, block), None))
        if lost:
            raise NoAnswer("no answer")
        return results

    def _take(self, number, block):
        if 2 in self.refuses:
            return self.refuses[2]
        if number not in self.drops:
            start = number * self.block_size
            self.image[start : start + len(block)] = block
            self.have = self.have[:number] + "1" + self.have[number + 1 :]
        return 0

    async def action(self, class_id, name, method, data):
        assert class_id == 18
        if method in self.refuses:
            result = self.refuses[method]
            raise ActionRefused(image_object.result_name(result), "ACTION", "no", result)
        if method == 1:
            (_, self.identifier), (_, size) = axdr.decode(data)[1]
            self.image = bytearray(size)
            self.have = "0" * -(-size // self.block_size)
            self.status = 1
        elif method == 3:
            self.status = 2
            if self.verify_polls:
                raise ActionRefused("temporary-failure", "ACTION", "not yet", TEMPORARY)
        else:
            self.status = 5
            if self.activate_polls:
                raise ActionRefused("temporary-failure", "ACTION", "not yet", TEMPORARY)


def outcome(meter, activation=0, again=False, content=None, clock=None):
    """With a clock that runs by itself."""
    clock = clock or ManualClock(NOW)

    async def sleep_ms(duration):
        clock.advance(duration)

    clock.sleep_ms = sleep_ms
    order = Order(content or Content(), activation, again, clock)
    result = run(transfer.run(meter, "M1", order))
    return result.outcome, result.reason


ELSEWHERE = b"\x00\x00\x2c\x00\x01\xff"


class MovedMeter(ImageMeter):
    """Its image transfer object is at ELSEWHERE, and nowhere else."""

    def _at(self, class_id, name):
        assert class_id != 18 or name == ELSEWHERE, name

    async def get(self, class_id, name, attribute):
        self._at(class_id, name)
        return await ImageMeter.get(self, class_id, name, attribute)

    async def set(self, class_id, name, attribute, data):
        self._at(class_id, name)
        await ImageMeter.set(self, class_id, name, attribute, data)

    async def action(self, class_id, name, method, data):
        self._at(class_id, name)
        return await ImageMeter.action(self, class_id, name, method, data)

    async def action_list(self, items):
        for (class_id, name, _), _ in items:
            self._at(class_id, name)
        return await ImageMeter.action_list(self, items)


def by_model(meter, **fields):
    clock = ManualClock(NOW)
    model = Model("other", 1, "", **fields)
    return run(transfer.run(meter, "M1", Order(Content(), 0, False, clock), model))


def test_an_image_object_of_another_name():
    meter = MovedMeter()
    meter.enabled = False
    result = by_model(meter, image=ELSEWHERE)
    assert (result.outcome, result.reason) == ("OK", "applied")
    assert bytes(meter.image) == CONTENT and meter.enabled


def test_a_model_has_to_say_where_the_firmware_stands():
    result = by_model(ImageMeter(), firmware=None)
    assert (result.outcome, result.reason) == ("KO", "model-unfit")
    meter = ImageMeter()
    del meter.values[FIRMWARE]
    result = by_model(meter)
    assert (result.outcome, result.reason) == ("KO", "model-unfit") and meter.status == 0


def test_firmware_and_model_where_the_model_says():
    meter = ImageMeter(model="E9\0\0")
    meter.values[FIRMWARE] = octets("V02.10.01\0")
    meter.then_runs = NEW
    padded = OWN_MODEL.firmware
    place = Place(padded.class_id, padded.obis, 2, UP_TO_NUL)
    assert by_model(meter, model=None, firmware=place).reason == "applied"
    meter.values[FIRMWARE] = octets(NEW + "\0\0")
    assert by_model(meter, model=None, firmware=place).reason == "already-as-wanted"


def test_seven_steps():
    meter = ImageMeter()
    assert outcome(meter) == ("OK", "applied")
    assert meter.sent == list(range(BLOCKS)) and bytes(meter.image) == CONTENT
    assert meter.status == 6


def test_a_meter_that_runs_it_already_is_left_alone():
    for again, reason in ((False, "already-as-wanted"), (True, "applied")):
        meter = ImageMeter(firmware=NEW)
        assert outcome(meter, again=again) == ("OK", reason)
        assert meter.status == 0 and meter.sent == []


def test_only_meters_it_is_for():
    for identity, reason in (
        ({"serial": "M2"}, "wrong-meter"),
        ({"model": "AMI-X"}, "wrong-model"),
        ({"model": "AMI-X", "firmware": NEW}, "wrong-model"),
        ({"firmware": "V01.08.00"}, "wrong-firmware"),
    ):
        meter = ImageMeter(**identity)
        assert outcome(meter) == ("KO", reason)
        assert meter.status == 0


def test_resumed_at_the_block_where_it_broke_off():
    meter = ImageMeter()
    meter.lose = [False] * 2 + [True] * 100
    meter.capacity = 50  # one block at a time
    alive = meter._take

    def take(number, block):
        meter.silent = number == 1
        return alive(number, block)

    meter._take = take
    raises(NoAnswer, outcome, meter)
    meter.silent, meter._take = False, alive
    assert meter.have == "1100000"
    assert len(meter.sent) == 2 + transfer.SILENT
    meter.lose, meter.sent = [], []
    assert outcome(meter) == ("OK", "applied")
    assert meter.sent == list(range(2, BLOCKS))


def test_lost_blocks_are_sent_again_and_no_others():
    meter = ImageMeter()
    meter.capacity = 50
    meter.lose = [False, True, False, False, True]
    assert outcome(meter) == ("OK", "applied")
    assert meter.sent == list(range(BLOCKS)) + [1, 4]


def test_several_blocks_in_one_exchange_where_they_fit():
    meter = ImageMeter()
    meter.capacity = 4 * (BLOCK + image_object.BLOCK_OVERHEAD)
    meter.lose = [True]
    outcome(meter)
    assert meter.sent == [0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3]


def test_a_half_transfer_of_another_image_is_not_built_upon():
    meter = ImageMeter()
    meter.status, meter.identifier = 1, b"OTHER"
    meter.image, meter.have = bytearray(100), "1110000"
    assert outcome(meter) == ("OK", "applied")
    assert meter.identifier == b"V03"
    # and one with more blocks is no start at all
    meter = ImageMeter()
    meter.status, meter.have = 1, "1" * (BLOCKS + 1)
    assert outcome(meter) == ("OK", "applied")
    assert meter.sent == list(range(BLOCKS))


def test_another_image_verified_in_the_meter_gives_way():
    meter = ImageMeter()
    meter.status, meter.identifier, meter.image = 3, b"OTHER", bytearray(5)
    assert outcome(meter) == ("OK", "applied")


def test_blocks_that_never_stick():
    meter = ImageMeter()
    meter.drops = [4]
    assert outcome(meter) == ("KO", "image-incomplete")
    assert meter.sent.count(4) == 1 + transfer.UNSTUCK and meter.status == 1


def test_refusals_by_step():
    for method, result, reason in (
        (1, OTHER, "image-refused"),
        (1, TEMPORARY, "meter-busy"),
        (2, OTHER, "image-refused"),
        (2, TEMPORARY, "meter-busy"),
        (3, OTHER, "image-verify-failed"),
        (4, OTHER, "activation-failed"),
    ):
        meter = ImageMeter()
        meter.refuses[method] = result
        assert outcome(meter) == ("KO", reason), (method, result)


def test_nothing_is_activated_that_was_not_verified():
    meter = ImageMeter()
    meter.verdict = 4
    assert outcome(meter) == ("KO", "image-verify-failed")
    assert meter.status == 4


def test_a_status_that_there_is_none_of_is_no_verdict_about_the_image():
    meter = ImageMeter()
    meter.verdict = 99
    error = raises(ProtocolError, outcome, meter)
    assert "expected 0..7, came 99" in str(error)
    assert explained(error, True).reason == "meter-protocol-error"


def test_nothing_is_activated_that_is_not_ours():
    meter = ImageMeter()
    meter.told = b"OTHER"
    assert outcome(meter) == ("KO", "image-not-ours")
    assert meter.status == 3


def test_a_meter_that_lies_about_its_blocks_fails_verification():
    meter = ImageMeter()
    meter.drops, meter.bits = [4], "1" * BLOCKS
    assert outcome(meter) == ("KO", "image-verify-failed")


def test_bitmaps_of_another_length():
    """Padded to whole bytes, or to more; short or empty until blocks come."""
    for padded in ("0", "0" * 25, "1" * 9):
        meter = ImageMeter()
        meter.spells = lambda have, padded=padded: have + padded
        assert outcome(meter) == ("OK", "applied"), padded
        assert meter.sent == list(range(BLOCKS))
    meter = ImageMeter()
    meter.drops = [4]
    meter.spells = lambda have: have[: have.rfind("1") + 1]
    stuck = []

    def spells(have):
        stuck.append(have)
        if len(stuck) > 1:
            meter.drops = []
        return have[: have.rfind("1") + 1]

    meter.spells = spells
    assert outcome(meter) == ("OK", "applied")
    assert meter.sent == list(range(BLOCKS)) + [4]
    meter = ImageMeter()
    meter.bits = "1111"  # for ever
    assert outcome(meter) == ("KO", "image-incomplete")
    meter = ImageMeter()
    meter.spells = lambda have: None
    raises(ProtocolError, outcome, meter)
    assert meter.status == 1


def test_long_verification_gives_others_their_turn():
    meter = ImageMeter()
    meter.verify_polls = 20
    assert outcome(meter) == (WAIT, "image-verifying")
    assert outcome(meter) == (WAIT, "image-verifying")
    meter.verify_polls = 1
    assert outcome(meter) == ("OK", "applied")
    assert meter.sent == list(range(BLOCKS))  # once


def test_long_activation_too():
    meter = ImageMeter()
    meter.activate_polls = 20
    assert outcome(meter) == (WAIT, "image-activating")
    meter.activate_polls = 0
    assert outcome(meter) == ("OK", "applied")


def test_a_meter_that_starts_anew_for_it():
    meter = ImageMeter()
    meter.activate_polls = 3

    async def action(class_id, name, method, data):
        meter.silent = method == 4
        await ImageMeter.action(meter, class_id, name, method, data)

    meter.action = action
    assert outcome(meter) == (WAIT, "image-activating")
    meter.silent = False
    meter.values[FIRMWARE] = octets(NEW)
    meter.status = 0
    assert outcome(meter, again=True) == ("OK", "applied")


def test_a_meter_that_keeps_its_old_firmware():
    meter = ImageMeter()
    meter.then_runs = "V02.10.01"
    assert outcome(meter) == ("KO", "activation-failed")


def test_activation_at_a_set_time():
    meter = ImageMeter()
    clock = ManualClock(NOW)
    assert outcome(meter, NOW + 3600, clock=clock) == (WAIT, "activation-waits")
    assert meter.status == 3
    clock.set_unix_time(NOW + 3600)
    assert outcome(meter, NOW + 3600, clock=clock) == ("OK", "applied")
    assert meter.sent == list(range(BLOCKS))


def test_activation_at_a_set_time_while_our_clock_is_not_set():
    meter, clock = ImageMeter(), ManualClock(0)
    assert outcome(meter, NOW + 3600, clock=clock) == (HINDERED, "clock-unset")
    assert meter.status == 3
    assert until_its_time(NOW, 0, "").wait_s == CLOCK_S
    assert until_its_time(NOW, NOW - 7, "").wait_s == 7


def test_a_meter_with_image_transfer_switched_off():
    meter = ImageMeter()
    meter.enabled = False
    assert outcome(meter) == ("OK", "applied")


def test_block_sizes_without_sense_or_way():
    meter = ImageMeter()
    meter.block_size = 0
    assert outcome(meter) == ("KO", "block-too-large")
    meter = ImageMeter()

    async def action_list(items):
        raise NotSupported("too long")

    meter.action_list = action_list
    assert outcome(meter) == ("KO", "block-too-large")


def test_parameters_byte_by_byte():
    assert image_object.initiate(b"V03", 100).hex() == "0202" + "0903563033" + "0600000064"
    assert image_object.transfer(5, b"\x01\x02").hex() == "0202" + "0600000005" + "09020102"
    long = image_object.transfer(5, bytes(200))
    assert axdr.decode(long) == (
        axdr.STRUCTURE,
        [(axdr.DOUBLE_LONG_UNSIGNED, 5), (axdr.OCTET_STRING, bytes(200))],
    )


def test_bitmaps_as_they_come():
    has = image_object.bitmap(axdr.encode((axdr.BIT_STRING, "10100000010")), 11)
    assert isinstance(has, Bitmap) and has.lacking() == [1, 3, 4, 5, 6, 7, 8, 10]
    for raw in (b"", b"\x04", b"\x04\x0b\xff", b"\x09\x02ab", b"\x04\x8b", b"\x04\x08\xff\xff"):
        raises(ProtocolError, image_object.bitmap, raw, 11)
    for raw, lacking in (
        (b"\x04\x00", list(range(11))),
        (b"\x04\x0a\xff\xff", [10]),  # ten bits, filled up with ones
        (b"\x04\x03\xff", list(range(3, 11))),
        (b"\x04\x08\xfe", [7, 8, 9, 10]),
        (b"\x04\x10\xff\xdf", [10]),
        (b"\x04\x20\xff\xff\xff\xff", []),
    ):
        assert image_object.bitmap(raw, 11).lacking() == lacking, raw
    for raw, start, found in (
        (b"\x04\x00", 0, False),
        (b"\x04\x10\x00\x00", 0, False),
        (b"\x04\x10\x00\x20", 0, True),
        (b"\x04\x10\x00\x20", 10, True),
        (b"\x04\x10\x00\x20", 11, False),
        (b"\x04\x0a\x00\x3f", 10, False),  # behind its end
    ):
        assert image_object.any_block(raw, start) == found, raw


def test_what_would_be_activated():
    for raw in (
        b"\x00",
        b"\x01\x01\x00",
        axdr.encode((axdr.ARRAY, [(axdr.STRUCTURE, [(axdr.UNSIGNED, 1)])])),
    ):
        raises(ProtocolError, image_object.would_activate, raw, b"V03", 100)
    assert image_object.would_activate(b"\x01\x00", b"V03", 100) == "nothing"


def test_a_flash_that_does_not_give_a_block_is_no_matter_of_the_path():
    class Unreadable(Content):
        def block(self, number, size):
            if number == 3:
                raise OSError(5, "as the test ordered")
            return Content.block(self, number, size)

    raises(StorageFailed, outcome, ImageMeter(), 0, False, Unreadable())
