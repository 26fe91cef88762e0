"""A real PostgreSQL: a throw-away cluster on a socket in a folder of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg

from tools import programs

PATIENCE = 120  # seconds; a limit for a cluster that does not come up, not a pace


class Cluster:
    """The server refuses to run as root, so that it is then somebody else's."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="pg"))
        self._user = _somebody() if os.getuid() == 0 else None
        if self._user:
            shutil.chown(self.folder, self._user)
        self._data = self.folder / "data"
        self._server: subprocess.Popen[bytes] | None = None
        self._made = 0
        self._run("initdb", "-D", self._data, "-U", "hes", "-A", "trust", "-E", "UTF8", "--no-sync")
        self.start()

    def start(self) -> None:
        settings = ["listen_addresses=", "fsync=off", "unix_socket_directories=%s" % self.folder]
        command = [programs.need("postgres"), "-D", str(self._data)]
        self._server = subprocess.Popen(
            [*command, *(word for each in settings for word in ("-c", each))],
            cwd=self.folder,
            user=self._user,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self.ask("SELECT 1")
                return
            except psycopg.OperationalError:
                assert time.monotonic() < deadline, "PostgreSQL does not come up"
                time.sleep(0.05)

    def stop(self) -> None:
        """At once, without asking anybody."""
        if self._server is not None:
            self._server.send_signal(signal.SIGQUIT)
            self._server.wait(PATIENCE)
            self._server = None

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    def url(self, database: str) -> str:
        return "postgresql+psycopg://hes@/%s?host=%s" % (database, self.folder)

    def new(self) -> str:
        """The name of a new database, with nothing in it."""
        self._made += 1
        name = "hes_%d" % self._made
        self.ask("CREATE DATABASE %s" % name)
        return name

    def empty(self, database: str, tables: list[str]) -> None:
        """Much faster than a new one."""
        self.cut_off(database)
        self.ask("TRUNCATE %s RESTART IDENTITY" % ", ".join(tables), database)

    def cut_off(self, database: str) -> None:
        """Everybody who is connected to it."""
        this = "datname = '%s' AND pid <> pg_backend_pid()" % database
        self.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE " + this, database)

    def ask(self, query: str, database: str = "postgres") -> None:
        where = "host=%s user=hes dbname=%s" % (self.folder, database)
        with psycopg.connect(where, autocommit=True) as connection:
            connection.execute(query.encode())

    def _run(self, name: str, *arguments: str | Path) -> None:
        subprocess.run(
            [programs.need(name), *map(str, arguments)],
            cwd=self.folder,
            user=self._user,
            env=programs.surroundings(name),
            check=True,
            capture_output=True,
        )


def _somebody() -> str:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise AssertionError("PostgreSQL does not run as root, and there is no user postgres or nobody")
