"""Plays a recording's modem against a driver, on CPython and MicroPython: what the recording says
came in goes in, at its time, and what the driver makes of it comes out.

In: "line" (open, closed), "read" (hex) and "call"; out: "write" (hex) and "event". A call is
["send", address, client SAP, server SAP, APDU in hex], ["discover"], ["kick", address], ["get",
parameter], ["set", parameter, value in hex] or ["reset"]. An event is

    ["tx-done", handle, status]            ["joined", address]   ["left", address]   ["reset"]
    ["rx", address, server SAP, client SAP, APDU in hex, [RSSI, SNR, LQI, hops]]
    ["answer", token, value in hex or null, error]
    ["refused", kind of exception]         what a call raised

The driver is served as hal/modem/attached.py serves it. Nothing here but the recording's own time
passes, so the same recording gives the same outcome wherever it is played.
"""

from __future__ import annotations

import json

from hal.modem import drivers
from hal.modem.answer import Answer
from hal.ports import Joined, Left, ModemError, PortError, Rx, TxDone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hal.modem.attached import Driver, DriverEvent

    Row = dict[str, Any]

# Those that are sans-IO.
DRIVERS = tuple([name for name, row in drivers.DRIVERS.items() if row.has_line])
OUTCOME = ("write", "event")
READ, CALL, LINE, OPEN = "read", "call", "line", "open"


def make_driver(head: Row) -> Driver:
    """Of a recording's first line: "driver" as in the gateway's settings, and the options that it
    has there. ValueError."""
    name = head.get("driver")
    if name not in DRIVERS:
        raise ValueError("driver: expected one of %s, came %r" % (", ".join(DRIVERS), name))
    options = {}
    for option in drivers.DRIVERS[name].options:
        value = head.get(option.name, option.default)
        if not option.holds(value):
            raise ValueError(
                "%s: expected one of: %s, came %r" % (option.name, option.expected, value)
            )
        options[option.name] = value
    driver: Driver = drivers.DRIVERS[name].make(**options)
    return driver


def load(path: str) -> list[Row]:
    """The lines of a recording that is a test already."""
    with open(path) as file:
        return [json.loads(line) for line in file if line.strip()]


CALLS = ("send", "discover", "kick", "get", "set", "reset")


class Player:
    """`outcome`: [(at, "write" or "event", value)], as it happened."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self.outcome: list[tuple[int, str, Any]] = []
        self._now = 0
        self._open = False

    def play(self, rows: list[Row]) -> None:
        """All that is not an outcome; the times of the rows never go back. ValueError for a row
        that makes no sense."""
        for row in rows:
            if "at" not in row:
                continue
            for kind in (LINE, READ, CALL):
                if kind in row:
                    self.put(row["at"], kind, row[kind])

    def put(self, at: int, kind: str, value: Any) -> None:
        self.advance(at)
        if kind == LINE:
            self._open = value == OPEN
            if self._open:
                self.driver.start(at)
                self.driver.events()
        elif kind == READ:
            self.driver.feed(bytes.fromhex(value), at)
        else:
            self._call(value)
        if self._open:
            self._collect()
            self.driver.tick(at)
        self._collect()

    def advance(self, at: int) -> None:
        """Let the driver do what it does by itself until then."""
        while self._open and not self.driver.dead:
            due = self._now + self.driver.due_ms(self._now)
            if due >= at:
                break
            self._now = due
            self.driver.tick(due)
            self._collect()
        self._now = at

    def _call(self, call: list[Any]) -> None:
        driver, now = self.driver, self._now
        if call[0] not in CALLS:
            raise ValueError("call: no driver has %r" % call[0])
        try:
            if call[0] == "send":
                driver.send(call[1], bytes.fromhex(call[4]), call[2], call[3], now)
            elif call[0] == "discover":
                driver.discover(now)
            elif call[0] == "kick":
                driver.kick(call[1], now)
            elif call[0] == "get":
                driver.get(call[1], now)
            elif call[0] == "set":
                driver.set(call[1], bytes.fromhex(call[2]), now)
            else:
                driver.reset(now)
        except (ModemError, PortError, ValueError) as error:  # ValueError: not of this driver's
            self.outcome.append((now, "event", ["refused", type(error).__name__]))

    def _collect(self) -> None:
        written = self.driver.outgoing()
        if written:
            self.outcome.append((self._now, "write", written.hex()))
        for event in self.driver.events():
            self.outcome.append((self._now, "event", spelt(event)))


def spelt(event: DriverEvent) -> list[Any]:
    """An event as a recording has it."""
    if isinstance(event, TxDone):
        return ["tx-done", event.handle, event.status]
    if isinstance(event, Rx):
        quality = event.quality
        figures = [quality.rssi, quality.snr, quality.lqi, quality.hops]
        saps = [event.source_sap, event.destination_sap]
        return ["rx", event.address] + saps + [bytes(event.data).hex(), figures]
    if isinstance(event, Joined):
        return ["joined", event.address]
    if isinstance(event, Left):
        return ["left", event.address]
    if isinstance(event, Answer):
        value = None if event.value is None else event.value.hex()
        return ["answer", event.token, value, event.error]
    return ["reset"]


def expected(rows: list[Row]) -> list[tuple[int, str, Any]]:
    """The outcome that a test has written down."""
    found = []
    for row in rows:
        for kind in OUTCOME:
            if kind in row:
                found.append((row["at"], kind, row[kind]))
    return found


def replay(rows: list[Row]) -> tuple[list[tuple[int, str, Any]], list[tuple[int, str, Any]]]:
    """(what is written down, what happens now) of a recording that is a test. ValueError."""
    player = Player(make_driver(rows[0]))
    player.play(rows)
    return expected(rows), player.outcome


def first_difference(
    wanted: list[tuple[int, str, Any]], came: list[tuple[int, str, Any]]
) -> int | None:
    """Where two outcomes part; None when they are the same."""
    for place in range(max(len(wanted), len(came))):
        if place >= len(wanted) or place >= len(came) or wanted[place] != came[place]:
            return place
    return None
