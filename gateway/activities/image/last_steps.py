"""How a transfer to many meters ends for each of them: told to activate, and asked what it runs; or
brought what it lacks, as transfer.py does it."""

from __future__ import annotations

from gateway.activities import attributes, identity, readable
from gateway.activities.image import image_object, transfer
from gateway.activities.image.conversations import STARTING
from gateway.activities.image.image_object import (
    ACTIVATE,
    ACTIVATED,
    ACTIVATING,
    ACTIVATION_FAILED,
    NOTHING,
    STATUS,
    VERIFIED,
)
from gateway.activities.readable import passing
from gateway.activities.verdict import refused_with
from gateway.contract.result import KO, OK, Result
from gateway.dlms.errors import ActionRefused, NoAnswer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gateway.activities.attributes import Attributes
    from gateway.activities.image.conversations import Conversations, Member, Verdict
    from gateway.activities.image.transfer import Order
    from gateway.dlms.client.client import Client


class LastSteps:
    def __init__(self, talk: Conversations, order: Order) -> None:
        self._talk = talk
        self._order = order
        self._image = order.image
        self._clock = order.clock

    async def to_the_end(self, client: Client, member: Member) -> Verdict:
        if member.activating:
            return await self._confirm(client, member)
        order = transfer.Order(
            self._image, self._order.activation, member.again, self._clock, self._order.model
        )
        found = await attributes.read(client, transfer.KEYS)
        return await transfer.brought(client, order, found)

    async def _confirm(self, client: Client, member: Member) -> Verdict:
        found = await self._firmware(client)
        if identity.runs(found, self._image.firmware, self._order.model):
            return self.applied()
        status = image_object.status(await client.get(*STATUS))
        if status == VERIFIED:
            refused = await self.activate(client, member)
            return self._talk.later(member, STARTING) if refused is None else refused
        if status == ACTIVATING:
            return self._talk.later(member, STARTING)
        # It may have become active between the two questions.
        found = await self._firmware(client)
        if identity.runs(found, self._image.firmware, self._order.model):
            return self.applied()
        if status == ACTIVATION_FAILED:
            text = "step 7: activation failed; the old one should run"
            return Result(KO, "activation-failed", text)
        said = "activated" if status == ACTIVATED else image_object.state_name(status)
        text = "step 7: %s, but it runs %s, not %s"
        data = found.value(identity.firmware_key(self._order.model)[0])
        text = text % (said, readable.shown(data), self._image.firmware)
        return Result(KO, "activation-failed", readable.one_line(text))

    async def _firmware(self, client: Client) -> Attributes:
        return await attributes.read(client, identity.firmware_key(self._order.model))

    async def activate(self, client: Client, member: Member) -> Verdict:
        try:
            await client.action(image_object.CLASS, image_object.NAME, ACTIVATE, NOTHING)
        except ActionRefused as refused:
            if not passing(refused.result):
                text = readable.one_line("step 7: the meter refuses: %s" % refused)
                return Result(KO, refused_with(refused.result, "activation-failed"), text)
        except NoAnswer:
            pass  # perhaps it has begun; it will be asked
        return None

    def applied(self) -> Result:
        return Result(OK, "applied", "it runs %s" % self._image.firmware)
