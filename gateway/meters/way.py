"""A conversation with one meter over one path: association, keys, invocation counters, patience.

    associated()      as the client that inventory and model name, proven as the model says
    preestablished()  as the fleet's client, without an association first (Green Book 9.3.1)

A meter that refuses our invocation counter tells which one it wants, or accepted last (raised one
above it, ours satisfies both), or lets the public client read how far it has counted. Then ours is
raised, and what was refused is tried once more. What it may be raised by has a limit (counters.py):
nobody has proven that it is the meter who says so.
"""

from __future__ import annotations

import asyncio

from gateway.contract.own_model import RELEASE, RELEASE_UNHEARD
from gateway.dlms.apdu import acse
from gateway.dlms.client.broadcast import CLIENT
from gateway.dlms.client.client import PROPOSED, PROPOSED_SN, Association, Client
from gateway.dlms.errors import (
    AssociationRefused,
    DlmsError,
    NoAnswer,
    SecurityFailed,
    ServiceRefused,
)
from gateway.dlms.protection.security_setup import invocation_counter
from gateway.meters import hindrance
from gateway.meters.counters import CounterError, NotStored
from gateway.meters.reach import GivenUp, Unreached
from gateway.meters.traffic import NO_TRAFFIC
from hal.ports import BadAddress, Misbehaves, ModemError, PortClosed, StorageFailed, Unreachable
from hal.rt import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any, TypeVar

    from gateway.meters.access import Access
    from gateway.meters.inventory import Meter, Path
    from gateway.meters.link import Link
    from gateway.meters.reach import Heartbeat, Reach

    T = TypeVar("T")
    Work = Callable[[Client], Awaitable[T]]

WHERE = "reach"
# An association has four times as long as one request: two exchanges, and both again when the meter
# wants another invocation counter.
ASSOCIATION_REQUESTS = 4
SERVER = 1  # SAP of the management logical device, whom the fleet's client speaks to
# What the meters of a fleet offer its client, agreed when the fleet was ordered.
CONFORMANCE = acse.GET | acse.ACTION | acse.MULTIPLE_REFERENCES | acse.BLOCK_GET


