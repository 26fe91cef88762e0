"""Models of meters over the line: taken once proven, told in each hello, refused by name."""

from __future__ import annotations

import sys

from gateway.contract.model import Model
from gateway.contract.reports import Event
from gateway.contract.result import HINDERED, Result
from gateway.contract.trust_change import ORDERS, PACKAGES
from gateway.meters.inventory import METERS, MODEL_FILES
from hal.rt import log
from tests.portable.jobs.support import done
from tests.portable.support import run
from tests.portable.uplink.support import KNOWN, NOW, World, read_job, signed
from tests.portable.uplink.test_trust import change, new_key, signed_by_new

log.set_level("error")


def model(number: int = 1, name: str = "x", client_sap: int = 3) -> bytes:
    return Model(name, number, "for tests", client_sap=client_sap).to_payload()


def test_a_model_is_taken_and_told_of() -> None:
    async def scenario() -> None:
        world = World()
        meters = '{"serial": "%s", "model": "x", "paths": []}\n' % KNOWN[0]
        world.storage.replace(METERS, meters.encode())
        world.boot()
        await world.start()
        assert [h[1].models for h in world.hes.heard if h[0] == "hello"] == [[]]
        world.give("model", signed(model()))
        await world.clock.run(1000)
        (event,) = world.hes.bodies(Event)
        assert event.name == "model-taken" and event.detail.startswith("x number 1 by ")
        assert [h[1].models for h in world.hes.heard if h[0] == "hello"][-1] == [("x", 1)]
        await world.stop()
        world.boot()
        assert world.inventory.models_sent() == [("x", 1)]
        meter = world.inventory.meter(KNOWN[0])
        assert meter is not None and world.inventory.models().model(meter.model).client_sap == 3

    run(scenario())


def test_what_is_refused() -> None:
    world = World()
    world.give("model", signed(model(5)))
    bad = Model("x", 6, "", mechanism=9).to_payload()
    for raw in (
        signed(model(5)),
        signed(model(5, client_sap=4)),
        signed(model(4)),
        signed(b"\xff"),
        signed(bad),
        b"rubbish",
        signed(model(6))[:-1] + b"\x00",
        signed_by_new(model(6)),
        bytes(5000),
    ):
        world.give("model", raw)
    assert world.refusals() == [
        "duplicate",
        "replayed",
        "replayed",
        "bad-model",
        "bad-model",
        "bad-model",
        "bad-signature",
        "unknown-signer",
        "bad-model",
    ]
    assert world.inventory.models_sent() == [("x", 5)]


def test_who_may_bring_packages_may_bring_models() -> None:
    world = World()
    world.give("trust", signed(change(1, [new_key(ORDERS)])))
    world.give("model", signed_by_new(model()))
    assert world.refusals() == ["unknown-signer"]
    world.give("trust", signed(change(2, [new_key(PACKAGES)])))
    world.give("model", signed_by_new(model()))
    assert world.inventory.models_sent() == [("x", 1)]


def test_a_model_waits_while_the_clock_is_unset() -> None:
    world = World(0)
    world.give("model", signed(model()))
    assert world.refusals() == [] and world.inventory.models_sent() == []
    world.clock.set_unix_time(NOW)
    world.give("model", signed(model()))
    assert world.refusals() == [] and world.inventory.models_sent() == [("x", 1)]


def test_a_flash_that_refuses_takes_none() -> None:
    async def scenario() -> None:
        world = World()
        await world.start()
        world.storage.broken = True
        world.give("model", signed(model()))
        world.storage.broken = False
        assert world.inventory.models_sent() == []
        world.give("model", signed(model()))
        assert world.inventory.models_sent() == [("x", 1)]
        # Nor does a hello fail because the list cannot be read.
        world.boot()
        assert world.storage.size(MODEL_FILES + "x") > 0
        world.storage.broken = True
        assert world.session._hello().models == []
        world.storage.broken = False
        assert world.session._hello().models == [("x", 1)]
        await world.stop()

    run(scenario())


def test_who_waits_for_a_model_has_its_turn_once_it_is_here() -> None:
    world = World()
    world.give("job", signed(read_job().encode()))
    for _ in range(2):
        execution = world.queue.take(lambda serial, job: True)
        assert execution is not None
        done(world.queue, execution, Result(HINDERED, "unknown-model", "no model x is here"))
    assert world.queue.take(lambda serial, job: True) is None
    world.give("model", signed_by_new(model()))
    assert world.queue.take(lambda serial, job: True) is None
    world.give("model", signed(model()))
    assert world.queue.take(lambda serial, job: True) is not None


def test_what_nobody_signed_loads_nothing() -> None:
    """What reads a model takes memory for good."""
    names = ("gateway.contract.model", "gateway.meters.models")
    before = [(name, sys.modules.pop(name)) for name in names if name in sys.modules]
    try:
        world = World()
        for raw in (
            b"rubbish",
            signed_by_new(model()),
            signed(model())[:-1] + b"\x00",
            bytes(5000),
        ):
            world.give("model", raw)
        assert len(world.refusals()) == 4
        assert [name for name in names if name in sys.modules] == []
    finally:
        sys.modules.update(before)
