"""COSEM objects: attributes with a type and access rights, methods, and the meter that holds
them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gateway.dlms.data import axdr, obis
from tools.meter.kinds import NAME, Kind, Typed
from tools.meter.makes import POWER_DOWN, POWER_FAILURE, POWER_RETURN

if TYPE_CHECKING:
    from tools.meter.association import AssociationLN
    from tools.meter.events import Events

PUBLIC = 16  # client SAP of the public client (Green Book: reserved wrapper ports)
MANAGEMENT = 1  # client SAP of the management client
IMAGE_TRANSFER = 18
FLEET = 102  # client SAP of the pre-established client: images, by broadcast too


class Refused(Exception):
    """The meter's no, by its standard name (data-access-result or action-result)."""

    def __init__(self, result: str) -> None:
        super().__init__(result)
        self.result = result


@dataclass
class Attribute:
    """`value` holds it, or `get` computes it; `set` runs a write after the type is checked;
    neither: read only."""

    kind: Kind
    value: Typed | None = None
    get: Callable[[], Typed] | None = None
    set: Callable[[Typed], None] | None = None
    writable: bool = False
    public: bool = False
    secret: bool = False

    def read(self) -> Typed:
        if self.get is not None:
            return self.get()
        assert self.value is not None
        return self.value


@dataclass
class Method:
    kind: Kind
    run: Callable[[Typed], Typed | None]


class CosemObject:
    """One object of the meter. Subclasses declare their attributes and methods in `__init__`."""

    class_id = 0

    def __init__(self, meter: Meter, name: str) -> None:
        self.meter = meter
        self.name = name
        self.logical_name = obis.parse(name)
        self.attributes: dict[int, Attribute] = {}
        self.methods: dict[int, Method] = {}
        self.attribute(1, NAME, (axdr.OCTET_STRING, self.logical_name), public=True)

    def attribute(
        self,
        index: int,
        kind: Kind,
        value: Typed | None = None,
        *,
        get: Callable[[], Typed] | None = None,
        set: Callable[[Typed], None] | None = None,
        writable: bool = False,
        public: bool = False,
        secret: bool = False,
    ) -> None:
        """Declare an attribute. Given `set`, it is writable; `set` then says what a write does."""
        writable = writable or set is not None
        self.attributes[index] = Attribute(kind, value, get, set, writable, public, secret)

    def method(self, index: int, kind: Kind, run: Callable[[Typed], Typed | None]) -> None:
        self.methods[index] = Method(kind, run)

    def publish(self, *indexes: int) -> None:
        """Let the public client read these attributes."""
        for index in indexes:
            self.attributes[index].public = True

    def value(self, index: int) -> Typed:
        """The attribute as it is, whatever the rights."""
        return self.attributes[index].read()

    def captured(self, index: int, moment: int, ago: float, status: int) -> Typed:
        """The attribute as it was at `moment` of the meter's clock, `ago` seconds before now, for a
        row of a profile; `status`: what has happened since its last one. Most do not change."""
        return self.value(index)

    def put(self, index: int, typed: Typed) -> None:
        """Change the attribute from inside the meter: no rights, no type check, no effects."""
        attribute = self.attributes[index]
        attribute.value = typed
        attribute.get = None

    def read(self, index: int, client: int) -> Typed:
        """What `client` (a SAP) gets; Refused by data-access-result."""
        attribute = self.attributes.get(index)
        if attribute is None:
            raise Refused("object-undefined")
        if attribute.secret or not (attribute.public or self._serves(client)):
            raise Refused("read-write-denied")
        return attribute.read()

    def write(self, index: int, typed: Typed, client: int) -> None:
        """What `client` writes, checked for rights, then type; Refused by data-access-result."""
        attribute = self.attributes.get(index)
        if attribute is None:
            raise Refused("object-undefined")
        if client != MANAGEMENT or not attribute.writable:
            raise Refused("read-write-denied")
        if not attribute.kind.accepts(typed):
            raise Refused("type-unmatched")
        if attribute.set is not None:
            attribute.set(typed)
        else:
            attribute.value = typed

    def invoke(self, index: int, parameter: Typed, client: int) -> Typed | None:
        """Run a method; Refused by action-result."""
        method = self.methods.get(index)
        if method is None:
            raise Refused("object-undefined")
        if not self._serves(client):
            raise Refused("read-write-denied")
        if not method.kind.accepts(parameter):
            raise Refused("type-unmatched")
        return method.run(parameter)

    def _serves(self, client: int) -> bool:
        """Whether all of this object is open to the client."""
        return client == MANAGEMENT or (client == FLEET and self.class_id == IMAGE_TRANSFER)

    def tick(self, before: int, now: int) -> None:
        """The meter's clock moved from `before` to `now` (unix seconds)."""


class Marked(CosemObject):
    """One whose rows tell what has happened between them."""

    pending = 0


class WriteLog:
    """How often clients changed the meter: a count per service ("set", "action"), class, OBIS
    and index.

    Only what took effect is counted: refused requests and repeated answers are not.
    """

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, int, str, int]] = Counter()

    def add(self, service: str, class_id: int, name: str, index: int) -> None:
        self.counts[service, class_id, name, index] += 1

    def count(self, service: str, class_id: int, name: str, index: int) -> int:
        return self.counts[service, class_id, name, index]

    def as_json(self) -> list[dict[str, object]]:
        return [
            {"service": service, "class": class_id, "obis": name, "index": index, "count": count}
            for (service, class_id, name, index), count in sorted(self.counts.items())
        ]


