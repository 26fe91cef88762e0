"""A package as people read it."""

from __future__ import annotations

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from gateway.contract.image_file import CIPHERED, CLEAR, UNICAST, ImageFile
from gateway.contract.package import Action, Check, Package, Set
from gateway.dlms.data import obis
from tools.cosem import names, render, shapes
from tools.package import held
from tools.package.forms.all import FORMS
from tools.package.forms.words import Words
from tools.package.model.tables import Tables
from tools.package.opened import values_of
from tools.package.plan import Plan

DELIVERY_WORDS = {
    UNICAST: "meter by meter",
    CLEAR: "by broadcast, in clear",
    CIPHERED: "by broadcast, under the fleet's broadcast key",
}


def table(package: Package, signature: Text, tables: Tables) -> RenderableType:
    """Everything in the package: what forms have words for as such, then all of it with COSEM
    names. `signature` says whose it is, proven or not; `tables`: of the meters' model.
    """
    heading = _heading("Package", package)
    if package.permits:
        heading.add_row("Permits", Text("to touch: %s" % ", ".join(package.permits), "yellow"))
    heading.add_row("Signature", signature)
    steps = _table("Steps")
    for number, step in enumerate(package.steps, 1):
        if isinstance(step, Action):
            steps.add_row("%d call" % number, _method(step), _parameter(step))
        else:
            steps.add_row("%d write" % number, _attribute(step), Text(render.lines(step.data)))
    checks = _table("Must hold at the end")
    for check in package.checks:
        checks.add_row("read", _attribute(check), Text(render.lines(check.data)))
    return Group(heading, Text(), *_forms(package, tables), steps, checks)


def _forms(package: Package, tables: Tables) -> list[RenderableType]:
    plan = Plan()
    plan.held = held.of_tables(tables)
    values = {
        key: typed
        for key, typed in values_of(package).items()
        if not any(shapes.faults(shapes.attribute(key[0], key[2]), typed))
    }
    found = [form.shown(values, Words(plan, tables)) for form in FORMS.values()]
    return [part for form in found if form is not None for part in (form, Text())]


def image_table(image: ImageFile, signature: Text) -> RenderableType:
    """What the manifest of an image file says."""
    heading = _heading("Image", image)
    heading.add_row("Identifier", render.octets(image.identifier))
    heading.add_row("Size", "%d bytes" % image.size)
    heading.add_row("SHA-256", image.digest.hex())
    heading.add_row("Afterwards", "the meter runs %s" % image.firmware)
    heading.add_row("Delivery", DELIVERY_WORDS[image.delivery])
    heading.add_row("Signature", signature)
    return heading


def _heading(kind: str, package: Package | ImageFile) -> Table:
    heading = Table.grid(padding=(0, 2))
    heading.add_column(style="bold")
    heading.add_column(overflow="fold")
    heading.add_row(kind, "%s %s" % (package.name, package.version))
    if package.description:
        heading.add_row("", package.description)
    for model, prefixes in package.targets:
        firmware = " or ".join("%s*" % prefix for prefix in prefixes)
        heading.add_row("For", "%s, firmware %s" % (model, firmware or "any"))
    if isinstance(package, Package) and package.model:
        heading.add_row("Model", package.model)
    return heading


def _table(title: str) -> Table:
    made = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    made.add_column("")
    made.add_column("Object")
    made.add_column("Value", overflow="fold")
    return made


def _parameter(step: Action) -> Text:
    parameter = "no parameter" if step.data is None else render.lines(step.data)
    until = "until %s %s %s" % (
        names.class_name(step.check.class_id),
        obis.text(step.check.obis),
        names.member_name(names.ATTRIBUTE, step.check.class_id, step.check.attribute),
    )
    return Text("%s\n%s\n= %s" % (parameter, until, render.lines(step.check.data)))


def _attribute(check: Check | Set) -> str:
    return "%s\n%s\n%s" % (
        names.class_name(check.class_id),
        obis.text(check.obis),
        names.member_name(names.ATTRIBUTE, check.class_id, check.attribute),
    )


def _method(step: Action) -> str:
    return "%s\n%s\n%s" % (
        names.class_name(step.class_id),
        obis.text(step.obis),
        names.member_name(names.METHOD, step.class_id, step.method),
    )
