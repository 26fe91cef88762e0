"""Energy by hour of meters, and the balance of what stands behind one transformer: what its
supervision meter has counted, less what the meters behind it have, is what was lost on the way.

An hour of a meter counts if there are valid rows at its beginning and its end (registers that count
up, value group D 8) or all rows within it (energy by period, D 29).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gateway.contract.rules import SERIAL
from tools.hes.orders.typed import OrderProblem, text_of
from tools.hes.store.readings import Readings
from tools.hes.store.records import Series
from tools.hes.validation.row import INVALID, Column, Row, Shape

HOUR = 3600
IMPORT, EXPORT = 1, 2  # value group C: active power from and to the network
TOTAL, BY_PERIOD = 8, 29  # value group D
WH = 30  # the unit


@dataclass(frozen=True)
class Transformer:
    """`supervisor` "": there is none. `meters` None: all of the concentrator but supervisors."""

    name: str
    supervisor: str
    meters: list[str] | None


@dataclass
class Balance:
    """One hour from unix time `start`: what the supervision meter says (None: nothing), what the
    meters do, in Wh; how many of them have told, of how many.
    """

    start: int
    supervised: float | None
    metered: float = 0.0
    told: int = 0
    meters: int = 0
    silent: list[str] = field(default_factory=list)

    @property
    def lost(self) -> float | None:
        return None if self.supervised is None else self.supervised - self.metered

    @property
    def percent(self) -> float | None:
        if self.lost is None or not self.supervised:
            return None
        return 100.0 * self.lost / self.supervised


def read_transformers(path: Path) -> list[Transformer]:
    """Of a file of lines {"transformer": NAME, "supervisor": SERIAL, "meters": [SERIAL, ...]}.
    OrderProblem names the line; OSError.
    """
    found = []
    for number, line in enumerate(text_of(path).splitlines(), 1):
        if not line.strip() or line.strip().startswith("#"):
            continue
        try:
            fields = json.loads(line)
            name, supervisor = fields["transformer"], fields.get("supervisor", "")
            meters = fields.get("meters")
            good = isinstance(name, str) and (supervisor == "" or SERIAL.fits(supervisor))
            good = good and (
                meters is None
                or (isinstance(meters, list) and all(SERIAL.fits(each) for each in meters))
            )
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            good = False
        if not good:
            raise OrderProblem(
                '%s:%d: expected {"transformer": NAME, "supervisor": SERIAL, "meters": [SERIAL,'
                " ...]}, the last for the meters behind it, if not all are" % (path, number)
            )
        found.append(Transformer(name, supervisor, meters))
    if not found:
        raise OrderProblem("%s: expected at least one transformer, found none" % path)
    return found


def balances(
    readings: Readings,
    concentrator: str,
    transformer: Transformer,
    supervisors: Iterable[str],
    start: int,
    end: int,
) -> list[Balance]:
    """Of each whole hour from `start` to before `end`."""
    by_serial: dict[str, list[Series]] = {}
    for each in readings.series(concentrator):
        by_serial.setdefault(each.serial, []).append(each)
    others = {*supervisors, transformer.supervisor}
    meters = transformer.meters
    if meters is None:
        meters = [serial for serial in by_serial if serial not in others]
    start -= start % HOUR
    hours = [Balance(at, None) for at in range(start, end - HOUR + 1, HOUR)]
    supervised = _net(readings, by_serial.get(transformer.supervisor, []), start, end)
    for hour in hours:
        hour.supervised = supervised.get(hour.start)
    for serial in meters:
        energy = _net(readings, by_serial.get(serial, []), start, end)
        for hour in hours:
            hour.meters += 1
            if hour.start in energy:
                hour.told += 1
                hour.metered += energy[hour.start]
            else:
                hour.silent.append(serial)
    return hours


def _net(readings: Readings, some: Sequence[Series], start: int, end: int) -> dict[int, float]:
    """Wh from the network by hour, less what went back."""
    best: dict[int, float] = {}
    for each in some:
        shape = readings.shape(each.layout)
        if not 0 < shape.period <= HOUR or HOUR % shape.period:
            continue
        rows = list(readings.rows(each.id, start, end + HOUR))
        imported = by_hour(rows, IMPORT)
        exported = by_hour(rows, EXPORT)
        for hour, energy in imported.items():
            best.setdefault(hour, energy - exported.get(hour, 0.0))
    return best


def by_hour(rows: Sequence[tuple[Shape, Row]], group_c: int) -> dict[int, float]:
    """Wh of each whole hour that is told completely."""
    levels: dict[int, float] = {}
    parts: dict[int, list[float]] = {}
    wanted = 0
    for shape, row in rows:
        if row.validity == INVALID:
            continue
        for column, value in zip(shape.columns, row.values, strict=True):
            if type(value) not in (int, float) or not _is_energy(column, group_c):
                continue
            energy = float(value) * 10.0 ** (column.scaler or 0)
            if column.obis[3] == TOTAL:
                levels[row.time] = energy
            else:  # a row tells of the period that ends with it
                wanted = HOUR // shape.period
                parts.setdefault((row.time - 1) // HOUR * HOUR, []).append(energy)
    found = {
        time: levels[time + HOUR] - level
        for time, level in levels.items()
        if time % HOUR == 0 and time + HOUR in levels and levels[time + HOUR] >= level
    }
    for hour, energies in parts.items():
        if len(energies) == wanted:
            found.setdefault(hour, sum(energies))
    return found


def _is_energy(column: Column, group_c: int) -> bool:
    obis = column.obis
    return (
        column.attribute == 2
        and column.unit in (WH, None)
        and (obis[0], obis[2], obis[4]) == (1, group_c, 0)
        and obis[3] in (TOTAL, BY_PERIOD)
    )
