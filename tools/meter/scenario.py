"""Scenario files: who lives in a street, how bad its channels are, and what happens when.

    starts: 17:00                       # time of the day at the start; default 00:00
    population:
      meters: 50
      shares: {plc: 2, rf: 1, both: 1}  # of every few meters, so many are on which path; ip too
      makes: {ami: 1, idis: 1}          # of every few meters, so many are of which make
      trouble: {dead: 1}                # of all meters so many: dead, refuses-write, other-firmware
      late: {share: 7 %, within: 2h}    # of the PLC nodes: not registered at the start
      short-names:                      # of all meters so many know short names only (SN)
        meters: 2
        bases: {0.0.1.0.0.255: 0x2BC0}  # base names, by OBIS code; all others are assigned
    plc:                                # a channel; rf alike
      rate: 21400                       # bit/s
      overhead: 30                      # bytes a frame
      latency: 5ms                      # a hop
      hops: [50 %, 30 %, 20 %]          # of the nodes: 1, 2, 3 ... hops away
      bursts:                           # or loss: 2 %; a frame and hop
        good: {loss: 2 %, lasts: 60s-600s}
        bad: {loss: 40 %, lasts: 5s-60s}
      evening: {from: 18:00, to: 23:00, factor: 3}
    timeline:                           # times count from the start
      - {at: 26h, do: hang, modem: plc, for: 20m}
      - {at: 8h, every: 1d, do: leave, share: 2 %, for: 6h}

What can be done: `leave` (a share of the meters without a word, back after `for`), `reset` and
`hang` (a modem), `wrong-crc` and `lost-bytes` (on a modem's line, to a share of the frames, for a
while), `noise` (a share more of the frames is lost on a modem's channel, for a while). Whoever is
concerned follows from the seed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from gateway.dlms.data import obis
from hal.sim.channel import Bursts, Channel, Evening
from tools.cosem.source import Fields, Item, Problem, load
from tools.meter.makes import MAKES
from tools.meter.population import PLC, RF, Mix

LEAVE, RESET, HANG = "leave", "reset", "hang"
WRONG_CRC, LOST_BYTES, NOISE = "wrong-crc", "lost-bytes", "noise"
MODEMS = (PLC, RF)
# what needs which further fields, besides `at` and `every`
DOINGS: dict[str, tuple[str, ...]] = {
    LEAVE: ("share", "for"),
    RESET: ("modem",),
    HANG: ("modem", "for"),
    WRONG_CRC: ("modem", "share", "for"),
    LOST_BYTES: ("modem", "share", "for"),
    NOISE: ("modem", "share", "for"),
}
_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_MOST_METERS = 2000


@dataclass(frozen=True)
class Figures:
    """Of one channel, as hal/sim/channel.py has them. evening: (begins, ends, factor), in minutes
    of the day."""

    rate: int
    overhead: int
    latency_ms: int = 5
    hops: tuple[int, ...] = (100,)
    loss: float = 0.0
    bursts: Bursts | None = None
    evening: tuple[int, int, float] | None = None

    def channel(self, seed: int, midnight_ms: int = 0) -> Channel:
        """`midnight_ms`: when, in the channel's time, a day begins."""
        evening = Evening(*self.evening, midnight_ms) if self.evening else None
        return Channel(
            seed,
            self.loss,
            self.rate,
            self.overhead,
            self.latency_ms,
            self.hops,
            self.bursts,
            evening,
        )


PLC_FIGURES = Figures(21400, 30)
MAM_FIGURES = Figures(4800, 24, hops=(60, 40))  # Meters and More
RF_FIGURES = Figures(4800, 20)


@dataclass(frozen=True)
class Happening:
    """`share` 0..1; times in ms from the start, `every_ms` 0: once; `for_ms` 0: at once over."""

    at_ms: int
    doing: str
    modem: str = ""
    share: float = 0.0
    for_ms: int = 0
    every_ms: int = 0


@dataclass(frozen=True)
class Scenario:
    """late: the share 0..1 of PLC nodes that register only within so many ms."""

    meters: int = 24
    mix: Mix = field(default_factory=Mix)
    starts_ms: int = 0  # since midnight
    late: tuple[float, int] = (0.0, 0)
    plc: Figures = PLC_FIGURES
    rf: Figures = RF_FIGURES
    timeline: tuple[Happening, ...] = ()


def read_scenario(path: Path) -> Scenario:
    """tools.cosem.source.Problem (file, line, column) for what is wrong in it, OSError for the
    file."""
    return parse_scenario(load(path))


