"""`ami-hes concentrator`: which board each concentrator is."""

from __future__ import annotations

import argparse
import difflib
import time
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway.contract.change import Change
from gateway.contract.identity import shown
from gateway.contract.refused import Refused
from gateway.contract.restart import Restart
from tools.hes.cli import show
from tools.hes.cli.arguments import add_key
from tools.hes.orders import change, fingerprint, security
from tools.hes.orders.typed import OrderProblem
from tools.hes.store.enrolment import Enrolment
from tools.hes.store.problems import StoreProblem
from tools.hes.store.records import OFFLINE, ONLINE, SILENT, Concentrator, Enrolled, Knock
from tools.hes.store.store import Store
from tools.package.keys import SigningKey

NAME = "its id, as in its settings: small letters, digits and -"
FINGERPRINT = "of its board, which says it at each start: 8 groups of 4 hex digits"


def add_parsers(commands: Any) -> None:
    concentrator = commands.add_parser(
        "concentrator",
        help="which board each concentrator is",
        description="A concentrator is enrolled by its id and by the fingerprint of its board."
        " Only an enrolled one gets orders, and is believed, over a protected line.",
    )
    actions = concentrator.add_subparsers(metavar="ACTION", required=True)
    for name, run, what in (
        ("add", _add, "enrol a concentrator"),
        ("list", _list, "all that are enrolled, and who knocks without being it"),
        ("show", _show, "one concentrator"),
        ("replace", _replace, "its board was exchanged: enrol the new one instead"),
        ("remove", _remove, "it is enrolled no longer; its jobs and reports stay"),
        ("restart", _restart, "begin anew: by a signed message, once, soon after it has come"),
        ("believe", _believe, "take its word for reports that are gone, however many"),
    ):
        action = actions.add_parser(name, help=what, description=what)
        action.set_defaults(run=run)
        if name != "list":
            action.add_argument("concentrator", metavar="NAME", help=NAME)
        if name == "restart":
            action.add_argument("--why", default="", metavar="TEXT", help="for its log")
            add_key(action)
        if name in ("add", "replace"):
            action.add_argument("fingerprint", nargs="+", metavar="FINGERPRINT", help=FINGERPRINT)


def unheard(enrolment: Enrolment, concentrator: str) -> str | None:
    """What to say to who orders something for it, if nobody of that name is known, or it cannot be
    spoken to.
    """
    if enrolment.get(concentrator) is not None:
        return None
    known = enrolment.named()
    if concentrator in known:
        if enrolment.unprotected(concentrator):
            return None
        return (
            "%s is not enrolled, so it gets nothing over a protected line; `ami-hes concentrator"
            " add` enrols it" % concentrator
        )
    meant = difflib.get_close_matches(concentrator, known, 1)
    return "no concentrator %s is enrolled, and none has been heard of%s" % (
        concentrator,
        "; did you mean %s?" % meant[0]
        if meant
        else "; `ami-hes concentrator add` enrols a new one",
    )


def _add(options: argparse.Namespace) -> int:
    name, typed = _typed(options)
    enrolment = Store(options.db).enrolment
    there = enrolment.get(name)
    if there is not None and there.fingerprint != typed:
        raise StoreProblem(
            "%s is enrolled as %s; if its board was exchanged: ami-hes concentrator replace %s %s"
            % (name, shown(there.fingerprint), name, shown(typed))
        )
    knocked = [each for each in enrolment.knocks() if each.concentrator == name]
    if there is None:
        enrolment.add(name, typed)
    print("%s is enrolled as %s" % (name, shown(typed)))
    if knocked and knocked[0].fingerprint != typed:
        print(
            "what has knocked by this name is another board, %s; compare the two"
            % shown(knocked[0].fingerprint)
        )
    return 0


def _replace(options: argparse.Namespace) -> int:
    name, typed = _typed(options)
    enrolment = Store(options.db).enrolment
    there = enrolment.get(name)
    if there is None:
        raise StoreProblem("%s is not enrolled; `ami-hes concentrator add` does that" % name)
    if there.fingerprint != typed:
        enrolment.replace(name, typed)
    print("%s is enrolled as %s" % (name, shown(typed)))
    return 0


def _restart(options: argparse.Namespace) -> int:
    body = Restart(options.why)
    try:
        Change.decode(Change("c", 1, 1, 1, body).encode())
    except Refused as refused:
        raise OrderProblem(refused.detail) from None
    store, key = Store(options.db), SigningKey.load(options.key)
    to, now = [options.concentrator], int(time.time())
    for concentrator, number in change.send(store.trust, key, to, body, "restart", now):
        print("change %d for %s is kept" % (number, concentrator))
    return 0


def _remove(options: argparse.Namespace) -> int:
    Store(options.db).enrolment.remove(options.concentrator)
    print("%s is enrolled no longer" % options.concentrator)
    return 0


def _believe(options: argparse.Namespace) -> int:
    found = Store(options.db).trust.believe(options.concentrator)
    if found is None:
        raise StoreProblem(
            "%s has not said where its reports begin; `ami-hes list` shows who was heard of"
            % options.concentrator
        )
    epoch, first = found
    print("reports of %s count from %d of epoch %08x" % (options.concentrator, first, epoch))
    return 0


def _typed(options: argparse.Namespace) -> tuple[str, bytes]:
    security.check(options.concentrator)
    return options.concentrator, fingerprint.parse(" ".join(options.fingerprint))


