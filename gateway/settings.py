"""The gateway's own settings: one JSON text, checked as it is read.

{
  "concentrator": "santiago-0042",
  "zone": "CLT4CLST,M9.1.6/24,M4.1.6/24",
  "system_title": "414d490000000001",
  "uplink": {"host": "ami.example", "port": 8883, "keepalive_s": 60,
             "readings_kb_day": 0,
             "username": "santiago-0042", "password_file": "uplink.password",
             "ca": "ca.pem", "certificate": "client.pem", "key": "client.key", "enrol": false},
  "signers": [{"kid": "<hex>", "key": "<x||y, 128 hex digits>"}],
  "hes_keys": [{"kid": "<hex>", "key": "<x||y, 128 hex digits>"}],
  "plain": false,
  "board_key": "board.key",
  "modems": [{"kind": "plc", "driver": "prime-usi", "meters_at_once": 8,
              "url": "uart:plc?baud=115200"},
             {"driver": "udp", "kind": "plc", "group": "[ff03::1]:4059"}, {"driver": "ip"}],
  "local": {"url": "uart:optical", "mode_e": true, "baud": 9600, "key": "local.key"},
  "clocks": {"report_s": 10, "correct_s": 30, "refuse_s": 3600, "period_s": 900},
  "ntp": {"host": "192.0.2.1", "port": 123, "trusted": false},
  "paths": {"plc": {"timeout_ms": 6000, "tries": 4}},
  "attempt_s": 900,
  "storage": {"jobs": 64, "ledger_bytes": 4194304, "audit_bytes": 1048576,
              "readings_bytes": 4194304, "free_bytes": 262144},
  "workers": 25,
  "log_level": "info"
}

concentrator, system_title, uplink.host and signers must be there; everything else has a default. A
key nobody knows is an error, not ignored: a misspelt limit must not silently become the default.
Secrets stand in files, never here. The signers count until the first signed change of the trust
store. The keys of the HES are those of its line, with which the keys of each connection are made;
they count until a signed change brings the first one for the line, and sign nothing. With `plain`
there are none, and nothing on the line is encrypted or proven but the signed orders: for a broker
that is trusted. The board's key, 32 or 64 hex digits in a file that only its owner may read, wraps
the meters' keys; it is made if absent, and the HES needs a copy to send new keys. URLs of ports are
those of hal/rt/port_url.py. With `local` the board serves local access (gateway/local), to whoever
has the key in its file. `clocks` says what is done about meters' clocks
(gateway/contract/clock_policy.py). With `ntp` our own is corrected by that server too; an address
is better than a name, for looking up a name holds everything up on MicroPython.
The zone is a POSIX TZ text (gateway/contract/zone.py): tasks are due by local time.
"""

from __future__ import annotations

import json

from hal.ports import PortError
from hal.rt import port_url

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, Protocol

    class Option(Protocol):
        """A setting that some modem drivers have, with a default; `expected` in words."""

        name: str
        default: str
        expected: str

        def holds(self, value: object) -> bool: ...

    class Driver(Protocol):
        """What is to be known of a modem driver to read its settings."""

        @property
        def kinds(self) -> tuple[str, ...]: ...
        @property
        def has_line(self) -> bool: ...
        @property
        def meters_at_once(self) -> int: ...
        @property
        def options(self) -> Sequence[Option]: ...

    Drivers = Mapping[str, Driver]

MAX_TEXT = 65536
LOG_LEVELS = ("error", "warning", "info", "debug")

BAUDS = (300, 600, 1200, 2400, 4800, 9600, 19200)  # of IEC 62056-21, mode E
MOST_WORKERS = 64


class SettingsError(Exception):
    """A setting is wrong: the text says which, what was expected and what came."""


class UplinkSettings:
    """The MQTT broker.

    keepalive_s: a line that falls silent is given up within two and a half times as long.
    TLS when `ca` (a file) is given; `certificate` and `key` (files) for mutual authentication.
    readings_kb_day: so many kB of readings go up in a day; 0: as many as there are.
    enrol: make a key here and ask the HES for a certificate, and for another before it ends; then
    the two files, if any, are those to begin with.
    """

    __slots__ = (
        "ca",
        "certificate",
        "enrol",
        "host",
        "keepalive_s",
        "key",
        "password_file",
        "port",
        "readings_kb_day",
        "username",
    )

    def __init__(self, fields: _Fields) -> None:
        self.host = fields.text("host", 1, 255)
        self.username = fields.text_or_none("username", 255)
        self.password_file = fields.text_or_none("password_file", 255)
        self.ca = fields.text_or_none("ca", 255)
        self.certificate = fields.text_or_none("certificate", 255)
        self.key = fields.text_or_none("key", 255)
        self.enrol = fields.boolean("enrol", False)
        if self.enrol and self.ca is None:
            raise fields.error("ca", "a file, since certificates are asked for (enrol)", "nothing")
        self.port = fields.integer("port", 1, 65535, 1883 if self.ca is None else 8883)
        self.readings_kb_day = fields.integer("readings_kb_day", 0, 1 << 20, 0)
        self.keepalive_s = fields.integer("keepalive_s", 5, 3600, 60)
        if (self.certificate is None) != (self.key is None):
            raise fields.error("certificate", "certificate and key together", "only one of them")
        if self.certificate is not None and self.ca is None:
            raise fields.error("ca", "a file, since there is a certificate", "nothing")
        if self.password_file is not None and self.username is None:
            raise fields.error("username", "a name, since there is a password_file", "nothing")
        fields.done()


