"""One request on its way and its answer coming in, in general blocks (Green Book 9.3.5) where
there are any: what was lost on the path is asked for, or sent, again."""

from __future__ import annotations

from gateway.dlms.apdu import gbt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.ports import Link


class Transfer:
    """`outgoing`: the request `raw` in blocks, None where it goes as it is. `window`: how many
    blocks the meter may send at once; `limit`: the largest answer in bytes; `tries`: how often
    something is sent again without progress. `progress` grows with every block that is new to
    either side."""

    def __init__(
        self,
        link: Link,
        raw: bytes,
        outgoing: gbt.Outgoing | None,
        window: int,
        limit: int,
        tries: int,
    ) -> None:
        self._link = link
        self._raw = raw
        self.cut = outgoing is not None  # the request goes in general blocks
        self._outgoing = outgoing
        self._window = window
        self._limit = limit
        self._tries = tries
        self._incoming: gbt.Incoming | None = None
        self._first = b""  # block 1 of what comes in
        self._acked = 0  # blocks of ours that the meter has
        self._most_acked = 0
        self._theirs = 0  # the number of their last acknowledgement
        self._sent = 0  # the highest block of ours sent
        self._their_window = 1  # known from their first block on
        self._acks = 0  # acknowledgements sent: blocks have numbers even when they are empty
        self._stalled = 0  # times something was sent again without progress since
        self.progress = 0
        self.blocks = False  # general blocks have come

    async def send(self) -> None:
        if self._outgoing is None:
            await self._link.send(self._raw)
        else:
            await self._send_window()

    async def send_unconfirmed(self) -> None:
        """All at once; in blocks that stream, with window 0: nobody acknowledges them."""
        if self._outgoing is None:
            await self._link.send(self._raw)
            return
        for block in self._outgoing.window(0, self._outgoing.count, 0, 0):
            await self._link.send(block.encode())

    async def again(self) -> bool:
        """Nothing came in time: repeat what makes the meter say where it stands. False when there
        are no blocks, or it has been tried often enough."""
        if self._outgoing is None and not self._first:
            return False
        if not self._may_repeat():
            return False
        if self._incoming is not None:
            await self._acknowledge()
        elif self._outgoing is not None:
            # The last block makes the meter tell what it has. Where it keeps silent even then, it
            # may have nothing, and an acknowledgement of an earlier transfer has misled us.
            after = self._sent - 1 if self._stalled % 2 else 0
            if after == 0:
                self._acked = 0
            for block in self._outgoing.window(after, 1, self._window, self._theirs):
                await self._link.send(block.encode())
        return True

    async def take(self, block: gbt.GeneralBlock) -> bytes | None:
        """A block has come: answer it as is due. The whole APDU once it is there."""
        self.blocks = True
        self._their_window = block.window or 1
        if self._outgoing is not None and self._acked < self._outgoing.count:
            if not self._acked <= block.ack <= self._sent:
                return None  # of an earlier transfer
            if block.data and block.ack < self._outgoing.count:
                return None  # no answer can come before all of the request is there
            self._acked = block.ack
            self._theirs = block.number
            if block.ack > self._most_acked:
                self._most_acked = block.ack
                self._moved()
            elif not self._may_repeat():
                return None
            if self._acked < self._outgoing.count:
                await self._send_window()
                return None
        if not block.data:
            return None  # all of ours is there, and nothing of theirs yet
        return await self._collect(block)

    def forget(self) -> None:
        """What came in was of no use; the true answer may begin with any next block."""
        self._incoming = None
        self._first = b""

    async def _collect(self, block: gbt.GeneralBlock) -> bytes | None:
        if block.number == 1 and block.data != self._first:
            # Another block 1 than before: the one before was of an earlier transfer.
            self._incoming = gbt.Incoming(self._limit)
            self._first = block.data
        if self._incoming is None:
            # Blocks before block 1 are of an earlier transfer, or come again once it is asked for.
            self._incoming = None if block.streaming else gbt.Incoming(self._limit)
        elif self._first and self._incoming.take(block):
            self._moved()
        if self._incoming is None:
            return None
        whole = self._incoming.whole()
        if whole is None and not block.streaming:
            await self._acknowledge()
        return whole

    async def _acknowledge(self) -> None:
        """Empty block: what we have, and how much may come now (only what is missing of a gap)."""
        assert self._incoming is not None
        window = min(self._window, self._incoming.missing() or self._window)
        self._acks += 1
        number = (0 if self._outgoing is None else self._outgoing.count) + self._acks
        received = self._incoming.received
        await self._link.send(
            gbt.GeneralBlock(True, False, window, number & 0xFFFF, received, b"").encode()
        )

    async def _send_window(self) -> None:
        assert self._outgoing is not None
        following = self._outgoing.window(
            self._acked, self._their_window, self._window, self._theirs
        )
        for block in following:
            await self._link.send(block.encode())
            self._sent = max(self._sent, block.number)

    def _may_repeat(self) -> bool:
        self._stalled += 1
        return self._stalled < self._tries

    def _moved(self) -> None:
        self.progress += 1
        self._stalled = 0
