"""The trust store: who may change it, and how nobody else gets anywhere."""

from __future__ import annotations

from gateway.contract import envelope
from gateway.contract.key_change import KeyChange
from gateway.contract.limits import MAX_MESSAGE, MAX_TRUST_KEYS
from gateway.contract.meter_keys import MeterKeys, Vault
from gateway.contract.package import Package
from gateway.contract.refused import Refused
from gateway.contract.reports import Event
from gateway.contract.trust_change import (
    EVERYTHING,
    LINE,
    ORDERS,
    PACKAGES,
    TRUST,
    TrustChange,
    TrustKey,
)
from gateway.uplink.trust import TrustStore
from hal.rt import log
from hal.sim.clock import ManualClock
from hal.sim.storage import MemoryStorage, PowerCut
from tests.portable.jobs.told import told
from tests.portable.support import raises, run
from tests.portable.uplink.support import (
    BOARD_KEY,
    HERE,
    HOUR,
    KID,
    KNOWN,
    NOW,
    PUBLIC,
    World,
    crypto,
    package,
    read_job,
    signed,
)
from tests.portable.uplink.support import (
    TRUST as SIGNERS,
)

log.set_level("error")
_PRIVATE = bytes(31) + b"\x09"
NEW = b"new"


def new_key(purposes: int, kid: bytes = NEW) -> TrustKey:
    return TrustKey(kid, crypto().ec_public("P-256", _PRIVATE), purposes)


def signed_by_new(payload: bytes, kid: bytes = NEW) -> bytes:
    return envelope.sign(payload, kid, lambda data: crypto().ecdsa_sign("P-256", _PRIVATE, data))


def change(
    number: int = 1,
    add: list[TrustKey] | None = None,
    remove: list[bytes] | None = None,
    here: str = HERE,
    issued: int = NOW,
    not_after: int = NOW + HOUR,
) -> bytes:
    if add is None and remove is None:
        add = [new_key(ORDERS)]
    return TrustChange(here, issued, not_after, number, add or [], remove or []).encode()


def reason(world: World, raw: bytes, topic: str = "trust") -> str:
    """Why it is refused; nothing has changed."""
    before = [key.to_array() for key in world.session.trust.trusted()], world.session.trust.number
    count = len(world.refusals())
    world.give(topic, raw)
    assert before == (
        [key.to_array() for key in world.session.trust.trusted()],
        world.session.trust.number,
    )
    reasons = world.refusals()[count:]
    assert len(reasons) == 1, reasons
    return reasons[0]


def test_a_new_key_may_do_what_it_is_for_also_after_a_restart() -> None:
    async def scenario() -> None:
        world = World()
        await world.start()
        job = signed_by_new(read_job().encode())
        assert reason(world, job, "job") == "unknown-signer"
        world.give("trust", signed(change()))
        world.give("job", job)
        assert len(world.ledger.jobs()) == 1
        await world.clock.run(1000)
        assert world.hes.heard[-1][0] == "report" or world.hes.count("hello") == 2
        assert [h[1].trust for h in world.hes.heard if h[0] == "hello"][-1] == 1
        (event,) = world.hes.bodies(Event)
        assert event.name == "trust-changed" and NEW.hex() + " for orders" in event.detail
        await world.stop()
        world.boot()
        world.give("job", signed_by_new(read_job(2).encode()))
        assert len(world.ledger.jobs()) == 2
        # Not for packages, nor for the store itself.
        raw = signed_by_new(package().to_payload())
        assert raises(Refused, Package.decode, raw, world.session.trust.of(PACKAGES), crypto())
        assert reason(world, signed_by_new(change(2))) == "unknown-signer"

    run(scenario())


def test_a_removed_key_is_not_trusted_again() -> None:
    world = World()
    world.give("trust", signed(change(1, [new_key(EVERYTHING)])))
    world.give("trust", signed_by_new(change(2, remove=[KID])))
    assert reason(world, signed(read_job().encode()), "job") == "unknown-signer"
    world.boot()  # with the settings' signers, of whom this was one
    assert reason(world, signed(read_job().encode()), "job") == "unknown-signer"
    assert reason(world, signed(change(3))) == "unknown-signer"
    world.give("job", signed_by_new(read_job().encode()))
    assert len(world.ledger.jobs()) == 1


