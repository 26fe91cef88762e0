"""The kinds of job: all that is true of a kind as such stands in its row, and nowhere else.

A job carries the number of its kind; whoever has to treat kinds differently asks the row for what
it wants to know. README.md says how to add one.
"""

from __future__ import annotations

from gateway.contract.limits import MAX_IMAGE_FILE, MAX_PACKAGE
from gateway.contract.purposes import ORDERS, SWITCH

CONFIGURE = 1
READ = 2
IMAGE = 3
COMPARE = 4
READINGS = 5
SUPPLY = 6

# what a kind takes
OBJECTS = 0  # no package: the job itself names attributes
PACKAGE = 1  # a package (package.py), held in RAM
IMAGE_FILE = 2  # an image file (image_file.py), read piece by piece

MOST_OCTETS = {OBJECTS: 0, PACKAGE: MAX_PACKAGE, IMAGE_FILE: MAX_IMAGE_FILE}


class Kind:
    """`module` and `function` of the activity that does it to one meter; the module is imported
    when the first job of the kind is carried out. `takes`: as above.

    exclusive      only the meters of one package at a time, and not in the breaks of another one
    broadcast      may be carried out on many meters at once
    activates      the job may say when its effect is to begin (Job.activation)
    compares       nothing is written; the values come back with what the package wants them to be
    ranged         the job says of what times (Job.span); what is read goes up as readings
    patience       an attempt has so many times the usual time
    purpose        what a key must be trusted for to sign such a job (trust_change.py)
    """

    __slots__ = (
        "activates",
        "broadcast",
        "compares",
        "exclusive",
        "function",
        "module",
        "name",
        "number",
        "patience",
        "purpose",
        "ranged",
        "takes",
    )

    def __init__(
        self,
        number: int,
        name: str,
        module: str,
        takes: int,
        function: str = "run",
        exclusive: bool = False,
        broadcast: bool = False,
        activates: bool = False,
        compares: bool = False,
        ranged: bool = False,
        patience: int = 1,
        purpose: int = ORDERS,
    ) -> None:
        self.number = number
        self.name = name
        self.module = module
        self.takes = takes
        self.function = function
        self.exclusive = exclusive
        self.broadcast = broadcast
        self.activates = activates
        self.compares = compares
        self.ranged = ranged
        self.patience = patience
        self.purpose = purpose


KINDS = (
    Kind(CONFIGURE, "configure", "gateway.activities.configure", PACKAGE),
    Kind(READ, "read", "gateway.activities.read", OBJECTS),
    Kind(
        IMAGE,
        "image",
        "gateway.activities.image.transfer",
        IMAGE_FILE,
        exclusive=True,
        broadcast=True,
        activates=True,
        patience=8,  # hundreds of kilobytes over a few kbit/s
    ),
    Kind(
        COMPARE,
        "compare",
        "gateway.activities.configure",
        PACKAGE,
        function="compare",
        compares=True,
    ),
    Kind(READINGS, "readings", "gateway.activities.asked", OBJECTS, ranged=True),
    Kind(SUPPLY, "supply", "gateway.activities.supply", OBJECTS, purpose=SWITCH),
)
BY_NUMBER = {kind.number: kind for kind in KINDS}
BY_NAME = {kind.name: kind for kind in KINDS}
