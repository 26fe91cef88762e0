"""The programs of other people that the tests start: the one table of them.

Each with the Debian package it comes from, and what it answers when it is well. Set-up installs by
this table (tools/bootstrap.py), the tests find programs by it alone, and run with a PATH that holds
nothing else (tests/conftest.py); so a program that is missing here is missing on every machine.

Standard library only, as tools/bootstrap.py.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

DEBIAN = "/usr/sbin:/usr/bin:/sbin:/bin"
LINKS = Path(__file__).resolve().parent.parent / ".cache" / "programs"
ADMINISTRATION = "/usr/local/sbin:/usr/sbin:/sbin"  # not on the PATH of everybody


class Program(NamedTuple):
    name: str
    package: str  # of Debian
    asked: tuple[str, ...]  # arguments that make it say who it is and end
    says: str  # part of that, in lower case
    skipped: str = ""  # the tests that are without it; "": there is no testing without it
    # Where it lies, if Debian does not mean it for the PATH; * is a version, of which the newest.
    folder: str = ""


HES_DATABASE = "the HES on PostgreSQL"
POSTGRESQL = "/usr/lib/postgresql/*/bin"

PROGRAMS = (
    Program("sh", "dash", ("-c", "echo well"), "well"),
    Program("cat", "coreutils", ("--version",), "cat"),
    Program("head", "coreutils", ("--version",), "head"),
    Program("sleep", "coreutils", ("--version",), "sleep"),
    Program("git", "git", ("--version",), "git version"),
    Program("openssl", "openssl", ("version",), "openssl"),
    Program("mosquitto", "mosquitto", ("-h",), "mosquitto version 2"),
    Program("mosquitto_passwd", "mosquitto", (), "password files"),
    Program("mosquitto_pub", "mosquitto-clients", ("--help",), "mosquitto_pub version 2"),
    Program("mosquitto_sub", "mosquitto-clients", ("--help",), "mosquitto_sub version 2"),
    # Debian's command of this name changes to a user of its own; this one does not.
    Program(
        "rabbitmq-server",
        "rabbitmq-server",
        ("-version",),
        "emulator version",
        "what goes over RabbitMQ",
        "/usr/lib/rabbitmq/bin",
    ),
    Program("epmd", "erlang-base", ("-help",), "usage: epmd", "what goes over RabbitMQ"),
    Program("nats-server", "nats-server", ("--version",), "v2.", "what goes over NATS"),
    Program(
        "initdb", "postgresql", ("--version",), "initdb (postgresql)", HES_DATABASE, POSTGRESQL
    ),
    Program(
        "postgres", "postgresql", ("--version",), "postgres (postgresql)", HES_DATABASE, POSTGRESQL
    ),
    # With its driver for TLS by OpenSSL, which brings rsyslog itself.
    Program("rsyslogd", "rsyslog-openssl", ("-v",), "rsyslogd", "security events to a syslog"),
    Program("unshare", "util-linux", ("--version",), "util-linux", "meters behind IPv6 links"),
    Program("nsenter", "util-linux", ("--version",), "util-linux", "meters behind IPv6 links"),
    Program("ip", "iproute2", ("-V",), "iproute2", "meters behind IPv6 links"),
    Program(
        "systemd-analyze",
        "systemd",
        ("--version",),
        "systemd",
        "what systemd says of the gateway's unit",
    ),
    Program(
        "debootstrap",
        "debootstrap",
        ("--version",),
        "debootstrap",
        "set-up on a bare Debian, of --long",
        "/usr/sbin",
    ),
    Program("chroot", "coreutils", ("--version",), "chroot"),
    # Not as a package: tools/bootstrap.py unpacks Debian 13's next to our Python.
    Program("micropython", "", ("-c", "print('well')"), "well"),
)
BY_NAME = {program.name: program for program in PROGRAMS}


def find(name: str) -> str | None:
    """The path of a program of the table, next to our Python or on the machine; None: not here."""
    ours = str(Path(sys.prefix) / "bin")
    places = [ours, os.environ.get("PATH", ""), ADMINISTRATION]
    if BY_NAME[name].folder:
        there = Path("/").glob(BY_NAME[name].folder.lstrip("/"))
        places = [str(path) for path in sorted(there, key=_version, reverse=True)]
    return shutil.which(name, path=os.pathsep.join(places)) if places else None


def _version(folder: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", str(folder))]


def need(name: str) -> str:
    """The path of a program that is here once set-up has run."""
    path = find(name)
    assert path, f"no {name}: run ./tools/test once, it installs it or says what to do"
    return path


def why_not(name: str) -> str:
    """What to do for a program that is not here, for those who skip a test without it."""
    return f"no {name}; as root: apt-get install --no-install-recommends {BY_NAME[name].package}"


def missing() -> list[Program]:
    """What set-up has to install."""
    return [program for program in PROGRAMS if program.package and not find(program.name)]


def link() -> str:
    """A PATH of our Python's own commands and a folder of links to all of the table that is here.
    Processes side by side may do this at the same time.
    """
    LINKS.mkdir(parents=True, exist_ok=True)
    wanted = {}
    for program in PROGRAMS:
        path = find(program.name)
        if path and not program.folder and program.package:
            wanted[program.name] = path
    for name in os.listdir(LINKS):
        if name not in wanted:
            (LINKS / name).unlink(missing_ok=True)
    for name, path in wanted.items():
        if Path(path).parent != LINKS:
            new = LINKS.with_name(f"{LINKS.name}.{name}.{os.getpid()}")
            new.symlink_to(path)
            new.replace(LINKS / name)
    return os.pathsep.join([str(Path(sys.prefix) / "bin"), str(LINKS)])


def surroundings(name: str) -> dict[str, str]:
    """The environment to start it in. A script of Debian's starts Debian's commands."""
    return {**os.environ, "PATH": DEBIAN} if BY_NAME[name].folder else dict(os.environ)
