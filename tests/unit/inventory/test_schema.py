"""The published JSON Schema and reference: made from the model, and of one mind with it."""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from slipway.inventory import InvalidInventory, load
from slipway.inventory.reference import reference
from slipway.inventory.schema import schema

ROOT = Path(__file__).parents[3]
VALID = [
    *sorted((ROOT / "tests/inventories/valid").glob("*.yaml")),
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


@functools.cache
def published() -> jsonschema.Draft202012Validator:
    made = schema()
    jsonschema.Draft202012Validator.check_schema(made)
    return jsonschema.Draft202012Validator(made)


@pytest.fixture
def validator() -> jsonschema.Draft202012Validator:
    return published()


def as_editors_read(path: Path) -> Any:
    """As JSON: dates are texts in YAML 1.2, keys are texts in JSON."""
    return json.loads(json.dumps(YAML(typ="safe").load(path.read_text()), default=str))


def test_published_files_are_up_to_date():
    published = ROOT / "docs/reference"
    assert json.loads((published / "inventory.schema.json").read_text()) == schema()
    assert (published / "inventory.md").read_text() == reference()


@pytest.mark.parametrize("path", VALID, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_valid_files_pass(path: Path, validator: jsonschema.Draft202012Validator):
    assert [error.message for error in validator.iter_errors(as_editors_read(path))] == []


BETWEEN = {"host-name-key", "interface-missing", "prefix-length-missing", "prefix-length-too-long", "role-missing"} | {
    "proxy-of-https-alone",
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
            if "description" not in value and value.get("$ref") == "#/$defs/text":
                silent.append(f"{name}.{key}")
    assert silent == []


def test_keys_are_camel_case_with_the_acronyms_of_kubernetes():
    keys = {key for definition in schema()["$defs"].values() for key in definition.get("properties", {})}
    assert {"podCIDR", "serviceCIDR", "virtualRouterID", "allowedTCPPorts", "prefixLength", "k0sApi"} <= keys
    assert not any("_" in key for key in keys)


RACKS = sorted((ROOT / "examples/large/racks").glob("*.yaml"))
HEAD = "apiVersion: slipway/v1\ncluster: {name: x, k0s: {version: 1.36.3+k0s.2}}\n"
HOSTS = "hosts: {a: {address: 10.0.0.11, role: single, network: {interface: eno1, dhcp: true%s}}}\n"
DISKS = "defaults: {disks: {data: {device: /dev/disk/by-id/y, mountPoint: /data}}}\n"
AGREED = {
    "an empty entry takes back": HEAD + DISKS + "hosts: {a: {address: 10.0.0.1, role: single, disks: {data: }, "
    "network: {interface: eno1, dhcp: true}}}\n",
    "an empty label": HEAD + "defaults: {labels: {a: }}\n" + HOSTS % "",
    "an empty host": HEAD + "hosts: {a: }\n",
    "empty in an item of a list": HEAD + HOSTS % ", links: {e: {dhcp: true, routes: [{to: 10.0.0.0/8, via: }]}}",
    "an empty option in an item of a list": HEAD
    + "defaults: {nix: {buildMachines: [{hostName: b, systems: [x86_64-linux], sshUser: }]}}\n"
    + HOSTS % "",
    "an option in an item of a list": HEAD
    + "defaults: {nix: {buildMachines: [{hostName: b, systems: [x86_64-linux], sshUser: u}]}}\n"
    + HOSTS % "",
    "no hosts": HEAD,
    "no cluster": "apiVersion: slipway/v1\n" + HOSTS % "",
    "an empty section": HEAD + "defaults:\n" + HOSTS % "",
}


@pytest.mark.parametrize("text", AGREED.values(), ids=AGREED.keys())
def test_schema_and_loader_agree(text: str, tmp_path: Path, validator: jsonschema.Draft202012Validator):
    file = tmp_path / "inventory.yaml"
    file.write_text(text)
    try:
        load(file)
        accepted = True
    except InvalidInventory:
        accepted = False
    assert validator.is_valid(as_editors_read(file)) == accepted


@pytest.mark.parametrize("path", RACKS, ids=lambda path: path.stem)
def test_included_files_have_a_schema(path: Path, validator: jsonschema.Draft202012Validator):
    included = jsonschema.Draft202012Validator(schema(included=True))
    assert [error.message for error in included.iter_errors(as_editors_read(path))] == []
    assert not validator.is_valid(as_editors_read(path))
    assert not included.is_valid({"hots": {}})


def test_a_file_that_includes_others_may_have_its_hosts_from_them(
    tmp_path: Path, validator: jsonschema.Draft202012Validator
):
    (tmp_path / "inventory.yaml").write_text(HEAD + "include: [rack.yaml]\n")
    (tmp_path / "rack.yaml").write_text(HOSTS % "")
    assert [host.name for host in load(tmp_path).hosts] == ["a"]
    assert validator.is_valid(as_editors_read(tmp_path / "inventory.yaml"))


EVERYTHING = as_editors_read(ROOT / "tests/inventories/valid/everything.yaml")


def places(node: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield (*path, key)
        yield from places(value, (*path, key))


def at(path: tuple[str | int, ...]) -> Any:
    return functools.reduce(lambda node, key: node[key], path, EVERYTHING)


def changed(path: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    """All that an inventory can have, with another value at one place."""
    made: dict[str, Any] = copy.deepcopy(EVERYTHING)
    node: Any = made
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return made


PLACES = [path for path in places(EVERYTHING) if path[0] != "include"]
SCALARS = [json.loads(text) for text in sorted({json.dumps(at(path)) for path in PLACES}) if text[0] not in "[{"]
VALUES: st.SearchStrategy[Any] = st.sampled_from(
    [None, [], {}, {"noSuchKey": "x"}, [[]], ["x"], "x", "", "true", False, "7", 0, 1e9, 12.5, -3, *SCALARS]
)


ALONE = ("has host bits set", "ends before it begins", "is damaged", "is no time zone", "required key")
"""What only the loader can know: arithmetic and lists of a single value, and what is inherited."""


@pytest.fixture
def without_cross_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loader with what it says of each value and of each section alone."""
    monkeypatch.setattr(import_module("slipway.inventory.load"), "check", lambda _, to_start: iter(()))
    monkeypatch.setattr("slipway.inventory.partial.CHECKS", ())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(path=st.sampled_from(PLACES), value=VALUES)
@pytest.mark.usefixtures("without_cross_checks")
def test_schema_and_loader_agree_about_any_value_anywhere(tmp_path: Path, path: tuple[str | int, ...], value: Any):
    document = changed(path, value)
    (tmp_path / "inventory.yaml").write_text(json.dumps(document))
    wrong = [error.message for error in published().iter_errors(document)]
    try:
        load(tmp_path)
    except InvalidInventory as refused:
        # Of a number that stands for a text a schema knows the size alone: 26.10 is 26.1 to it.
        alone = (*ALONE, "not a NixOS release") if isinstance(value, float | int) else ALONE
        assert wrong or any(words in str(refused) for words in alone), str(refused)
    else:
        assert wrong == []


def test_control_what_is_changed_is_valid_before(validator: jsonschema.Draft202012Validator):
    assert validator.is_valid(EVERYTHING)
    assert len(PLACES) > 200
