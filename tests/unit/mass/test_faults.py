"""The fault matrix of a mass transfer: whatever goes wrong, each meter ends as it should, by its
own word, and only the one at fault is concerned."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from gateway.activities.image import image_object
from gateway.dlms.data import axdr
from tests.portable.support import random_bytes
from tests.unit.mass.night import (
    APPLIED,
    BLOCKS,
    CONTENT,
    MODEL,
    NEW,
    OLD,
    Found,
    Night,
    done_to,
    image_of,
    only,
    others_applied,
    runs,
    serial,
)
from tools.emulator import DlmsOTcpEmulator
from tools.hes.orders import order, typed
from tools.meter.image import make_image
from tools.meter.population import Member
from tools.simulation.district import DAY_S, START, District

HOUR_S = 3600
CLOCK = "clock 0.0.1.0.0.255 time"
BAD = 3  # the number of the meter at fault


def all_applied(found: Found) -> None:
    assert set(found.values()) == {APPLIED}, found


def spoiling(change: Callable[[Member], object]) -> Callable[[District], None]:
    return lambda district: (change(district.members[serial(BAD)]), None)[1]


def fault(**faults: Any) -> Callable[[District], None]:
    def change(member: Member) -> None:
        for name, value in faults.items():
            assert hasattr(member.server.meter.faults, name)
            setattr(member.server.meter.faults, name, value)

    return spoiling(change)


# ---------------------------------------------------------------- the medium


@pytest.mark.parametrize("delivery", ["ciphered", "clear", "unicast"])
@pytest.mark.parametrize("loss", [0.0, 0.02, 0.1, 0.2])
def test_loss(loss: float, delivery: str) -> None:
    def in_clear(district: District) -> None:
        if delivery == "clear":
            for member in district.members.values():
                assert member.fleet is not None
                object.__setattr__(member.fleet, "clear", True)
                object.__setattr__(member.fleet, "ciphered", False)

    night = Night(loss=loss, delivery=delivery, prepare=in_clear, left_out=[8])
    all_applied(night.outcome())
    assert (night.broadcasts > 0) == (delivery != "unicast")
    assert night.took_s < HOUR_S // 2


@pytest.mark.long
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("loss", [0.1, 0.2])
def test_loss_and_many_meters(loss: float, seed: int) -> None:
    all_applied(Night(100, loss=loss, seed=seed, tries=1).outcome())


@pytest.mark.parametrize("host", ["that broadcasts", "as Microchip's"])
def test_a_base_node_over_tcp(host: str) -> None:
    """Where its host's broadcasts do not arrive that is known after a few; all get the image."""

    def prepare(district: District) -> None:
        plc = district.street.plc
        assert isinstance(plc, DlmsOTcpEmulator)
        plc.broadcasts = host == "that broadcasts"

    content = make_image(MODEL, NEW, random_bytes(2, 20_000))
    night = Night(6, prepare=prepare, content=content, plc_modem="dlms-o-tcp")
    all_applied(night.outcome())
    blocks = -(-len(content) // 200)
    if host == "that broadcasts":
        assert night.broadcasts > blocks
        assert done_to(night.members[serial(1)], image_object.TRANSFER) < 2 * blocks
    else:
        assert night.broadcasts < blocks // 3
    assert night.took_s < HOUR_S


# ---------------------------------------------------------------- one meter has no time to answer


@pytest.mark.parametrize("delivery", ["ciphered", "unicast"])
def test_a_meter_that_answers_nothing_while_it_verifies(delivery: str) -> None:
    """Not VERIFY itself either; after twenty minutes it has verified."""

    def prepare(district: District) -> None:
        member = district.members[serial(BAD)]
        faults, verify = member.server.meter.faults, image_of(member).methods[3]
        faults.slow_verify_s = 1200
        begin = verify.run

        def run(parameter: Any) -> Any:
            faults.dead, faults.lose_answers = True, int(delivery == "unicast")
            asyncio.get_running_loop().call_later(1200, setattr, faults, "dead", False)
            return begin(parameter)

        verify.run = run

    night = Night(delivery=delivery, prepare=prepare, tries=2)
    all_applied(night.outcome())
    assert night.took_s < HOUR_S


# ---------------------------------------------------------------- one meter is at fault

CASES: dict[str, tuple[Callable[[District], None], tuple[str, str]]] = {
    "verify fails": (fault(verify_fails=True), ("KO", "image-verify-failed")),
    "verify never ends": (fault(slow_verify_s=10**9), ("KO", "image-stuck")),
    "verify takes long": (fault(slow_verify_s=300), APPLIED),
    "activation fails": (fault(activate_fails=True), ("KO", "activation-failed")),
    "activation takes long": (fault(slow_activate_s=1500), APPLIED),
    "activation never ends": (fault(slow_activate_s=10**9), ("KO", "image-stuck")),
    "too little memory": (fault(image_memory=1000), ("KO", "image-refused")),
    "a block never sticks": (fault(drop_block=7), ("KO", "image-incomplete")),
    "lies: has all": (fault(false_blocks="all", drop_block=7), ("KO", "image-verify-failed")),
    "lies: has none": (fault(false_blocks="none", no_broadcast=True), ("KO", "image-incomplete")),
    "bitmap too short": (
        fault(false_blocks="short", no_broadcast=True),
        ("KO", "image-incomplete"),
    ),
    "no broadcast": (fault(no_broadcast=True), APPLIED),
    "slow": (fault(slow_ms=3000), APPLIED),
    "dead": (fault(dead=True), ("KO", "no-answer")),
    "other block size": (
        spoiling(lambda member: image_of(member).put(2, (axdr.DOUBLE_LONG_UNSIGNED, 120))),
        APPLIED,
    ),
    "blocks too long": (
        spoiling(lambda member: image_of(member).put(2, (axdr.DOUBLE_LONG_UNSIGNED, 2000))),
        ("KO", "block-too-large"),
    ),
    "blocks of nothing": (
        spoiling(lambda member: image_of(member).put(2, (axdr.DOUBLE_LONG_UNSIGNED, 0))),
        ("KO", "image-refused"),
    ),
    "other model": (
        spoiling(lambda member: setattr(member.server.meter, "model", "AMI-E350")),
        ("KO", "wrong-model"),
    ),
    "has it already": (
        spoiling(lambda member: setattr(member.server.meter, "firmware", NEW)),
        ("OK", "already-as-wanted"),
    ),
    "no title": (spoiling(lambda member: setattr(member, "fleet", None)), APPLIED),
}


@pytest.mark.parametrize("name", CASES)
def test_one_meter_at_fault(name: str) -> None:
    prepare, wanted = CASES[name]
    if name in ("other model", "blocks of nothing"):
        # what the meter says of itself is set before
        prepare = _said_too(prepare, name)
    night = Night(prepare=prepare, left_out=[8], tries=2)
    found = others_applied(night.outcome(), BAD)[BAD]
    assert found == wanted
    member = night.members[serial(BAD)]
    if wanted[0] == "KO":
        assert runs(member) == OLD
    if wanted in (("KO", "wrong-model"), ("OK", "already-as-wanted")):
        assert not member.server.meter.log.counts
    # bounded: it did not cost the meter, nor the medium, more than a few tries
    assert done_to(member, image_object.INITIATE) <= 40
    assert done_to(member, image_object.TRANSFER) <= 8 * BLOCKS
    assert night.took_s < 5 * HOUR_S


def _said_too(prepare: Callable[[District], None], name: str) -> Callable[[District], None]:
    def both(district: District) -> None:
        prepare(district)
        if name == "other model":
            model = district.members[serial(BAD)].server.meter.find(1, "0.0.96.1.1.255")
            model.put(2, (axdr.OCTET_STRING, b"AMI-E350"))

    return both


def test_images_that_are_not_good() -> None:
    for content, wanted in (
        (make_image("AMI-E350", NEW, bytes(3000)), "image-verify-failed"),  # for another model
        (CONTENT[:-1] + b"!", "image-verify-failed"),  # a wrong digest
        (make_image(MODEL, "V09", bytes(3000)), "activation-failed"),  # runs something else
    ):
        night = Night(4, content=content, tries=2)
        night._check = lambda found: None  # type: ignore[method-assign]
        assert set(night.outcome().values()) == {("KO", wanted)}
        for member in night.members.values():
            assert runs(member) == ("V09" if wanted == "activation-failed" else OLD)
            blocks = -(-len(content) // 200)
            assert done_to(member, image_object.TRANSFER) <= 3 * blocks  # not one by one again


def test_an_image_for_others() -> None:
    night = Night(4, targets=["AMI-E350"])
    assert set(night.outcome().values()) == {("KO", "wrong-model")}
    assert not [1 for member in night.members.values() if member.server.meter.log.counts]
    night = Night(4, targets=[MODEL + ":V01."])
    assert set(night.outcome().values()) == {("KO", "wrong-firmware")}
    assert not [1 for member in night.members.values() if member.server.meter.log.counts]


def test_a_wrong_broadcast_key() -> None:
    def change(district: District) -> None:
        for member in district.members.values():
            assert member.fleet is not None
            fleet = member.server._fleet
            assert fleet is not None
            fleet._fleet = type(member.fleet)(member.fleet.client_title, bytes(16), bytes(16))

    night = Night(5, prepare=change)
    all_applied(night.outcome())
    assert night.broadcasts < 2 * BLOCKS  # it is noticed after the first round


# ---------------------------------------------------------------- in the midst


def at_broadcast(
    night: Night, number: int, doing: Callable[[District], Any]
) -> Callable[[District, bytes], Any]:
    """Something done once so many broadcasts are on the medium."""

    async def meanwhile(district: District, job: bytes) -> None:
        reached = asyncio.Event()

        def look(count: int) -> None:
            if count >= number:
                reached.set()

        night.on_broadcast = look
        async with asyncio.timeout(12 * HOUR_S):
            await reached.wait()
        made = doing(district)
        if made is not None:
            await made

    return meanwhile


def test_a_meter_restarts() -> None:
    for forgets in (False, True):
        night = Night(left_out=[8])

        async def restart(district: District, forgets: bool = forgets) -> None:
            member = district.members[serial(BAD)]
            district.street.leave(member)
            if forgets:
                member.server.lose_state()
            await asyncio.sleep(40)
            district.street.join(member)

        night.meanwhile = at_broadcast(night, 25, restart)
        all_applied(night.outcome())


def test_a_meter_leaves_and_returns() -> None:
    for hours in (0.2, 3):
        night = Night(left_out=[8], backoff_s=1800, tries=5)

        async def leave(district: District, hours: float = hours) -> None:
            member = district.members[serial(BAD)]
            district.street.leave(member)
            await asyncio.sleep(hours * HOUR_S)
            district.street.join(member)

        night.meanwhile = at_broadcast(night, 25, leave)
        all_applied(night.outcome())


def test_a_modem_that_restarts_or_hangs() -> None:
    def restart(district: District) -> None:
        assert district.street.plc is not None
        district.street.plc.reboot()

    def hang(minutes: int) -> Callable[[District], Any]:
        async def hang_for(district: District) -> None:
            assert district.street.plc is not None
            district.street.plc.hanging = True
            await asyncio.sleep(60 * minutes)
            district.street.plc.hanging = False

        return hang_for

    for doing in (restart, hang(3), hang(30)):
        for number in (5, 25, BLOCKS + 1):
            night = Night(left_out=[8], tries=4)
            night.meanwhile = at_broadcast(night, number, doing)
            all_applied(night.outcome())


async def cut(night: Night, district: District) -> None:
    """The gateway's power fails, and comes back."""
    after = district.storage.after_cut()
    await district.shut_down()
    district.storage = after
    await asyncio.sleep(30)
    district.boot()
    night.watch(district)


def with_cuts(*at: int, meters: int = 5, loss: float = 0.05) -> Night:
    night = Night(meters, loss=loss)

    async def meanwhile(district: District, job: bytes) -> None:
        for number in at:
            await at_broadcast(night, number, lambda district: cut(night, district))(district, job)

    night.meanwhile = meanwhile
    return night


def whole() -> int:
    """How many broadcasts a transfer has."""
    night = with_cuts()
    all_applied(night.outcome())
    return night.broadcasts


def test_power_cuts_at_some_blocks() -> None:
    last = whole()
    for number in (1, 9, last // 2, last - 1, last):
        night = with_cuts(number)
        all_applied(night.outcome())
        # what the meters had is not sent again
        assert night.broadcasts <= last + 3 * 24 + BLOCKS


def test_a_power_cut_at_every_block() -> None:
    for number in range(1, whole() + 1):
        all_applied(with_cuts(number).outcome())


def test_power_cuts_one_after_the_other() -> None:
    all_applied(with_cuts(12, 22, 32, 42).outcome())


def test_the_window_closes() -> None:
    async def meanwhile(district: District, job: bytes) -> None:
        await asyncio.sleep(HOUR_S)

    night = Night(meanwhile=meanwhile, content=make_image(MODEL, NEW, bytes(60000)), lasts_s=60)
    night._check = lambda found: None  # type: ignore[method-assign]
    found = night.outcome()
    assert {outcome for outcome, _ in found.values()} == {"KO"}
    assert {reason for _, reason in found.values()} <= {"window-closed", "not-tried"}, found
    assert night.took_s < 2 * HOUR_S
    assert {runs(member) for member in night.members.values()} == {OLD}
    assert 0 < night.broadcasts < 300


@pytest.mark.long
def test_night_after_night() -> None:
    """Windows of two minutes a day, for a transfer that takes more."""
    night = Night(
        content=make_image(MODEL, NEW, bytes(60000)),
        within_s=9 * DAY_S,
        lasts_s=8 * DAY_S,
        daily=typed.parse_daily("02:00-02:01", None, "UTC", START, START + 8 * DAY_S),
        tries=1,
    )
    all_applied(night.outcome())
    assert night.took_s > DAY_S + 7000


def test_activation_at_a_set_time_over_a_power_cut() -> None:
    at = START + 3 * HOUR_S
    night = Night(5, activation=at)

    async def meanwhile(district: District, job: bytes) -> None:
        await asyncio.sleep(2 * HOUR_S)
        assert {image_of(each).status() for each in night.members.values()} == {3}
        await cut(night, district)
        assert {runs(each) for each in night.members.values()} == {OLD}

    night.meanwhile = meanwhile
    all_applied(night.outcome())
    assert 3 * HOUR_S - 120 < night.took_s < 3 * HOUR_S + 300


def test_canceled() -> None:
    night = Night()

    async def meanwhile(district: District, job: bytes) -> None:
        def cancel(district: District) -> None:
            order.cancel(district.store.orders, district.key, job)

        await at_broadcast(night, 20, cancel)(district, job)

    night.meanwhile = meanwhile
    assert set(night.outcome().values()) == {("KO", "canceled")}
    assert {runs(member) for member in night.members.values()} == {OLD}
    assert night.took_s < 120


def test_paused_and_resumed() -> None:
    night = Night()

    async def meanwhile(district: District, job: bytes) -> None:
        async def pause(district: District) -> None:
            order.pause(district.store.orders, district.key, job, True)
            await asyncio.sleep(30)
            before = night.broadcasts
            await asyncio.sleep(2 * HOUR_S)
            assert night.broadcasts == before
            order.pause(district.store.orders, district.key, job, False)

        await at_broadcast(night, 20, pause)(district, job)

    night.meanwhile = meanwhile
    all_applied(night.outcome())
    assert 2 * HOUR_S < night.took_s < 2 * HOUR_S + 900


def test_an_urgent_job_in_the_midst() -> None:
    """On a meter of the transfer, while it takes broadcasts and while it is served by itself."""
    took: list[float] = []
    for number, faults in ((20, {}), (BLOCKS + 12, {"no_broadcast": True, "slow_ms": 400})):
        night = Night(prepare=fault(**faults), content=make_image(MODEL, NEW, bytes(40000)))

        async def ask(district: District) -> None:
            began = district.clock.ticks_ms()
            job = district.read(CLOCK, [serial(BAD)], priority=9)
            await district.finished(job, HOUR_S)
            assert [row.outcome for row in district.meters_of(job)] == ["VALUE"]
            took.append((district.clock.ticks_ms() - began) / 1000)

        night.meanwhile = at_broadcast(night, number, ask)
        all_applied(night.outcome())
    assert max(took) < 25, took


def test_two_images_one_after_the_other() -> None:
    """Different images for different meters: the blocks of one never get into the other."""

    async def meanwhile(district: District, job: bytes) -> None:
        other = make_image(MODEL, "V04.00.00", bytes(range(256)) * 24)
        wanted = [serial(number) for number in (5, 6, 7, 8)]
        second = district.image(other, "V04.00.00", "ciphered", wanted)
        await district.finished(second, DAY_S)
        for each in wanted:
            assert runs(district.members[each]) == "V04.00.00"
            assert image_of(district.members[each]).image == other
        rows = district.meters_of(second)
        assert {row.reason for row in rows} == {"applied"}

    night = Night(8, left_out=[5, 6, 7, 8], meanwhile=meanwhile)
    check = night._check

    def of_the_first(found: Found) -> None:
        night.members = {each: night.members[each] for each in found}
        check(found)

    night._check = of_the_first  # type: ignore[method-assign]
    all_applied(night.outcome())


def test_several_media_in_one_job() -> None:
    night = Night(12, mix=only(plc=2, rf=1, both=1, ip=1))
    all_applied(night.outcome())