class StorageSettings:
    """How much of the flash is ours.

    jobs: how many the ledger holds at once. ledger_bytes: how large its journal may grow.
    audit_bytes, readings_bytes: how large the audit trail, and what was read, may grow.
    free_bytes: what is left free.
    """

    __slots__ = ("audit_bytes", "free_bytes", "jobs", "ledger_bytes", "readings_bytes")

    def __init__(self, fields: _Fields) -> None:
        self.jobs = fields.integer("jobs", 1, 1024, 64)
        self.ledger_bytes = fields.integer("ledger_bytes", 65536, 1 << 30, 4 << 20)
        self.audit_bytes = fields.integer("audit_bytes", 16384, 1 << 30, 1 << 20)
        self.readings_bytes = fields.integer("readings_bytes", 65536, 1 << 30, 4 << 20)
        self.free_bytes = fields.integer("free_bytes", 0, 1 << 30, 256 << 10)
        fields.done()


class ModemSettings:
    """One modem of the board.

    kind: "plc", "rf" or "ip". driver: one of those the board knows.
    url: of its line, see hal/rt/port_url.py; "" for drivers that stand on the system's network.
    meters_at_once: how many meters are served over it side by side.
    options: what its driver alone has, by name.
    """

    __slots__ = ("driver", "kind", "meters_at_once", "options", "url")

    def __init__(self, fields: _Fields, drivers: Drivers) -> None:
        self.driver = fields.one_of("driver", sorted(drivers))
        row = drivers[self.driver]
        only = row.kinds[0] if len(row.kinds) == 1 else _REQUIRED
        self.kind = fields.one_of("kind", list(row.kinds), only)
        self.url = fields.url("url") if row.has_line else ""
        self.options = {option.name: fields.option(option) for option in row.options}
        self.meters_at_once = fields.integer("meters_at_once", 1, 64, row.meters_at_once)
        fields.done()


class LocalSettings:
    """The board's optical or service port, for technicians.

    url: of its line, see hal/rt/port_url.py. mode_e: whether it begins with the opening of IEC
    62056-21, as optical probes do, then at most `baud`; else it is HDLC at the line's own speed.
    key: a file that only its owner may read, 64 hex digits, ek and ak of local access.
    """

    __slots__ = ("baud", "key", "mode_e", "url")

    def __init__(self, fields: _Fields) -> None:
        self.url = fields.url("url")
        self.mode_e = fields.boolean("mode_e", True)
        self.baud = fields.integer("baud", 300, 19200, 9600)
        if self.baud not in BAUDS:
            raise fields.error("baud", "one of %s" % (BAUDS,), "%d" % self.baud)
        self.key = fields.text("key", 1, 255, "local.key")
        fields.done()


class NtpSettings:
    """A server of NTP. trusted: it may set a clock that is unset, which else it may only correct,
    by an hour a day: NTP proves nothing (gateway/uplink/ntp.py)."""

    __slots__ = ("host", "port", "trusted")

    def __init__(self, fields: _Fields) -> None:
        self.host = fields.text("host", 1, 255)
        self.port = fields.integer("port", 1, 65535, 123)
        self.trusted = fields.boolean("trusted", False)
        fields.done()


def _clocks(fields: _Fields) -> tuple[int, int, int, int]:
    """The fields of a ClockPolicy (gateway/contract/clock_policy.py)."""
    found = (
        fields.integer("report_s", 0, 86400, 10),
        fields.integer("correct_s", 0, 86400, 30),
        fields.integer("refuse_s", 0, 86400, 3600),
        fields.integer("period_s", 1, 86400, 900),
    )
    if not found[0] <= found[1] <= found[2]:
        came = "%d, %d, %d" % found[:3]
        raise fields.error("correct_s", "report_s <= correct_s <= refuse_s", came)
    fields.done()
    return found


