"""A package from what people have at hand: the YAML of a configuration, or a signed package."""

from __future__ import annotations

from pathlib import Path

from gateway.contract import envelope
from gateway.contract.model import OWN
from gateway.contract.package import Check, Package, Set
from gateway.contract.refused import Refused
from gateway.dlms.data import axdr
from gateway.dlms.errors import ProtocolError
from tools.cosem.values import Typed
from tools.package import image
from tools.package.calendar import Key
from tools.package.compile import compile_file
from tools.package.model import file
from tools.package.model.tables import Tables

YAML = (".yaml", ".yml")


def package_of(path: Path) -> Package:
    """Its signature is not looked at. Problems, Refused, OSError."""
    if path.suffix in YAML:
        return compile_file(path)
    raw = path.read_bytes()
    if image.is_image(raw):
        raise Refused(Package.REASON, "%s is an image, not a configuration" % path)
    return Package.from_payload(envelope.split(raw)[1])


def values_of(package: Package) -> dict[Key, Typed]:
    """What the package demands and writes, by attribute; what is no A-XDR is left out."""
    found: dict[Key, Typed] = {}
    both: list[Check | Set] = list(package.checks)
    both += [step for step in package.steps if isinstance(step, Set)]
    for each in both:
        try:
            found[each.class_id, bytes(each.obis), each.attribute] = axdr.decode(each.data)
        except ProtocolError:
            continue
    return found


def tables_of(package: Package, named: str | None) -> Tables:
    """Of the model that is named; else of the package's own, without any words where that is not at
    hand; else of ours. ModelProblem, Problems, Refused, OSError."""
    if named is None and package.model not in ("", *file.names()):
        return Tables(package.model, 1, [], [], [], [], [], [], [])
    return file.find(named or package.model or OWN).tables
