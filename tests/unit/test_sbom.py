"""The bill of materials, held against CycloneDX's own schema and against what is declared."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path
from typing import Any

import cyclonedx.schema
import pytest
from jsonschema import Draft7Validator
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT7

from tools.sbom.__main__ import FIRMWARE, main

SCHEMAS = Path(cyclonedx.schema.__file__).parent / "_res"


def validator() -> Draft7Validator:
    def retrieved(uri: str) -> Resource[Any]:
        name = uri.rpartition("/")[2].replace(".schema.json", ".SNAPSHOT.schema.json")
        return Resource(json.loads((SCHEMAS / name).read_text()), DRAFT7)

    schema = json.loads((SCHEMAS / "bom-1.6.SNAPSHOT.schema.json").read_text())
    return Draft7Validator(schema, registry=Registry(retrieve=retrieved))


@pytest.mark.parametrize("what", [FIRMWARE, "ami-concentrator-tools[hes]"])
def test_a_bill_keeps_to_the_schema(what: str, tmp_path: Path) -> None:
    assert main([what, "--output", str(tmp_path / "bill.json")]) == 0
    bill = json.loads((tmp_path / "bill.json").read_text())
    validator().validate(bill)
    assert bill["metadata"]["component"]["name"] == Requirement(what).name
    known = {each["bom-ref"] for each in bill["components"]}
    known.add(bill["metadata"]["component"]["bom-ref"])
    for each in bill["dependencies"]:
        assert {each["ref"], *each.get("dependsOn", [])} <= known


def test_the_box_gets_what_it_asks_for_and_nothing_of_the_desk(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([]) == 0
    bill = json.loads(capsys.readouterr().out)
    named = {each["name"]: each["version"] for each in bill["components"]}
    for text in metadata.requires(FIRMWARE) or []:
        requirement = Requirement(text)
        if requirement.marker is None:
            name = canonicalize_name(requirement.name)
            assert named[name] == metadata.version(name)
    assert not {"amqtt", "matplotlib", "pytest", "rich", "sqlalchemy"} & set(named)


def test_what_is_not_installed_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["no-such-distribution"]) == 1
    assert "no-such-distribution is needed and not installed here" in capsys.readouterr().err
