"""The inventory: what is read, what is skipped and said, and that keys stay where they are."""

from __future__ import annotations

from gateway.contract.limits import MAX_METERS
from gateway.contract.meter_keys import WRAPPED_SIZES, MeterKeys, Vault
from gateway.meters.inventory import (
    BROADCAST,
    KEYS,
    MAX_REPORTED,
    METERS,
    Inventory,
    InventoryError,
)
from hal.ports import CryptoError
from hal.sim.storage import SURVIVALS, MemoryStorage, PowerCut
from tests.portable.support import raises, random_bytes
from tests.portable.uplink.support import crypto

A = '{"serial": "AMI0000000001", "paths": [["plc", "0080E1000001"], ["rf", "2C2D576866323002"]]}\n'
B = '{"serial": "AMI0000000002", "paths": [["ip", "127.0.0.1:4059"]], "client": 16, "server": 3}\n'
EK, AK = "000102030405060708090a0b0c0d0e0f", "d0d1d2d3d4d5d6d7d8d9dadbdcdddedf"


def inventory_of(meters, keys=""):
    storage = MemoryStorage()
    for name, content in ((METERS, meters), (KEYS, keys)):
        storage.replace(name, content if isinstance(content, bytes) else content.encode())
    return storage, Inventory(storage)


def keys_line(serial, ek=EK, ak=AK):
    return '{"serial": "%s", "ek": "%s", "ak": "%s"}\n' % (serial, ek, ak)


def test_reads_meters():
    _, inventory = inventory_of(A + B)
    assert len(inventory) == 2 and inventory.problems == []
    assert inventory.serials() == ["AMI0000000001", "AMI0000000002"]
    first = inventory.meter("AMI0000000001")
    assert first.serial == "AMI0000000001"
    assert first.paths == [("plc", "0080e1000001"), ("rf", "2c2d576866323002")]
    assert (first.client_sap, first.server_sap) == (1, 1)
    second = inventory.meter("AMI0000000002")
    assert second.paths == [("ip", "127.0.0.1:4059")]
    assert (second.client_sap, second.server_sap) == (16, 3)
    assert inventory.known("AMI0000000002") and not inventory.known("AMI0000000003")
    assert inventory.meter("AMI0000000003") is None


def test_a_meter_without_paths_is_known():
    _, inventory = inventory_of('{"serial": "X", "paths": []}')
    assert inventory.meter("X").paths == []


def test_absent_files_are_an_empty_inventory():
    inventory = Inventory(MemoryStorage())
    assert len(inventory) == 0 and inventory.problems == []


def test_a_meter_commissioned_while_we_run_is_found():
    storage, inventory = inventory_of(A, keys_line("AMI0000000001"))
    assert not inventory.known("AMI0000000002")
    storage.replace(METERS, (A + B).encode())
    assert inventory.known("AMI0000000002") and inventory.known("AMI0000000001")
    assert inventory.meter("AMI0000000002").paths == [("ip", "127.0.0.1:4059")]
    assert inventory.keys("AMI0000000001").ek == bytes.fromhex(EK)
    assert inventory.problems == []


def test_bad_lines_are_skipped_and_named():
    bad = [
        "not json",
        "[1]",
        '{"paths": []}',
        '{"serial": "two words", "paths": []}',
        '{"serial": "X"}',
        '{"serial": "X", "paths": [["plc"]]}',
        '{"serial": "X", "paths": [["plc", "0080e100000"]]}',
        '{"serial": "X", "paths": [["plc", "0080e100000g"]]}',
        '{"serial": "X", "paths": [["rf", "0080e1000001"]]}',
        '{"serial": "X", "paths": [["ip", "host"]]}',
        '{"serial": "X", "paths": [["ip", "host:70000"]]}',
        '{"serial": "X", "paths": [["ip", "a b:4059"]]}',
        '{"serial": "X", "paths": [["lora", "1"]]}',
        '{"serial": "X", "paths": [["plc", "0080e1000001"], ["plc", "0080E1000001"]]}',
        '{"serial": "X", "paths": [], "client": 0}',
        '{"serial": "X", "paths": [], "server": true}',
        '{"serial": "X", "paths": [], "server": 65536}',
        '{"serial": "%s", "paths": []}' % ("x" * 600),
    ]
    for line in bad:
        _, inventory = inventory_of(A + line + "\n" + B)
        assert inventory.serials() == ["AMI0000000001", "AMI0000000002"], line
        assert inventory.bad_lines == 1
        assert inventory.problems[0].startswith("meters.jsonl line 2: "), inventory.problems
        assert inventory.problems[0].endswith("; line skipped")


