"""When the survey walks, and what it says of a meter: each condition by itself."""

from __future__ import annotations

from gateway.meters.reachability import REACHABLE, UNKNOWN, UNREACHABLE
from hal.ports import Joined, Left
from tests.portable.meters.test_network import ScriptedModem
from tests.portable.meters.test_survey import DAY_MS, World

A, B = "0080e1000001", "0080e1000002"


def walks(world):
    """Counts the walks: each asks for all serials at least once."""
    counted = []
    held = world.inventory.serials

    def serials():
        counted.append(0)
        return held()

    world.inventory.serials = serials
    return counted


def test_it_walks_when_something_is_new_and_once_a_day():
    world = World(ScriptedModem(nodes=(A,)))
    counted = walks(world)
    world.look()
    assert len(counted) == 1
    world.look()
    world.look(60000)
    assert len(counted) == 1, "nothing is new"
    world.joined(B)
    world.look()
    assert len(counted) == 2
    world.network.ports()[0]._handle(Left(B))
    world.network.ports()[0]._handle(Joined(B))
    world.look()
    assert len(counted) == 3, "as many as before, and others perhaps"
    to_midnight = DAY_MS - world.clock.unix_time() * 1000 % DAY_MS
    world.look(to_midnight - 1000)
    assert len(counted) == 3
    world.look(1000)
    assert len(counted) == 4, "another day has begun"
    world.look(DAY_MS - 1000)
    assert len(counted) == 4
    world.look(1000)
    assert len(counted) == 5


def test_what_is_said_of_a_meter():
    """By the nodes of two modems, and whether the second is heard."""
    for first, second, heard, expected in (
        ((A,), (), True, REACHABLE),
        ((), (A,), True, REACHABLE),
        ((), (), True, UNREACHABLE),
        ((), (), False, UNKNOWN),  # it may be with the one that is not heard
        ((A,), (), False, REACHABLE),
        ((), (A,), False, UNKNOWN),
    ):
        other = ScriptedModem(nodes=second)
        world = World(ScriptedModem(nodes=first), other)
        if not heard:
            other.counters["up"] = 0
            world.network.ports()[1].look()
        world.look()
        assert world.state("A", 0) == expected, (first, second, heard)
        assert world.state("B", 1) == UNKNOWN, "there is no RF"


def test_strangers_only_of_those_whose_nodes_are_not_all_known():
    world = World(ScriptedModem(nodes=(A, B)))
    counted = walks(world)
    world.look()
    assert len(counted) == 1 and world.told == []
    world.joined("0080e1000009")
    world.look()
    assert len(counted) == 3, "another walk looks for the stranger"
    assert world.told == [("stranger", "plc 0080e1000009")]
