"""Finding the nodes of a Meters and More network, one step at a time, while nobody else has
anything to send.

A pass looks for nodes that can be heard directly, then has each node found look around itself. Who
answers such a look is polled over the way it was found: if it answers that too, the way is proven
and the node joined. The poll also lowers the node's threshold (TCT), so that it keeps silent while
others are looked for; at the end of the pass all are woken, for the next one. That follows at once
where somebody new was found, as behind him there may be nodes still silent from a pass that a
restart cut short. Between passes, nodes not heard for long are polled. A node that does not answer
any more is looked for directly and over others, a bounded number of times.

All requests are those of the concentrator example of Microchip's public stack; that a threshold of
1 silences, and 0 is refused, is how its meter side reads. Not in evidence: how many answers collide
in the time slots of a real network; groups of addresses are therefore asked one after the other
until none answers.
"""

from __future__ import annotations

from hal.modem.mam import frames

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.modem.mam.routes import Node, Routes, Via

WAKE, LOOK, POLL = range(3)

_ALL_ANSWER = b"\xff"  # thresholds
_SILENT = b"\x01"
_ASKED = 0x55  # who has a lower threshold keeps silent
_ANY_PHASE = 2
_SLOTS = 16
_GROUPS = 3  # as a power of two: groups of addresses asked in turn when all at once are silent
_LOOKS = 64  # from one place in one pass
_POLLS = 2  # of a node that was told of
_WAYS = 12  # tried for a node that is lost
_STALE_CHECK_MS = 10000
_MAX_TOLD = 256
_SHORT_ANSWER = 20  # bytes, as the example asks for
_LONG_ANSWER = 64


class Step:
    """One request of the search. `node`: who is polled or looks; None for the modem itself."""

    __slots__ = ("kind", "node", "request", "via")

    def __init__(self, kind: int, node: Node | None, via: Via) -> None:
        self.kind = kind
        self.node = node
        self.via = via
        self.request = b""