def test_the_first_of_two_equal_serials_counts():
    other = '{"serial": "AMI0000000001", "paths": []}\n'
    _, inventory = inventory_of(A + other)
    assert len(inventory.meter("AMI0000000001").paths) == 2
    assert inventory.problems == [
        "meters.jsonl line 2: AMI0000000001 is already on an earlier line; line skipped"
    ]


def test_blank_lines_and_a_missing_last_newline():
    _, inventory = inventory_of("\n\r\n" + A + "  \n" + B[:-1])
    assert len(inventory) == 2 and inventory.problems == []


def test_problems_are_bounded():
    _, inventory = inventory_of("x\n" * 1000 + A)
    assert inventory.bad_lines == 1000
    assert len(inventory.problems) == MAX_REPORTED
    assert inventory.known("AMI0000000001")


def test_any_bytes_are_survived():
    for seed in range(20):
        noise = random_bytes(seed, 3000)
        _, inventory = inventory_of(noise + b"\n" + A.encode(), noise)
        assert inventory.known("AMI0000000001")


def test_more_meters_than_a_concentrator_has():
    lines = "".join(['{"serial": "M%d", "paths": []}\n' % i for i in range(MAX_METERS + 3)])
    _, inventory = inventory_of(lines)
    assert len(inventory) == MAX_METERS and inventory.bad_lines == 3
    assert inventory.known("M1999") and not inventory.known("M2000")


def test_keys_are_read_by_meter():
    other = "ff" * 16
    _, inventory = inventory_of(
        A + B, keys_line("AMI0000000002", other) + keys_line("AMI0000000001")
    )
    assert inventory.problems == []
    keys = inventory.keys("AMI0000000001")
    assert (keys.ek.hex(), keys.ak.hex()) == (EK, AK)
    assert inventory.keys("AMI0000000002").ek.hex() == other


def test_keys_follow_a_replaced_file():
    storage, inventory = inventory_of(A + B, keys_line("AMI0000000001"))
    storage.replace(
        KEYS, (keys_line("AMI0000000002") + keys_line("AMI0000000001", "ee" * 16)).encode()
    )
    assert inventory.keys("AMI0000000001").ek == b"\xee" * 16


def test_missing_and_bad_keys_are_errors_without_key_material():
    bad = keys_line("AMI0000000001", EK[:-2])
    _, inventory = inventory_of(A + B, bad + "garbage " + EK + "\n" + keys_line("STRANGER"))
    assert len(inventory.problems) == 3
    error = raises(InventoryError, inventory.keys, "AMI0000000001")
    assert "AMI0000000001" in str(error)
    everything = str(error) + "".join(inventory.problems)
    assert EK[:8] not in everything and AK[:8] not in everything


VAULT = Vault(crypto(), bytes(range(32)))


def test_plain_keys_are_wrapped_where_they_are_found():
    storage = MemoryStorage()
    storage.replace(METERS, (A + B).encode())
    stranger = keys_line("STRANGER", "ab" * 16)
    storage.replace(KEYS, (keys_line("AMI0000000001") + "rubbish " + EK + "\n" + stranger).encode())
    inventory = Inventory(storage, VAULT)
    assert len(inventory.problems) == 2
    found = inventory.keys("AMI0000000001")
    assert (found.ek.hex(), found.ak.hex()) == (EK, AK)
    content = storage.read(KEYS).decode()
    assert content.count("wrapped") == 2 and "STRANGER" in content
    for secret in (EK, AK, "ab" * 16):
        assert secret not in content
    # Wrapped once, they are left alone.
    again = Inventory(storage, VAULT)
    assert storage.read(KEYS).decode() == content
    assert again.keys("AMI0000000001").ek.hex() == EK
    # Commissioning wrote plain ones again.
    storage.replace(KEYS, keys_line("AMI0000000002", "cd" * 16).encode())
    assert again.keys("AMI0000000002").ek.hex() == "cd" * 16
    assert "cd" * 16 not in storage.read(KEYS).decode()


