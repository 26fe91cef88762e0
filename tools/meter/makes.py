"""What meters of each make have of profiles, logs, events and alarms, as the models in
tools/package/models say. What a make has no code for is no event there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

# what can happen to a meter
POWER_FAILURE, POWER_RETURN = "power-failure", "power-return"
CLOCK_OLD, CLOCK_NEW, SUMMER_TIME = "clock-old", "clock-new", "summer-time"
CONFIGURED, PERIOD_CHANGED = "configured", "period-changed"
TERMINAL_OPENED, TERMINAL_CLOSED = "terminal-opened", "terminal-closed"
COVER_OPENED, COVER_CLOSED = "cover-opened", "cover-closed"
MAGNET, MAGNET_OVER = "magnet", "magnet-over"
DISCONNECTED, CONNECTED = "disconnected", "connected"
SESSION_BEGAN, SESSION_ENDED = "session-began", "session-ended"
ASSOCIATION_FAILED = "association-failed"
UNDERVOLTAGE, UNDERVOLTAGE_OVER = "undervoltage", "undervoltage-over"
OVERVOLTAGE, OVERVOLTAGE_OVER = "overvoltage", "overvoltage-over"
FIRMWARE_ACTIVATED, ALARMS_CLEARED, LOG_CLEARED = (
    "firmware-activated",
    "alarms-cleared",
    "log-cleared",
)

# bits of the profile status
CLOCK_INVALID, SUMMER, CLOCK_ADJUSTED, POWER_DOWN = 0x02, 0x08, 0x20, 0x80

STANDARD, FRAUD, SWITCH = "standard-log", "fraud-log", "disconnect-log"
SESSIONS, QUALITY = "communication-log", "power-quality-log"


@dataclass(frozen=True)
class Make:
    """`logs`: word -> OBIS of the log and of its last event's code. `events`: what -> log and code.
    `alarms`: what -> bit of alarm register 1. `status`: OBIS of the profile status, "" for none.
    `load`: of what the load profile is, OBIS codes of registers. `quality`: OBIS of a profile of
    the voltage, "" for none. `compressed`: rows leave out what is as in the row before."""

    name: str
    logs: Mapping[str, tuple[str, str]]
    events: Mapping[str, tuple[str, int]]
    alarms: Mapping[str, int] = field(default_factory=dict)
    descriptor: str = ""
    status: str = ""
    daily: str = "1.0.99.2.0.255"
    monthly: str = "0.0.98.1.0.255"
    quality: str = ""
    period: int = 900
    entries: int = 2976
    compressed: bool = False
    password: bytes = b""  # TEST KEY: authenticates by it alone


def _log(number: int) -> tuple[str, str]:
    return "0.0.99.98.%d.255" % number, "0.0.96.11.%d.255" % number


_LOGS = {STANDARD: _log(0), FRAUD: _log(1), SWITCH: _log(2)}
_COMMON = {
    POWER_FAILURE: (STANDARD, 1),
    POWER_RETURN: (STANDARD, 2),
    SUMMER_TIME: (STANDARD, 3),
    CLOCK_OLD: (STANDARD, 4),
    CLOCK_NEW: (STANDARD, 5),
    ALARMS_CLEARED: (STANDARD, 11),
    FIRMWARE_ACTIVATED: (STANDARD, 18),
    CONFIGURED: (STANDARD, 47),
    LOG_CLEARED: (STANDARD, 255),
    TERMINAL_OPENED: (FRAUD, 40),
    TERMINAL_CLOSED: (FRAUD, 41),
    MAGNET: (FRAUD, 42),
    MAGNET_OVER: (FRAUD, 43),
    COVER_OPENED: (FRAUD, 44),
    COVER_CLOSED: (FRAUD, 45),
    ASSOCIATION_FAILED: (FRAUD, 46),
}
_BY_SWITCH = {DISCONNECTED: (SWITCH, 62), CONNECTED: (SWITCH, 63)}
_DESCRIPTOR = "0.0.97.98.20.255"

AMI = Make(
    "ami",
    _LOGS,
    _COMMON | _BY_SWITCH,
    {OVERVOLTAGE: 4, UNDERVOLTAGE: 5, COVER_OPENED: 11},
    _DESCRIPTOR,
    period=3600,
    entries=960,
)
IDIS = Make(
    "idis",
    _LOGS | {"m-bus-log": _log(3), SESSIONS: _log(4), QUALITY: _log(5)},
    _COMMON | _BY_SWITCH | {SESSION_BEGAN: (SESSIONS, 26), SESSION_ENDED: (SESSIONS, 27)},
    {TERMINAL_OPENED: 13, COVER_OPENED: 13, MAGNET: 13},
    _DESCRIPTOR,
    "0.0.96.10.1.255",
)
SMR = Make(
    "smr",
    {
        STANDARD: _log(0),
        FRAUD: _log(1),
        "m-bus-log": _log(3),
        SESSIONS: _log(4),
        QUALITY: _log(5),
        "auxiliary-log": _log(6),
        "power-quality-extended-log": _log(7),
        "power-quality-thd-log": _log(8),
    },
    _COMMON | {UNDERVOLTAGE: (QUALITY, 77), OVERVOLTAGE: (QUALITY, 80)},
    {POWER_RETURN: 2, CONFIGURED: 4, TERMINAL_OPENED: 13, COVER_OPENED: 13, MAGNET: 13},
    "",
    "0.0.96.10.2.255",
    quality="1.0.99.1.1.255",
    compressed=True,
)
INDIA = Make(
    "india",
    {
        "voltage-log": _log(0),
        "current-log": _log(1),
        "power-log": _log(2),
        "transaction-log": _log(3),
        "other-log": _log(4),
        "non-rollover-log": _log(5),
        "control-log": _log(6),
    },
    {
        UNDERVOLTAGE: ("voltage-log", 9),
        UNDERVOLTAGE_OVER: ("voltage-log", 10),
        OVERVOLTAGE: ("voltage-log", 7),
        OVERVOLTAGE_OVER: ("voltage-log", 8),
        POWER_FAILURE: ("power-log", 101),
        POWER_RETURN: ("power-log", 102),
        CLOCK_NEW: ("transaction-log", 151),
        PERIOD_CHANGED: ("transaction-log", 153),
        FIRMWARE_ACTIVATED: ("transaction-log", 157),
        MAGNET: ("other-log", 201),
        MAGNET_OVER: ("other-log", 202),
        COVER_OPENED: ("non-rollover-log", 251),
        DISCONNECTED: ("control-log", 301),
        CONNECTED: ("control-log", 302),
    },
    monthly="1.0.98.1.0.255",
    period=1800,
    entries=1488,
)
SPAIN = Make(
    "spain",
    {
        STANDARD: _log(0),
        FRAUD: _log(1),
        SWITCH: _log(2),
        "contract-log": _log(3),
        "firmware-log": _log(4),
        QUALITY: _log(5),
        "demand-log": _log(6),
        SESSIONS: _log(7),
        "synchronisation-log": _log(8),
        "power-quality-ended-log": _log(9),
    },
    {
        POWER_FAILURE: (STANDARD, 3),
        POWER_RETURN: (STANDARD, 2),
        CONFIGURED: (STANDARD, 30),
        PERIOD_CHANGED: (STANDARD, 38),
        CLOCK_NEW: ("synchronisation-log", 98),
        SUMMER_TIME: ("synchronisation-log", 24),
        FIRMWARE_ACTIVATED: ("firmware-log", 97),
        TERMINAL_OPENED: (FRAUD, 7),
        TERMINAL_CLOSED: (FRAUD, 8),
        COVER_OPENED: (FRAUD, 1),
        COVER_CLOSED: (FRAUD, 2),
        MAGNET: (FRAUD, 3),
        MAGNET_OVER: (FRAUD, 4),
        ASSOCIATION_FAILED: (FRAUD, 6),
        DISCONNECTED: (SWITCH, 2),
        CONNECTED: (SWITCH, 3),
        UNDERVOLTAGE: (QUALITY, 2),
        OVERVOLTAGE: (QUALITY, 6),
        UNDERVOLTAGE_OVER: ("power-quality-ended-log", 14),
        OVERVOLTAGE_OVER: ("power-quality-ended-log", 18),
        SESSION_BEGAN: (SESSIONS, 1),
        SESSION_ENDED: (SESSIONS, 2),
    },
    daily="0.0.98.2.1.255",
    monthly="0.0.98.1.1.255",
    period=3600,
    entries=2208,
    password=b"00000002",
)
MAKES = {make.name: make for make in (AMI, IDIS, SMR, INDIA, SPAIN)}
