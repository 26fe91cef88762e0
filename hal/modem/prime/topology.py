"""How far PRIME nodes are and how they are heard, learned from the base node's network events.

A node hangs on a switch (SID), a switch on another, the last on the base node (SID 0): that gives
the hops. Alive messages are counted by both ends modulo 8; of those sent since the last event, the
share answered is the quality. Not in evidence: that the counters of an event are those on air (ALV
packets of PRIME 1.3), that RX counts the node's and TX the base node's.
"""

from __future__ import annotations

from hal.modem.prime.nodes import FIRST_RESERVED
from hal.ports import Quality

_UNKNOWN = 0xFF  # no SID and no LSID, as in the events
_BASE_NODE = 0
_DEEPEST = 64  # levels of switches


class Topology:
    """Three bytes a node, taken once."""

    def __init__(self) -> None:
        self._switch = bytearray(b"\xff" * FIRST_RESERVED)  # SID that a node hangs on
        self._counters = bytearray(b"\xff" * FIRST_RESERVED)  # RX << 3 | TX of the last alive event
        self._quality = bytearray(b"\xff" * FIRST_RESERVED)  # answered in percent
        self._parents = bytearray(b"\xff" * 256)  # SID that a switch hangs on

    def clear(self) -> None:
        for node in range(FIRST_RESERVED):
            self.forget(node)
        for switch in range(256):
            self._parents[switch] = _UNKNOWN

    def forget(self, node: int) -> None:
        self._switch[node] = self._counters[node] = self._quality[node] = _UNKNOWN

    def placed(self, node: int, sid: int) -> None:
        """An event says that the node hangs on switch `sid`."""
        self._switch[node] = sid

    def switched(self, lsid: int, sid: int | None) -> None:
        """A node became switch `lsid` below `sid`; None: it is a switch no more."""
        self._parents[lsid] = _UNKNOWN if sid is None else sid

    def alive(self, node: int, received: int, sent: int) -> None:
        """Counters of an alive event."""
        now = (received & 7) << 3 | sent & 7
        before = self._counters[node]
        self._counters[node] = now
        if before != _UNKNOWN:
            asked = (now - before) & 7
            answered = ((now >> 3) - (before >> 3)) & 7
            if asked:
                self._quality[node] = min(100, 100 * answered // asked)

    def quality(self, node: int) -> Quality:
        """What is known of the way to a node: hops, and lqi as the percentage of its alive messages
        that came through."""
        lqi = self._quality[node]
        return Quality(lqi=None if lqi == _UNKNOWN else lqi, hops=self._hops(node))

    def _hops(self, node: int) -> int | None:
        switch = self._switch[node]
        for hops in range(1, _DEEPEST):
            if switch == _BASE_NODE:
                return hops
            switch = self._parents[switch]
            if switch == _UNKNOWN:
                return None
        return None
