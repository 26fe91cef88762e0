"""How much may stand in a message: each limit that HES and concentrator agree on, once."""

from __future__ import annotations

MAX_TIME = 0xFFFFFFFF  # seconds since 1970 UTC

# of a job
MAX_METERS = 2000  # also in a concentrator's inventory
MAX_OBJECTS = 64
MAX_ATTEMPTS = 20
MAX_BACKOFF_S = 86400
MAX_SERIAL = 32  # characters
MAX_FILE = 1 << 26  # octets of whatever a job takes; each kind has its own limit below that

# of a report
MAX_VALUE = 96 * 1024  # octets, A-XDR, of all values of one meter

MAX_KEYED = 1000  # meters in one message with keys: it stays below 128 KiB

MOST_JOBS = 16  # in one Progress, the most urgent ones
MOST_REASONS = 4  # of one job in Progress

MAX_PACKAGE = 256 * 1024  # octets of a package: the concentrator holds it in RAM
MAX_IMAGE = 1 << 24  # octets of an image
MAX_IMAGE_FILE = MAX_IMAGE + 16384  # with its manifest; it stays on the flash
