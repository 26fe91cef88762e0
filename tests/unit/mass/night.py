"""A night on one PLC modem: an image for its meters, and what goes wrong meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from gateway.activities.image import image_object
from tests.portable.support import random_bytes
from tools.meter.image import ImageTransfer, make_image
from tools.meter.population import Member, Mix
from tools.meter.scenario import Figures, Scenario
from tools.simulation import run
from tools.simulation.district import DAY_S, District

MODEL = "AMI-E450"
OLD, NEW = "V02.10.01", "V03.00.00"
CONTENT = make_image(MODEL, NEW, random_bytes(1, 6000))
BLOCKS = -(-len(CONTENT) // 200)
NAME = "0.0.44.0.0.255"
APPLIED = ("OK", "applied")

Meanwhile = Callable[[District, bytes], Awaitable[object]]
Found = dict[str, tuple[str, str]]


def serial(number: int) -> str:
    return "AMI%010d" % number


def only(**shares: int) -> Mix:
    mix = {"plc": 0, "rf": 0, "both": 0, "ip": 0, **shares}
    return Mix(**mix, dead=0, refuses_write=0, other_firmware=0)


def image_of(member: Member) -> ImageTransfer:
    found = member.server.meter.find(18, NAME)
    assert isinstance(found, ImageTransfer)
    return found


def runs(member: Member) -> str:
    """What the meter itself says it runs, once what is under way there is over."""
    image_of(member).status()
    return member.server.meter.firmware


def done_to(member: Member, method: int) -> int:
    """How often the meter carried out a method of its image transfer object."""
    return member.server.meter.log.count("action", 18, NAME, method)


class Night:
    """`prepare(district)` before the gateway starts; `meanwhile(district, job)` once it has."""

    def __init__(
        self,
        meters: int = 8,
        loss: float = 0.02,
        prepare: Callable[[District], object] = lambda district: None,
        meanwhile: Meanwhile | None = None,
        left_out: Iterable[int] = (),
        content: bytes = CONTENT,
        delivery: str = "ciphered",
        targets: Sequence[str] = (MODEL,),
        within_s: int = DAY_S,
        seed: int = 1,
        mix: Mix | None = None,
        plc_modem: str = "prime",
        **terms: Any,
    ) -> None:
        self.scene = Scenario(
            meters, mix or only(plc=1), plc=Figures(21400, 30, 5, (50, 30, 20), loss)
        )
        self.prepare = prepare
        self.meanwhile = meanwhile
        self.left_out = [serial(number) for number in left_out]
        self.content, self.delivery, self.targets = content, delivery, targets
        self.within_s, self.seed, self.plc_modem = within_s, seed, plc_modem
        self.terms = {"backoff_s": 120, **terms}
        self.broadcasts = 0
        self.took_s = 0
        self.on_broadcast: Callable[[int], None] = lambda number: None
        self.members: dict[str, Member] = {}

    def outcome(self) -> Found:
        """(outcome, reason) of each meter of the job; what they told is what they are."""
        return run(self._live())

    async def _live(self) -> Found:
        district = District(self.scene, self.seed, plc_modem=self.plc_modem)
        self.members = district.members
        self.prepare(district)
        async with district:
            self.watch(district)
            await asyncio.sleep(60)
            began = district.clock.ticks_ms()
            wanted = [each for each in district.members if each not in self.left_out]
            job = district.image(
                self.content, NEW, self.delivery, wanted, targets=self.targets, **self.terms
            )
            if self.meanwhile is not None:
                await self.meanwhile(district, job)
            await district.finished(job, self.within_s)
            self.took_s = (district.clock.ticks_ms() - began) // 1000
            found = {row.serial: (row.outcome, row.reason) for row in district.meters_of(job)}
        self._check(found)
        return found

    def watch(self, district: District) -> None:
        """Count the broadcasts of the gateway that runs now."""
        send = district.network.broadcast

        async def broadcast(kind: str, data: bytes, client: int, server: int) -> int:
            sent = await send(kind, data, client, server)
            self.broadcasts += 1
            self.on_broadcast(self.broadcasts)
            return sent

        district.network.broadcast = broadcast  # type: ignore[method-assign,assignment]

    def _check(self, found: Found) -> None:
        for each, member in self.members.items():
            if each in self.left_out:
                assert not member.server.meter.log.counts, "%s was touched" % each
            elif found[each][0] == "OK":
                assert runs(member) == NEW, (each, runs(member))
            if runs(member) == NEW and found.get(each) != ("OK", "already-as-wanted"):
                assert image_of(member).image == self.content
            if done_to(member, image_object.ACTIVATE):
                assert image_of(member).status() in (
                    image_object.ACTIVATING,
                    image_object.ACTIVATED,
                    image_object.ACTIVATION_FAILED,
                )


def others_applied(found: Found, *but: int) -> dict[int, tuple[str, str]]:
    """All meters have it, but these, whose results are returned."""
    rest = {number: found[serial(number)] for number in but}
    for each, result in found.items():
        if each not in [serial(number) for number in but]:
            assert result == APPLIED, (each, result)
    return rest