def test_purposes_of_a_known_key_can_change() -> None:
    world = World()
    world.give("trust", signed(change(1, [new_key(EVERYTHING)])))
    world.give("trust", signed(change(2, [TrustKey(KID, PUBLIC, TRUST | PACKAGES)])))
    assert reason(world, signed(read_job().encode()), "job") == "unknown-signer"
    assert sorted([key.kid for key in world.session.trust.trusted()]) == [KID, NEW]


def test_replayed_rolled_back_and_misaddressed_changes() -> None:
    world = World()
    first = signed(change(1))
    world.give("trust", first)
    assert world.session.trust.number == 1
    assert reason(world, first) == "duplicate"
    assert reason(world, signed(change(1, remove=[NEW]))) == "replayed"
    assert reason(world, signed(change(3))) == "out-of-order"
    assert reason(world, signed(change(2, here="c-0043"))) == "wrong-concentrator"
    assert reason(world, signed(change(2, not_after=NOW - 1))) == "expired"
    assert reason(world, signed(change(2, issued=NOW + HOUR + 100))) == "not-yet-valid"
    world.give("trust", signed(change(2, remove=[NEW])))
    assert reason(world, first) == "replayed"
    assert world.session.trust.number == 2


def test_changes_that_make_no_sense() -> None:
    world = World()
    off_curve = TrustKey(NEW, bytes(64), ORDERS)
    many = [new_key(ORDERS, b"%d" % i) for i in range(MAX_TRUST_KEYS)]
    assert reason(world, signed(change(1, remove=[KID]))) == "last-trust-key"
    assert reason(world, signed(change(1, [TrustKey(KID, PUBLIC, ORDERS)]))) == "last-trust-key"
    assert reason(world, signed(change(1, remove=[NEW]))) == "unknown-key"
    for raw in (
        change(1, [], []),
        change(1, [off_curve]),
        change(1, [new_key(ORDERS), new_key(TRUST)]),
        change(1, [new_key(ORDERS)], [NEW]),
        change(1, many),
        change(1, [new_key(0)]),
        change(1, [new_key(64)]),
        change(1, [new_key(ORDERS | LINE)]),
        change(1, [new_key(LINE), new_key(ORDERS, b"twin")]),
        read_job().encode(),
        package().to_payload(),
        b"",
    ):
        assert reason(world, signed(raw)) == "malformed"
    assert reason(world, change(1)) == "malformed"
    assert reason(world, signed(change(1))[:-1] + b"x") == "bad-signature"
    assert world.session.trust.number == 0


def test_the_settings_keys_of_the_line_count_until_a_message_brings_one() -> None:
    storage = MemoryStorage()
    old = crypto().ec_generate("P-256")[1]
    settings = [(b"old", old)]
    first, second = new_key(LINE), TrustKey(b"second", PUBLIC, LINE)

    def kids() -> list[bytes]:
        store = TrustStore(storage, SIGNERS, settings)
        return [kid for kid, _ in store.of(LINE)]

    def give(number: int, add: list[TrustKey] | None, remove: list[bytes] | None = None) -> None:
        store = TrustStore(storage, SIGNERS, settings)
        raw = signed(change(number, add, remove))
        store.change(raw, HERE, ManualClock(NOW), crypto())
        assert [kid for kid, _ in store.of(LINE)] == kids()

    assert kids() == [b"old"]
    give(1, [new_key(PACKAGES)])
    assert kids() == [b"old"]
    for purpose in (ORDERS, EVERYTHING):
        as_signer = TrustKey(b"again", old, purpose)
        assert raises(Refused, give, 2, [as_signer]).reason == "malformed"
    give(2, [first])
    assert kids() == [NEW]
    assert raises(Refused, give, 3, [], [NEW]).reason == "last-line-key"
    assert raises(Refused, give, 3, [new_key(ORDERS)]).reason == "last-line-key"
    assert raises(Refused, give, 3, [second]).reason == "malformed"  # the key of a signer
    assert kids() == [NEW]
    other = TrustKey(b"second", crypto().ec_generate("P-256")[1], LINE)
    give(3, [other], [NEW])
    assert kids() == [b"second"]


