"""From the command line's options to an associated client, and back to a closed line."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gateway.dlms.client.client import (
    HIGH_ECDSA,
    HIGH_GMAC,
    HIGH_MD5,
    HIGH_SHA1,
    HIGH_SHA256,
    LOW,
    NONE,
    Association,
    Client,
)
from gateway.dlms.errors import DlmsError, NoAnswer, ServiceRefused
from gateway.dlms.protection.keyring import Keys
from gateway.dlms.protection.policy import (
    AUTHENTICATED,
    AUTHENTICATED_ENCRYPTED,
    ENCRYPTED,
    Protection,
)
from gateway.dlms.protection.security_setup import invocation_counter
from gateway.dlms.protection.suites import SUITES
from hal.cpython.clock import SystemClock
from hal.cpython.crypto import SystemCrypto
from hal.ports import Crypto, Link, PortError
from tools.dlms import counter_file, key_files, place
from tools.dlms.counter_file import CounterFile, CounterProblem
from tools.dlms.failure import CallProblem, Failed, one_line
from tools.dlms.links import open_link
from tools.dlms.trace import TracedCrypto, TracedLink, Tracer
from tools.dlms.via import LocalKey, ViaLink

MANAGEMENT, PUBLIC = 1, 16  # client SAPs
# what a concentrator says of a meter that it does not reach (gateway/local/meters.py)
NO_WAY = ("operation-not-possible", "other-reason")
LONGEST_VALUE = 16 << 20  # bytes of one value put together from blocks
MECHANISMS = {
    "none": NONE,
    "low": LOW,
    "md5": HIGH_MD5,
    "sha1": HIGH_SHA1,
    "gmac": HIGH_GMAC,
    "sha256": HIGH_SHA256,
    "ecdsa": HIGH_ECDSA,
}
POLICIES = {
    "both": AUTHENTICATED_ENCRYPTED,
    "authenticated": AUTHENTICATED,
    "encrypted": ENCRYPTED,
}

_PASSWORD, _EK, _AK = "AMI_DLMS_PASSWORD", "AMI_DLMS_EK", "AMI_DLMS_AK"
_MASTER = "AMI_DLMS_MASTER"


class Settings:
    """What all commands share. CallProblem says which option is wrong. Where pushes are listened
    to, there are `keys` for them, and `ek_alone` where no authentication key is given."""

    keys: Keys
    ek_alone: bytes

    def __init__(self, options: argparse.Namespace) -> None:
        self.place = place.parse(options.url)
        self.json: bool = options.json
        self.timeout_ms = max(1, int(options.timeout * 1000))
        self.tries: int = options.tries
        self.pause_ms = int(options.pause * 1000)
        self.window: int = options.window
        self.clock = SystemClock()
        self.tracer = Tracer() if options.trace else None
        self.server: int = options.server
        self._counter_path: Path = options.counter_file or counter_file.default_path()
        self.counter: CounterFile | None = None
        self.read_counter: bytes | None = options.read_counter
        self.via: str | None = options.via
        self._local = self._local_key(options)
        secret = _password(options)
        listening: bool = getattr(options, "listen", False)  # to pushes, without an association
        ek, ak = _symmetric(options, listening)
        if self._local is not None and self.via is None:
            ek, ak = self._local.ek, self._local.ak  # it is the concentrator we speak to
        auth = options.auth or ("gmac" if ek else "low" if secret else "none")
        mechanism = MECHANISMS[auth]
        self.client: int = options.client or (PUBLIC if mechanism == NONE else MANAGEMENT)
        if listening:
            self.ek_alone = b"" if ak else ek
            self.keys = self._own_keys(options, ek if ak else b"", ak)
            self.association = Association(self.client, self.server)
            return
        keys = self._own_keys(options, ek, ak) if ek or auth in ("sha256", "ecdsa") else None
        try:
            self.association = Association(
                self.client,
                self.server,
                mechanism,
                secret,
                keys,
                options.max_pdu,
                _protection(options, keys),
            )
        except ValueError as error:
            raise CallProblem("--auth %s: %s" % (auth, error)) from None

    def _local_key(self, options: argparse.Namespace) -> LocalKey | None:
        path: Path | None = options.local_key
        if path is None:
            if self.via is not None:
                raise CallProblem("--via needs --local-key, the concentrator's")
            return None
        title = options.title or counter_file.own_title(self._counter_path)
        return LocalKey(path, title, self._counter_path)

    def _own_keys(self, options: argparse.Namespace, ek: bytes, ak: bytes) -> Keys:
        path = self._counter_path
        title = options.title or counter_file.own_title(path)
        curve = SUITES[options.suite].curve
        try:
            keys = Keys(
                title,
                ek,
                ak,
                options.suite,
                key_files.private(options.signing_key, curve),
                key_files.public(options.peer_signing, curve),
                key_files.private(options.agreement_key, curve),
                key_files.public(options.peer_agreement, curve),
                _key("--master", options.master or os.environ.get(_MASTER, "")),
            )
        except ValueError as error:
            raise CallProblem(str(error)) from None
        if ek:
            self.counter = CounterFile(path, title, ek)
            if options.counter is not None:
                self.counter.start_at(options.counter)
        return keys

    @property
    def crypto(self) -> Crypto:
        crypto: Crypto = SystemCrypto()
        return crypto if self.tracer is None else TracedCrypto(crypto, self.tracer)

    def next_counter(self) -> int:
        """An own invocation counter never used before with the key in use."""
        if self.counter is None:
            raise CounterProblem("there is no key, and so no counter")
        return self.counter.next()

    def go_on_with(self, fresh: Keys) -> None:
        """The meter has new keys: they have counters of their own."""
        self.counter = CounterFile(self._counter_path, fresh.system_title, fresh.ek)

    async def open(self, client_sap: int) -> Link:
        link = await open_link(
            self.place, client_sap, self.server, self.clock, self.timeout_ms, self.tries
        )
        if self.via is not None and self._local is not None:
            link = await ViaLink.open(
                link,
                self.via,
                client_sap,
                self._local,
                self.clock,
                SystemCrypto(),
                self.timeout_ms,
                self.tries,
            )
        return link if self.tracer is None else TracedLink(link, self.tracer)


def _protection(options: argparse.Namespace, keys: Keys | None) -> Protection | None:
    """None: what the association takes by itself."""
    given = (options.protection, options.policy, options.key_source)
    if given == (None, None, None) and not options.signed:
        return None
    form = options.protection or ("glo" if keys is not None and keys.ek else "plain")
    policy = POLICIES[options.policy or "both"]
    return Protection(form, policy, options.key_source or "identified", options.signed)


# ---------------------------------------------------------------- secrets


def _password(options: argparse.Namespace) -> bytes:
    """Text, or octets as 0x and hex digits."""
    if options.password_file is not None:
        text = _read(options.password_file).rstrip("\r\n")
    else:
        text = options.password or os.environ.get(_PASSWORD, "")
    if text.lower().startswith("0x"):
        try:
            return bytes.fromhex(text[2:])
        except ValueError:
            raise CallProblem("the password starts with 0x: pairs of hex digits expected") from None
    return str(text).encode()


def _symmetric(options: argparse.Namespace, alone: bool) -> tuple[bytes, bytes]:
    """ek and ak; b"" and b"" where none are given. `alone`: ek will do without ak."""
    if options.keys is not None:
        if options.ek or options.ak:
            raise CallProblem("--keys, or --ek and --ak: not both")
        if not options.serial:
            raise CallProblem("--keys needs --serial, the meter whose keys to take")
        return _keys_of(options.keys, options.serial)
    ek = _key("--ek", options.ek or os.environ.get(_EK, ""))
    ak = _key("--ak", options.ak or os.environ.get(_AK, ""))
    if bool(ek) != bool(ak) and not (alone and ek):
        raise CallProblem("--ek and --ak (or %s and %s) go together" % (_EK, _AK))
    return ek, ak


def _keys_of(path: Path, serial: str) -> tuple[bytes, bytes]:
    """From a line of keys.jsonl: {"serial": .., "ek": hex, "ak": hex}."""
    for number, line in enumerate(_read(path).splitlines(), 1):
        try:
            row = json.loads(line)
            if row["serial"] == serial:
                return _key("ek", row["ek"]), _key("ak", row["ak"])
        except (ValueError, KeyError, TypeError):
            raise CallProblem(
                '%s:%d: expected {"serial": .., "ek": hex, "ak": hex}' % (path, number)
            ) from None
    raise CallProblem("%s has no line for %s" % (path, serial))


def _key(name: str, text: str) -> bytes:
    if not text:
        return b""
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) not in (16, 32):
        raise CallProblem("%s: expected 32 hex digits (64 in suite 2)" % name)
    return key


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise CallProblem("%s: %s" % (path, getattr(error, "strerror", "not text"))) from None


# ---------------------------------------------------------------- conversation


@asynccontextmanager
async def conversation(
    settings: Settings, on_notification: Callable[[Any], None] | None = None
) -> AsyncIterator[Client]:
    """An associated client; released and closed afterwards, whatever happens."""
    if settings.read_counter is not None and settings.counter is not None:
        settings.counter.raise_to(await _counter_in_meter(settings) + 1)
    link = await settings.open(settings.client)
    try:
        client = Client(
            link,
            settings.clock,
            settings.crypto,
            settings.association,
            settings.next_counter,
            settings.timeout_ms,
            settings.tries,
            LONGEST_VALUE,
            settings.window,
            on_notification=on_notification,
            pause_ms=settings.pause_ms,
        )
        await _associate(client, settings)
        try:
            yield client
        except (DlmsError, Failed) as error:
            if not isinstance(error, NoAnswer):  # it still listens: let it go properly
                await client.release()
            raise
        await client.release()
    finally:
        await _close(link)


async def _associate(client: Client, settings: Settings) -> None:
    """Associate; when the meter wants a higher invocation counter, once more with one above what
    it names."""
    counter = settings.counter
    try:
        await client.associate()
    except ServiceRefused as refused:
        if settings.via is not None and refused.service in NO_WAY:
            raise Failed(
                "the concentrator, or %s itself: %s; the concentrator does not know this meter, has"
                " no path to it now (its log says which port is closed), or speaks to it itself"
                % (settings.via, one_line(refused).partition("; ")[0])
            ) from None
        if refused.counter is None or counter is None:
            raise
        counter.raise_to(refused.counter + 1)
        await client.associate()


async def _counter_in_meter(settings: Settings) -> int:
    """The invocation counter object of the meter, read by the public client without security."""
    name = settings.read_counter
    assert name is not None
    link = await settings.open(PUBLIC)
    try:
        association = Association(PUBLIC, settings.server)
        client = Client(
            link,
            settings.clock,
            settings.crypto,
            association,
            settings.next_counter,
            settings.timeout_ms,
            settings.tries,
            pause_ms=settings.pause_ms,
        )
        await client.associate()
        count = await invocation_counter(client, name)
        await client.release()
    except DlmsError as error:
        raise Failed("the meter's invocation counter: %s" % one_line(error)) from None
    finally:
        await _close(link)
    return count


async def _close(link: Link) -> None:
    try:
        await link.close()
    except (OSError, PortError, asyncio.TimeoutError):
        pass  # it is over either way
