"""image: the seven steps of an image transfer (class 18, Blue Book 4.4.6; Green Book 10.8).

1 block size  2 initiate  3 blocks  4 completeness  5 verify  6 what would be activated  7 activate

Every loop has an end: blocks that do not stick are sent again in so many rounds, a lost connection
is opened again so many times, verification and activation get so much time. Nothing is activated
that was not verified, or is not what was sent. A block that comes twice does no harm, so blocks
without an answer are not waited for: the meter's own list of what it has decides. Nor is a lost
answer to another method a verdict: where the status has not moved, it is invoked again. A meter
that says "not now" is asked again after growing pauses.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import Any

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from gateway.activities import identity
from gateway.activities.image import image_object
from gateway.activities.image.image_object import (
    ACTIVATE,
    ACTIVATED,
    ACTIVATING,
    ACTIVATION_FAILED,
    BLOCK_SIZE,
    BLOCKS,
    ENABLED,
    INITIATE,
    INITIATED,
    NOTHING,
    STATUS,
    TO_ACTIVATE,
    TRANSFER,
    VERIFIED,
    VERIFY,
    VERIFY_FAILED,
    VERIFYING,
)
from gateway.activities.pauses import FIRST_MS, Pauses
from gateway.activities.readable import passing
from gateway.dlms.client.client import Client
from gateway.dlms.data import axdr, obis
from gateway.dlms.errors import (
    AccessRefused,
    ActionRefused,
    LinkLost,
    NoAnswer,
    ProtocolError,
    ServiceRefused,
)
from tools.cosem import render, values
from tools.dlms.failure import DONE, CallProblem, Failed, one_line
from tools.dlms.output import console, print_json, printable
from tools.dlms.session import Settings, conversation
from tools.dlms.shown import IMAGE_STATUS, quoted

MOST_BYTES = 64 << 20
MOST_BLOCKS = 1 << 20
PATIENCE_S = 600  # for verification and activation each
_SILENT = 3  # blocks in a row without an answer: the path is gone
_TRIES = 3  # of a method that may be invoked twice


class _PathLost(Exception):
    """The meter fell silent, or the line broke; the transfer can be taken up again."""


async def image(options: argparse.Namespace, settings: Settings) -> int:
    transfer = Transfer(options, settings)
    with transfer.progress:
        await transfer.run()
    if settings.json:
        print_json(transfer.report())
    return DONE


class Transfer:
    """One image on its way into one meter."""

    def __init__(self, options: argparse.Namespace, settings: Settings) -> None:
        self._settings = settings
        self._data = _content(options.file)
        self._identifier = octets(options.identifier)
        self._expected = octets(options.expect) if options.expect else self._identifier
        self._name = obis_name(options.object) if options.object else settings.model.image
        self._resume: bool = options.resume
        self._activate: bool = not options.no_activate
        self._rounds: int = options.rounds
        self._reconnects: int = options.reconnects
        verify_s = options.patience or settings.model.verify_s or PATIENCE_S
        activate_s = options.patience or settings.model.activate_s or PATIENCE_S
        self._verify_ms, self._activate_ms = int(verify_s * 1000), int(activate_s * 1000)
        self._poll_ms = max(1, int(options.poll * 1000))
        self._size = 0  # of a block
        self._sent = 0  # blocks on the line, repeated ones too
        self._started = False  # the meter has accepted image_transfer_initiate
        self._resumed_at = 0
        self._firmware = ["", ""]  # before, after
        self._verified = False
        self._activated = False
        self._bar: TaskID | None = None
        self._out = console(stderr=True)
        self.progress = Progress(
            TextColumn("blocks"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self._out,
            disable=not self._out.is_terminal,
            transient=True,
        )

    def report(self) -> dict[str, Any]:
        return {
            "bytes": len(self._data),
            "block_size": self._size,
            "blocks": self._count,
            "sent": self._sent,
            "resumed_at": self._resumed_at,
            "verified": self._verified,
            "activated": self._activated,
            "firmware_before": self._firmware[0],
            "firmware_after": self._firmware[1],
        }

    async def run(self) -> None:
        """Failed, or an error of the client, says why it did not end well."""
        for attempt in range(self._reconnects + 1):
            try:
                async with conversation(self._settings) as client:
                    await self._steps(client)
                return
            except (
                NoAnswer,
                OSError,
                asyncio.TimeoutError,
                _PathLost,
                LinkLost,
                ServiceRefused,
            ) as error:
                if not self._size:
                    raise  # it never began
                if attempt == self._reconnects:
                    raise Failed(
                        "%s; connected %d times; go on later with --resume"
                        % (one_line(error), attempt + 1)
                    ) from None
                self._say("%s; connecting again" % one_line(error))
                await self._settings.clock.sleep_ms(self._poll_ms)

    async def _steps(self, client: Client) -> None:
        if not self._verified:
            if not self._started:
                await self._begin(client)
            await self._blocks(client)
            await self._verify(client)
            await self._check_what(client)
        if not self._activate:
            self._say("verified; not activated, as --no-activate asks")
            return
        await self._make_active(client)

    # ------------------------------------------------------------ steps 1 and 2

    async def _begin(self, client: Client) -> None:
        self._firmware[0] = await self._read_firmware(client)
        enabled = await self._get(client, ENABLED, axdr.BOOLEAN)
        if not enabled:
            raise Failed(
                "image transfer is disabled in the meter; set `image_transfer %s"
                " image_transfer_enabled` to true" % obis.text(self._name)
            )
        self._size = await self._get(client, BLOCK_SIZE, axdr.DOUBLE_LONG_UNSIGNED)
        if self._size == 0 or self._count > MOST_BLOCKS:
            raise Failed("step 1: a block size of %d bytes makes no sense" % self._size)
        self._say("1 block size: %d bytes, %d blocks" % (self._size, self._count))
        if self._resume and await self._may_resume(client):
            self._started = True
            return
        parameter = image_object.initiate(self._identifier, len(self._data))
        await self._do(client, INITIATE, parameter, "2 initiate")
        self._started = True
        self._say("2 initiated: %s, %d bytes" % (render.octets(self._identifier), len(self._data)))

    async def _may_resume(self, client: Client) -> bool:
        status = await self._get(client, STATUS, axdr.ENUM)
        told = await client.get(image_object.CLASS, self._name, BLOCKS[2])
        if status not in (INITIATED, VERIFY_FAILED) or image_object.any_block(told, self._count):
            self._say("nothing to resume (%s): starting anew" % _status_name(status))
            return False
        self._resumed_at = image_object.bitmap(told, self._count).held()
        self._say("2 resumed: the meter has %d of %d blocks" % (self._resumed_at, self._count))
        return True

    # ------------------------------------------------------------ steps 3 and 4

    async def _blocks(self, client: Client) -> None:
        status = await self._get(client, STATUS, axdr.ENUM)
        if status in (VERIFYING, VERIFIED):
            return  # the connection was lost after this step
        if self._bar is None:
            self._bar = self.progress.add_task("", total=self._count)
        bar = self._bar
        for number in range(1, self._rounds + 1):
            missing = await self._missing(client)
            self.progress.update(bar, completed=self._count - len(missing))
            if not missing:
                self._say("3 sent and 4 complete: %d blocks" % self._count)
                return
            if number > 1:
                self._say("%d blocks did not stick: round %d" % (len(missing), number))
            await self._send(client, missing, bar)
        missing = await self._missing(client)
        if missing:
            raise Failed(
                "step 4: %d blocks are still missing after %d rounds (the first is %d); the path is"
                " too bad, or the meter refuses them: try again with --resume"
                % (len(missing), self._rounds, missing[0])
            )
        self._say("3 sent and 4 complete: %d blocks" % self._count)

    async def _missing(self, client: Client) -> list[int]:
        told = await client.get(image_object.CLASS, self._name, BLOCKS[2])
        return image_object.bitmap(told, self._count).lacking()

    async def _send(self, client: Client, missing: list[int], bar: TaskID) -> None:
        silent = 0
        for number in missing:
            block = self._data[number * self._size : (number + 1) * self._size]
            parameter = image_object.transfer(number, block)
            try:
                await self._do(client, TRANSFER, parameter, "3, block %d" % number)
                silent = 0
            except NoAnswer as error:
                silent += 1
                if silent == _SILENT:
                    raise _PathLost("step 3, block %d: %s" % (number, error)) from None
            self._sent += 1
            self.progress.advance(bar)

    # ------------------------------------------------------------ steps 5 and 6

    async def _verify(self, client: Client) -> None:
        status = await self._get(client, STATUS, axdr.ENUM)
        if status not in (VERIFYING, VERIFIED):
            await self._start(client, VERIFY, "5 verify", (INITIATED, status))
            status = await self._settled(
                client, (INITIATED, VERIFYING), "5 verify", self._verify_ms
            )
        elif status == VERIFYING:
            status = await self._settled(client, (VERIFYING,), "5 verify", self._verify_ms)
        if status != VERIFIED:
            raise Failed(
                "step 5: %s; the image is damaged or not for this meter: not activated"
                % _status_name(status)
            )
        self._say("5 verified")

    async def _check_what(self, client: Client) -> None:
        infos = await self._get(client, TO_ACTIVATE, axdr.ARRAY)
        found = []
        for info in infos:
            try:
                (_, size), (_, identifier), _ = info[1]
            except (TypeError, ValueError):
                raise ProtocolError("image_to_activate_info: not as the Blue Book has it") from None
            found.append("%s, %s bytes" % (render.octets(bytes(identifier)), size))
            if bytes(identifier) == self._expected and size == len(self._data):
                self._say("6 to be activated: %s" % found[-1])
                self._verified = True
                return
        raise Failed(
            "step 6: the meter would activate %s, %s of %d bytes was sent: not activated; if that"
            " is right, say so by --expect"
            % (" and ".join(found) or "nothing", render.octets(self._expected), len(self._data))
        )

    # ------------------------------------------------------------ step 7

    async def _make_active(self, client: Client) -> None:
        status = await self._get(client, STATUS, axdr.ENUM)
        if status == VERIFIED:
            await self._start(client, ACTIVATE, "7 activate", (VERIFIED,))
        status = await self._settled(
            client, (VERIFIED, ACTIVATING), "7 activate", self._activate_ms
        )
        if status == ACTIVATION_FAILED:
            raise Failed("step 7: activation failed; the old firmware should still run")
        self._firmware[1] = await self._read_firmware(client)
        # A meter that starts again for it may come back as after any start, not initiated: then
        # the firmware tells.
        if status != ACTIVATED and self._firmware[1] in (self._firmware[0], "?"):
            raise Failed(
                "step 7: the meter is at '%s' and runs firmware %s; ask again later by identify"
                % (_status_name(status), self._firmware[1])
            )
        self._activated = True
        self._say("7 activated: firmware %s, it was %s" % tuple(reversed(self._firmware)))

    # ------------------------------------------------------------ small parts

    @property
    def _count(self) -> int:
        return -(-len(self._data) // self._size) if self._size else 0

    async def _start(
        self, client: Client, method: int, step: str, unmoved: tuple[int, ...]
    ) -> None:
        """A method that may take longer than one answer: temporary-failure means it has begun.
        `unmoved`: a status that says that it has not."""
        lost: NoAnswer | None = None
        for _ in range(_TRIES):
            try:
                await client.action(image_object.CLASS, self._name, method, NOTHING)
                return
            except ActionRefused as refused:
                if not passing(refused.result) and refused.result != "other-reason":
                    raise Failed("step %s: %s" % (step, one_line(refused))) from None
                return
            except NoAnswer as error:
                lost = error
            if await self._get(client, STATUS, axdr.ENUM) not in unmoved:
                return
        raise _PathLost("step %s: %s" % (step, lost))

    async def _do(self, client: Client, method: int, parameter: bytes, step: str) -> None:
        """A method that a busy meter is asked for again. NoAnswer."""
        pauses = Pauses()
        while True:
            try:
                await client.action(image_object.CLASS, self._name, method, parameter)
                return
            except ActionRefused as refused:
                pause_ms = pauses.next_ms() if passing(refused.result) else 0
                if not pause_ms:
                    raise Failed("step %s: %s" % (step, one_line(refused))) from None
                if pauses.waited_ms == FIRST_MS:
                    self._say("%s: the meter says %s; it is waited for" % (step, refused.result))
            await self._settings.clock.sleep_ms(pause_ms)

    async def _settled(
        self, client: Client, passing: tuple[int, ...], step: str, patience_ms: int
    ) -> int:
        """The status once it is none of `passing`."""
        clock = self._settings.clock
        deadline = clock.ticks_ms() + patience_ms
        while True:
            status: int = await self._get(client, STATUS, axdr.ENUM)
            if status not in passing:
                return status
            if clock.ticks_ms() >= deadline:
                raise Failed(
                    "step %s: the meter is still at '%s' after %d s; ask again later, or give more"
                    " --patience" % (step, _status_name(status), patience_ms // 1000)
                )
            await clock.sleep_ms(self._poll_ms)

    async def _get(self, client: Client, member: tuple[int, bytes, int], tag: int) -> Any:
        """`member` as image_object names it; of the object that the options name."""
        attribute = member[2]
        typed = axdr.decode(await client.get(image_object.CLASS, self._name, attribute))
        if typed[0] != tag:
            raise ProtocolError(
                "attribute %d of image_transfer: expected %s, got %s"
                % (attribute, axdr.TAGS[tag], axdr.TAGS[typed[0]])
            )
        return typed[1]

    async def _read_firmware(self, client: Client) -> str:
        place = self._settings.model.firmware
        if place is None:
            return "?"
        try:
            data = await client.get(*identity.key(place))
        except AccessRefused:
            return "?"
        return quoted(data, place)

    def _say(self, text: str) -> None:
        self._out.print(printable(text), soft_wrap=True, markup=False)


def _status_name(status: int) -> str:
    return IMAGE_STATUS.get(status, "status %d" % status)


def _content(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CallProblem("%s: %s" % (path, error.strerror)) from None
    if not 0 < len(data) <= MOST_BYTES:
        raise CallProblem(
            "%s: expected an image of 1..%d bytes, got %d" % (path, MOST_BYTES, len(data))
        )
    return data


def octets(text: str) -> bytes:
    """As values.octets()."""
    try:
        return values.octets(text)
    except ValueError as error:
        raise CallProblem(str(error)) from None


def obis_name(text: str) -> bytes:
    try:
        return obis.parse(text)
    except ValueError as error:
        raise CallProblem(str(error)) from None
