"""The example's machines in NixOS itself: `make check-nixos NIXPKGS=PATH [DISKO=PATH]`.

Every host must evaluate there without a failed assertion, and NixOS and the lab's evaluator must agree on what matters.
"""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slipway.generate import tree
from slipway.inventory import load

NIXOS = Path(__file__).parents[2] / "nixos"
EXAMPLES = Path(__file__).parents[2] / "examples"
TIMEOUT = 900
"""Seconds for one evaluation of NixOS."""

MACHINES = [(name, host.name) for name in ("homelab", "single", "large") for host in load(EXAMPLES / name).hosts]
"""Every machine of the examples, by example and name."""


@pytest.fixture(scope="module")
def repositories(tmp_path_factory):
    """The examples' repositories by name, with their generated files."""
    base = tmp_path_factory.mktemp("repositories")
    for example in {example for example, _name in MACHINES}:
        for path, content in tree.render(load(EXAMPLES / example)).items():
            (base / example / path).parent.mkdir(parents=True, exist_ok=True)
            (base / example / path).write_bytes(content)
    return base


def evaluated(expression: str) -> Any:
    argv = ["nix-instantiate", "--eval", "--strict", "--json", "--option", "allow-import-from-derivation", "false"]
    done = subprocess.run([*argv, "-E", expression], capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def in_nixos(repositories, pytestconfig):
    """`in_nixos(example, host, part)`: its dump or toplevel, evaluated with the checkout of nixpkgs."""
    nixpkgs = pytestconfig.getoption("--nixpkgs")
    if not nixpkgs:
        pytest.skip("no checkout of nixpkgs: make check-nixos NIXPKGS=PATH")
    more = {"disko": pytestconfig.getoption("--disko"), "pkgs": pytestconfig.getoption("--nixpkgs-packages")}
    given = " ".join(f"{name} = {_argument(name, path, nixpkgs)};" for name, path in more.items() if path)

    def value(example: str, host: str, part: str) -> Any:
        arguments = f"nixpkgs = {nixpkgs}; root = {repositories / example}; {given}"
        return evaluated(f"(import {NIXOS}/tests/evaluate.nix {{ {arguments} }}).{host}.{part}")

    return value


def _argument(name: str, path: str, nixpkgs: str) -> str:
    return f"import {path} (import {nixpkgs}/lib)" if name == "pkgs" else path


@pytest.fixture(scope="module")
def in_the_lab(repositories):
    """`in_the_lab(example, host)`: its dump by the lab's evaluator."""

    def value(example: str, host: str) -> Any:
        arguments = f"root = {repositories / example}; specialArgs = {{ }}; inherit (import {NIXOS}/lab) nixosSystem;"
        return evaluated(
            f"import {NIXOS}/tests/dump.nix (import {NIXOS}/lib/configurations.nix {{ {arguments} }}).{host}"
        )

    return value


@pytest.mark.parametrize(("example", "name"), MACHINES)
def test_nixos_and_the_lab_agree(example, name, in_nixos, in_the_lab):
    real, lab = in_nixos(example, name, "dump"), in_the_lab(example, name)
    assert [message for message in real["failed"] if message.startswith("slipway")] == lab["failed"] == []
    for part, compare in AGREEMENTS.items():
        compare(real[part], lab[part])


@pytest.mark.parametrize(("example", "name"), MACHINES)
def test_a_whole_system_evaluates(example, name, in_nixos):
    assert in_nixos(example, name, "toplevel").endswith(".drv")


def equal(real: Any, lab: Any) -> None:
    assert real == lab


def includes(real: Any, lab: Any) -> None:
    """What the lab has, NixOS has too; it adds settings of its own."""
    if isinstance(lab, dict):
        assert {key: value for key, value in real.items() if key in lab} == lab
    else:
        assert [item for item in lab if item not in real] == []


def same_units(real: dict[str, str], lab: dict[str, str]) -> None:
    assert set(lab) <= set(real)
    for name, text in lab.items():
        assert parsed(real[name]) == parsed(text), name


def same_sysctls(real: dict[str, Any], lab: dict[str, Any]) -> None:
    includes({key: str(value) for key, value in real.items()}, {key: str(value) for key, value in lab.items()})


def same_rules(real: list[str], lab: list[str]) -> None:
    """Store paths aside: what is fetched has another name in each."""
    includes(*([re.sub(r"/nix/store/\S+", "STORE", rule) for rule in rules] for rules in (real, lab)))


AGREEMENTS: dict[str, Callable[[Any, Any], None]] = {
    "name": equal,
    "firewall": equal,
    "units": same_units,
    "links": same_units,
    "modules": includes,
    "sysctl": same_sysctls,
    "tmpfiles": same_rules,
    "users": includes,
    "ssh": equal,
    "sshd": includes,
    "time": equal,
}

NAMES_OF_UNITS = {"After", "Before", "Requires", "Wants", "WantedBy"}
OWN = {"Environment", "ExecStart", "X-Restart-Triggers"}
"""Keys whose values are lists of programs or hashes, which differ."""


STORE = r"/nix/store/[^\s/]+"


def parsed(text: str) -> dict[str, dict[str, list[str]]]:
    """A unit file as sections of keys with their sorted values; a list of unit names counts word by word, and of a
    program what lies below its store path."""
    sections: dict[str, dict[str, list[str]]] = {}
    keys: dict[str, list[str]] = {}
    for line in filter(None, text.splitlines()):
        if line.startswith("["):
            keys = sections.setdefault(line.strip("[]"), {})
            continue
        key, _, value = line.partition("=")
        if key not in OWN:
            keys.setdefault(key, []).extend(value.split() if key in NAMES_OF_UNITS else [re.sub(STORE, "STORE", value)])
    return {name: {key: sorted(values) for key, values in found.items()} for name, found in sections.items() if found}
