"""Bring an image (firmware, or a vendor's configuration file) into one meter by unicast and have it
activated: the seven steps of Green Book 10.8.

Every loop has an end. Nothing is activated that was not verified, or is not what was sent. A block
that comes twice does no harm, so blocks without an answer are not waited for: the meter's own list
of what it has decides, also after a power cut of either side. Nor does a method's lost answer say
anything: the status tells whether it was heard, and where it has not moved the method is invoked
again. A meter that says "not now" is asked again after growing pauses. While it verifies or
activates for longer than a moment the result is WAIT, and others have their turn.
"""

from __future__ import annotations

from gateway.activities import attributes, identity, readable
from gateway.activities.image import image_object
from gateway.activities.image.block_planning import Bitmap
from gateway.activities.image.image_object import (
    ACTIVATED,
    ACTIVATING,
    ACTIVATION_FAILED,
    BLOCK_SIZE,
    BLOCKS,
    ENABLED,
    INITIATED,
    NOT_INITIATED,
    STATUS,
    TO_ACTIVATE,
    TRANSFER,
    TRUE,
    VERIFIED,
    VERIFY_FAILED,
    VERIFYING,
    state_name,
)
from gateway.activities.image.methods import (
    POLL_MS,
    SETTLE_MS,
    Busy,
    Failed,
    Waits,
    activate,
    initiated,
    pause,
    pause_s,
    settled,
    verify,
)
from gateway.activities.image.placed import placed
from gateway.activities.pauses import Pauses
from gateway.activities.readable import passing
from gateway.activities.verdict import refused_with
from gateway.contract.own_model import OWN_MODEL
from gateway.contract.result import HINDERED, KO, OK, WAIT, Result
from gateway.dlms.errors import (
    AccessRefused,
    NoAnswer,
    NotSupported,
    ProtocolError,
    ServiceRefused,
)
from hal.ports import StorageFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.activities.attributes import Attributes
    from gateway.contract.image_file import ImageFile
    from gateway.contract.job import Job
    from gateway.contract.model import Model
    from gateway.dlms.apdu.action import Method
    from gateway.dlms.client.client import Client
    from hal.ports import Clock


FRUITLESS = 6  # rounds in a row of sending what the meter says it lacks, that bring nothing
UNSTUCK = 2  # such rounds in which it took blocks, and has none of them
SILENT = 3  # blocks in a row without an answer: time to ask whether the path is gone
CLOCK_S = 60  # before it is looked again whether our clock has been set
MOST_BLOCKS = 1 << 16
KEYS = (ENABLED, STATUS, BLOCK_SIZE, BLOCKS)  # read first


class Order:
    """What a job wants of every meter. `activation`: unix time, 0: as soon as verified. `again`:
    this job has been at this meter before. `model`: the meter's."""

    __slots__ = ("activation", "again", "clock", "image", "model")

    def __init__(
        self,
        image: ImageFile,
        activation: int,
        again: bool,
        clock: Clock,
        model: Model = OWN_MODEL,
    ) -> None:
        self.model = model
        self.image = image
        self.activation = activation
        self.again = again
        self.clock = clock


def order_of(image: ImageFile, job: Job, again: bool, clock: Clock) -> Order:
    """See activity.py."""
    return Order(image, job.activation, again, clock)


def block_of(image: ImageFile, number: int, size: int) -> bytes:
    """StorageFailed when the flash does not give it: that is no matter of the meter."""
    try:
        return image.block(number, size)
    except OSError as error:
        raise StorageFailed("the image cannot be read: %s" % error)


def until_its_time(activation: int, now: int, text: str) -> Result:
    """The meter waits; `now` 0: nobody knows for how long, as our clock is not set."""
    if not now:
        return Result(HINDERED, "clock-unset", text, wait_s=CLOCK_S)
    return Result(WAIT, "activation-waits", text, wait_s=activation - now)


async def run(client: Client, serial: str, order: Order, model: Model = OWN_MODEL) -> Result:
    """OK applied, OK already-as-wanted, WAIT, or a KO. Errors of the path come out."""
    order.model = model
    client = placed(client, model.image)
    found = await attributes.read(client, identity.keys(model) + list(KEYS))
    refusal = identity.wrong_meter(found, serial, model)
    refusal = refusal or unfit(found, order.image, order.again, model)
    return await brought(client, order, found) if refusal is None else refusal


