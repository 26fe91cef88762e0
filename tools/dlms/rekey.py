"""rekey: give the meter a new encryption and authentication key (class 64).

By transfer, wrapped with the master key, or by agreement (suites 1 and 2). The meter forgets the
old keys at once, so the new ones are in a file of their own before they go out. Whatever the meter
answers, a new association shows which keys it holds: the new ones then take the old ones' place in
keys.jsonl, or are dropped. They are never shown.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from gateway.dlms.client.client import Client
from gateway.dlms.data import axdr
from gateway.dlms.errors import ActionRefused, DlmsError, NoAnswer, ProtocolError
from gateway.dlms.protection import key_agreement
from gateway.dlms.protection import security_setup as keys
from gateway.dlms.protection.keyring import Keys
from hal.ports import ModemError
from tools.dlms.failure import DONE, CallProblem, Failed, one_line
from tools.dlms.output import print_json, say
from tools.dlms.session import Settings, conversation

_SUITE, _SERVER_TITLE = 3, 5  # attributes of the security setup


async def rekey(options: argparse.Namespace, settings: Settings) -> int:
    held = settings.association.keys
    if options.keys is None or held is None:
        raise CallProblem("rekey changes a line of a file: give --keys and --serial")
    if not options.agree and not held.master:
        raise CallProblem("rekey by transfer needs --master; --agree does without")
    if options.agree and not (held.signing and held.peer_signing):
        raise CallProblem("rekey --agree needs --signing-key and --peer-signing, suite 1 or 2")
    store = KeyStore(options.keys, options.serial)
    store.check()
    change = Change(settings, held, store)
    await change.run(options.agree)
    held_now = await change.proven()
    if held_now is None:
        raise Failed(change.unproven())
    if held_now is held:
        store.forget()
        raise Failed(
            "%sthe meter takes its old keys in a new association: nothing has changed, try again"
            % change.lost
        )
    store.replace(held_now)
    if settings.json:
        print_json({"serial": options.serial, "rekeyed": True})
    else:
        say(
            "%s: %snew keys, proven in a new association; they are in %s"
            % (options.serial, change.lost, options.keys)
        )
    return DONE


class Change:
    """One change of a meter's keys, from `held`. `lost`: that the meter's answer did not come, in
    words, "" where it did."""

    def __init__(self, settings: Settings, held: Keys, store: KeyStore) -> None:
        self._settings = settings
        self._held = held
        self._store = store
        self._fresh: Keys | None = None  # None: they follow from an answer that is lost
        self._silent = False
        self.lost = ""

    async def run(self, agree: bool) -> None:
        """ActionRefused: the meter keeps the old keys. A lost answer is no error here."""
        async with conversation(self._settings) as client:
            title = await self._title(client) if agree else b""
            try:
                if agree:
                    await self._agree(client, title)
                else:
                    await self._transfer(client)
            except ActionRefused:
                self._store.forget()
                raise
            except (DlmsError, OSError) as error:
                self.lost = "the answer to the change is lost (%s); " % one_line(error)

    async def _transfer(self, client: Client) -> None:
        settings, held = self._settings, self._held
        size = held.suite.key_size
        ek, ak = settings.crypto.random(size), settings.crypto.random(size)
        self._fresh = held.replaced(ek, ak)
        self._store.keep(self._fresh)
        new = {keys.UNICAST: ek, keys.AUTHENTICATION: ak}
        fresh = [(key_id, new[key_id]) for key_id in self._order()]
        name = settings.model.security_setup
        await keys.transfer(client, settings.crypto, held, fresh, name)
        settings.use(self._fresh)

    async def _agree(self, client: Client, title: bytes) -> None:
        settings = self._settings
        wanted = self._order()
        name = settings.model.security_setup
        self._fresh = await key_agreement.agree(
            client, settings.crypto, self._held, wanted, title, name
        )
        self._store.keep(self._fresh)
        settings.use(self._fresh)

    def _order(self) -> list[int]:
        """As the model has it; what it does not name comes last."""
        named = [*self._settings.model.key_order, keys.AUTHENTICATION, keys.UNICAST]
        return [key for key in dict.fromkeys(named) if key in (keys.UNICAST, keys.AUTHENTICATION)]

    async def _title(self, client: Client) -> bytes:
        name = self._settings.model.security_setup
        typed = axdr.decode(await client.get(keys.SECURITY_SETUP, name, _SERVER_TITLE))
        if typed[0] != axdr.OCTET_STRING or len(typed[1]) != 8:
            raise ProtocolError("server_system_title: expected 8 octets")
        return bytes(typed[1])

    async def proven(self) -> Keys | None:
        """The keys, new or else old, that the meter takes in an association of their own; None: it
        takes none of them, or does not answer."""
        for candidate in (self._fresh, self._held):
            if candidate is None:
                continue
            self._settings.use(candidate)
            try:
                async with conversation(self._settings) as client:
                    name = self._settings.model.security_setup
                    await client.get(keys.SECURITY_SETUP, name, _SUITE)
                    return candidate
            except (NoAnswer, OSError, ModemError):
                self._silent = True
            except DlmsError:
                pass  # not with these
        return None

    def unproven(self) -> str:
        """What to tell when none are proven."""
        silence = "; it may only not have answered: try them later" if self._silent else ""
        if self._fresh is not None:
            return (
                "%sthe meter takes neither the new nor the old keys%s; the new ones are in %s"
                % (self.lost, silence, self._store.pending)
            )
        return (
            "%sthe meter takes the old keys no longer%s. If it has taken the ones that follow from"
            " that answer, nobody knows them and this client is locked out: another client of the"
            " meter, or its maker, has to set the keys" % (self.lost, silence)
        )


class KeyStore:
    """A meter's line in keys.jsonl, and the file beside it (`pending`) where its next keys wait
    until the meter has them."""

    def __init__(self, path: Path, serial: str) -> None:
        self._path = path
        self._serial = serial
        self.pending = path.with_name("%s.%s.new" % (path.name, serial))

    def check(self) -> None:
        """CallProblem when keys wait from an earlier change."""
        if self.pending.exists():
            raise CallProblem(
                "%s is there: keys of a change whose end is not known; find out which the meter"
                " takes, then remove the file" % self.pending
            )

    def keep(self, fresh: Keys) -> None:
        row = {"serial": self._serial} | _fields(fresh)
        _write(self.pending, json.dumps(row) + "\n")

    def forget(self) -> None:
        self.pending.unlink(missing_ok=True)

    def replace(self, fresh: Keys) -> None:
        """Put the new keys in the line; all other lines and fields stay. Nothing waits any more."""
        lines = []
        for line in self._path.read_text().splitlines():
            row = json.loads(line)
            if row["serial"] == self._serial:
                row.pop("counter", None)  # it was of the old keys
                line = json.dumps(row | _fields(fresh))
            lines.append(line + "\n")
        part = self._path.with_name(self._path.name + ".part")
        part.unlink(missing_ok=True)
        _write(part, "".join(lines))
        os.replace(part, self._path)
        self.forget()


def _fields(fresh: Keys) -> dict[str, Any]:
    suite = fresh.suite.number
    named: dict[str, Any] = {"suite": suite} if suite else {}
    return named | {"ek": fresh.ek.hex(), "ak": fresh.ak.hex()}


def _write(path: Path, text: str) -> None:
    """Durable, and for its owner only."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise Failed("%s: %s" % (path, error.strerror)) from None
