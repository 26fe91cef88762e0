"""Meters that the HES puts into the inventory, and takes out of it."""

from __future__ import annotations

from gateway.contract.limits import MAX_METERS
from gateway.contract.meter_change import MAX_PUT, MeterEntry, MetersPut, MetersRemoved
from gateway.contract.meter_keys import Vault
from gateway.contract.refused import Refused
from gateway.meters.inventory import KEYS, METERS, Inventory, InventoryError
from gateway.uplink.meter_changes import takers
from hal.sim.storage import SURVIVALS, MemoryStorage, PowerCut
from tests.portable.support import raises
from tests.portable.uplink.support import crypto

A = '{"serial": "A1", "paths": [["plc", "0080e1000001"]], "note": "at the church"}\n'
B = '{"serial": "B2", "paths": [["ip", "127.0.0.1:4059"]], "client": 16, "server": 3}\n'
BAD = '{"serial": "C3", "paths": 5}\n'
PLAIN = '{"serial": "%s", "ek": "' + "ab" * 16 + '", "ak": "' + "cd" * 16 + '"}\n'
RF = ("rf", "2c2d576866323002")


def made(meters=A + B, keys=PLAIN % "A1" + PLAIN % "B2"):
    storage = MemoryStorage()
    storage.replace(METERS, meters.encode())
    storage.replace(KEYS, keys.encode())
    return storage, Inventory(storage, Vault(crypto(), bytes(16)))


def text(storage):
    return str(storage.read(METERS), "utf-8")


def test_new_ones_come_and_known_ones_are_replaced():
    storage, inventory = made(A + BAD + B)
    entries = [MeterEntry("D4", [RF], "idis"), MeterEntry("B2", [RF], client=1, title=bytes(8))]
    assert inventory.put(entries) == 1
    assert inventory.serials() == ["A1", "B2", "D4"]
    assert inventory.meter("D4").model == "idis" and inventory.meter("D4").paths == [RF]
    found = inventory.meter("B2")
    assert (found.paths, found.client_sap, found.server_sap) == ([RF], 1, 1)
    assert found.title == bytes(8) and found.model == "ami"
    assert inventory.keys("B2").ek == bytes.fromhex("ab" * 16)
    # What stood there otherwise stands there still, whatever else people wrote into it.
    assert A in text(storage) and BAD in text(storage)
    assert Inventory(storage, Vault(crypto(), bytes(16))).serials() == inventory.serials()


def test_the_same_twice_is_the_same_once():
    storage, inventory = made()
    inventory.put([MeterEntry("D4", [RF])])
    before = text(storage)
    assert inventory.put([MeterEntry("D4", [RF])]) == 0
    assert text(storage) == before


def test_who_goes_leaves_no_keys():
    storage, inventory = made()
    assert inventory.remove(["B2", "nobody"]) == 1
    assert inventory.serials() == ["A1"] and inventory.meter("B2") is None
    assert b"B2" not in storage.read(KEYS) and b"B2" not in storage.read(METERS)
    assert inventory.keys("A1").ek == bytes.fromhex("ab" * 16)
    assert inventory.problems == []
    assert inventory.remove(["B2"]) == 0


def test_all_or_none():
    storage, inventory = made()
    before = text(storage)
    wrong = [MeterEntry("D4", [RF]), MeterEntry("E5", [("plc", "nonsense")])]
    error = raises(InventoryError, inventory.put, wrong)
    assert "E5: " in str(error) and "expected 12 hex digits" in str(error)
    raises(InventoryError, inventory.put, [MeterEntry("broadcast", [])])
    assert text(storage) == before and inventory.serials() == ["A1", "B2"]


def test_no_more_than_there_is_room_for():
    lines = ['{"serial": "M%04d", "paths": []}\n' % number for number in range(MAX_METERS - 1)]
    _, inventory = made("".join(lines), "")
    assert inventory.put([MeterEntry("D4", []), MeterEntry("M0001", [RF])]) == 1
    error = raises(InventoryError, inventory.put, [MeterEntry("E5", [])])
    assert "1 meters more than 0" in str(error)


def test_any_cut_leaves_the_old_or_the_new():
    for survival in SURVIVALS:
        for cut in range(24):
            storage, inventory = made()
            storage.arm(cut, survival)
            try:
                inventory.put([MeterEntry("D4", [RF])])
                inventory.remove(["B2"])
            except PowerCut:
                storage = storage.after_cut()
            else:
                storage.arm(99)
            after = Inventory(storage, Vault(crypto(), bytes(16)))
            assert after.serials() in (["A1", "B2"], ["A1", "B2", "D4"], ["A1", "D4"])
            after.put([MeterEntry("D4", [RF])])  # the same messages once more
            after.remove(["B2"])
            assert after.serials() == ["A1", "D4"], (survival, cut)
            assert b"B2" not in storage.read(KEYS)
            assert after.keys("A1").ek == bytes.fromhex("ab" * 16)


def test_as_bodies_of_a_change():
    _, inventory = made()
    (put_kind, put), (removed_kind, remove) = takers(inventory)
    assert (put_kind, removed_kind) == (MetersPut, MetersRemoved)
    assert put(MetersPut([MeterEntry("D4", [RF])])) == "1 meters put, 1 of them new"
    assert remove(MetersRemoved(["D4", "A1"])) == "2 meters removed"
    refused = raises(Refused, put, MetersPut([MeterEntry("E5", [("plc", "?")])]))
    assert refused.reason == "malformed" and "E5" in refused.detail


def test_the_largest_message_fits():
    entry = MeterEntry("S" * 32, [("rf", "2c2d576866323002")] * 2, "m" * 32, 1, 1, bytes(8))
    from gateway.contract.change import Change
    from gateway.contract.limits import MAX_MESSAGE

    entries = [entry] * MAX_PUT
    assert len(Change("c" * 64, 1, 2, 3, MetersPut(entries)).encode()) < MAX_MESSAGE - 200