def test_wrapped_keys_need_the_board_key_they_were_wrapped_with():
    storage = MemoryStorage()
    storage.replace(METERS, A.encode())
    storage.replace(KEYS, keys_line("AMI0000000001").encode())
    Inventory(storage, VAULT)
    for vault in (None, Vault(crypto(), bytes(16))):
        error = raises(InventoryError, Inventory(storage, vault).keys, "AMI0000000001")
        assert "AMI0000000001" in str(error)
    assert raises(ValueError, Vault, crypto(), bytes(24))
    assert repr(VAULT) == "Vault(...)"


def test_keys_are_replaced_all_or_none():
    storage, _ = inventory_of(A + B)
    inventory = Inventory(storage, VAULT)
    new = [(s, VAULT.wrap(s, MeterKeys(bytes(16), bytes(16)))) for s in inventory.serials()]
    raises(InventoryError, inventory.replace_keys, [new[0], ("AMI0000000002", new[0][1])])
    assert storage.read(KEYS) == b""
    inventory.replace_keys(new)
    inventory.replace_keys([new[1]])
    for serial, _ in new:
        assert inventory.keys(serial).ek == bytes(16)
    assert storage.read(KEYS).count(b"\n") == 2


SUITES = ((1, 16), (2, 32))


def test_keys_of_suites_1_and_2():
    for suite, size in SUITES:
        ek, ak = bytes(range(size)), bytes(range(50, 50 + size))
        line = '{"serial": "AMI0000000001", "suite": %d, "ek": "%s", "ak": "%s"}\n' % (
            suite,
            ek.hex(),
            ak.hex(),
        )
        storage, plain = inventory_of(A, line)
        assert plain.keys("AMI0000000001").ek == ek
        for _ in range(2):
            inventory = Inventory(storage, VAULT)
            found = inventory.keys("AMI0000000001")
            assert (found.suite, found.ek, found.ak) == (suite, ek, ak)
        assert ek.hex() not in storage.read(KEYS).decode()
        inventory.replace_keys([("AMI0000000001", VAULT.wrap("AMI0000000001", found))])
        assert inventory.keys("AMI0000000001").suite == suite


def test_wrapped_keys_are_bound_to_meter_and_suite():
    sizes = set()
    for suite, size in ((0, 16),) + SUITES:
        wrapped = VAULT.wrap("A", MeterKeys(bytes(size), bytes(size), suite))
        sizes.add(len(wrapped))
        found = VAULT.unwrap("A", wrapped)
        assert (found.suite, found.ek) == (suite, bytes(size))
        raises(CryptoError, VAULT.unwrap, "B", wrapped)
        raises(CryptoError, VAULT.unwrap, "A", wrapped[:-8])
    assert sizes == set(WRAPPED_SIZES)
    raises(CryptoError, VAULT.unwrap, "A", bytes(56))


def test_keys_that_are_of_no_suite():
    for line in (
        '"suite": 3, "ek": "%s", "ak": "%s"' % (EK, AK),
        '"suite": true, "ek": "%s", "ak": "%s"' % (EK, AK),
        '"suite": 2, "ek": "%s", "ak": "%s"' % (EK, AK),
        '"suite": 1, "ek": "%s", "ak": "%s"' % (EK * 2, AK * 2),
        '"wrapped": "%s"' % (EK * 4),
        '"wrapped": 7',
    ):
        _, inventory = inventory_of(A, '{"serial": "AMI0000000001", %s}\n' % line)
        assert len(inventory.problems) == 1 and EK not in inventory.problems[0], line
        raises(InventoryError, inventory.keys, "AMI0000000001")
    for arguments in ((bytes(16), bytes(16), 2), (bytes(32), bytes(32), 1), (b"", b"", 3)):
        raises(ValueError, MeterKeys, *arguments)


def test_repr_hides_keys():
    _, inventory = inventory_of(A, keys_line("AMI0000000001"))
    assert repr(inventory.keys("AMI0000000001")) == "MeterKeys(...)"


def test_meters_of_a_mesh_with_ip_addresses():
    line = '{"serial": "AMI1", "paths": [["plc", "[fd00::7]:4059"], ["rf", "10.0.0.7:4059"]]}\n'
    _, inventory = inventory_of(line)
    assert inventory.meter("AMI1").paths == [("plc", "[fd00::7]:4059"), ("rf", "10.0.0.7:4059")]
    for address in ("fd00::7", "[fd00::7]:0", "0080e100000", ":4059"):
        _, inventory = inventory_of('{"serial": "AMI1", "paths": [["plc", "%s"]]}\n' % address)
        assert "expected 12 hex digits or host:port" in inventory.problems[0]


