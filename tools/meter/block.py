"""The meter's side of general block transfer: requests put together, responses cut, both windows.

The client learns the meter's window from the first block it gets; the meter streams as many blocks
as the client's last block allows. Nothing is sent unasked: a client that hears nothing repeats its
last block or acknowledgement, and is answered again.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.dlms.apdu.gbt import OVERHEAD, GeneralBlock, Incoming, Outgoing

MOST_COLLECTED = (1 << 16) + 64  # bytes of one request, protected


class BlockTransfer:
    """One association's. `limit` is the longest APDU the client takes, `window` how many blocks it
    may send at once."""

    def __init__(self, limit: int, window: int) -> None:
        self._size = limit - OVERHEAD
        self._window = window
        self._incoming: Incoming | None = None
        self._first = b""  # data of the request's first block, by which its repetition is known
        self._outgoing: Outgoing | None = None
        self._count = 0  # the highest block of the client's since the request was whole
        self._acks = 0

    def take(
        self, block: GeneralBlock, streaming: bool, answer: Callable[[bytes], bytes | None]
    ) -> list[GeneralBlock]:
        """What to send for one block of the client. `answer` carries out a whole request.
        `streaming` False: the carrier takes one block at a time. ProtocolError for blocks that
        cannot be one APDU."""
        most = max(block.window, 1) if streaming else 1
        if block.number == 1 and block.data and block.data != self._first:
            self._incoming = Incoming(MOST_COLLECTED)
            self._outgoing = None
            self._first = block.data
        if self._outgoing is not None:
            if not block.data:
                self._count = max(self._count, block.number)  # empty blocks count as received too
                return self._send(self._outgoing, block.ack, most)
            if block.last:  # once more: the client has not heard the answer
                return self._send(self._outgoing, 0, most)
            return []
        if not block.data:
            return []
        if self._incoming is not None:
            self._incoming.take(block)
            whole = self._incoming.whole()
            if whole is not None:
                count = self._incoming.received
                self._incoming = None
                return self._answered(answer(whole), count, most)
        if block.streaming or not block.window:
            return []
        received, window = 0, self._window
        if self._incoming is not None:
            received = self._incoming.received
            window = min(window, self._incoming.missing() or window)
        self._acks = self._acks + 1 & 0xFFFF
        return [GeneralBlock(False, False, window, self._acks, received, b"")]

    def _answered(self, response: bytes | None, count: int, most: int) -> list[GeneralBlock]:
        if not response:
            return []
        self._count = count
        self._outgoing = Outgoing(response, self._size)
        return self._send(self._outgoing, 0, most)

    def start(self, response: bytes) -> list[GeneralBlock]:
        """The first block of a long response to a request that came as it is: the client's window
        is not known yet."""
        self.forget()
        return self._answered(response, 0, 1)

    def forget(self) -> None:
        """The client has gone on to something else."""
        self._incoming = None
        self._outgoing = None
        self._first = b""

    def _send(self, outgoing: Outgoing, after: int, most: int) -> list[GeneralBlock]:
        if after >= outgoing.count:
            return []
        return outgoing.window(after, most, self._window, self._count)
