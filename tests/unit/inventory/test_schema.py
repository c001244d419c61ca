"""The published JSON Schema and reference: made from the model, and of one mind with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from slipway.inventory.reference import reference
from slipway.inventory.schema import schema

ROOT = Path(__file__).parents[3]
VALID = [
    *(path for path in sorted((ROOT / "tests/inventories/valid").glob("*.yaml")) if path.stem != "unquoted"),
    *sorted((ROOT / "examples").glob("*/inventory.yaml")),
]
INVALID = sorted((ROOT / "tests/inventories/invalid").glob("*.yaml"))
STRUCTURE = (
    "unknown key",
    "required key",
    "is not a mapping",
    "is not a list",
    "is none of",
    "needs at least",
    "is too",
)
"""Mistakes that a schema can see; what holds between values is for `slipway check` alone."""


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    made = schema()
    jsonschema.Draft202012Validator.check_schema(made)
    return jsonschema.Draft202012Validator(made)


def as_editors_read(path: Path) -> Any:
    return YAML(typ="safe").load(path.read_text())


def test_published_files_are_up_to_date():
    published = ROOT / "docs/reference"
    assert json.loads((published / "inventory.schema.json").read_text()) == schema()
    assert (published / "inventory.md").read_text() == reference()


@pytest.mark.parametrize("path", VALID, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_valid_files_pass(path: Path, validator: jsonschema.Draft202012Validator):
    assert [error.message for error in validator.iter_errors(as_editors_read(path))] == []


BETWEEN = {"host-name-key", "interface-missing", "prefix-length-missing", "prefix-length-too-long", "role-missing"} | {
    "taint-effect-misspelt",
    "vlan-without-link",
}
"""Mistakes with the same words that a schema cannot see: the rest of the value may be inherited."""


def structural() -> list[Path]:
    """Invalid files whose first message is one that a schema can have."""
    readable = (path for path in INVALID if path.stem not in BETWEEN and not path.stem.startswith("duplicate"))
    heads = ((path, path.read_text().splitlines()[0]) for path in readable)
    return [path for path, head in heads if any(words in head for words in STRUCTURE)]


@pytest.mark.parametrize("path", structural(), ids=lambda path: path.stem)
def test_wrong_structure_does_not_pass(path: Path, validator: jsonschema.Draft202012Validator):
    assert list(validator.iter_errors(as_editors_read(path)))


def test_enough_of_them_are_structural():
    assert len(structural()) >= 30


def test_every_key_is_described_or_named_by_its_section():
    """Keys that hold plain values say what they mean; for the others their section does."""
    silent = []
    for name, definition in schema()["$defs"].items():
        for key, value in definition.get("properties", {}).items():
            if "description" not in value and value.get("type") == "string" and "format" not in value:
                silent.append(f"{name}.{key}")
    assert silent == []


def test_keys_are_camel_case_with_the_acronyms_of_kubernetes():
    keys = {key for definition in schema()["$defs"].values() for key in definition.get("properties", {})}
    assert {"podCIDR", "serviceCIDR", "virtualRouterID", "allowedTCPPorts", "prefixLength", "k0sApi"} <= keys
    assert not any("_" in key for key in keys)