def test_the_fleets_broadcast_key_is_replaced_like_a_meters():
    storage, _ = inventory_of(A)
    fleet = MeterKeys(bytes(range(16)), bytes(range(16, 32)))
    inventory = Inventory(storage, VAULT)
    inventory.replace_keys([(BROADCAST, VAULT.wrap(BROADCAST, fleet))])
    for each in (inventory, Inventory(storage, VAULT)):
        found = each.keys(BROADCAST)
        assert (found.ek, found.ak) == (fleet.ek, fleet.ak)
        assert list(each.serials()) == ["AMI0000000001"]


def test_a_meter_of_another_model():
    lines = (
        '{"serial": "X", "model": "idis", "paths": [["ip", "10.0.0.7:4059"]]}\n'
        '{"serial": "Y", "model": "ami", "paths": []}\n'
        '{"serial": "Z", "model": "spain", "paths": [], "client": 5, "title": "0011223344556677"}\n'
        '{"serial": "BAD", "model": "IDIS", "paths": []}\n'
        '{"serial": "BAD", "model": 1, "paths": []}\n'
    )
    _, inventory = inventory_of(lines)
    found = inventory.meter("X")
    assert (found.model, found.client_sap, found.server_sap) == ("idis", 0, 0)
    assert found.paths == [("ip", "10.0.0.7:4059")]
    found = inventory.meter("Y")
    assert (found.model, found.client_sap, found.server_sap) == ("ami", 1, 1)
    found = inventory.meter("Z").as_client(102)
    assert (found.model, found.client_sap, found.server_sap) == ("spain", 102, 0)
    assert found.title == bytes.fromhex("0011223344556677")
    assert inventory.bad_lines == 2
    assert "model: expected 1..32 of a-z, 0-9 and -" in inventory.problems[0]


def test_a_secret_is_kept_like_keys():
    password = "70617373776f7264"
    line = '{"serial": "AMI0000000001", "lls": "%s", "counter": 77}\n' % password
    both = '{"serial": "AMI0000000002", "ek": "%s", "ak": "%s", "lls": "%s"}\n' % (
        EK,
        AK,
        "00" * 64,
    )
    storage, _ = inventory_of(A + B, line + both)
    for vault in (None, VAULT, VAULT):
        inventory = Inventory(storage, vault)
        assert inventory.problems == []
        found = inventory.keys("AMI0000000001")
        assert (found.ek, found.lls.hex(), found.counter) == (b"", password, 77)
        found = inventory.keys("AMI0000000002")
        assert (found.ek.hex(), found.lls, found.counter) == (EK, bytes(64), 0)
    content = storage.read(KEYS).decode()
    assert content.count("wrapped_lls") == 2
    for secret in (EK, AK, password, "00" * 64):
        assert secret not in content
    error = raises(InventoryError, Inventory(storage).keys, "AMI0000000001")
    assert "this board has no key" in str(error)


def test_secrets_that_cannot_be_used_are_skipped():
    for fields, expected in (
        ('"lls": ""', "lls: expected 1 to 64 octets in hex digits"),
        ('"lls": "0"', "lls: expected 1 to 64 octets in hex digits"),
        ('"lls": "%s"' % ("00" * 65), "lls: expected 1 to 64 octets in hex digits"),
        ('"lls": "xx"', "lls: expected 1 to 64 octets in hex digits"),
        ('"lls": 7', "lls: expected 1 to 64 octets in hex digits"),
        ('"wrapped_lls": "00"', "wrapped_lls: expected 24 to 88 octets in hex digits"),
        ('"lls": "00", "ek": "%s"' % EK, "ak: expected 32 hex digits"),
        ('"lls": "00", "counter": -1', "counter: expected a number from 0 to 4294967295"),
        ('"lls": "00", "counter": true', "counter: expected a number from 0 to 4294967295"),
    ):
        _, inventory = inventory_of(A, '{"serial": "AMI0000000001", %s}\n' % fields)
        assert len(inventory.problems) == 1 and expected in inventory.problems[0], fields


