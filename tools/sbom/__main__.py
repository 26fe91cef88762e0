"""`ami-sbom`: which software of others is in ours (a software bill of materials), as CycloneDX."""

from __future__ import annotations

import argparse
import sys
from importlib import metadata
from pathlib import Path

from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.dependency import Dependency
from cyclonedx.model.license import DisjunctiveLicense, License, LicenseExpression
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from gateway.version import VERSION

FIRMWARE = "ami-concentrator"

DESCRIPTION = """\
List what an installation consists of: the distribution and everything it needs, with the versions
that are installed here. Run it in the environment that the box or the server was installed from.
"""


class Problem(Exception):
    """Something that is needed is not installed here; the text says what."""


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0: written; 1: something is not installed; 2: wrong usage."""
    options = _parser().parse_args(arguments)
    try:
        text = bill(Requirement(options.distribution))
        if options.output is None:
            print(text)
        else:
            options.output.write_text(text + "\n")
        return 0
    except Problem as problem:
        print("ami-sbom: %s" % problem, file=sys.stderr)
    except OSError as error:
        print("ami-sbom: %s: %s" % (error.filename, error.strerror), file=sys.stderr)
    return 1


def bill(wanted: Requirement) -> str:
    """CycloneDX 1.6 in JSON. Problem."""
    found: dict[str, metadata.Distribution] = {}
    needs: dict[str, set[str]] = {}
    waiting = [wanted]
    seen: set[tuple[str, str]] = set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name not in found:
            try:
                found[name] = metadata.distribution(name)
            except metadata.PackageNotFoundError:
                raise Problem(
                    "%s is needed and not installed here: pip install '%s'" % (name, requirement)
                ) from None
            needs[name] = set()
        for extra in ("", *sorted(requirement.extras)):
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            for text in found[name].requires or []:
                inner = Requirement(text)
                if inner.marker is None or inner.marker.evaluate({"extra": extra}):
                    needs[name].add(canonicalize_name(inner.name))
                    waiting.append(inner)
    return _rendered(canonicalize_name(wanted.name), found, needs)


def _rendered(top: str, found: dict[str, metadata.Distribution], needs: dict[str, set[str]]) -> str:
    components = {name: _component(name, of, name == top) for name, of in found.items()}
    bom = Bom(components=[each for name, each in components.items() if name != top])
    bom.metadata.component = components[top]
    for name, each in components.items():
        inner = [Dependency(components[other].bom_ref) for other in needs[name] - {name}]
        bom.dependencies.add(Dependency(each.bom_ref, inner))
    made = make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6)
    return made.output_as_string(indent=2)


def _component(name: str, of: metadata.Distribution, is_top: bool) -> Component:
    told = of.metadata.json
    licence, named = str(told.get("license_expression", "")), str(told.get("license", ""))
    licences: list[License] = []
    if licence:
        licences = [LicenseExpression(licence)]
    elif named and "\n" not in named:
        licences = [DisjunctiveLicense(name=named)]
    return Component(
        name=name,
        version=of.version,
        type=ComponentType.APPLICATION if is_top else ComponentType.LIBRARY,
        purl=PackageURL("pypi", None, name, of.version),
        bom_ref="%s@%s" % (name, of.version),
        licenses=licences,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("ami-sbom", description=DESCRIPTION)
    parser.add_argument("--version", action="version", version="%(prog)s " + VERSION)
    parser.add_argument(
        "distribution",
        nargs="?",
        default=FIRMWARE,
        help="%(default)s is the box (default); ami-concentrator-tools[hes] is the head-end",
    )
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="instead of the screen")
    return parser


if __name__ == "__main__":
    sys.exit(main())
