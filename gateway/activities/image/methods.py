"""The methods of the image transfer object whose answer may be lost, or may be "not now": what came
of them is judged by a state that has moved, and where none has, they are invoked again.
"""

from __future__ import annotations

from gateway.activities import attributes
from gateway.activities.image import image_object
from gateway.activities.image.image_object import (
    ACTIVATE,
    BLOCKS,
    INITIATE,
    INITIATED,
    NOTHING,
    STATUS,
    VERIFIED,
    VERIFY,
    VERIFYING,
    state_name,
)
from gateway.activities.pauses import Pauses
from gateway.activities.readable import passing
from gateway.activities.verdict import refused_with
from gateway.contract.result import WAIT, Result
from gateway.dlms.errors import AccessRefused, ActionRefused, NoAnswer, ServiceRefused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.contract.image_file import ImageFile
    from gateway.dlms.client.client import Client
    from hal.ports import Clock


TRIES = 3  # of a method that may be invoked twice
SETTLE_MS = 15_000  # how long verification or activation is watched before others have their turn
POLL_MS = 2_000
WAIT_S = 30
LONGEST_WAIT_S = 300
PASSING, SILENT = "passing", "silent"  # besides action-results, what came of a method


class Failed(Exception):
    """A step did not succeed; `reason` of REASONS."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class Busy(Exception):
    """The meter takes no block now; the text says what it said."""


class Waits(Exception):
    """The meter needs more time than a conversation has."""

    def __init__(self, result: Result) -> None:
        super().__init__(result.reason)
        self.result = result


# ---------------------------------------------------------------- step 2


async def pause(clock: Clock, pauses: Pauses, said: str) -> None:
    """Failed when the meter has been busy for long enough."""
    pause_ms = pauses.next_ms()
    if not pause_ms:
        raise Failed("meter-busy", "%s, for %d s" % (said, pauses.waited_ms // 1000))
    await clock.sleep_ms(pause_ms)


async def initiated(client: Client, clock: Clock, image: ImageFile) -> None:
    """Step 1, however often it takes. Failed."""
    pauses = Pauses()
    while True:
        try:
            return await initiate(client, image)
        except ActionRefused as refused:
            if not passing(refused.result):
                reason = refused_with(refused.result, "image-refused")
                ask = "; too large for the meter?" if reason == "image-refused" else ""
                raise Failed(reason, "step 1: %s%s" % (refused, ask))
            said = "step 1: %s" % refused
        await pause(clock, pauses, said)


async def initiate(client: Client, image: ImageFile) -> None:
    """Step 1. Begun twice is as good as once, as long as nothing has been sent. ActionRefused when
    it is not begun."""
    data = image_object.initiate(image.identifier, image.size)
    unsure = False
    for tries in range(1, TRIES + 1):
        try:
            await client.action(image_object.CLASS, image_object.NAME, INITIATE, data)
            return
        except NoAnswer:
            if tries == TRIES:
                raise
            unsure = True
        except ActionRefused as refused:
            if (unsure or passing(refused.result)) and await _just_begun(client):
                return
            raise


async def _just_begun(client: Client) -> bool:
    """Whether a transfer stands at its beginning."""
    found = await attributes.read(client, (STATUS, BLOCKS))
    if STATUS not in found.values or BLOCKS not in found.values:
        return False
    status = image_object.status(found.values[STATUS])
    return status == INITIATED and not image_object.any_block(found.values[BLOCKS])


# ---------------------------------------------------------------- step 5


async def verify(client: Client, clock: Clock, before: int, verify_s: int = 0) -> None:
    """`before`: the status when the blocks came; one that has not moved says nothing. `verify_s`:
    how long it may take, 0: not known."""
    for _ in range(TRIES):
        said, silence = await _begin(client, VERIFY)
        unmoved: tuple[int, ...] = ()  # refused: nothing will move
        if said in ("", PASSING, SILENT):
            unmoved = (INITIATED,) if said == "" else (INITIATED, before)
        status = await settled(client, clock, said in ("", PASSING), unmoved, verify_s)
        if status == VERIFIED:
            return
        if status not in unmoved:
            break
    else:
        if silence is not None:
            raise silence
        if said == PASSING:
            raise Failed("meter-busy", "step 5: the meter does not begin to verify now")
    raise Failed(
        refused_with(said, "image-verify-failed"),
        "step 5: %s%s; not activated" % (state_name(status), said and " (%s)" % said),
    )


# ---------------------------------------------------------------- step 7


async def activate(client: Client) -> None:
    """Failed when the meter refuses; whether it runs the image is still to be asked."""
    unsure = False
    for _ in range(TRIES):
        said, _ = await _begin(client, ACTIVATE)
        if said != SILENT:
            break
        unsure = True
        try:
            status = image_object.status(await client.get(*STATUS))
        except (NoAnswer, AccessRefused, ServiceRefused):
            break  # it may be starting anew
        if status != VERIFIED:
            break
    if said not in ("", PASSING, SILENT) and not unsure:
        reason = refused_with(said, "activation-failed")
        raise Failed(reason, "step 7: the meter refuses: %s" % said)


# ---------------------------------------------------------------- small parts


async def _begin(client: Client, method: int) -> tuple[str, NoAnswer | None]:
    """Invoke a method that may take longer than one answer: "" done, PASSING begun or not now,
    SILENT perhaps begun (and the silence itself), else why not."""
    try:
        await client.action(image_object.CLASS, image_object.NAME, method, NOTHING)
    except ActionRefused as error:
        return (PASSING if passing(error.result) else error.result), None
    except NoAnswer as silence:
        return SILENT, silence
    return "", None


def pause_s(expected_s: int) -> int:
    """How long a meter is left alone with what may take it so long (0: not known)."""
    return max(WAIT_S, min(expected_s // 8, LONGEST_WAIT_S))


async def settled(
    client: Client, clock: Clock, begun: bool, unmoved: tuple[int, ...], verify_s: int = 0
) -> int:
    """The status once it is neither VERIFYING nor `unmoved`; `unmoved` when it stays so for a
    while. `begun`: the meter has said that it is at it. A meter that is, or with `unmoved` may be,
    may have no time to answer."""
    began = clock.ticks_ms()
    wait_s = pause_s(verify_s)
    waits = Waits(
        Result(WAIT, "image-verifying", "the meter verifies", wait_s=wait_s, limit_s=verify_s)
    )
    while True:
        try:
            status = image_object.status(await client.get(*STATUS))
        except NoAnswer:
            if begun or unmoved:
                raise waits
            raise
        except AccessRefused as refused:
            if not passing(refused.result):
                raise
            status = VERIFYING
        begun = begun or status == VERIFYING
        if status != VERIFYING and status not in unmoved:
            return status
        if clock.ticks_ms() - began >= (SETTLE_MS if begun else POLL_MS):
            if status == VERIFYING:
                raise waits
            return status
        await clock.sleep_ms(POLL_MS)
