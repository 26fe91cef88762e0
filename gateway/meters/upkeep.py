"""What is done for the meters between orders: comparing them with the nodes, ageing what was
learned, and writing it down.
"""

from __future__ import annotations

from hal.rt import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.meters.reachability import Reachability
    from gateway.meters.survey import Survey
    from hal.ports import Clock

WHERE = "upkeep"
LOOK_MS = 60000
SAVE_MS = 3600000  # a hundred kilobytes for 2000 meters: the flash bears that for decades


class Upkeep:
    def __init__(self, survey: Survey, reachability: Reachability, clock: Clock) -> None:
        self._survey = survey
        self._reachability = reachability
        self._clock = clock

    async def run(self, heartbeat: Callable[[], None]) -> None:
        """Until cancelled."""
        saved = self._clock.ticks_ms()
        while True:
            heartbeat()
            await self._survey.look()
            if self._clock.ticks_ms() - saved >= SAVE_MS:
                saved = self._clock.ticks_ms()
                self._reachability.age()
                self.save()
            await self._clock.sleep_ms(LOOK_MS)

    def save(self) -> None:
        """Write down what was learned; a storage that refuses is only logged."""
        try:
            self._reachability.save()
        except OSError as error:
            log.error(WHERE, "storage: cannot keep what was learned of the paths: %s" % error)
