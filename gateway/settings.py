"""The gateway's own settings: one JSON text, checked as it is read.

{
  "concentrator": "santiago-0042",
  "system_title": "414d490000000001",
  "uplink": {"host": "ami.example", "port": 8883, "keepalive_s": 60,
             "username": "santiago-0042", "password_file": "uplink.password",
             "ca": "ca.pem", "certificate": "client.pem", "key": "client.key"},
  "signers": [{"kid": "<hex>", "key": "<x||y, 128 hex digits>"}],
  "board_key": "board.key",
  "modems": [{"kind": "plc", "driver": "prime-usi", "meters_at_once": 8,
              "url": "uart:plc?baud=115200"},
             {"driver": "udp", "kind": "plc", "group": "[ff03::1]:4059"}, {"driver": "ip"}],
  "local": {"url": "uart:optical", "mode_e": true, "baud": 9600, "key": "local.key"},
  "paths": {"plc": {"timeout_ms": 6000, "tries": 4}},
  "attempt_s": 900,
  "storage": {"jobs": 64, "ledger_bytes": 4194304, "audit_bytes": 1048576, "free_bytes": 262144},
  "workers": 25,
  "log_level": "info"
}

concentrator, system_title, uplink.host and signers must be there; everything else has a default. A
key nobody knows is an error, not ignored: a misspelt limit must not silently become the default.
Secrets stand in files, never here. The signers count until the first signed change of the trust
store. The board's key, 32 or 64 hex digits in a file that only its owner may read, wraps the
meters' keys; it is made if absent, and the HES needs a copy to send new keys. URLs of ports are
those of hal/rt/port_url.py. With `local` the board serves local access (gateway/local), to whoever
has the key in its file.
"""

from __future__ import annotations

import json

from hal.ports import PortError
from hal.rt import port_url

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_TEXT = 65536
LOG_LEVELS = ("error", "warning", "info", "debug")

# driver: the kind of path it serves
DRIVERS = {
    "prime-usi": "plc",
    "dlms-o-tcp": "plc",
    "meters-and-more": "plc",
    "imst": "rf",
    "amber": "rf",
    "ip": "ip",
    "udp": "",
}
# UDP reaches G3-PLC meshes as well as Wi-SUN ones and meters on a LAN: its kind has to be said.
KINDS = ("plc", "rf", "ip")
BAUDS = (300, 600, 1200, 2400, 4800, 9600, 19200)  # of IEC 62056-21, mode E
# How many meters are served over it side by side, so that the medium has something to do while a
# meter thinks. More than that and answers queue on the medium for longer than a request waits:
# with PRIME at 21.4 kbit/s and meters that take 500 ms, 4 keep it busy for 73 % of the time, 6 for
# 94 %, 8 for 99 %; at 4.8 kbit/s 4 keep it busy for 99 %, and 8 make the job 20 % longer.
METERS_AT_ONCE = {"prime-usi": 8, "dlms-o-tcp": 8, "ip": 16}
FEW_AT_ONCE = 4  # of the other drivers
MOST_WORKERS = 64
WITHOUT_LINE = ("ip", "udp")  # drivers that stand on the system's network
# Drivers of wireless M-Bus modules, with the usual link mode; and all of them (EN 13757-4).
RADIO = {"imst": "N2", "amber": "S2"}
LINK_MODES = ("C2", "N2", "N2c", "S2", "T2")


class SettingsError(Exception):
    """A setting is wrong: the text says which, what was expected and what came."""