def test_a_wrapped_secret_is_bound_to_its_meter():
    wrapped = VAULT.wrap_secret("A", b"secret")
    assert VAULT.unwrap_secret("A", wrapped) == b"secret"
    raises(CryptoError, VAULT.unwrap_secret, "B", wrapped)
    raises(CryptoError, VAULT.unwrap_secret, "A", wrapped[:-1])
    raises(CryptoError, VAULT.unwrap_secret, "A", VAULT.wrap("A", MeterKeys(bytes(16), bytes(16))))
    for size in (1, 7, 8, 64):
        secret = bytes(range(size))
        assert VAULT.unwrap_secret("A", VAULT.wrap_secret("A", secret)) == secret


def test_replaced_with_a_counter_and_a_secret():
    storage, _ = inventory_of(A + B)
    inventory = Inventory(storage, VAULT)
    one, two = inventory.serials()
    keys, secret = VAULT.wrap(one, MeterKeys(bytes(16), bytes(16))), VAULT.wrap_secret(two, b"pw")
    raises(InventoryError, inventory.replace_keys, [(one, b"", 5, b"")])
    raises(InventoryError, inventory.replace_keys, [(one, keys, 5, secret)])
    assert storage.read(KEYS) == b""
    inventory.replace_keys([(one, keys, 5, b""), (two, b"", 0, secret)])
    found = inventory.keys(one)
    assert (found.ek, found.lls, found.counter) == (bytes(16), b"", 5)
    found = inventory.keys(two)
    assert (found.ek, found.lls, found.counter) == (b"", b"pw", 0)


def test_what_a_change_does_not_name_stays():
    """New keys beside the secret, a new secret beside the keys; a counter is of its keys."""
    storage, _ = inventory_of(A)
    inventory = Inventory(storage, VAULT)
    (one,) = inventory.serials()
    old, new = MeterKeys(bytes(16), bytes(16)), MeterKeys(b"\x01" * 16, b"\x02" * 16)
    inventory.replace_keys([(one, VAULT.wrap(one, old), 9, VAULT.wrap_secret(one, b"first"))])
    inventory.replace_keys([(one, b"", 0, VAULT.wrap_secret(one, b"second"))])
    found = inventory.keys(one)
    assert (found.ek, found.lls, found.counter) == (old.ek, b"second", 9)
    inventory.replace_keys([(one, VAULT.wrap(one, new))])
    found = inventory.keys(one)
    assert (found.ek, found.lls, found.counter) == (new.ek, b"second", 0)


PLAIN = '{"serial": "AMI0000000001", "ek": "%s", "ak": "%s"}\n' % ("ab" * 16, "cd" * 16)


def test_plain_keys_that_somebody_puts_there_are_wrapped_once_the_file_stands_still():
    storage, inventory = inventory_of(A, PLAIN)
    vault = Vault(crypto(), bytes(16))
    inventory = Inventory(storage, vault)
    inventory.look()
    again = PLAIN + PLAIN.replace("AMI0000000001", "AMI0000000002")
    for size in range(0, len(again), 50):
        storage.replace(KEYS, again[:size].encode())  # it is copied in pieces
        inventory.look()
        assert storage.read(KEYS) == again[:size].encode()
    storage.replace(KEYS, again.encode())
    inventory.look()
    inventory.look()
    assert b"ab" * 16 not in storage.read(KEYS) and b"AMI0000000002" in storage.read(KEYS)
    assert inventory.keys("AMI0000000001").ek == bytes.fromhex("ab" * 16)
    before = storage.operations
    inventory.look()
    assert storage.operations == before
    assert [name for name in storage.names() if name.startswith("keys")] == [KEYS]


def test_wrapping_survives_any_cut():
    vault = Vault(crypto(), bytes(16))
    for survival in SURVIVALS:
        for cut in range(9):
            storage, _ = inventory_of(A, PLAIN)
            storage.arm(cut, survival)
            try:
                Inventory(storage, vault)
            except PowerCut:
                storage = storage.after_cut()
            else:
                storage.arm(99)
            inventory = Inventory(storage, vault)
            assert inventory.keys("AMI0000000001").ek == bytes.fromhex("ab" * 16), (survival, cut)
            assert b"ab" * 16 not in storage.read(KEYS)
            kept = [name for name in storage.names() if name.startswith("keys")]
            assert kept == [KEYS], (survival, cut, kept)
