"""Every rule of a line of the inventory at its bounds, with the exact text; the other lines count
all the same."""

from __future__ import annotations

from gateway.contract.meter_keys import MeterKeys, Vault
from gateway.meters.inventory import (
    BROADCAST,
    KEYS,
    MAX_LINE,
    MAX_REPORTED,
    METERS,
    Inventory,
    InventoryError,
)
from hal.sim.storage import MemoryStorage
from tests.portable.support import raises
from tests.portable.uplink.support import crypto

GOOD = b'{"serial": "A", "paths": []}\n'
PLC = "0080e1000001"


def read_lines(line):
    """(inventory, what is said of `line`), which stands between two good ones."""
    storage = MemoryStorage()
    line = line if isinstance(line, bytes) else line.encode()
    storage.replace(METERS, GOOD + line + b'\n{"serial": "Z", "paths": []}\n')
    inventory = Inventory(storage)
    assert inventory.known("A") and inventory.known("Z")
    assert inventory.bad_lines == len(inventory.problems) <= 1
    assert len(inventory) == 3 - inventory.bad_lines
    said = inventory.problems[0] if inventory.problems else ""
    head, tail = "meters.jsonl line 2: ", "; line skipped"
    assert said == "" or (said.startswith(head) and said.endswith(tail)), said
    return inventory, said[len(head) : -len(tail)]


def test_lines_that_are_skipped_and_why():
    serial = "serial: expected a text of 1 to 32 characters"
    ascii_only = "serial: expected printable ASCII without blanks"
    hexa = "X: plc address: expected 12 hex digits or host:port"
    for line, text in (
        ("nonsense", "not JSON"),
        (b"\xff", "not JSON"),
        ("1", "expected a JSON object"),
        ("{}", serial),
        ('{"serial": 7, "paths": []}', serial),
        ('{"serial": "", "paths": []}', serial),
        ('{"serial": "%s", "paths": []}' % ("x" * 33), serial),
        ('{"serial": "a b", "paths": []}', ascii_only),
        ('{"serial": "a\\u007f", "paths": []}', ascii_only),
        ('{"serial": "\\u00e9", "paths": []}', ascii_only),
        ('{"serial": "X", "paths": {}}', "X: paths: expected a list of at most 4"),
        (
            '{"serial": "X", "paths": [%s]}'
            % ", ".join(['["ip", "h:%d"]' % port for port in range(1, 6)]),
            "X: paths: expected a list of at most 4",
        ),
        ('{"serial": "X", "paths": ["plc"]}', "X: each path is [kind, address]"),
        ('{"serial": "X", "paths": [["plc", "1", "2"]]}', "X: each path is [kind, address]"),
        ('{"serial": "X", "paths": [[1, "a"]]}', "X: path: kind and address are texts"),
        ('{"serial": "X", "paths": [["ip", 1]]}', "X: path: kind and address are texts"),
        ('{"serial": "X", "paths": [["plc", "0080e10000011"]]}', hexa),
        ('{"serial": "X", "paths": [["plc", "0080e10000g1"]]}', hexa),
        (
            '{"serial": "X", "paths": [["rf", "2c2d57686632300"]]}',
            "X: rf address: expected 16 hex digits or host:port",
        ),
        ('{"serial": "X", "paths": [["sms", "1"]]}', "X: path kind: expected plc, rf or ip"),
        (
            '{"serial": "X", "paths": [["plc", "%s"], ["plc", "%s"]]}' % (PLC, PLC.upper()),
            "X: path plc %s twice" % PLC,
        ),
        ('{"serial": "A", "paths": []}', "A is already on an earlier line"),
        (
            '{"serial": "broadcast", "paths": []}',
            "broadcast is the fleet's name for its keys, and no meter",
        ),
        ('{"serial": "X", "paths": [], "client": 0}', "client: expected a SAP from 1 to 65535"),
        ('{"serial": "X", "paths": [], "client": 1.0}', "client: expected a SAP from 1 to 65535"),
        ('{"serial": "X", "paths": [], "server": 65536}', "server: expected a SAP from 1 to 65535"),
        ('{"serial": "X", "paths": [], "title": "00"}', "title: expected 16 hex digits"),
        ('{"serial": "X", "paths": [], "title": 7}', "title: expected 16 hex digits"),
    ):
        inventory, said = read_lines(line)
        assert said == text, (line, said)
        assert inventory.meter("X") is None