def parse_scenario(item: Item) -> Scenario:
    found = item.fields("a scenario", ["population"], ["starts", "plc", "rf", "timeline"])
    starts = found.get("starts")
    people = found["population"].fields(
        "the population", ["meters"], ["shares", "trouble", "late", "short-names", "makes"]
    )
    timeline = found.get("timeline")
    plc, rf = found.get(PLC), found.get(RF)
    return Scenario(
        _integer(people["meters"], "a number of meters", 1, _MOST_METERS),
        _mix(people),
        0 if starts is None else _time_of_day(starts) * 60_000,
        _late(people.get("late")),
        PLC_FIGURES if plc is None else _figures(plc, PLC_FIGURES),
        RF_FIGURES if rf is None else _figures(rf, RF_FIGURES),
        tuple(_happening(each) for each in timeline.items("a list of what happens"))
        if timeline is not None
        else (),
    )


def _mix(people: Fields) -> Mix:
    mix = Mix(dead=0, refuses_write=0, other_firmware=0)
    for name, known in (
        ("shares", ["plc", "rf", "both", "ip"]),
        ("trouble", ["dead", "refuses-write", "other-firmware"]),
    ):
        item = people.get(name)
        if item is None:
            continue
        fields = item.fields("the population's " + name, [], known)
        for key in known:
            value = fields.get(key)
            if name == "shares":
                setattr(mix, key, 0)
            if value is not None:
                setattr(mix, key.replace("-", "_"), _integer(value, "a number", 0, _MOST_METERS))
        if name == "shares" and not mix.plc + mix.rf + mix.both + mix.ip:
            raise item.problem("expected a share above 0 of plc, rf, both or ip, got none")
    makes = people.get("makes")
    if makes is not None:
        fields = makes.fields("makes", [], list(MAKES))
        for name in MAKES:
            share = fields.get(name)
            if share is not None:
                mix.makes[name] = _integer(share, "a share", 0, _MOST_METERS)
    short = people.get("short-names")
    if short is not None:
        fields = short.fields("short names", ["meters"], ["bases"])
        mix.short_names = _integer(fields["meters"], "a number of meters", 0, _MOST_METERS)
        bases = fields.get("bases")
        mix.bases = {} if bases is None else read_base_names(bases)
    return mix


def read_base_names(item: Item) -> dict[str, int]:
    """By OBIS code. Problem for what is none."""
    found = {}
    for name, base in item.pairs("base names by OBIS code"):
        try:
            code = obis.text(obis.parse(name.text("an OBIS code")))
        except ValueError:
            raise name.expected("an OBIS code such as 0.0.1.0.0.255") from None
        text = base.text("a base name")
        if not re.fullmatch(r"0[xX][0-9a-fA-F]{1,4}|\d{1,5}", text) or int(text, 0) > 0xFFFF:
            raise base.expected("a base name, 0 to 0xFFFF")
        found[code] = int(text, 0)
    return found


def _late(item: Item | None) -> tuple[float, int]:
    if item is None:
        return 0.0, 0
    fields = item.fields("late", ["share", "within"], [])
    return _share(fields["share"]), _duration(fields["within"])


def _figures(item: Item, default: Figures) -> Figures:
    fields = item.fields(
        "a channel",
        [],
        ["rate", "overhead", "latency", "hops", "loss", "bursts", "evening"],
    )
    rate, overhead, latency = fields.get("rate"), fields.get("overhead"), fields.get("latency")
    loss, bursts, evening = fields.get("loss"), fields.get("bursts"), fields.get("evening")
    if loss is not None and bursts is not None:
        raise loss.problem("expected loss or bursts, got both")
    return Figures(
        default.rate if rate is None else _integer(rate, "a rate in bit/s", 100, 10_000_000),
        default.overhead if overhead is None else _integer(overhead, "bytes", 0, 1000),
        default.latency_ms if latency is None else _duration(latency),
        _hops(fields.get("hops"), default.hops),
        default.loss if loss is None else _share(loss),
        None if bursts is None else _bursts(bursts),
        None if evening is None else _evening(evening),
    )


def _hops(item: Item | None, default: tuple[int, ...]) -> tuple[int, ...]:
    if item is None:
        return default
    shares = [_share(each) * 100 for each in item.items("a list of shares")]
    if not 1 <= len(shares) <= 8 or round(sum(shares)) != 100 or any(s % 1 for s in shares):
        raise item.problem("expected at most 8 whole percentages that add up to 100")
    return tuple(int(share) for share in shares)


