"""learn: look at a meter of an unknown make, and write a first model of it.

The public client comes first: who is there, which logical devices, which invocation counters. Then,
with keys or a password, the work's own client: the objects it sees, where the meter tells its
serial, type and firmware, the image object, the profiles and logs, and which of the shipped models
is nearest. Nothing is written to the meter, and no method is invoked but HLS's own.

What comes out is a YAML file for `ami-package model`, for a person to complete: after each value
stands whether it was seen or is a guess.
"""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable
from pathlib import Path

from gateway.dlms.client.client import NONE, SN, Association, Client
from gateway.dlms.data import obis
from gateway.dlms.errors import AssociationRefused, DlmsError, NoAnswer, ProtocolError
from tools.cosem.names import ATTRIBUTE, Member
from tools.dlms import failure, learned
from tools.dlms.failure import DONE, CallProblem, Failed, one_line
from tools.dlms.learned import Seen
from tools.dlms.members import read
from tools.dlms.objects import ASSOCIATION_LN, CURRENT, object_list, short_list
from tools.dlms.output import console, print_json, printable, write_file
from tools.dlms.session import LONGEST_VALUE, Settings, close_link, conversation

DATA, SAP_ASSIGNMENT, IMAGE_TRANSFER, SECURITY_SETUP = 1, 17, 18, 64
_MOST_IDENTITIES = 48
LOGICAL_DEVICE_NAME = obis.parse("0.0.42.0.0.255")
SAPS = obis.parse("0.0.41.0.0.255")
COUNTERS = [obis.parse("0.0.43.1.%d.255" % e) for e in range(7)]
# Where meters are known to tell their serial, type and firmware (Blue Book 6.2.22, 6.2.42).
IDENTITIES = [
    LOGICAL_DEVICE_NAME,
    *[obis.parse("0.0.96.1.%d.255" % e) for e in range(10)],
    *[obis.parse("1.0.0.0.%d.255" % e) for e in range(3)],
    *[obis.parse("%s.255" % name) for name in ("1.0.0.2.0", "1.1.0.2.0", "1.2.0.2.0", "0.0.0.2.0")],
]


async def learn(options: argparse.Namespace, settings: Settings) -> int:
    public = await _with_any_names(settings, _as_public)
    ours = None
    if settings.association.authentication != NONE:
        ours = await _with_any_names(settings, _as_ourselves)
    if public.refused and (ours is None or ours.refused):
        raise Failed(public.refused if ours is None else ours.refused)
    found = learned.conclude(public, ours, settings, options.serial or "", options.name)
    text = printable(learned.yaml(found))
    learned.compiled(text)  # what does not compile is our fault
    if settings.json:
        print_json(learned.as_json(found))
    elif options.output is None:
        print(text, end="")
    else:
        _write(options.output, text)
        _tell(found, options.output)
    return DONE


async def _with_any_names(settings: Settings, look: Callable[[Settings], Awaitable[Seen]]) -> Seen:
    """By logical names; by short ones where the meter has refused those, and takes these."""
    seen = await look(settings)
    if not seen.other_names or settings.referencing == SN:
        return seen
    settings.use_short_names()
    return await look(settings)


async def _as_public(settings: Settings) -> Seen:
    sap = settings.model.public_sap or settings.client
    seen = Seen(sap, settings.server)
    try:
        link = await settings.open(sap)
        try:
            client = Client(
                link,
                settings.clock,
                settings.crypto,
                Association(sap, settings.server, referencing=settings.referencing),
                settings.next_counter,
                settings.timeout_ms,
                settings.tries,
                LONGEST_VALUE,
            )
            await client.associate()
            await _look(client, seen, settings.referencing)
            seen.released = await client.release()
        finally:
            await close_link(link)
    except (AssociationRefused, NoAnswer, ProtocolError) as error:
        seen.refused = "public client %d: %s" % (sap, one_line(error))
        seen.other_names = _wants_other_names(error)
    return seen


async def _as_ourselves(settings: Settings) -> Seen:
    seen = Seen(settings.client, settings.server)
    try:
        first = settings.next_counter() if settings.counter is not None else 0
        async with conversation(settings) as client:
            await _look(client, seen, settings.referencing)
            seen.released = await client.release()
        last = settings.next_counter() if settings.counter is not None else 0
        seen.counters = (first + 1, last - 1)
    except DlmsError as error:
        seen.refused = "client %d: %s" % (settings.client, one_line(error))
        seen.other_names = _wants_other_names(error)
    return seen


def _wants_other_names(error: DlmsError) -> bool:
    """Whether a meter that knows short names only says so."""
    return (
        isinstance(error, AssociationRefused)
        and error.diagnostic == "application-context-name-not-supported"
    )


async def _look(client: Client, seen: Seen, referencing: int) -> None:
    seen.services = client.conformance
    seen.largest = client.capacity
    try:
        seen.objects = await (short_list if referencing == SN else object_list)(client)
    except DlmsError as error:
        if isinstance(error, NoAnswer):
            raise
        seen.objects_refused = failure.short(error)
    wanted = _questions(seen)
    if referencing == SN:  # what is not listed has no name
        wanted = [key for key in wanted if seen.has(key[0], key[1])]
    answers = await read(client, [Member(ATTRIBUTE, *key) for key in wanted])
    seen.answers = dict(zip(wanted, answers, strict=True))


def _questions(seen: Seen) -> list[tuple[int, bytes, int]]:
    """What to read: of the objects that the meter lists, or of those that meters are known to have
    where it lists none."""
    known = [(DATA, name, 2) for name in [*IDENTITIES, *COUNTERS]]
    fixed = [
        (SAP_ASSIGNMENT, SAPS, 2),
        *[(ASSOCIATION_LN, CURRENT, index) for index in (4, 5, 6, 9)],
    ]
    if not seen.objects:
        return [*known, *fixed, (SECURITY_SETUP, obis.parse("0.0.43.0.0.255"), 3)]
    listed = [key for key in known if seen.has(key[0], key[1])]
    more = [
        (DATA, each.obis, 2)
        for each in seen.objects
        if each.class_id == DATA and _may_tell(each.obis) and (DATA, each.obis, 2) not in listed
    ]
    images = [
        (IMAGE_TRANSFER, each.obis, index)
        for each in seen.objects
        if each.class_id == IMAGE_TRANSFER
        for index in (2, 5, 6)
    ]
    setups = [
        (SECURITY_SETUP, each.obis, index)
        for each in seen.objects
        if each.class_id == SECURITY_SETUP
        for index in (2, 3)
    ]
    return [*listed, *more[:_MOST_IDENTITIES], *fixed, *images, *setups]


def _may_tell(name: bytes) -> bool:
    """Whether an object may hold who the meter is, or a counter: 0.b.96.1.e, x.b.0.2.e, 0.b.43.1.e
    (Blue Book 6.2)."""
    return name[2:4] in (b"\x60\x01", b"\x00\x02", b"\x00\x00", b"\x2b\x01")


def _write(path: Path, text: str) -> None:
    if path.exists():
        raise CallProblem("%s is there; name another file, or remove it" % path)
    write_file(path, text.encode())


def _tell(found: learned.Learned, path: Path) -> None:
    out = console(stderr=True)
    guesses = [each for each in found.told if not each.seen]
    out.print(
        "%s: a first model; %d of its values are guesses:" % (path, len(guesses)), markup=False
    )
    for each in guesses:
        out.print(printable("  %s: %s" % (each.path, each.why)), markup=False, soft_wrap=True)
    out.print("complete it, then: ami-package model check %s" % path, markup=False)