@dataclass(frozen=True)
class _Place:
    """What is known of a concentrator of this name."""

    name: str
    enrolled: Enrolled | None
    knock: Knock | None
    heard: Concentrator | None
    now: float
    elsewhere: str | None = None  # what the board that knocks is enrolled as

    def line(self) -> Text:
        """How its line stands, in a few words."""
        if self.enrolled is None:
            return Text("plain, not enrolled" if self.is_plain() else "not enrolled", "yellow")
        if not self.enrolled.agreed:
            return Text("never heard of", "yellow")
        return Text(OFFLINE, "red") if self.heard is None else stands(self.heard, self.now)

    def is_plain(self) -> bool:
        return self.enrolled is None and self.heard is not None and self.heard.online

    def line_key(self) -> str:
        """The key of ours that it last agreed on a session with."""
        key = self.enrolled.line_key if self.enrolled else None
        return key.hex() if key else "-"

    def hints(self) -> list[str]:
        """What is not as it should be, and what to do."""
        said = []
        if self.knock is not None:
            came = "%s, last at %s" % (times(self.knock.times), show.date(self.knock.last))
            who = shown(self.knock.fingerprint)
            if self.elsewhere is not None:
                said.append(
                    "the board that is enrolled as %s knocks as %s (%s). Correct `concentrator` in"
                    " its settings; or, if that is right: ami-hes concentrator remove %s, then"
                    " ami-hes concentrator add %s %s"
                    % (self.elsewhere, self.name, came, self.elsewhere, self.name, who)
                )
            elif self.enrolled is None:
                said.append(
                    "%s is not enrolled and knocks (%s). If this is what its board shows:"
                    " ami-hes concentrator add %s %s" % (self.name, came, self.name, who)
                )
            elif self.enrolled.agreed > self.knock.last:
                said.append(
                    "%s: another board, %s, has knocked (%s); the enrolled one has been there"
                    " since. Was it exchanged for a while, or did somebody play its part?"
                    % (self.name, who, came)
                )
            else:
                said.append(
                    "%s: another board than the enrolled one knocks (%s). If its board was"
                    " exchanged, and the new one shows this: ami-hes concentrator replace %s %s"
                    % (self.name, came, self.name, who)
                )
        elif self.enrolled is not None and not self.enrolled.agreed:
            said.append(
                "%s was never heard of since it was enrolled: does it run, is its id %s, do its"
                " settings name this broker, and our line key under hes_keys?"
                % (self.name, self.name)
            )
        if self.is_plain():
            said.append(
                "%s speaks in plain: whoever may use the broker can read and forge what it"
                " reports. Enrol it by the fingerprint that its board shows" % self.name
            )
        return said


def stands(place: Concentrator, now: float) -> Text:
    """How its line stands, as it is shown."""
    word = place.stands(now)
    return Text(word, {ONLINE: "green", SILENT: "yellow"}.get(word, "red"))


def times(count: int) -> str:
    return "once" if count == 1 else "%d times" % count


def _places(store: Store) -> list[_Place]:
    """By name."""
    enrolled = {each.concentrator: each for each in store.enrolment.all()}
    knocks = {each.concentrator: each for each in store.enrolment.knocks()}
    heard = {each.id: each for each in store.reports.concentrators()}
    names = {each.fingerprint: name for name, each in enrolled.items()}

    def place(name: str) -> _Place:
        knock = knocks.get(name)
        elsewhere = names.get(knock.fingerprint) if knock is not None else None
        return _Place(name, enrolled.get(name), knock, heard.get(name), store.now(), elsewhere)

    return [place(name) for name in sorted({*enrolled, *knocks, *heard})]


def hints(store: Store) -> list[str]:
    """Of all concentrators that are enrolled, or knock: what is not as it should be, and what to
    do.
    """
    places = [place for place in _places(store) if place.enrolled or place.knock]
    return [hint for place in places for hint in place.hints()]


def _list(options: argparse.Namespace) -> int:
    console, places = Console(), _places(Store(options.db))
    columns = ("Concentrator", "Fingerprint", "Line", "Line key", "Last heard", "Enrolled")
    table = show.table("Concentrators", *columns)
    for place in places:
        table.add_row(
            place.name,
            shown(place.enrolled.fingerprint) if place.enrolled else "-",
            place.line(),
            place.line_key(),
            show.date(place.heard.seen if place.heard else 0),
            show.date(place.enrolled.since if place.enrolled else 0),
        )
    if places:
        console.print(table)
    else:
        print("no concentrator is enrolled; `ami-hes concentrator add` enrols one")
    for place in places:
        for hint in place.hints():
            console.print(hint, markup=False, soft_wrap=True, highlight=False)
    return 0


def _show(options: argparse.Namespace) -> int:
    found = [each for each in _places(Store(options.db)) if each.name == options.concentrator]
    if not found:
        raise StoreProblem(
            "no concentrator %s is enrolled, and none has been heard of; `ami-hes concentrator"
            " list` shows those that are" % options.concentrator
        )
    place, rows = found[0], Table.grid(padding=(0, 2))
    rows.add_row("Concentrator", place.name)
    rows.add_row("Line", place.line())
    if place.enrolled is not None:
        rows.add_row("Fingerprint", shown(place.enrolled.fingerprint))
        rows.add_row("Enrolled", show.date(place.enrolled.since))
        rows.add_row("Last session agreed", show.date(place.enrolled.agreed))
        rows.add_row("With the line key", place.line_key())
    if place.heard is not None:
        rows.add_row("Last heard", show.date(place.heard.seen))
        rows.add_row("Firmware", Text("%s, %s" % (place.heard.firmware, place.heard.runtime)))
    console = Console()
    console.print(rows)
    for hint in place.hints():
        console.print(hint, markup=False, soft_wrap=True, highlight=False)
    return 0