@dataclass
class Faults:
    """What is wrong with a meter; all switchable while it runs."""

    dead: bool = False  # answers nothing
    refuse_write: tuple[int, str, int] | None = None  # class, OBIS, attribute: read-write-denied
    slow_ms: int = 0  # every answer comes this much later (a matter of the transport)
    wrong_counter: bool = False  # answers are ciphered with an old invocation counter
    lose_answers: int = 0  # so many of the next answers are lost, after the request took effect
    lose_blocks: int = 0  # of so many general blocks it sends next, every second is lost
    lose_received_blocks: int = 0  # so many of the next general blocks to it are lost on the way
    slow_verify_s: int = 0  # image_verify takes so many seconds; meanwhile: temporary-failure
    slow_activate_s: int = 0  # image_activate likewise
    verify_fails: bool = False  # whatever the image
    activate_fails: bool = False
    image_memory: int = 0  # bytes it has for an image; 0: enough
    no_broadcast: bool = False  # it takes unicast only
    # What it says of the blocks it has: "all", "none", "short" (half as many); and truly, but
    # "padded" to whole bytes and more, or "late" (nothing before the first).
    false_blocks: str = ""
    drop_block: int = -1  # this block of an image never sticks, though it is accepted
    erase_s: int = 0  # after image_transfer_initiate, blocks get so long temporary-failure
    lose_verify: int = 0  # so many of the next image_verify are lost on their way to it
    wants_counter: int = 0  # it wants the client's counter higher, by so much more each time
    flood: int = 0  # so many frames that nobody asked for go out with each answer
    busy: int = 0  # so many of the next associations are rejected-transient
    refuse_selectors: str = ""  # of profiles: "ranges", "entries", "both"
    hostile_rows: str = ""  # a buffer's rows are "shape", "times", "columns" or "endless" nonsense


@dataclass
class Meter:
    """The device: its objects, its clock, its faults. State advances only in `tick`, so it is
    repeatable."""

    serial: str
    model: str
    firmware: str
    assemble: Callable[[Meter], None]  # puts the objects in, as the factory does
    source: Callable[[], float] = time.time  # unix seconds; tests pass their own
    objects: dict[tuple[int, str], CosemObject] = field(default_factory=dict)
    log: WriteLog = field(default_factory=WriteLog)
    faults: Faults = field(default_factory=Faults)
    clock_offset: float = 0
    drift: float = 0.0  # seconds a day that its clock is too fast; see drift_by()
    powered: bool = True
    dark_s: float = 0.0  # seconds without power, outages that are over
    events: Events | None = None
    associations: dict[int, AssociationLN] = field(default_factory=dict)  # by client SAP

    def __post_init__(self) -> None:
        self.started = self._drifts_since = self._dark_since = self.source()
        self._ticked = self.now()
        self.assemble(self)

    def lose_state(self) -> None:
        """Back to what the factory made; firmware, keys, log and faults stay."""
        self.clock_offset = 0
        self.assemble(self)

    def now(self) -> int:
        """What the meter's clock shows, in unix seconds."""
        if self.drift:
            drifted = self.drift * (self.source() - self._drifts_since) / 86400
            return int(self.source() + self.clock_offset + drifted)
        return int(self.source()) + int(self.clock_offset)

    def drift_by(self, seconds: float) -> None:
        """From now on the clock gains so much a day."""
        if self.drift:
            self.clock_offset += self.drift * (self.source() - self._drifts_since) / 86400
        self.drift = seconds
        self._drifts_since = self.source()

    def happen(self, what: str, moment: int | None = None) -> None:
        """An event of makes.py, for its logs and alarms."""
        if self.events is not None:
            self.events.happen(what, moment)

    def mark(self, bits: int) -> None:
        """The next row of each profile has these in its status."""
        for each in self.objects.values():
            if isinstance(each, Marked):
                each.pending |= bits

    def lose_power(self) -> None:
        """From now on nothing is measured, captured or answered; the clock runs on."""
        if self.powered:
            self.tick()
            self.happen(POWER_FAILURE)
            self.powered = False
            self._dark_since = self.source()

    def get_power(self) -> None:
        if not self.powered:
            self.powered = True
            self.dark_s += self.source() - self._dark_since
            self._ticked = self.now()
            self.mark(POWER_DOWN)
            self.happen(POWER_RETURN)

    def supplied(self) -> float:
        """Seconds since the meter was switched on, without its outages."""
        dark = self.dark_s if self.powered else self.dark_s + self.source() - self._dark_since
        return self.elapsed() - dark

    def elapsed(self) -> float:
        """Seconds since the meter was switched on, whatever its clock is set to."""
        return self.source() - self.started

    def add(self, *objects: CosemObject) -> None:
        for each in objects:
            self.objects[each.class_id, each.name] = each

    def find(self, class_id: int, name: str) -> CosemObject:
        """Refused "object-undefined", or "object-class-inconsistent" when only the class is
        wrong."""
        found = self.objects.get((class_id, name))
        if found is not None:
            return found
        if any(known == name for _, known in self.objects):
            raise Refused("object-class-inconsistent")
        raise Refused("object-undefined")

    def read(self, class_id: int, name: str, index: int) -> Typed:
        """Look inside, whatever the rights: for tests and the control channel."""
        self.tick()
        return self.find(class_id, name).value(index)

    def tick(self) -> None:
        """Bring every object up to the present: captures, calendar activation, monitors."""
        if not self.powered:
            return
        now = self.now()
        before, self._ticked = self._ticked, now
        if now != before:
            for each in list(self.objects.values()):
                each.tick(before, now)