class UplinkSettings:
    """The MQTT broker.

    keepalive_s: a line that falls silent is given up within two and a half times as long.
    TLS when `ca` (a file) is given; `certificate` and `key` (files) for mutual authentication.
    """

    __slots__ = (
        "ca",
        "certificate",
        "host",
        "keepalive_s",
        "key",
        "password_file",
        "port",
        "username",
    )

    def __init__(self, fields: _Fields) -> None:
        self.host = fields.text("host", 1, 255)
        self.username = fields.text_or_none("username", 255)
        self.password_file = fields.text_or_none("password_file", 255)
        self.ca = fields.text_or_none("ca", 255)
        self.certificate = fields.text_or_none("certificate", 255)
        self.key = fields.text_or_none("key", 255)
        self.port = fields.integer("port", 1, 65535, 1883 if self.ca is None else 8883)
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
    audit_bytes: how large the audit trail may grow. free_bytes: what is left free.
    """

    __slots__ = ("audit_bytes", "free_bytes", "jobs", "ledger_bytes")

    def __init__(self, fields: _Fields) -> None:
        self.jobs = fields.integer("jobs", 1, 1024, 64)
        self.ledger_bytes = fields.integer("ledger_bytes", 65536, 1 << 30, 4 << 20)
        self.audit_bytes = fields.integer("audit_bytes", 16384, 1 << 30, 1 << 20)
        self.free_bytes = fields.integer("free_bytes", 0, 1 << 30, 256 << 10)
        fields.done()


class ModemSettings:
    """One modem of the board.

    kind: "plc", "rf" or "ip". driver: a key of DRIVERS.
    url: of its line, see hal/rt/port_url.py; "" for the drivers in WITHOUT_LINE.
    group: of driver "udp", the multicast group for broadcasts, "[v6]:port"; "": no broadcasts.
    link_mode: of the drivers in RADIO, what the module is commissioned for; its radio budget
    follows from it. "" for others.
    meters_at_once: how many meters are served over it side by side.
    """

    __slots__ = ("driver", "group", "kind", "link_mode", "meters_at_once", "url")

    def __init__(self, fields: _Fields) -> None:
        self.driver = fields.one_of("driver", sorted(DRIVERS))
        kind = DRIVERS[self.driver]
        if kind:
            self.kind = fields.one_of("kind", [kind], kind)
        else:
            self.kind = fields.one_of("kind", list(KINDS))
        self.url = ""
        if self.driver not in WITHOUT_LINE:
            self.url = fields.url("url")
        self.link_mode = ""
        if self.driver in RADIO:
            self.link_mode = fields.one_of("link_mode", list(LINK_MODES), RADIO[self.driver])
        self.group = ""
        if self.driver == "udp":
            self.group = fields.text("group", 0, 80, "")
            if self.group and not _is_group(self.group):
                raise fields.error("group", "an address like [ff03::1]:4059", repr(self.group))
        self.meters_at_once = fields.integer(
            "meters_at_once", 1, 64, METERS_AT_ONCE.get(self.driver, FEW_AT_ONCE)
        )
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


class PathSettings:
    """How patient a DLMS request is on one kind of path: timeout_ms for each try, tries in all."""

    __slots__ = ("timeout_ms", "tries")

    def __init__(self, fields: _Fields, timeout_ms: int, tries: int) -> None:
        self.timeout_ms = fields.integer("timeout_ms", 50, 600000, timeout_ms)
        self.tries = fields.integer("tries", 1, 20, tries)
        fields.done()


class Settings:
    """Everything, checked.

    signers: [(kid, x||y 64 bytes)]. system_title: the client's own, 8 bytes. board_key: a file.
    paths: kind -> PathSettings. attempt_s: how long one attempt on a meter may take over all its
    paths; a path has its share of what is left. workers: how many executions are in hand at once;
    by default as many as all modems can serve side by side, and one more for a transfer to all.
    local: None when the board serves no local access.
    """

    __slots__ = (
        "attempt_s",
        "board_key",
        "concentrator",
        "local",
        "log_level",
        "modems",
        "paths",
        "signers",
        "storage",
        "system_title",
        "uplink",
        "workers",
    )

    def __init__(self, fields: _Fields) -> None:
        self.concentrator = fields.identifier("concentrator", 32)
        self.system_title = fields.hex("system_title", 8, 8)
        self.uplink = UplinkSettings(fields.object("uplink"))
        self.signers = []
        for signer in fields.objects("signers", 1, 16):
            self.signers.append((signer.hex("kid", 1, 32), signer.hex("key", 64, 64)))
            signer.done()
        self.board_key = fields.text("board_key", 1, 255, "board.key")
        self.modems = [ModemSettings(modem) for modem in fields.objects("modems", 0, 8)]
        self.local = None
        if fields.has("local"):
            self.local = LocalSettings(fields.object("local"))
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


def parse(text: str | bytes) -> Settings:
    """Settings from JSON. SettingsError and nothing else for whatever is wrong."""
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
    return Settings(_Fields("", content))


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

    def hex(self, key: str, least: int, most: int) -> bytes:
        value = self._take(key, _REQUIRED)
        good = isinstance(value, str) and len(value) % 2 == 0 and least <= len(value) // 2 <= most
        if not good or [c for c in value if c not in "0123456789abcdefABCDEF"]:
            count = "%d" % (2 * most) if least == most else "%d to %d" % (2 * least, 2 * most)
            raise self.error(key, count + " hex digits", _came(value))
        return bytes.fromhex(value)

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


def _is_group(text: str) -> bool:
    """[IPv6 multicast]:port, or IPv4's 224.0.0.0/4."""
    host, _, port = text.rpartition(":")
    if not 0 < len(port) < 6 or not all("0" <= c <= "9" for c in port):
        return False
    if not 0 < int(port) < 65536:
        return False
    first = host.split(".")[0]
    return (host[:3].lower() == "[ff" and host[-1] == "]") or first in [
        "%d" % number for number in range(224, 240)
    ]
