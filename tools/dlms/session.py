"""From the command line's options to an associated client, and back to a closed line."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from gateway.contract.model import OWN, Model
from gateway.contract.own_model import NO_RELEASE, RELEASE_UNHEARD
from gateway.contract.own_model import SN as MODEL_SN
from gateway.contract.refused import Refused
from gateway.dlms.client.client import (
    HIGH,
    HIGH_ECDSA,
    HIGH_GMAC,
    HIGH_MD5,
    HIGH_SHA1,
    HIGH_SHA256,
    LN,
    LOW,
    NONE,
    SN,
    Association,
    Client,
)
from gateway.dlms.errors import DlmsError, NoAnswer, ServiceRefused
from gateway.dlms.protection.hls import under_aes
from gateway.dlms.protection.keyring import Keys
from gateway.dlms.protection.policy import (
    AUTHENTICATED,
    AUTHENTICATED_ENCRYPTED,
    DIALECTS,
    ENCRYPTED,
    FORMS,
    GREEN_BOOK,
    Protection,
)
from gateway.dlms.protection.security_setup import invocation_counter
from gateway.dlms.protection.suites import SUITES
from hal.cpython.clock import SystemClock
from hal.cpython.crypto import SystemCrypto
from hal.ports import Crypto, Link, PortError
from tools.cosem.source import Problems
from tools.dlms import counter_file, key_files, place
from tools.dlms.counter_file import FIRST, CounterFile, CounterProblem
from tools.dlms.failure import CallProblem, Failed, one_line
from tools.dlms.given import Given, given
from tools.dlms.links import open_link
from tools.dlms.trace import TracedCrypto, TracedLink, Tracer
from tools.dlms.via import LocalKey, ViaLink
from tools.dlms.words import Words
from tools.package.model import file as model_file
from tools.package.model.file import ModelProblem
from tools.package.model.tables import ENGLISH, SPANISH, Tables

# what a concentrator says of a meter that it does not reach (gateway/local/meters.py)
NO_WAY = ("operation-not-possible", "other-reason")
LANGUAGES = (ENGLISH, SPANISH)
LONGEST_VALUE = 16 << 20  # bytes of one value put together from blocks
MECHANISMS = {
    "none": NONE,
    "low": LOW,
    "high": HIGH,
    "md5": HIGH_MD5,
    "sha1": HIGH_SHA1,
    "gmac": HIGH_GMAC,
    "sha256": HIGH_SHA256,
    "ecdsa": HIGH_ECDSA,
}
BY_SECRET = ("low", "high", "md5", "sha1", "sha256")
POLICIES = {
    "both": AUTHENTICATED_ENCRYPTED,
    "authenticated": AUTHENTICATED,
    "encrypted": ENCRYPTED,
}


class Settings:
    """What all commands share. CallProblem says which option is wrong. Where pushes are listened
    to, there are `keys` for them, and `ek_alone` where no authentication key is given."""

    keys: Keys
    ek_alone: bytes

    def __init__(self, options: argparse.Namespace) -> None:
        self.place = place.parse(options.url)
        self.model, tables = _model(options.model)
        self.words = Words(tables, options.language)
        self.json: bool = options.json
        self.timeout_ms = max(1, int(options.timeout * 1000))
        self.tries: int = options.tries
        self.pause_ms = int(options.pause * 1000) or self.model.pause_ms
        self.window: int = options.window or self.model.window
        self.clock = SystemClock()
        self.tracer = Tracer() if options.trace else None
        self.server: int = options.server or self.model.server_sap
        self._sn: bool = options.sn
        self._counter_path: Path = options.counter_file or counter_file.default_path()
        self.counter: CounterFile | None = None
        self.read_counter: bytes | None = options.read_counter
        if self.read_counter == b"":  # the option without an object
            self.read_counter = self._place_of_counter()
        self.via: str | None = options.via
        self._local = self._local_key(options)
        listening: bool = getattr(options, "listen", False)  # to pushes, without an association
        held = given(options, listening)
        if self._local is not None and self.via is None:
            held.ek, held.ak = self._local.ek, self._local.ak  # it is the concentrator we speak to
        auth: str = options.auth or self._authentication(options, held)
        mechanism = MECHANISMS[auth]
        if mechanism == HIGH and len(held.secret) > 32:
            raise CallProblem("--auth high: expected a secret of at most 32 bytes")
        public = mechanism == NONE and self.model.mechanism != NONE
        self.client: int = options.client or (self._public() if public else self.model.client_sap)
        if listening:
            if not held.ak:
                self.ek_alone, held.ek = held.ek, b""
            else:
                self.ek_alone = b""
            self.keys = self._own_keys(options, held)
            self.association = Association(self.client, self.server)
            return
        if auth in BY_SECRET and not held.secret:
            raise CallProblem(
                "authentication %s needs a password or secret: give --password, --password-file,"
                " or lls in the meter's line of --keys" % auth
            )
        keys = None
        if held.ek or auth in ("sha256", "ecdsa"):
            keys = self._own_keys(options, held)
        try:
            self.association = Association(
                self.client,
                self.server,
                mechanism,
                held.secret,
                keys,
                options.max_pdu or self.model.max_pdu,
                self._protection(options, keys, public),
                partial(under_aes, self.crypto),
                services=self.model.services,
                current=self.model.association,
                referencing=self.referencing,
            )
        except ValueError as error:
            raise CallProblem("--auth %s: %s" % (auth, error)) from None

    def _authentication(self, options: argparse.Namespace, held: Given) -> str:
        """What the secrets given are for, in a meter of the model."""
        if not held.ek and not held.secret:
            return "none"
        if options.model is None:
            return "gmac" if held.ek else "low"
        return next(word for word, number in MECHANISMS.items() if number == self.model.mechanism)

    @property
    def referencing(self) -> int:
        """By logical or by short names, as acse.py has it."""
        return SN if self._sn or self.model.referencing == MODEL_SN else LN

    def use_short_names(self) -> None:
        """The meter has shown that it knows no others."""
        self._sn = True
        self.association.referencing = SN

    def _public(self) -> int:
        if not self.model.public_sap:
            raise CallProblem(
                "meters of model %s have no public client: give keys, or --client" % self.model.name
            )
        return self.model.public_sap

    def _place_of_counter(self) -> bytes:
        if self.model.counter is None:
            raise CallProblem(
                "meters of model %s do not tell their invocation counter: give --counter"
                % self.model.name
            )
        return self.model.counter.obis

    def _protection(
        self, options: argparse.Namespace, keys: Keys | None, public: bool
    ) -> Protection | None:
        """None: what the association takes by itself."""
        given = (options.protection, options.policy, options.key_source, options.dialect)
        by_model = options.model is not None and not public
        if given == (None, None, None, None) and not options.signed and not by_model:
            return None
        form = "glo" if keys is not None and keys.ek else "plain"
        policy, dialect = AUTHENTICATED_ENCRYPTED, GREEN_BOOK
        if by_model:
            form, policy = FORMS[self.model.form], self.model.policy
            dialect = self.model.dialect
        return Protection(
            options.protection or form,
            POLICIES[options.policy] if options.policy else policy,
            options.key_source or "identified",
            options.signed,
            DIALECTS.index(options.dialect) if options.dialect else dialect,
        )

    def _local_key(self, options: argparse.Namespace) -> LocalKey | None:
        path: Path | None = options.local_key
        if path is None:
            if self.via is not None:
                raise CallProblem("--via needs --local-key, the concentrator's")
            return None
        title = options.title or counter_file.own_title(self._counter_path)
        return LocalKey(path, title, self._counter_path)

    def _own_keys(self, options: argparse.Namespace, held: Given) -> Keys:
        path = self._counter_path
        title = options.title or counter_file.own_title(path)
        curve = SUITES[held.suite].curve
        try:
            keys = Keys(
                title,
                held.ek,
                held.ak,
                held.suite,
                key_files.private(options.signing_key, curve),
                key_files.public(options.peer_signing, curve),
                key_files.private(options.agreement_key, curve),
                key_files.public(options.peer_agreement, curve),
                held.master,
            )
        except ValueError as error:
            raise CallProblem(str(error)) from None
        if held.ek or keys.signing:  # the transactions of what is only signed are numbered too
            self.counter = CounterFile(path, title, held.ek or keys.signing)
            least = held.counter or self.model.start
            if least > FIRST:
                self.counter.start_at(least)
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

    def use(self, keys: Keys) -> None:
        """From now on these keys, in new associations too; their counters are their own."""
        self.association.keys = keys
        self.counter = CounterFile(self._counter_path, keys.system_title, keys.ek)

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


def _model(named: str | None) -> tuple[Model, Tables | None]:
    """Of --model; as our own meters, without tables, where none is named."""
    if named is None:
        return Model(OWN, 1, ""), None
    try:
        compiled = model_file.find(named)
    except (ModelProblem, Problems, Refused) as error:
        raise CallProblem("--model: %s" % " ".join(str(error).split("\n"))) from None
    except OSError as error:
        raise CallProblem("--model: %s: %s" % (named, error.strerror)) from None
    return compiled.model, compiled.tables


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
                await _leave(client, settings)
            raise
        await _leave(client, settings)
    finally:
        await close_link(link)


async def _leave(client: Client, settings: Settings) -> None:
    """As the meter's model has it."""
    if settings.model.release == RELEASE_UNHEARD:
        await client.leave()
    elif settings.model.release != NO_RELEASE:
        await client.release()


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
    public = settings.model.public_sap
    if not public:
        raise Failed(
            "--read-counter: meters of model %s have no public client" % settings.model.name
        )
    link = await settings.open(public)
    try:
        association = Association(
            public,
            settings.server,
            services=settings.model.services,
            referencing=settings.referencing,
        )
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
        await _leave(client, settings)
    except DlmsError as error:
        raise Failed("the meter's invocation counter: %s" % one_line(error)) from None
    finally:
        await close_link(link)
    return count


async def close_link(link: Link) -> None:
    try:
        await link.close()
    except (OSError, PortError, asyncio.TimeoutError):
        pass  # it is over either way