async def brought(client: Client, order: Order, found: Attributes) -> Result:
    """As run(), for a meter that is to have it; `found` holds KEYS."""
    try:
        return await _steps(client, order, found)
    except Failed as failed:
        return Result(KO, failed.reason, readable.one_line(str(failed)))
    except NotSupported as error:
        return Result(KO, "block-too-large", readable.one_line(str(error)))


def unfit(
    found: Attributes, image: ImageFile, again: bool, model: Model = OWN_MODEL
) -> Result | None:
    """The result for a meter that is to be left as it is, by the model and firmware it says it has;
    None for one that is to have the image."""
    refusal = identity.wrong_model(found, image.targets, model)
    if refusal is not None:
        return refusal
    refusal = identity.no_firmware(found, model)
    if refusal is not None:
        return refusal
    if identity.runs(found, image.firmware, model):
        if again:
            return Result(OK, "applied", "it runs %s" % image.firmware)
        return Result(OK, "already-as-wanted")
    return identity.wrong_target(found, image.targets, model)


async def _steps(client: Client, order: Order, found: Attributes) -> Result:
    try:
        status = image_object.status(found.value(STATUS))
        if status == ACTIVATING:
            await _confirm(client, order)
            return _applied(order)
        if status == VERIFIED and await _foreign(client, order.image):
            status = NOT_INITIATED  # another image: ours takes its place
        elif status == VERIFYING:
            status = await settled(client, order.clock, True, (), order.model.verify_s)
            if status == VERIFIED and await _foreign(client, order.image):
                status = NOT_INITIATED
        if status != VERIFIED:
            await _bring_good(client, order, found, status)
        await _activate(client, order)
        return _applied(order)
    except Waits as waits:
        return waits.result


def _applied(order: Order) -> Result:
    return Result(OK, "applied", "it runs %s" % order.image.firmware)


async def _foreign(client: Client, image: ImageFile) -> str:
    data = await client.get(*TO_ACTIVATE)
    return image_object.would_activate(data, image.identifier, image.size)


async def _bring_good(client: Client, order: Order, found: Attributes, status: int) -> None:
    """Steps 1 to 6. What an interrupted transfer left may not have been ours: if the whole is not
    good, it is brought anew, once."""
    resumed = _resumed(found, status, _shape(order.image, found)[1]) is not None
    try:
        await _bring_whole(client, order, found, status)
    except Failed:
        if not resumed:
            raise
        await _bring_whole(client, order, found, NOT_INITIATED)


async def _bring_whole(client: Client, order: Order, found: Attributes, status: int) -> None:
    before = await _bring(client, order, found, status)
    await verify(client, order.clock, before, order.model.verify_s)
    told = await _foreign(client, order.image)
    if told:
        raise Failed(
            "image-not-ours",
            "step 6: expected %s of %d bytes, the meter would activate %s; not activated"
            % (order.image.identifier.hex(), order.image.size, told),
        )


# ---------------------------------------------------------------- steps 1 to 4