class Search:
    """`refresh_ms`: from the end of a pass to the next, and how long a node may keep silent."""

    def __init__(self, routes: Routes, refresh_ms: int) -> None:
        self._routes = routes
        self._refresh_ms = refresh_ms
        self._told: list[tuple[Node, Via, int]] = []  # to be polled: node, way, tries so far
        self._lost: list[Node] = []  # to be looked for
        self._sought: Node | None = None  # the one that is looked for now
        self._ways: list[Via] = []  # to it, not tried yet
        self._pass = 0
        self._passing = False
        self._to_wake: list[Node] = []  # at the end of the pass
        self._known = 0  # nodes in the table when the pass began
        self._place: Node | None = None  # who looks now, when not the modem
        self._direct = False  # the modem itself looks
        self._looks = 0
        self._group = -1  # -1: all at once
        self._answers = 0  # to looks since the last round of groups began
        self._next_pass = 0
        self._next_stale = 0
        self.gone: list[bytes] = []  # nodes given up since the last look at this

    def clear(self, now_ms: int) -> None:
        """Everything anew: the modem or its line was lost."""
        self._told = []
        self._lost = []
        self._sought = None
        self._passing = False
        self.gone = []
        self.begin(now_ms)

    def begin(self, now_ms: int) -> None:
        """Start a pass, unless one is under way; nodes lost before get another chance."""
        if self._passing:
            return
        self._pass += 1
        self._passing = True
        self._to_wake = []
        self._known = len(self._routes)
        self._place = None
        self._begin_place(direct=True)
        self._next_stale = now_ms + _STALE_CHECK_MS
        for node in self._routes.all():
            if not node.joined:
                self.seek(node)

    def told(self, address: bytes, via: Via) -> None:
        """A node was heard at the end of this way: poll it, and so let it be silent."""
        node = self._routes.told(address, via)
        if node is None or len(self._told) >= _MAX_TOLD:
            return
        best = node.best()
        if node.joined and best is not None:
            via = best.via
        if not any(entry[0] is node for entry in self._told):
            self._told.append((node, via, 0))

    def seek(self, node: Node) -> None:
        """Look for a way to this node."""
        if node is not self._sought and node not in self._lost:
            self._lost.append(node)

    def next(self, now_ms: int) -> Step | None:
        """What to do now; None: nothing for the time being."""
        if self._told:
            node, via, _ = self._told[0]
            return self._poll(node, via)
        step = self._seeking()
        if step is None and self._passing:
            step = self._looking(now_ms)
        if step is None and now_ms >= self.due_ms():
            step = self._checking(now_ms)
        return step

    def due_ms(self) -> int:
        """When next() has something to do, if nothing happens before."""
        if self._told or self._lost or self._sought is not None or self._passing:
            return 0
        return min(self._next_pass, self._next_stale)

    def answered(self, step: Step) -> None:
        """To a poll: the node is there. To a look: somebody was heard."""
        if step.kind == POLL:
            self._told = [entry for entry in self._told if entry[0] is not step.node]
            self._lost = [node for node in self._lost if node is not step.node]
            if self._sought is step.node:
                self._sought = None
        elif step.kind == LOOK:
            self._answers += 1

    def silent(self, step: Step) -> None:
        """Nobody answered a poll."""
        if step.kind != POLL or not self._told or self._told[0][0] is not step.node:
            return
        node, via, tries = self._told.pop(0)
        if tries + 1 < _POLLS:
            self._told.append((node, via, tries + 1))
        elif not node.joined:
            self.seek(node)

    # One step of each kind

    def _poll(self, node: Node, via: Via) -> Step:
        step = Step(POLL, node, via)
        step.request = frames.data_request(
            list(via) + [node.address],
            frames.REQUEST,
            frames.TCT_SET_REQUEST,
            frames.DSAP_MANAGEMENT,
            _SILENT,
            _SHORT_ANSWER,
        )
        return step

    def _seeking(self) -> Step | None:
        while self._sought is not None or self._lost:
            if self._sought is None:
                self._sought = self._lost.pop(0)
                self._ways = self._routes.ways(self._sought, _WAYS)
            node = self._sought
            if self._ways:
                return self._poll(node, self._ways.pop(0))
            self._sought = None
            if node.joined:
                self._routes.lost(node)
                self.gone.append(node.address)
        return None

    def _looking(self, now_ms: int) -> Step | None:
        while not self._to_wake:
            via = self._from()
            if via is not None and self._looks < _LOOKS:
                if self._direct and not self._looks:
                    self._looks = 1
                    return self._wake(None, ())
                if self._more():
                    return self._look(via)
            if self._place is not None:
                self._place.looked = self._pass
            self._place = self._unlooked()
            self._begin_place(direct=False)
            if self._place is None:
                self._to_wake = self._routes.joined()
                break
        return self._waking(now_ms)

    def _waking(self, now_ms: int) -> Step | None:
        while self._to_wake:
            node = self._to_wake.pop()
            best = node.best()
            if best is not None and len(best.via) < frames.MAX_REPEATERS:
                step = self._wake(node, best.via + (node.address,))
                self._end_pass(now_ms)
                return step
        self._end_pass(now_ms)
        return self._looking(now_ms) if self._passing else None

    def _end_pass(self, now_ms: int) -> None:
        if self._to_wake:
            return
        self._passing = False
        self._next_pass = now_ms + self._refresh_ms
        if len(self._routes) > self._known:
            self.begin(now_ms)

    def _begin_place(self, direct: bool) -> None:
        self._direct = direct
        self._looks = 0
        self._group = -1
        self._answers = 1

    def _from(self) -> Via | None:
        """The way to who looks, with its own address at the end; None: nobody can."""
        if self._direct:
            return ()
        best = None if self._place is None else self._place.best()
        if self._place is None or best is None or len(best.via) >= frames.MAX_REPEATERS:
            return None
        return best.via + (self._place.address,)

    def _more(self) -> bool:
        """Whether to look once more from here, and at which group."""
        if self._group >= 0:
            self._group += 1
            if self._group < 1 << _GROUPS:
                return True
            if not self._answers:
                return False
            self._group = 0
        elif not self._answers:
            # A node that looks around has enough time slots; the modem asks group by group.
            if not self._direct:
                return False
            self._group = 0
        self._answers = 0
        return True

    def _unlooked(self) -> Node | None:
        chosen = None
        for node in self._routes.joined():
            best = node.best()
            if node.looked == self._pass or best is None:
                continue
            if chosen is None or len(best.via) < chosen[0]:
                chosen = (len(best.via), node)
        return None if chosen is None else chosen[1]

    def _wake(self, node: Node | None, via: Via) -> Step:
        step = Step(WAKE, node, via)
        step.request = frames.data_request(
            list(via) + [frames.TO_ALL],
            frames.SEND,
            frames.TCT_SET_REQUEST,
            frames.DSAP_MANAGEMENT,
            _ALL_ANSWER,
            _SHORT_ANSWER,
        )
        return step

    def _look(self, via: Via) -> Step:
        self._looks += 1
        step = Step(LOOK, self._place, via)
        shift = 0 if self._group < 0 else _GROUPS
        step.request = frames.data_request(
            list(via) + [frames.TO_ALL],
            frames.REQUEST_MANY,
            frames.LOOK_REQUEST if via else frames.ADDRESS_REQUEST,
            frames.DSAP_MANAGEMENT,
            bytes((_ANY_PHASE, _ASKED, max(0, self._group), shift)),
            _LONG_ANSWER if via else 32,
            _SLOTS,
        )
        return step

    def _checking(self, now_ms: int) -> Step | None:
        """A poll of a node that was not heard for long, or the next pass."""
        if now_ms >= self._next_pass:
            self.begin(now_ms)
            return self.next(now_ms)
        for node in self._routes.joined():
            best = node.best()
            if best is not None and now_ms - node.heard >= self._refresh_ms:
                return self._poll(node, best.via)
        self._next_stale = now_ms + _STALE_CHECK_MS
        return None
