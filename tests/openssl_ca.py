"""A certificate authority by openssl's own command, as a utility may have one."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

from tools import programs

_CONFIGURATION = """\
[ca]
default_ca = here
[here]
dir = .
database = index.txt
serial = serial
new_certs_dir = .
certificate = ca.pem
private_key = ca.key.pem
default_md = sha256
policy = policy
unique_subject = no
[policy]
commonName = supplied
"""
PAST = ("20200101000000Z", "20210101000000Z")
NOW = ("20240101000000Z", "20450101000000Z")
FUTURE = ("20460101000000Z", "20470101000000Z")


class OpensslCa:
    """Files NAME.pem and NAME.key.pem in its folder; its own are ca.pem and ca.key.pem."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        (folder / "ca.cnf").write_text(_CONFIGURATION)
        (folder / "index.txt").touch()
        (folder / "serial").write_text("01\n")
        self._key("ca")
        self._run("req", "-new", "-key", "ca.key.pem", "-subj", "/CN=" + name, "-out", "ca.csr")
        extensions = "basicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=hash\n"
        self._sign("ca", extensions, (PAST[0], FUTURE[1]), "-selfsign")

    def issue(self, name: str, host: str = "", dates: tuple[str, str] = NOW) -> None:
        """Of a server if `host` is given, else of a client. The dates as openssl writes them."""
        self._key(name)
        key, request = name + ".key.pem", name + ".csr"
        self._run("req", "-new", "-key", key, "-subj", "/CN=" + name, "-out", request)
        self.sign(name, host, dates)

    def sign(self, name: str, host: str = "", dates: tuple[str, str] = NOW) -> None:
        """NAME.pem for NAME.csr."""
        extensions = "subjectAltName=DNS:%s\n" % host if host else "basicConstraints=CA:FALSE\n"
        self._sign(name, extensions, dates)

    def sign_command(self, name: str) -> str:
        """For a shell, what sign() does for a client."""
        (self.folder / (name + ".ext")).write_text("basicConstraints=CA:FALSE\n")
        command = [programs.need("openssl"), *_signing(name, NOW)]
        return "cd %s && %s 2>/dev/null" % (shlex.quote(str(self.folder)), shlex.join(command))

    def _sign(self, name: str, extensions: str, dates: tuple[str, str], *more: str) -> None:
        (self.folder / (name + ".ext")).write_text(extensions)
        self._run(*_signing(name, dates), *more)

    def _key(self, name: str) -> None:
        out = name + ".key.pem"
        self._run("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", out)
        (self.folder / out).chmod(0o600)

    def _run(self, *arguments: str) -> None:
        subprocess.run(
            [programs.need("openssl"), *arguments], cwd=self.folder, check=True, capture_output=True
        )


def _signing(name: str, dates: tuple[str, str]) -> list[str]:
    return [
        *("ca", "-batch", "-notext", "-config", "ca.cnf", "-extfile", name + ".ext"),
        *("-startdate", dates[0], "-enddate", dates[1]),
        *("-in", name + ".csr", "-out", name + ".pem"),
    ]
