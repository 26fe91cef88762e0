"""What the HES knows, in one database: packages, jobs, what each meter reported, where each
concentrator stands.

`ami-hes serve` and the other commands are separate processes that meet only here. Everything is
durable when a call returns. Who calls has a face of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from tools.hes.store.alarms import Alarms
from tools.hes.store.database import Database
from tools.hes.store.enrolment import Enrolment
from tools.hes.store.line import Line
from tools.hes.store.ordering import Orders
from tools.hes.store.readings import Readings
from tools.hes.store.reports import Reports
from tools.hes.store.security import Security
from tools.hes.store.street import Street
from tools.hes.store.trust import Trust


class Store:
    """`line` is for `serve`, `orders` for who orders, `reports` for who follows, `readings` for
    what was read, `alarms` for what meters raise, `street` for the view of meters, `trust` for
    trust and keys, `enrolment` for which board each concentrator is, `security` for who watches
    over security.
    """

    def __init__(self, where: Path | str, now: Callable[[], float] = time.time) -> None:
        """Opens the database, a file or a URL, made if absent. StoreProblem when it is not ours or
        cannot be opened.
        """
        database = Database(where, now)
        self.where = database.where
        self.line = Line(database)
        self.orders = Orders(database)
        self.reports = Reports(database)
        self.readings = Readings(database)
        self.alarms = Alarms(database)
        self.security = Security(database)
        self.street = Street(database)
        self.trust = Trust(database)
        self.enrolment = Enrolment(database)
        self.now = database.now
        self.close = database.close