def test_a_damaged_store_does_not_go_back_to_the_settings_key_of_the_line() -> None:
    storage = MemoryStorage()
    for name in ("trust.0", "trust.1"):
        storage.replace(name, b"x" * 50)
    assert not TrustStore(storage, SIGNERS, [(b"old", PUBLIC)]).of(LINE)


# Meters' keys, numbered by the same store.

EK, AK = bytes(range(16)), bytes(range(16, 32))
METER = '{"serial": "%s", "paths": []}\n' % KNOWN[0]


def keys_for(
    number: int = 1, here: str = HERE, not_after: int = NOW + HOUR, ek: bytes = EK, **other: str
) -> bytes:
    vault = Vault(crypto(), BOARD_KEY)
    wrapped = vault.wrap(other.get("wrapped_for", KNOWN[0]), MeterKeys(ek, AK))
    return KeyChange(here, NOW, not_after, number, [(KNOWN[0], wrapped)]).encode()


def test_keys_arrive_wrapped_and_stay_so() -> None:
    async def scenario() -> None:
        world = World()
        world.storage.replace("meters.jsonl", METER.encode())
        world.boot()
        await world.start()
        world.give("keys", signed(keys_for()))
        await world.clock.run(1000)
        assert [event.name for event in world.hes.bodies(Event)] == ["keys-changed"]
        assert [h[1].keys for h in world.hes.heard if h[0] == "hello"] == [0, 1]
        await world.stop()
        for _ in range(2):
            found = world.inventory.keys(KNOWN[0])
            assert (found.ek, found.ak) == (EK, AK)
            world.boot()
        for name in world.storage.names():
            content = world.storage.read(name)
            for secret in (EK, AK, BOARD_KEY):
                assert secret not in content and secret.hex().encode() not in content, name

    run(scenario())


def test_keys_of_suite_2_arrive_too() -> None:
    world = World()
    world.storage.replace("meters.jsonl", METER.encode())
    world.boot()
    keys = MeterKeys(bytes(range(32)), bytes(range(32, 64)), 2)
    wrapped = [(KNOWN[0], Vault(crypto(), BOARD_KEY).wrap(KNOWN[0], keys))]
    world.give("keys", signed(KeyChange(HERE, NOW, NOW + HOUR, 1, wrapped).encode()))
    found = world.inventory.keys(KNOWN[0])
    assert (found.suite, found.ek, found.ak) == (2, keys.ek, keys.ak)
    short = [(KNOWN[0], wrapped[0][1][:72])]
    again = KeyChange(HERE, NOW, NOW + HOUR, 2, short).encode()
    assert reason(world, signed(again), "keys") == "malformed"


def test_a_whole_message_of_the_largest_keys() -> None:
    """It stays below the limit of a message."""
    entries = [("%032d" % number, bytes(80)) for number in range(1000)]
    raw = signed(KeyChange("c" * 64, NOW, NOW + HOUR, 4294967295, entries).encode())
    assert len(raw) <= MAX_MESSAGE


def test_refused_keys() -> None:
    world = World()
    world.storage.replace("meters.jsonl", METER.encode())
    first = signed(keys_for(1))
    assert reason(world, signed(keys_for(1, here="c-0043")), "keys") == "wrong-concentrator"
    assert reason(world, signed(keys_for(1, not_after=NOW - 1)), "keys") == "expired"
    assert reason(world, signed(keys_for(2)), "keys") == "out-of-order"
    assert reason(world, signed(keys_for(1, wrapped_for=KNOWN[1])), "keys") == "unwrap-failed"
    other = KeyChange(HERE, NOW, NOW + HOUR, 1, [(KNOWN[0], bytes(48))]).encode()
    assert reason(world, signed(other), "keys") == "unwrap-failed"
    assert reason(world, signed(change()), "keys") == "malformed"
    assert world.storage.size("keys.jsonl") < 0
    world.give("keys", first)
    assert reason(world, first, "keys") == "duplicate"
    world.give("keys", signed(keys_for(2, ek=bytes(16))))
    assert reason(world, first, "keys") == "replayed"
    world.boot()
    assert reason(world, first, "keys") == "replayed"
    assert world.inventory.keys(KNOWN[0]).ek == bytes(16)
    # By a key that may order, but not bring keys.
    world.give("trust", signed(change()))
    assert reason(world, signed_by_new(keys_for(3)), "keys") == "unknown-signer"