class PathSettings:
    """How patient a DLMS request is on one kind of path: timeout_ms for each try, tries in all."""

    __slots__ = ("timeout_ms", "tries")

    def __init__(self, fields: _Fields, timeout_ms: int, tries: int) -> None:
        self.timeout_ms = fields.integer("timeout_ms", 50, 600000, timeout_ms)
        self.tries = fields.integer("tries", 1, 20, tries)
        fields.done()


class Settings:
    """Everything, checked.

    signers, hes_keys: [(kid, x||y 64 bytes)]. plain: nothing on the line is encrypted.
    system_title: the client's own, 8 bytes. board_key: a file. paths: kind -> PathSettings.
    attempt_s: how long one attempt on a meter may take over all its paths; a path has its share of
    what is left. workers: how many executions are in hand at once; by default as many as all modems
    can serve side by side, and one more for a transfer to all. local: None when the board serves no
    local access. ntp: None when it asks no server for the time.
    """

    __slots__ = (
        "attempt_s",
        "board_key",
        "clocks",
        "concentrator",
        "hes_keys",
        "local",
        "log_level",
        "modems",
        "ntp",
        "paths",
        "plain",
        "signers",
        "storage",
        "system_title",
        "uplink",
        "workers",
        "zone",
    )

    def __init__(self, fields: _Fields, drivers: Drivers) -> None:
        self.concentrator = fields.identifier("concentrator", 32)
        self.zone = fields.text("zone", 1, 64, "UTC0")
        self.system_title = fields.hex("system_title", 8, 8)
        self.uplink = UplinkSettings(fields.object("uplink"))
        self.signers = fields.keys("signers", 1)
        self.hes_keys = fields.keys("hes_keys", 0)
        self.plain = fields.boolean("plain", False)
        if not self.plain and not self.hes_keys:
            raise fields.error("hes_keys", "the HES's key of the line, or plain: true", "nothing")
        for kid, key in self.hes_keys:
            if [one for one in self.signers if kid == one[0] or key == one[1]]:
                raise fields.error(
                    "hes_keys",
                    "a key for the line alone, made by `ami-package keygen` once more",
                    "key %s, which is among the signers too" % kid.hex(),
                )
        self.board_key = fields.text("board_key", 1, 255, "board.key")
        self.modems = [ModemSettings(modem, drivers) for modem in fields.objects("modems", 0, 8)]
        self.local = None
        if fields.has("local"):
            self.local = LocalSettings(fields.object("local"))
        self.ntp = NtpSettings(fields.object("ntp")) if fields.has("ntp") else None
        self.clocks = _clocks(fields.object("clocks"))
        self.storage = StorageSettings(fields.object("storage"))
        paths = fields.object("paths")
        # PRIME: an ARQ round takes a second a hop. RF: 250 bytes at 2.4 kbit/s take nearly one too.
        self.paths = {
            "plc": PathSettings(paths.object("plc"), 6000, 4),
            "rf": PathSettings(paths.object("rf"), 8000, 4),
            "ip": PathSettings(paths.object("ip"), 10000, 3),
        }
        paths.done()
        self.attempt_s = fields.integer("attempt_s", 30, 86400, 900)
        self.workers = fields.integer(
            "workers",
            1,
            MOST_WORKERS,
            min(1 + sum([modem.meters_at_once for modem in self.modems]), MOST_WORKERS),
        )
        self.log_level = fields.one_of("log_level", list(LOG_LEVELS), "info")
        fields.done()


def parse(text: str | bytes, drivers: Drivers) -> Settings:
    """Settings from JSON. drivers: of modems, by name (hal/modem/drivers.py). SettingsError and
    nothing else for whatever is wrong."""
    if len(text) > MAX_TEXT:
        raise SettingsError("settings: expected at most %d bytes, came %d" % (MAX_TEXT, len(text)))
    try:
        if isinstance(text, bytes):
            text = str(text, "utf-8")
        content = json.loads(text)
    except UnicodeError:
        raise SettingsError("settings: expected JSON in UTF-8, came other octets")
    except (ValueError, RuntimeError) as error:
        # RuntimeError: nested deeper than the parser goes.
        raise SettingsError("settings: expected JSON: %s" % error)
    if not isinstance(content, dict):
        raise SettingsError("settings: expected a JSON object, came %s" % _came(content))
    return Settings(_Fields("", content), drivers)


_REQUIRED = object()


