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

# of a package
MAX_STEPS = 256
MAX_CHECKS = 256
MAX_TARGETS = 64
MAX_PERMITS = 8
MAX_DATA = 65535  # octets of one A-XDR value

# of a message
MAX_MESSAGE = 128 * 1024 - 1  # octets: AWS IoT's limit is 128 KiB
MAX_SEALED = MAX_MESSAGE + 64  # octets of one that is sealed
MAX_CHUNK = 16384  # octets of package in one Chunk
REPORTS_SIZE = 16384  # octets of reports in one message, unless a single one is larger
MAX_JOBS_IN_HELLO = 4096

# of a report
MAX_DETAIL = 1024  # octets
MAX_VALUE = 96 * 1024  # octets, A-XDR, of all values of one meter
MAX_ALARM_BITS = 128  # of one alarm, which has at most a KiB
MAX_ALARM_DETAIL = 160  # octets
MAX_ALARM_DATA = 320  # octets
MAX_OUTAGE = 32  # serials in one report of an outage
OUTBOX_SIZE = 100000  # reports that wait for the HES, or may still come of the jobs accepted

# The highest invocation counter to begin with that is believed: behind it are numbers for years of
# conversations. A slip of the pen above it would use up the meter's keys at once.
MAX_COUNTER = 0xEFFFFFFF

MAX_TRUST_KEYS = 16  # in the trust store, and in one message
MAX_MODELS = 16  # that a concentrator keeps
MAX_KEYED = 1000  # meters in one message with keys: it stays below 128 KiB

MOST_JOBS = 16  # in one Progress, the most urgent ones
MOST_REASONS = 4  # of one job in Progress

MAX_PACKAGE = 256 * 1024  # octets of a package: the concentrator holds it in RAM
MAX_IMAGE = 1 << 24  # octets of an image
MAX_IMAGE_FILE = MAX_IMAGE + 16384  # with its manifest; it stays on the flash

MAX_READING = 8192  # octets of one record of readings, on the flash and on the line
READINGS_SIZE = 4096  # octets of them in one message, unless a single one is larger: on a slow line
# an alarm waits no longer than for one of these
