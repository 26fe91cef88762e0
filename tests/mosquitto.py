"""A real Mosquitto, and a throw-away authority for its TLS."""

from __future__ import annotations

import datetime
import os
import pwd
import shlex
import signal
import socket
import subprocess
import time
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.conftest import find_free_port
from tools import programs


class Mosquitto:
    """A broker of our own on loopback, on a free port: for anyone, with the `settings` of its
    listener; may be stopped (without a goodbye) and started again.
    """

    def __init__(self, folder: Path, settings: str = "allow_anonymous true\n") -> None:
        self.port = find_free_port()
        self.url = "mqtt://127.0.0.1:%d" % self.port
        self.pid_file = folder / "mosquitto.pid"
        configuration = folder / "mosquitto.conf"
        configuration.write_text(
            f"pid_file {self.pid_file}\n"
            f"user {pwd.getpwuid(os.getuid()).pw_name}\n"
            "log_dest none\n"
            "persistence false\n"
            "max_queued_messages 0\n"
            f"listener {self.port} 127.0.0.1\n"
            f"{settings}"
        )
        self._command = [programs.need("mosquitto"), "-c", str(configuration), "-d"]

    def start(self) -> None:
        subprocess.run(self._command, check=True, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert time.monotonic() < deadline, "mosquitto does not listen"
                time.sleep(0.01)

    def start_command(self) -> str:
        """The same for a shell; the broker listens before the daemon's parent has ended."""
        return shlex.join(self._command)

    def stop(self) -> None:
        try:
            os.kill(int(self.pid_file.read_text()), signal.SIGKILL)
        except (FileNotFoundError, ProcessLookupError, ValueError):
            pass


class Broker(Mosquitto):
    """One that knows the user "board" only, and has a second listener with mutual TLS."""

    def __init__(self, folder: Path, certificates: Path) -> None:
        self.tls_port = find_free_port()
        passwords = folder / "passwords"
        passwords.write_text("board:open sesame\n")
        passwords.chmod(0o600)
        subprocess.run([programs.need("mosquitto_passwd"), "-U", str(passwords)], check=True)
        super().__init__(
            folder,
            "allow_anonymous false\n"
            f"password_file {passwords}\n"
            f"listener {self.tls_port} 127.0.0.1\n"
            f"cafile {certificates}/ca.pem\n"
            f"certfile {certificates}/server.pem\n"
            f"keyfile {certificates}/server.key.pem\n"
            "require_certificate true\n",
        )
        self.url = "mqtt://board:open%%20sesame@127.0.0.1:%d" % self.port


class Authority:
    """A certificate authority that lives as long as its folder."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._certify(name, self.key, None, None)
        self._write(name + ".pem", self.certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str, host: str | None = None) -> None:
        """Write NAME.pem and NAME.key.pem: of a server if `host` is given, else of a client."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._certify(name, key, self.key, host)
        self._write(name + ".pem", certificate.public_bytes(serialization.Encoding.PEM))
        self._write(
            name + ".key.pem",
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
        )

    def _certify(
        self,
        name: str,
        key: ec.EllipticCurvePrivateKey,
        issuer_key: ec.EllipticCurvePrivateKey | None,
        host: str | None,
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        is_authority = issuer_key is None
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        )
        if is_authority:
            usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
            builder = builder.add_extension(usage, critical=True)
        elif host is not None:
            names = x509.SubjectAlternativeName([x509.DNSName(host)])
            builder = builder.add_extension(names, critical=False)
            purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
            builder = builder.add_extension(purpose, critical=False)
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        builder = builder.add_extension(identifier, critical=False)
        signer = key if issuer_key is None else issuer_key
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
        builder = builder.add_extension(authority, critical=False)
        return builder.sign(signer, hashes.SHA256())

    def _write(self, name: str, data: bytes) -> None:
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_bytes(data)