def _bursts(item: Item) -> Bursts:
    fields = item.fields("bursts", ["good", "bad"], [])
    good_loss, good_ms = _spells(fields["good"])
    bad_loss, bad_ms = _spells(fields["bad"])
    return Bursts(good_loss, bad_loss, good_ms, bad_ms)


def _spells(item: Item) -> tuple[float, tuple[int, int]]:
    fields = item.fields("a state of the channel", ["loss", "lasts"], [])
    lasts = fields["lasts"]
    text = lasts.text("a range such as 5s-60s")
    low, _, high = text.partition("-")
    try:
        times = _milliseconds(low), _milliseconds(high or low)
    except ValueError:
        raise lasts.expected("a range such as 5s-60s") from None
    if not 0 < times[0] <= times[1]:
        raise lasts.expected("a range from the shorter to the longer, such as 5s-60s")
    return _share(fields["loss"]), times


def _evening(item: Item) -> tuple[int, int, float]:
    fields = item.fields("the evening", ["from", "to", "factor"], [])
    factor = fields["factor"]
    try:
        value = float(factor.text("a factor"))
    except ValueError:
        raise factor.expected("a factor such as 3") from None
    if not 0 <= value <= 100:
        raise factor.expected("a factor from 0 to 100")
    return _time_of_day(fields["from"]), _time_of_day(fields["to"]), value


def _happening(item: Item) -> Happening:
    everything = item.fields(
        "something that happens", ["at", "do"], ["every", "modem", "share", "for"]
    )
    doing = everything["do"].text("what is done")
    if doing not in DOINGS:
        raise everything["do"].expected("one of %s" % ", ".join(DOINGS))
    needs = DOINGS[doing]
    for name in ("modem", "share", "for"):
        given = everything.get(name)
        if name in needs and given is None:
            raise item.problem("expected '%s:' with %s, but it is missing" % (name, doing))
        if name not in needs and given is not None:
            raise given.problem("expected no '%s:' with %s, got one" % (name, doing))
    modem, share = everything.get("modem"), everything.get("share")
    lasts, every = everything.get("for"), everything.get("every")
    if modem is not None and modem.text("a modem") not in MODEMS:
        raise modem.expected("one of %s" % ", ".join(MODEMS))
    happening = Happening(
        _duration(everything["at"]),
        doing,
        "" if modem is None else modem.text("a modem"),
        0.0 if share is None else _share(share),
        0 if lasts is None else _duration(lasts),
        0 if every is None else _duration(every),
    )
    if every is not None and happening.every_ms < 1000:
        raise every.expected("at least 1s")
    return happening


def _integer(item: Item, what: str, least: int, most: int) -> int:
    text = item.text(what)
    if not re.fullmatch(r"\d{1,9}", text) or not least <= int(text) <= most:
        raise item.expected("%s, %d to %d" % (what, least, most))
    return int(text)


def _share(item: Item) -> float:
    """0..1 of "2 %"."""
    match = re.fullmatch(r"(\d{1,3}(?:\.\d{1,4})?)\s*%", item.text("a share such as 2 %"))
    if match is None or float(match[1]) > 100:
        raise item.expected("a share such as 2 %, at most 100 %")
    return float(match[1]) / 100


def _duration(item: Item) -> int:
    try:
        return _milliseconds(item.text("a duration such as 2d 6h"))
    except ValueError:
        raise item.expected("a duration such as 90s, 30m, 2d 6h or 5ms") from None


def _milliseconds(text: str) -> int:
    """Of "2d 6h"; ValueError."""
    parts = re.findall(r"(\d{1,9})\s*(ms|s|m|h|d)\s*", text)
    if "".join("%s%s" % part for part in parts) != re.sub(r"\s", "", text) or not parts:
        raise ValueError(text)
    return sum(int(number) * _UNITS[unit] for number, unit in parts)


def _time_of_day(item: Item) -> int:
    """Minutes after midnight."""
    match = re.fullmatch(r"(\d\d?):(\d\d)", item.text("a time of the day such as 18:00"))
    if match is None or int(match[1]) > 24 or int(match[2]) > 59:
        raise item.expected("a time of the day such as 18:00")
    return int(match[1]) * 60 + int(match[2])


__all__ = ["Figures", "Happening", "Problem", "Scenario", "parse_scenario", "read_scenario"]
