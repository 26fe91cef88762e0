"""rekey: give the meter a new encryption and authentication key (class 64).

By transfer, wrapped with the master key, or by agreement (suites 1 and 2). The meter forgets the
old keys at once, so the new ones are in a file of their own before they go out, and take the old
ones' place in keys.jsonl when the meter has said that it took them. They are never shown.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from gateway.dlms.client.client import Client
from gateway.dlms.data import axdr
from gateway.dlms.errors import ActionRefused, DlmsError, ProtocolError
from gateway.dlms.protection import key_agreement
from gateway.dlms.protection import security_setup as keys
from gateway.dlms.protection.keyring import Keys
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
    async with conversation(settings) as client:
        if options.agree:
            fresh = await _agreed(client, settings, held)
            store.keep(fresh)
        else:
            fresh = await _transferred(client, settings, held, store)
        settings.go_on_with(fresh)
        store.replace(fresh)
        # under the new keys, or not at all
        await client.get(keys.SECURITY_SETUP, settings.model.security_setup, _SUITE)
    if settings.json:
        print_json({"serial": options.serial, "rekeyed": True})
    else:
        say("%s: new keys, proven; they are in %s" % (options.serial, options.keys))
    return DONE


async def _transferred(client: Client, settings: Settings, held: Keys, store: KeyStore) -> Keys:
    size = held.suite.key_size
    ek, ak = settings.crypto.random(size), settings.crypto.random(size)
    store.keep(held.replaced(ek, ak))
    fresh = [(keys.UNICAST, ek), (keys.AUTHENTICATION, ak)]
    try:
        return await keys.transfer(
            client, settings.crypto, held, fresh, settings.model.security_setup
        )
    except ActionRefused:
        store.forget()  # the meter keeps the old ones
        raise
    except (DlmsError, OSError) as error:
        raise Failed(
            "%s; whether the meter has taken the new keys is not known: they are in %s"
            % (one_line(error), store.pending)
        ) from None


async def _agreed(client: Client, settings: Settings, held: Keys) -> Keys:
    name = settings.model.security_setup
    title = await client.get(keys.SECURITY_SETUP, name, _SERVER_TITLE)
    typed = axdr.decode(title)
    if typed[0] != axdr.OCTET_STRING or len(typed[1]) != 8:
        raise ProtocolError("server_system_title: expected 8 octets")
    wanted = [keys.UNICAST, keys.AUTHENTICATION]
    return await key_agreement.agree(client, settings.crypto, held, wanted, bytes(typed[1]), name)


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
        row = {"serial": self._serial, "ek": fresh.ek.hex(), "ak": fresh.ak.hex()}
        _write(self.pending, json.dumps(row) + "\n")

    def forget(self) -> None:
        self.pending.unlink()

    def replace(self, fresh: Keys) -> None:
        """Put the new keys in the line; all other lines and fields stay. Nothing waits any more."""
        lines = []
        for line in self._path.read_text().splitlines():
            row = json.loads(line)
            if row["serial"] == self._serial:
                row["ek"], row["ak"] = fresh.ek.hex(), fresh.ak.hex()
                line = json.dumps(row)
            lines.append(line + "\n")
        part = self._path.with_name(self._path.name + ".part")
        part.unlink(missing_ok=True)
        _write(part, "".join(lines))
        os.replace(part, self._path)
        self.forget()


def _write(path: Path, text: str) -> None:
    """Durable, and for its owner only."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise Failed("%s: %s" % (path, error.strerror)) from None
