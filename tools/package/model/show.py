"""A model as people read it."""

from __future__ import annotations

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from gateway.contract.model import OWN, READINGS, RELEASES, Model, Place
from gateway.dlms.apdu import acse
from gateway.dlms.data import obis
from gateway.dlms.protection import policy
from tools.cosem import names
from tools.package.model.compile import (
    KEYS,
    MECHANISMS,
    POLICIES,
    REFERENCING,
    Compiled,
)
from tools.package.model.tables import MARKS, Table, Tables

_MARK_WORDS = {
    "NIE": "not in evidence",
    "GK": "general knowledge",
    "OWN": "concluded by us",
}
_WHOLE = ("word", "class", "OBIS", "no.", "CIM", "model")  # columns that are not folded
_POLICY_WORDS = {bits: word for word, bits in POLICIES.items()}


def shown(compiled: Compiled, signature: Text | None, events: bool) -> RenderableType:
    """Everything in it; without `events`, of the tables only how long they are."""
    model, tables = compiled.model, compiled.tables
    parts: list[RenderableType] = [_heading(model, signature), Text(), _objects(model, tables)]
    if events:
        for kind, title in (("events", "Events"), ("alarms", "Alarms"), ("status", "Status")):
            for table in getattr(tables, kind):
                parts.append(_meanings("%s: %s" % (title, table.word), table))
    else:
        parts.append(_counts(tables))
    parts.append(_evidence(tables))
    return Group(*parts)


def listed(models: list[Compiled]) -> RenderableType:
    """The models that are shipped."""
    made = _table("", "model", "no.", "what", "tables")
    for each in models:
        model = each.model
        own = " (taken where a meter names none)" if model.name == OWN else ""
        made.add_row(
            model.name, str(model.number), model.description + own, _rows(each.tables) or "-"
        )
    return made


def _heading(model: Model, signature: Text | None) -> RenderableType:
    heading = RichTable.grid(padding=(0, 2))
    heading.add_column(style="bold")
    heading.add_column(overflow="fold")
    for name, value in _said(model):
        heading.add_row(name, value)
    if signature is not None:
        heading.add_row("Signature", signature)
    return heading


def _said(model: Model) -> list[tuple[str, str]]:
    """(what, in words) of all but the objects."""
    services = [name for bit, name in acse.CONFORMANCE_NAMES.items() if model.services & bit]
    limits = [
        "%s within %d s" % (what, seconds)
        for what, seconds in (("verified", model.verify_s), ("active", model.activate_s))
        if seconds
    ]
    protection = policy.FORMS[model.form]
    if protection != policy.PLAIN:
        protection += ", " + _POLICY_WORDS[model.policy]
    rows = [
        ("Model", "%s %d" % (model.name, model.number)),
        ("", model.description),
        ("Serial", _place(model.serial, "not asked for")),
        ("Type", _place(model.model, "not asked for")),
        ("Firmware", _place(model.firmware, "not asked for")),
        (
            "SAPs",
            "client %d, server %d, %s"
            % (
                model.client_sap,
                model.server_sap,
                "public client %d" % model.public_sap if model.public_sap else "no public client",
            ),
        ),
        ("Referencing", REFERENCING[model.referencing]),
        ("Authentication", "%s, %s" % (MECHANISMS[model.mechanism], obis.text(model.association))),
        ("Protection", "%s; dialect %s" % (protection, policy.DIALECTS[model.dialect])),
        (
            "Keys",
            "%s, in the order %s"
            % (obis.text(model.security_setup), ", ".join(KEYS[key] for key in model.key_order)),
        ),
        ("Largest APDU", "%d octets" % model.max_pdu if model.max_pdu else "what the path takes"),
        ("Services", ", ".join(services) or "all are proposed"),
        ("Pause", "%d ms before each request" % model.pause_ms if model.pause_ms else "none"),
        ("Window", "%d general blocks" % model.window),
        ("Release", RELEASES[model.release]),
        (
            "Counter",
            "%s; a new meter begins with %d"
            % (_place(model.counter, "not to be read"), model.start),
        ),
        (
            "Image",
            ", ".join(
                [
                    obis.text(model.image),
                    "also by broadcast" if model.broadcast else "not by broadcast",
                    *limits,
                ]
            ),
        ),
    ]
    return [(name, value) for name, value in rows if value]


def _place(place: Place | None, none: str) -> str:
    if place is None:
        return none
    return "%s %s %s, as %s" % (
        names.class_name(place.class_id),
        obis.text(place.obis),
        names.member_name(names.ATTRIBUTE, place.class_id, place.attribute),
        READINGS[place.reading],
    )


def _objects(model: Model, tables: Tables) -> RenderableType:
    made = _table("Objects", "word", "class", "OBIS", "tells of")
    logs = dict(tables.logs)
    bits = [table.word for table in [*tables.alarms, *tables.status]]
    for word, class_id, name in model.objects:
        tells = logs.get(word, "its bits" if word in bits else "")
        made.add_row(word, names.class_name(class_id), obis.text(name), tells)
    return made


def _meanings(title: str, table: Table) -> RenderableType:
    made = _table(title, "no.", "English", "Spanish", "CIM", "")
    made.columns[0].justify = "right"
    for row in table.meanings:
        made.add_row(str(row.number), row.english, row.spanish, row.cim, Text(row.mark, "yellow"))
    return made


def _rows(tables: Tables) -> str:
    counts = [
        "%d %s" % (sum(len(table.meanings) for table in getattr(tables, kind)), what)
        for kind, what in (("events", "events"), ("alarms", "alarm bits"), ("status", "status"))
    ]
    return ", ".join(count for count in counts if not count.startswith("0 "))


def _counts(tables: Tables) -> RenderableType:
    rows = _rows(tables)
    return Text("Tables: %s; --tables shows them" % rows if rows else "No tables", "bold")


def _evidence(tables: Tables) -> RenderableType:
    made = _table("Not in evidence", "what", "", "why")
    for path, mark, why in tables.unsure:
        made.add_row(path, Text(mark, "yellow"), why)
    rows = [
        row
        for kind in ("events", "alarms", "status")
        for table in getattr(tables, kind)
        for row in table.meanings
    ]
    notes = ["%s: %s" % (mark, _MARK_WORDS[mark]) for mark in MARKS]
    marked = sum(bool(row.mark) for row in rows)
    summary = Text(
        "%s. %d of %d rows of tables are marked." % ("; ".join(notes), marked, len(rows))
    )
    sources = _table("Sources", "", "")
    for key, what in tables.sources:
        sources.add_row(key, what)
    parts: list[RenderableType] = [made, summary] if tables.unsure or marked else []
    if tables.sources:
        parts += [Text(), sources]
    return Group(*parts)


def _table(title: str, *columns: str) -> RichTable:
    made = RichTable(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for column in columns:
        made.add_column(column, overflow="fold", no_wrap=column in _WHOLE)
    if title == "Sources":
        made.show_header = False
    return made