def test_an_unset_clock_lets_it_wait() -> None:
    world = World(unix=0)
    world.give("trust", signed(change(1)))
    assert world.session.trust.number == 0 and world.refusals() == []


def store(storage: MemoryStorage) -> TrustStore:
    return TrustStore(storage, SIGNERS)


def test_one_damaged_copy_is_made_anew_and_two_trust_nobody() -> None:
    world = World()
    world.give("trust", signed(change(1)))
    storage = world.storage
    for name in ("trust.0", "trust.1"):
        good = storage.read(name)
        storage.replace(name, good[:40] + bytes([good[40] ^ 1]) + good[41:])
        assert store(storage).number == 1
        assert storage.read(name) == good
    for name in ("trust.0", "trust.1"):
        storage.replace(name, storage.read(name)[:-1])
    damaged = store(storage)
    assert damaged.damaged and damaged.trusted() == [] and not damaged.of(ORDERS)
    world.boot()
    assert reason(world, signed(read_job().encode()), "job") == "unknown-signer"
    assert "trust-damaged" in [report.reason for report in told(world.ledger, 0, 99)]


def test_power_cuts() -> None:
    """At every changing call of two changes and two deliveries of keys: what was taken stays taken,
    the store is whole, and no plain or half-written keys are used."""
    messages = [
        ("trust", signed(change(1))),
        ("keys", signed(keys_for(1))),
        ("keys", signed(keys_for(2, ek=AK))),
        ("trust", signed(change(2, remove=[NEW]))),
    ]

    def standing(world: World) -> tuple[int, int]:
        return world.session.trust.number, world.session.trust.keys_number

    def work(world: World, taken: list[tuple[int, int]]) -> None:
        for topic, raw in messages:
            world.give(topic, raw)
            taken.append(standing(world))

    def fresh() -> World:
        world = World()
        world.storage.replace("meters.jsonl", METER.encode())
        return world

    counted = fresh()
    before = counted.storage.operations
    work(counted, [])
    assert standing(counted) == (2, 2)
    cuts = 0
    for survival in ("lost", "half", "whole"):
        for cut in range(0, counted.storage.operations - before, 2):
            world = fresh()
            taken = [(0, 0)]
            world.storage.arm(cut, survival)
            try:
                work(world, taken)
                raise AssertionError("no cut")
            except PowerCut:
                cuts += 1
            after = World(storage=world.storage.after_cut())
            there = standing(after)
            assert not after.session.trust.damaged
            assert there[0] >= taken[-1][0] and there[1] >= taken[-1][1], (cut, there, taken)
            if there[1] == 2:
                assert after.inventory.keys(KNOWN[0]).ek == AK
            elif there[1] == 1:
                assert after.inventory.keys(KNOWN[0]).ek in (EK, AK)
            # The HES sends again what there is no word of, and all ends as without a cut.
            work(after, [])
            assert standing(after) == (2, 2)
            assert after.inventory.keys(KNOWN[0]).ek == AK
            assert [key.kid for key in after.session.trust.trusted()] == [KID]
    assert cuts > 30


def test_an_older_copy_is_brought_up_to_date() -> None:
    """The power failed between the two."""
    world = World()
    world.give("trust", signed(change(1)))
    old = world.storage.read("trust.1")
    world.give("trust", signed(change(2, remove=[NEW])))
    world.storage.replace("trust.1", old)
    assert store(world.storage).number == 2
    world.storage.replace("trust.0", b"damaged")
    assert store(world.storage).number == 2