def test_lines_at_their_bounds_that_count():
    longest = "!" + "~" * 31
    inventory, said = read_lines('{"serial": "%s", "paths": []}' % longest)
    assert said == "" and inventory.known(longest)
    for port, good in (("1", True), ("65535", True), ("0", False), ("65536", False), ("", False)):
        inventory, said = read_lines('{"serial": "X", "paths": [["ip", "h:%s"]]}' % port)
        assert (said == "") == good, port
    for host, good in (
        ("h", True),
        ("[fd00::7]", True),
        ("fd00::7", False),
        ("[fd00::7", False),
        ("fd00::7]", False),
        ("", False),
        ("a b", False),
        ("a\u00e9", False),
        ("x" * 78, True),
        ("x" * 79, False),
    ):
        inventory, said = read_lines('{"serial": "X", "paths": [["ip", "%s:9"]]}' % host)
        assert (said == "") == good, host
        inventory, said = read_lines('{"serial": "X", "paths": [["plc", "%s:9"]]}' % host)
        assert (said == "") == good, host
    for port in ("+1", "1 ", "000001", "x"):
        assert read_lines('{"serial": "X", "paths": [["ip", "h:%s"]]}' % port)[1] != ""
    line = '{"serial": "X", "paths": [["plc", "%s"], ["rf", "%s"], ["ip", "h:1"], ["ip", "h:2"]],'
    line += ' "client": 65535, "server": 1, "title": "4149440000000001"}'
    inventory, said = read_lines(line % (PLC.upper(), "2C2D576866323002"))
    meter = inventory.meter("X")
    assert said == "" and (meter.client_sap, meter.server_sap) == (65535, 1)
    assert meter.title == b"AID\0\0\0\0\x01"
    assert meter.paths == [
        ("plc", PLC),
        ("rf", "2c2d576866323002"),
        ("ip", "h:1"),
        ("ip", "h:2"),
    ]
    other = meter.as_client(16)
    assert (other.client_sap, other.server_sap, other.title) == (16, 1, meter.title)
    assert (other.serial, other.paths) == ("X", meter.paths)


def test_the_longest_line():
    assert MAX_LINE == 512
    for size, good in ((512, True), (513, False), (5000, False)):
        line = '{"serial": "X", "paths": []}'
        _, said = read_lines(line + " " * (size - len(line)))
        assert (said == "") == good
        assert said in ("", "longer than 512 bytes")


def test_lines_over_the_chunks_they_are_read_in():
    """Whatever lies at the end of 2048 octets: of a line, of a long one, of a blank one."""
    for before in range(2020, 2060):
        storage = MemoryStorage()
        storage.replace(
            METERS, b" " * 400 + b"\n" + b"x" * (before - 402) + b"\n" + GOOD + b"\n\n" + GOOD
        )
        inventory = Inventory(storage)
        assert inventory.serials() == ["A"], before
        assert inventory.problems == [
            "meters.jsonl line 2: longer than 512 bytes; line skipped",
            "meters.jsonl line 6: A is already on an earlier line; line skipped",
        ]


def test_how_many_problems_are_kept():
    for count in (MAX_REPORTED - 1, MAX_REPORTED, MAX_REPORTED + 1):
        storage = MemoryStorage()
        storage.replace(METERS, b"x\n" * count)
        inventory = Inventory(storage)
        assert inventory.bad_lines == count
        assert len(inventory.problems) == min(count, 20)


# ---------------------------------------------------------------- keys

EK, AK = bytes(range(16)), bytes(range(16, 32))


def keys_of(*lines, vault=None):
    storage = MemoryStorage()
    storage.replace(METERS, GOOD + b'{"serial": "B", "paths": []}\n')
    storage.replace(KEYS, "".join([line + "\n" for line in lines]).encode())
    return Inventory(storage, vault), storage


def plain(serial, ek=EK, ak=AK, more=""):
    return '{"serial": "%s", "ek": "%s", "ak": "%s"%s}' % (serial, ek.hex(), ak.hex(), more)


