"""Attributes as they are now: with scaler and unit, in as many records as it takes; what is refused
is named, and costs nothing else."""

from __future__ import annotations

from gateway.contract.limits import MAX_READING
from gateway.contract.task import VALUES, Item
from gateway.dlms.data import axdr
from tests.portable.activities.profile_meter import ENERGY, NOON, VOLTAGE, Scene
from tests.portable.support import run

TEXT = b"\x00\x00\x60\x32\x00\xff"


def test_registers_and_raw_objects():
    scene = Scene()
    item = Item(VALUES, objects=[(3, ENERGY, 2), (8, b"\x00\x00\x01\x00\x00\xff", 2)])
    found = run(scene.visit([item]))
    assert (found.rows, found.gaps) == (2, [])
    ((serial, task, read_at, values),) = scene.recorder.read
    assert (serial, task, read_at) == ("M1", "night", NOON)
    assert values[0][:3] == (3, ENERGY, 2) and values[0][4:] == (-1, 35)
    assert values[1][3] == axdr.encode(scene.meter.stamp(NOON)) and values[1][4:] == (None, None)
    assert scene.meter.asked == ["list of 3"]  # the values and one scaler, at once


def test_what_the_meter_refuses_is_named():
    scene = Scene()
    item = Item(VALUES, objects=[(1, TEXT, 2), (3, ENERGY, 2)])
    found = run(scene.visit([item]))
    assert (found.rows, found.gaps) == (1, ["object-mismatch"])
    assert "0.0.96.50.0.255" in found.details[0]


def test_by_the_word_of_the_model():
    scene = Scene()
    found = run(scene.visit([Item(VALUES, "alarm-register-1"), Item(VALUES, "no-such")]))
    assert found.gaps == ["object-mismatch", "model-unfit"]  # it has none; nor has the model


def test_many_and_large_ones():
    scene = Scene()
    large = axdr.encode((axdr.OCTET_STRING, bytes(MAX_READING // 3)))
    whole = scene.meter._value

    def value(class_id, name, attribute):
        if class_id == 1:
            size = MAX_READING if name == TEXT else MAX_READING // 3
            return (axdr.OCTET_STRING, bytes(size))
        return whole(class_id, name, attribute)

    scene.meter._value = value
    objects = [(1, bytes([0, 0, 96, 51, i, 255]), 2) for i in range(4)]
    items = [
        Item(VALUES, objects=objects + [(1, TEXT, 2)]),
        Item(VALUES, objects=[(3, VOLTAGE, 2)] * 60),
    ]
    found = run(scene.visit(items))
    assert (found.rows, found.gaps) == (64, ["value-too-large"])
    sizes = [len(read[3]) for read in scene.recorder.read]
    assert sizes == [2, 2, 48, 12]
    assert scene.recorder.read[0][3][0][3] == large