def _shape(image: ImageFile, found: Attributes) -> tuple[int, int]:
    """Size and number of the meter's blocks."""
    size = image_object.number(found.value(BLOCK_SIZE), "image_block_size")
    count = -(-image.size // size) if size else 0
    if not 1 <= count <= MOST_BLOCKS:
        raise Failed("block-too-large", "step 1: blocks of %d bytes make no sense" % size)
    return size, count


async def _bring(client: Client, order: Order, found: Attributes, status: int) -> int:
    """Until the meter has all blocks; goes on with what may be ours already. The status it had when
    the blocks began to come."""
    image = order.image
    size, count = _shape(image, found)
    has = _resumed(found, status, count)
    if has is None:
        if not image_object.number(found.value(ENABLED), "image_transfer_enabled"):
            await _do_set(client)
        await initiated(client, order.clock, image)
        has, status = Bitmap(count), INITIATED
    most, fruitless, unstuck = has.held(), 0, 0
    pauses = Pauses()
    while not has.complete() and fruitless < FRUITLESS and unstuck < UNSTUCK:
        busy, taken = "", False
        try:
            taken = await send(client, image, size, has.lacking())
        except Busy as error:
            busy = str(error)
            await pause(order.clock, pauses, "step 3: %s" % busy)
        has = image_object.bitmap(await client.get(*BLOCKS), count)
        if has.held() > most:
            most, fruitless, unstuck = has.held(), 0, 0
            pauses.begin_anew()
        elif not busy:
            fruitless += 1
            unstuck += 1 if taken else 0
    lacking = has.lacking()
    if not lacking:
        return status
    where = (len(lacking), count, lacking[0])
    if unstuck < UNSTUCK:  # the path carries the questions, and not the blocks
        raise NoAnswer("step 3: %d of %d blocks get no answer, the first is %d" % where)
    text = "step 4: %d of %d blocks do not stick, the first is %d" % where
    raise Failed("image-incomplete", text)


def _resumed(found: Attributes, status: int, count: int) -> Bitmap | None:
    """What an interrupted transfer has left in the meter, if it may be ours: in the end the meter
    verifies the whole. A verification that failed for want of blocks is no reason to begin anew."""
    if status not in (INITIATED, VERIFY_FAILED) or BLOCKS not in found.values:
        return None
    data = found.values[BLOCKS]
    try:
        has = image_object.bitmap(data, count)
        if image_object.any_block(data, count):
            return None  # of another, longer image
    except ProtocolError:
        return None
    if not has.held() or (status == VERIFY_FAILED and has.complete()):
        return None
    return has


async def send(client: Client, image: ImageFile, size: int, lacking: list[int]) -> bool:
    """Several blocks in one APDU where they fit. Not all of them, where the path seems gone: the
    question that follows will tell. Whether the meter took any. Busy when it takes none now, Failed
    when it refuses one."""
    at_once = max(1, client.capacity // (size + image_object.BLOCK_OVERHEAD))
    silent = 0
    taken = False
    for start in range(0, len(lacking), at_once):
        items: list[tuple[Method, bytes | None]] = []
        for number in lacking[start : start + at_once]:
            data = image_object.transfer(number, block_of(image, number, size))
            items.append(((image_object.CLASS, image_object.NAME, TRANSFER), data))
        try:
            results = await client.action_list(items)
            silent = 0
        except NoAnswer:
            silent += 1
            if silent == SILENT:
                break
            continue
        for result, _ in results:
            name = image_object.result_name(result)
            if passing(name):
                raise Busy("the meter takes no block now: %s" % name)
            if name:
                reason = refused_with(name, "image-refused")
                raise Failed(reason, "step 3: the meter refuses a block: %s" % name)
        taken = True
    return taken


# ---------------------------------------------------------------- step 7


async def _activate(client: Client, order: Order) -> None:
    clock = order.clock
    if order.activation:
        now = clock.unix_time()
        if now < order.activation:
            text = "verified; waits for its time"
            raise Waits(until_its_time(order.activation, now, text))
    await activate(client)
    await _confirm(client, order)


async def _confirm(client: Client, order: Order) -> None:
    """The meter's own firmware identity says that it runs the image. It may have gone to start
    anew: then another conversation has to ask."""
    clock, image, firmware = order.clock, order.image, identity.firmware_key(order.model)
    limit_s = order.model.activate_s
    wait_s = pause_s(limit_s)
    text = "the meter starts the image"
    waits = Waits(Result(WAIT, "image-activating", text, wait_s=wait_s, limit_s=limit_s))
    deadline = clock.ticks_ms() + SETTLE_MS
    while True:
        try:
            # In this order: once the status says so, the firmware must be the new one.
            found = await attributes.read(client, [STATUS] + firmware)
            status_data = found.value(STATUS)
            runs = identity.runs(found, image.firmware, order.model)
        except (NoAnswer, ServiceRefused):
            raise waits
        except AccessRefused as refused:
            if passing(refused.result):
                raise waits
            raise
        if runs:
            return
        status = image_object.status(status_data)
        if status == ACTIVATION_FAILED:
            raise Failed("activation-failed", "step 7: activation failed; the old one should run")
        if status not in (VERIFIED, ACTIVATING):
            raise Failed(
                "activation-failed",
                "step 7: %s, but it runs %s, not %s"
                % (
                    "activated" if status == ACTIVATED else state_name(status),
                    readable.shown(found.value(firmware[0])),
                    image.firmware,
                ),
            )
        if clock.ticks_ms() >= deadline:
            raise waits
        await clock.sleep_ms(POLL_MS)


# ---------------------------------------------------------------- small parts


async def _do_set(client: Client) -> None:
    try:
        await client.set(*ENABLED, TRUE)
    except AccessRefused as error:
        reason = refused_with(error.result, "image-refused")
        raise Failed(reason, "image transfer is disabled in the meter: %s" % error)