def test_lines_of_keys_that_are_skipped_and_why():
    for line, text in (
        ("nonsense", "not JSON"),
        (plain("C"), "C is not in meters.jsonl"),
        (plain("A", more=', "suite": 3'), "suite: expected 0, 1 or 2"),
        (plain("A", more=', "suite": -1'), "suite: expected 0, 1 or 2"),
        (plain("A", more=', "suite": true'), "suite: expected 0, 1 or 2"),
        (plain("A", EK[1:]), "ek: expected 32 hex digits"),
        (plain("A", EK, AK + AK), "ak: expected 32 hex digits"),
        (plain("A", more=', "suite": 2'), "ek: expected 64 hex digits"),
        ('{"serial": "A", "wrapped": "00"}', "wrapped: expected 96 hex digits"),
        ('{"serial": "A", "wrapped": "%s"}' % ("0" * 97), "wrapped: expected 160 hex digits"),
        ('{"serial": "A", "wrapped": 7}', "wrapped: expected 96 hex digits"),
    ):
        inventory, _ = keys_of(plain("B"), line)
        assert inventory.problems == ["keys.jsonl line 2: %s; line skipped" % text], line
        assert inventory.keys("B").ek == EK
        error = raises(InventoryError, inventory.keys, "A")
        assert str(error) == "keys.jsonl holds no usable keys for A"


def test_the_first_keys_of_a_meter_count_and_the_fleets_need_no_meter():
    inventory, _ = keys_of(plain("A"), plain("A", AK, EK), plain(BROADCAST, AK, EK))
    assert inventory.keys("A").ek == EK
    assert inventory.keys(BROADCAST).ek == AK
    assert inventory.problems == [
        "keys.jsonl line 2: A is already on an earlier line; line skipped"
    ]


def test_wrapped_keys_and_the_board_key():
    vault, other = Vault(crypto(), bytes(16)), Vault(crypto(), b"\x01" * 16)
    line = '{"serial": "A", "wrapped": "%s"}' % vault.wrap("A", MeterKeys(EK, AK)).hex()
    assert keys_of(line, vault=vault)[0].keys("A").ak == AK
    error = raises(InventoryError, keys_of(line)[0].keys, "A")
    assert str(error) == "A: its keys are wrapped, and this board has no key"
    error = raises(InventoryError, keys_of(line, vault=other)[0].keys, "A")
    assert str(error).startswith("A: ") and EK.hex() not in str(error)
    moved = line.replace('"A"', '"B"')
    error = raises(InventoryError, keys_of(moved, vault=vault)[0].keys, "B")
    assert str(error) == "B: the wrapped keys are those of another meter"


def test_new_keys_that_are_no_keys_change_nothing():
    vault = Vault(crypto(), bytes(16))
    inventory, storage = keys_of(plain("A"), vault=vault)
    before = storage.read(KEYS)
    assert EK.hex().encode() not in before, "plain keys are wrapped where they are found"
    good = ("A", vault.wrap("A", MeterKeys(AK, EK)))
    error = raises(InventoryError, inventory.replace_keys, [good, ("B", bytes(48))])
    assert str(error).startswith("B: ")
    assert storage.read(KEYS) == before and inventory.keys("A").ek == EK
    inventory.replace_keys([good])
    assert inventory.keys("A").ek == AK
    assert keys_of(plain("A"))[0].keys("A").ek == EK
    error = raises(InventoryError, keys_of(plain("A"))[0].replace_keys, [good])
    assert str(error) == "this board has no key of its own to unwrap with"


def test_what_half_a_rewrite_left_is_no_part_of_the_next():
    vault = Vault(crypto(), bytes(16))
    storage = MemoryStorage()
    storage.replace(METERS, GOOD)
    storage.replace(KEYS, (plain("A") + "\n").encode())
    storage.replace("keys.jsonl.new", b'{"serial": "A", "wrapped": "half of')
    inventory = Inventory(storage, vault)
    assert inventory.keys("A").ek == EK
    assert storage.names() == [KEYS, METERS]
    assert storage.read(KEYS).count(b"\n") == 1


def test_a_file_that_is_shorter_than_it_said():
    """Somebody replaces it while it is read: what is there counts, and nothing is read for ever."""
    storage = MemoryStorage()
    storage.replace(METERS, GOOD)
    size = storage.size
    storage.size = lambda name: size(name) + 5000 if name == METERS else size(name)
    inventory = Inventory(storage)
    assert inventory.serials() == ["A"] and inventory.problems == []