class Way:
    """One meter over one path, and how it has gone over it, all conversations together.

    `opened`: there was a slot for it. `answered`: the meter has answered, as one that knows its
    keys. `traffic`: frames, and octets in all, that a conversation is expected to send, for a radio
    budget.
    """

    def __init__(
        self,
        reach: Reach,
        meter: Meter,
        path: Path,
        access: Access,
        traffic: tuple[int, int] = NO_TRAFFIC,
    ) -> None:
        self.path = path
        self.opened = False
        self.answered = False
        self._reach = reach
        self._meter = meter.filled(access.model)
        self._access = access
        self._model = access.model
        self._traffic = traffic
        self._counter = 0  # the invocation counter given out last
        self._sent = 0  # APDUs
        self._octets = 0  # of those
        self._heard = 0
        self._hops = 0

    async def associated(
        self,
        work: Work[T],
        slot_ms: int,
        heartbeat: Heartbeat | None = None,
        check: Callable[[], None] | None = None,
    ) -> T:
        """What work(client) returns, once the client is associated. `heartbeat()` is called with
        each APDU that goes out, and so is check(), before it: GivenUp comes out once the meter has
        been released.

        Unreached, or the DlmsError that the meter is at fault for; CounterError. `answered` tells
        whether there was an association.
        """
        try:
            return await self._associated(work, slot_ms, heartbeat, check)
        except (AssociationRefused, ServiceRefused) as refused:
            if self.answered or not self._access.ciphered or not _may_be_the_counter(refused):
                raise
            if not await self._learn_counter(heartbeat):
                raise refused
        return await self._associated(work, slot_ms, heartbeat, check)

    async def preestablished(
        self,
        work: Work[T],
        received: dict[str, int],
        heartbeat: Heartbeat,
        check: Callable[[], None],
    ) -> T:
        """What work(client) returns, as the fleet's client. `received`: by serial the highest
        invocation counter that came so far, so that no answer counts twice; kept up to date.
        check() is called before each APDU that goes out; what it raises ends the conversation.

        Errors as associated().
        """
        serial = self._meter.serial

        async def talk(link: Link) -> T:
            client = self._client(link, Association(CLIENT, SERVER, keys=self._access.keys))
            last = received.get(serial, -1)
            client.assume(self._meter.title, CONFORMANCE, link.max_apdu, last)
            try:
                return await self._once_more(lambda: work(client))
            finally:
                received[serial] = client.received

        try:
            return await self._converse(self._meter.as_client(CLIENT), talk, None, heartbeat, check)
        except Unreached as unreached:
            self.answered = unreached.heard
            raise

    def sent(self) -> tuple[int, int]:
        """Frames, and octets in all, that went out."""
        return self._sent, self._octets

    def record(self, failed: Unreached | None = None) -> None:
        """Let the network learn how it went; `failed`: what ended it without a result."""
        percent = min(100 * self._heard // max(self._sent, 1), 100)
        network = self._reach.network
        if failed is None:
            network.record(self._meter, self.path, True, percent, self._hops)
        elif self.answered:
            percent = percent // 2 if failed.silent else percent
            network.record(self._meter, self.path, True, percent, self._hops)
        elif self.opened and failed.silent:
            network.record(self._meter, self.path, False)

    async def _associated(
        self,
        work: Work[T],
        slot_ms: int,
        heartbeat: Heartbeat | None,
        check: Callable[[], None] | None,
    ) -> T:
        meter, (timeout_ms, tries) = self._meter, self._reach.patience[self.path[0]]
        limit_ms = ASSOCIATION_REQUESTS * (timeout_ms + self._model.pause_ms) * tries

        unkept = self._reach.unkept

        async def talk(link: Link) -> T:
            who = self._access.association(meter)
            every = PROPOSED | PROPOSED_SN
            who.services = (who.services or every) & ~unkept.get(meter.serial, 0)
            client = self._client(link, who)
            associating = self._once_more(client.associate)
            await self._reach.in_time(associating, limit_ms, "association")
            self.answered = True
            try:
                found = await work(client)
            except NoAnswer:
                raise
            except (DlmsError, GivenUp) as error:
                link.check = None
                await self._release(client)
                raise error
            finally:
                if client.unkept:
                    unkept[meter.serial] = unkept.get(meter.serial, 0) | client.unkept
            link.check = None
            await self._release(client)
            return found

        self.answered = False
        return await self._converse(meter, talk, slot_ms, heartbeat, check)

    async def _release(self, client: Client) -> None:
        if self._model.release == RELEASE:
            await client.release()
        elif self._model.release == RELEASE_UNHEARD:
            await client.leave()

    async def _learn_counter(self, heartbeat: Heartbeat | None) -> bool:
        """Ask a meter that does not say why it refuses for its invocation counter, as the public
        client; True when it is not below the one we used, and ours has been raised above it.
        Unreached when something of ours is in the way, SecurityFailed for a counter so far ahead
        that it is not believed."""
        serial, place = self._meter.serial, self._model.counter
        anybody = self._meter.as_client(self._model.public_sap)
        if place is None or not anybody.client_sap:
            return False

        async def talk(link: Link) -> int:
            association = Association(
                anybody.client_sap, anybody.server_sap, referencing=self._access.referencing
            )
            client = self._client(link, association)
            await client.associate()
            counter = await invocation_counter(client, place.obis, place.class_id, place.attribute)
            await self._release(client)
            return counter

        used = self._counter
        try:
            counter = await self._converse(anybody, talk, None, heartbeat)
            if counter < used:
                return False
            log.warning(WHERE, "%s has counted to %d, we used %d" % (serial, counter, used))
            self._reach.counters.raise_to(serial, counter + 1, self._reach.clock.unix_time())
        except CounterError as error:  # nobody's keys are wrong: this is what is to be told
            raise SecurityFailed(str(error))
        except (DlmsError, Unreached) as error:
            if isinstance(error, Unreached) and error.hindrance is not None:
                raise
            log.warning(WHERE, "%s: its counter is not to be had: %s" % (serial, error))
            return False
        return True

    async def _converse(
        self,
        meter: Meter,
        talk: Callable[[Link], Awaitable[T]],
        slot_ms: int | None,
        heartbeat: Heartbeat | None,
        check: Callable[[], None] | None = None,
    ) -> T:
        """talk() on a link of its own. Silence and errors of the path come out as Unreached."""
        link: Link | None = None
        began = self._reach.clock.ticks_ms()
        try:
            link = await self._reach.link(meter, self.path, slot_ms, self._traffic)
            self.opened = True
            link.heartbeat, link.check = heartbeat, check
            return await talk(link)
        except NoAnswer as error:
            text = str(error)
            if link is not None and link.lost:  # so it was not the timeout that was waited for
                took_ms = self._reach.clock.ticks_ms() - began
                text += "; the modem did not get %d of %d frames through, after %d ms in all" % (
                    link.lost,
                    link.sent,
                    took_ms,
                )
            raise _unfinished(link, text) or Unreached(True, text, _has_heard(link))
        except (ModemError, OSError, NotStored, StorageFailed, asyncio.TimeoutError) as error:
            text, ours = str(error) or type(error).__name__, hindrance.of(error)
            raise Unreached(False, text, _has_heard(link), _told_by_network(error), ours)
        except Unreached as unreached:
            unfinished = _unfinished(link, str(unreached))
            if unfinished is not None:
                raise unfinished
            if link is None or not link.held:
                raise
            # Out of time, and the meter has not even been asked.
            text = "%s: the modem takes no frame" % unreached
            busy = hindrance.Hindrance("modem-busy", text)
            raise Unreached(False, text, _has_heard(link), hindrance=busy)
        finally:
            if link is not None:
                self._sent += link.sent
                self._octets += link.octets
                self._heard += link.heard
                self._hops = link.hops or self._hops
                await link.close()

    async def _once_more(self, step: Callable[[], Awaitable[T]]) -> T:
        """step(), and again where the meter wants a higher invocation counter, and says which."""
        try:
            return await step()
        except ServiceRefused as refused:
            if refused.counter is None:
                raise
            serial, counter = self._meter.serial, refused.counter
            log.warning(WHERE, "%s refuses our invocation counter, it names %d" % (serial, counter))
            try:
                self._reach.counters.raise_to(serial, counter + 1, self._reach.clock.unix_time())
            except CounterError as error:
                raise SecurityFailed(str(error))
        return await step()

    def _client(self, link: Link, association: Association) -> Client:
        reach, (timeout_ms, tries) = self._reach, self._reach.patience[self.path[0]]
        # To the public client anybody may speak in the name of a meter that ciphers.
        proven = association.keys is not None or not self._access.ciphered
        return Client(
            link,
            reach.clock,
            reach.crypto,
            association,
            self._next_counter,
            timeout_ms,
            tries,
            window=self._model.window,
            on_notification=self._heard_unasked if proven else None,
            pause_ms=self._model.pause_ms,
        )

    def _heard_unasked(self, said: Any) -> None:
        if self._reach.heard is not None:
            self._reach.heard(self._meter.serial, said)

    def _next_counter(self) -> int:
        self._counter = self._reach.next_counter(self._meter.serial)
        return self._counter


def _told_by_network(error: Exception) -> str:
    if isinstance(error, PortClosed):
        return "port-closed"
    if isinstance(error, Unreachable):
        return "unreachable"
    if isinstance(error, Misbehaves):
        return "meter-protocol-error"
    return "bad-address" if isinstance(error, BadAddress) else ""


def _unfinished(link: Link | None, text: str) -> Unreached | None:
    """Where the meter has begun an answer, and not ended it in ten times the time for one: it is
    there."""
    if link is None or not link.coming:
        return None
    text += "; a part of an answer came, and never the rest"
    return Unreached(True, text, True, "meter-protocol-error")


def _has_heard(link: Link | None) -> bool:
    return link is not None and link.heard > 0


def _may_be_the_counter(error: DlmsError) -> bool:
    """A meter that finds our counter too low may say so without telling its own, or just refuse."""
    if isinstance(error, ServiceRefused):
        return error.counter is None and error.service == "invocation-counter-error"
    return (
        isinstance(error, AssociationRefused)
        and error.diagnostic == "authentication-failure"
        and not error.transient
    )
