"""`ami-audit`: check a concentrator's audit trail offline, and read it."""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway.audit import NAME, Audit, AuditBroken, Verified, verify
from gateway.jobs.ledger import NAME as LEDGER
from gateway.jobs.records import AUDIT
from gateway.journal import Journal, Recovery
from gateway.version import VERSION
from hal.rt import cbor
from hal.sim.clock import ManualClock
from hal.sim.storage import MemoryStorage

DESCRIPTION = """\
Check the audit trail of a concentrator, away from it: what was ordered by whom, and done to which
meter. FOLDER is a copy of its data folder, the ledger's files (ledger.00000001 and so on) included:
they hold the newest records until the trail's own files are sure to. FILE is a single segment
(audit.00000001) of the trail.

The trail proves its own order and completeness. Its end it cannot prove: compare it with what the
HES heard last (`ami-hes trust show`), by --head and --records.
"""


SEGMENT = re.compile("(%s|%s)" % (NAME, LEDGER) + r"\.\d{8}")


class Problem(Exception):
    """There is nothing to check; the text says what was expected."""


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0: it checks out; 1: it does not; 2: there is nothing to check."""
    options = _parser().parse_args(arguments)
    try:
        records, recovery = load(options.path)
        if options.command == "show":
            for raw in records:
                print(json.dumps(shown(raw), ensure_ascii=False))
            return 0
        return _verify(options, records, recovery)
    except Problem as problem:
        print("ami-audit: %s" % problem, file=sys.stderr)
    except OSError as error:
        print("ami-audit: %s: %s" % (error.filename, error.strerror), file=sys.stderr)
    return 2


def load(path: Path) -> tuple[list[bytes], Recovery]:
    """The records, oldest first, and what is wrong with the trail's files. Nothing is changed."""
    copy = MemoryStorage(1 << 32)
    if path.is_dir():
        for file in path.iterdir():
            if not SEGMENT.fullmatch(file.name):
                continue
            copy.replace(file.name, file.read_bytes())
    else:
        copy.replace(NAME + ".00000001", path.read_bytes())
    if not [name for name in copy.names() if name.startswith(NAME)]:
        raise Problem("%s: expected segments %s.00000001 and so on" % (path, NAME))
    trail = Audit(copy, ManualClock(), 1 << 31)
    Journal(copy, LEDGER).recover(lambda position, record: _redo(trail, record))
    trail.sync()
    journal = Journal(copy, NAME)
    journal.recover(lambda position, record: None)
    return [record for _, record in journal.records()], trail.recovery


def _redo(trail: Audit, payload: bytes) -> None:
    try:
        record = cbor.decode(payload)
        if record[0] == AUDIT:
            trail.redo(record[1:])
    except (ValueError, TypeError, IndexError):
        pass  # a record of the ledger that is none: the ledger's own recovery says so


def shown(raw: bytes) -> dict[str, Any]:
    """A record as JSON data."""
    try:
        number, _, when, kind, details = cbor.decode(raw)
        plain = [part.hex() if isinstance(part, bytes) else part for part in details]
        return {"number": number, "time": _date(when), "kind": kind, "details": plain}
    except (ValueError, TypeError, OverflowError):
        return {"kind": "unreadable", "details": [raw.hex()]}


def _verify(options: argparse.Namespace, records: list[bytes], recovery: Recovery) -> int:
    for note in recovery.notes:
        print("note: %s" % note)
    try:
        found = verify(records, whole=options.path.is_dir())
        _compare(found, records, options.records, options.head)
    except AuditBroken as broken:
        print("BROKEN: %s" % broken)
        return 1
    if recovery.damaged:
        print("BROKEN: the files are damaged; what is before that checks out")
        return 1
    cut = "; older ones are not here" if found.cut_at else ""
    print("good: records %d to %d%s" % (found.first, found.last, cut))
    print("head: %s" % found.head.hex())
    return 0


def _compare(found: Verified, records: list[bytes], number: int | None, head: str | None) -> None:
    """With what the HES heard: that many records, the last of them with this hash."""
    if number is None:
        number = found.last
    if number > found.last:
        raise AuditBroken("the HES heard of record %d, here %d is the last" % (number, found.last))
    if head is None:
        return
    if number < found.first:
        raise AuditBroken("record %d, whose hash is given, was cut off" % number)
    there = hashlib.sha256(records[number - found.first]).hexdigest()
    if there != head.lower():
        raise AuditBroken("record %d has the hash %s, the HES heard %s" % (number, there, head))


def _date(when: int) -> str:
    return datetime.fromtimestamp(when, UTC).isoformat() if when else "clock unset"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "ami-audit", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version="%(prog)s " + VERSION)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    check = commands.add_parser("verify", help="check it, and name the first break")
    check.add_argument("path", type=Path, metavar="FILE|FOLDER")
    check.add_argument("--records", type=int, metavar="N", help="how many the HES heard of")
    check.add_argument("--head", metavar="HEX", help="the hash of the last of those")
    show = commands.add_parser("show", help="print every record, a line of JSON each")
    show.add_argument("path", type=Path, metavar="FILE|FOLDER")
    return parser


if __name__ == "__main__":
    sys.exit(main())