class _Fields:
    """One JSON object being read: each key is asked for with what it may be.

    done() finds those nobody asked for.
    """

    def __init__(self, where: str, content: dict[str, Any]) -> None:
        self._where = where
        self._content = content
        self._asked: list[str] = []

    def error(self, key: str, expected: str, came: str) -> SettingsError:
        return SettingsError("%s%s: expected %s, came %s" % (self._where, key, expected, came))

    def done(self) -> None:
        for key in sorted(self._content):
            if key not in self._asked:
                raise SettingsError(
                    "%s%s: no such setting; there are %s"
                    % (self._where, key, ", ".join(sorted(self._asked)))
                )

    def has(self, key: str) -> bool:
        return key in self._content

    def url(self, key: str) -> str:
        """Of a byte port."""
        if not self.has(key):
            expected = port_url.EXPECTED
            raise SettingsError("%s%s: missing; expected %s" % (self._where, key, expected))
        value = self.text(key, 1, 255)
        try:
            port_url.parse(value)
        except PortError as error:
            raise SettingsError("%s%s: %s" % (self._where, key, error))
        return value

    def boolean(self, key: str, default: bool) -> bool:
        value = self._take(key, default)
        if value is not True and value is not False:
            raise self.error(key, "true or false", _came(value))
        return bool(value)

    def text(self, key: str, least: int, most: int, default: Any = _REQUIRED) -> str:
        value = self._take(key, default)
        if not isinstance(value, str) or not least <= len(value) <= most:
            raise self.error(key, "a text of %d to %d characters" % (least, most), _came(value))
        for character in value:
            if ord(character) < 32:
                raise self.error(key, "a text without control characters", _came(value))
        return value

    def text_or_none(self, key: str, most: int) -> str | None:
        if self._take(key, None) is None:
            return None
        return self.text(key, 1, most)

    def identifier(self, key: str, most: int) -> str:
        value = self._take(key, _REQUIRED)
        good = isinstance(value, str) and 1 <= len(value) <= most
        if not good or [c for c in value if c not in "abcdefghijklmnopqrstuvwxyz0123456789-"]:
            raise self.error(key, "1 to %d of a-z, 0-9 and -" % most, _came(value))
        return str(value)

    def integer(self, key: str, least: int, most: int, default: int) -> int:
        value = self._take(key, default)
        # type() and not isinstance(): a bool is an int in CPython.
        if type(value) is not int or not least <= value <= most:
            raise self.error(key, "an integer from %d to %d" % (least, most), _came(value))
        return value

    def one_of(self, key: str, choices: list[str], default: Any = _REQUIRED) -> str:
        value = self._take(key, default)
        if not isinstance(value, str) or value not in choices:
            raise self.error(key, " or ".join(choices), _came(value))
        return value

    def option(self, option: Option) -> str:
        """Of a driver."""
        value = self._take(option.name, option.default)
        if not option.holds(value):
            raise self.error(option.name, option.expected, _came(value))
        return str(value)

    def hex(self, key: str, least: int, most: int) -> bytes:
        value = self._take(key, _REQUIRED)
        good = isinstance(value, str) and len(value) % 2 == 0 and least <= len(value) // 2 <= most
        if not good or [c for c in value if c not in "0123456789abcdefABCDEF"]:
            count = "%d" % (2 * most) if least == most else "%d to %d" % (2 * least, 2 * most)
            raise self.error(key, count + " hex digits", _came(value))
        return bytes.fromhex(value)

    def keys(self, key: str, least: int) -> list[tuple[bytes, bytes]]:
        """Public keys of P-256 with their ids."""
        found = []
        for one in self.objects(key, least, 16):
            found.append((one.hex("kid", 1, 32), one.hex("key", 64, 64)))
            one.done()
        return found

    def object(self, key: str) -> _Fields:
        """An absent object is an empty one: its own keys have their own defaults."""
        value = self._take(key, None)
        if value is None:
            value = {}
        if not isinstance(value, dict):
            raise self.error(key, "an object", _came(value))
        return _Fields("%s%s." % (self._where, key), value)

    def objects(self, key: str, least: int, most: int) -> list[_Fields]:
        value = self._take(key, [] if least == 0 else _REQUIRED)
        if not isinstance(value, list) or not least <= len(value) <= most:
            raise self.error(key, "a list of %d to %d objects" % (least, most), _came(value))
        fields = []
        for number, element in enumerate(value):
            where = "%s[%d]" % (key, number)
            if not isinstance(element, dict):
                raise self.error(where, "an object", _came(element))
            fields.append(_Fields("%s%s." % (self._where, where), element))
        return fields

    def _take(self, key: str, default: Any) -> Any:
        if key not in self._asked:
            self._asked.append(key)
        if key in self._content:
            return self._content[key]
        if default is _REQUIRED:
            raise SettingsError("%s%s: missing" % (self._where, key))
        return default


def _came(value: Any) -> str:
    if isinstance(value, str):
        return repr(value) if len(value) <= 40 else "a text of %d characters" % len(value)
    if isinstance(value, list):
        return "a list of %d" % len(value)
    if isinstance(value, dict):
        return "an object"
    if value is None or value is True or value is False:
        return {None: "null", True: "true", False: "false"}[value]
    return "%r" % value
