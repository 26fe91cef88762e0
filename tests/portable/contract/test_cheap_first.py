"""What is none of our messages costs a few steps and next to no memory, however large it is."""

from __future__ import annotations

from gateway.contract import envelope
from gateway.contract.edhoc import sequence
from gateway.contract.image_file import ImageFile
from gateway.contract.job import Job
from gateway.contract.key_change import KeyChange
from gateway.contract.limits import MAX_MESSAGE
from gateway.contract.messages import (
    Ack,
    Ask,
    Cancel,
    Chunk,
    Hello,
    Meters,
    Pause,
    Progress,
    Pull,
    Reports,
    Resend,
    SignedTime,
    State,
    Time,
)
from gateway.contract.model import Model
from gateway.contract.package import Package
from gateway.contract.refused import Refused
from gateway.contract.trust_change import TrustChange
from hal.rt import cbor
from tests.portable.memory import taken

SIZE = MAX_MESSAGE
STEPS = 128  # heads of CBOR items that are looked at
MEMORY = 16384  # octets: calls inside each other, and the text that says what is wrong

ONE_BY_ONE = (Ack, Ask, Cancel, Chunk, Hello, Job, KeyChange, Meters, Pause, Progress, Pull)
MESSAGES = ONE_BY_ONE + (Reports, Resend, SignedTime, State, Time, TrustChange)
WHOLE = (ImageFile, Model, Package)


class Steps:
    """`with Steps() as steps:` how often a head was looked at."""

    def __init__(self):
        self.count = 0

    def __enter__(self):
        self.head = cbor.head
        cbor.head = self.counted
        return self

    def __exit__(self, *_):
        cbor.head = self.head

    def counted(self, raw, pos):
        self.count += 1
        return self.head(raw, pos)


def decoders():
    for kind in MESSAGES:
        yield kind.__name__, len(kind.SHAPE.groups) or len(kind.SHAPE.rules), kind.decode
    for kind in WHOLE:
        yield kind.__name__, len(kind.SHAPE.groups) or len(kind.SHAPE.rules), kind.from_payload
    yield "envelope", 4, envelope.split
    yield "edhoc", 2, lambda raw: sequence.items(raw, "message_1")


def long(start):
    return start + bytes(SIZE - len(start))


def hostile(count):
    """Of arrays of so many elements; each about 127 KB."""
    array = bytes([0x80 + count])
    yield bytes(SIZE)
    yield b"\xd2" + bytes(SIZE - 1)
    for before in (b"", b"\xd2"):
        for start in (
            array,
            array + b"\x9a\x00\x01\xfb\x00",  # an array of the rest
            array + bytes(count - 1) + b"\x9a\x00\x01\xfb\x00",
            array + bytes(count - 1) + b"\xba\x00\x00\xfb\x00",  # a map
            array + bytes(count - 1) + b"\x7a\x00\x01\xfb\x00",  # text
            array + b"\x9b" + b"\xff" * 8,
            array + b"\x5b" + b"\xff" * 8,
            b"\x9a\x00\x01\xfb\x00",
            b"\xba\x00\x00\xfb\x00",
            b"\x7a\x00\x01\xfb\x00",
            b"\x9b" + b"\xff" * 8,
            b"\x7b" + b"\xff" * 8,
        ):
            yield long(before + start)
        yield before + b"\x81" * (SIZE - 1)
        yield before + (array + bytes(count - 1)) * (SIZE // count - 1)
        yield before + b"\x84\x43\xa1\x01\x26\xa1\x04\x41\x01" + b"\x81" * (SIZE - 20)


def refused(decode, raw):
    try:
        decode(raw)
    except Refused:
        return
    raise AssertionError("taken: %s" % raw[:32].hex())


def test_few_steps():
    for name, count, decode in decoders():
        for raw in hostile(count):
            with Steps() as steps:
                refused(decode, raw)
            assert steps.count <= STEPS, (name, raw[:16].hex(), steps.count)


def test_next_to_no_memory():
    for name, count, decode in decoders():
        if name not in ("Ack", "Hello", "Job", "Reports", "envelope", "edhoc"):
            continue  # it takes long, and what is large in others is in one of these
        for raw in hostile(count):
            used = taken(lambda decode=decode, raw=raw: refused(decode, raw))
            assert used <= MEMORY, (name, raw[:16].hex(), used)


def test_no_memory_is_a_refusal():
    """Whatever part of the work finds none."""
    ack = Ack(1, 2).encode()
    job_like = b"\x81\x01"
    for name in ("head", "_check_item"):
        whole = getattr(cbor, name)
        setattr(cbor, name, without_memory)
        try:
            for decode, raw in ((Ack.decode, ack), (Job.decode, job_like)):
                try:
                    decode(raw)
                    raise AssertionError("taken")
                except Refused as error:
                    assert error.reason == "oversized" and "no memory" in error.detail
        finally:
            setattr(cbor, name, whole)


def without_memory(*_):
    raise MemoryError()


def test_no_more_items_and_levels_than_a_message_may_have():
    for items, levels, raw, good in (
        (2, 1, b"\x82\x00\x00", True),
        (1, 1, b"\x82\x00\x00", False),
        (2, 2, b"\x81\x81\x00", True),
        (2, 1, b"\x81\x81\x00", False),
        (4, 1, b"\xa2\x00\x00\x01\x00", True),
        (3, 1, b"\xa2\x00\x00\x01\x00", False),
        (0, 16, b"\x82\x00\x00", True),
    ):
        try:
            cbor.decode(raw, (), items, levels)
            assert good, raw.hex()
        except cbor.CborError:
            assert not good, raw.hex()
