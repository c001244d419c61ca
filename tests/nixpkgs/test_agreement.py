"""The example's machines in NixOS itself: `make check-nixos NIXPKGS=PATH [DISKO=PATH]`.

Every host must evaluate there without a failed assertion, and NixOS and the lab's evaluator must agree on what matters.
"""

import json
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

NAMES = [host.name for host in load(EXAMPLES / "homelab").hosts]


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    root = tmp_path_factory.mktemp("repository")
    for path, content in tree.render(load(EXAMPLES / "homelab")).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    return root


def evaluated(expression: str) -> Any:
    argv = ["nix-instantiate", "--eval", "--strict", "--json", "--option", "allow-import-from-derivation", "false"]
    done = subprocess.run([*argv, "-E", expression], capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def in_nixos(repository, pytestconfig):
    """`in_nixos(host, part)`: its dump or toplevel, evaluated with the checkout of nixpkgs."""
    nixpkgs = pytestconfig.getoption("--nixpkgs")
    if not nixpkgs:
        pytest.skip("no checkout of nixpkgs: make check-nixos NIXPKGS=PATH")
    more = {"disko": pytestconfig.getoption("--disko"), "pkgs": pytestconfig.getoption("--nixpkgs-packages")}
    given = " ".join(f"{name} = {_argument(name, path, nixpkgs)};" for name, path in more.items() if path)
    call = f"(import {NIXOS}/tests/evaluate.nix {{ nixpkgs = {nixpkgs}; root = {repository}; {given} }})"
    return lambda host, part: evaluated(f"{call}.{host}.{part}")


def _argument(name: str, path: str, nixpkgs: str) -> str:
    return f"import {path} (import {nixpkgs}/lib)" if name == "pkgs" else path


@pytest.fixture(scope="module")
def in_the_lab(repository):
    """`in_the_lab(host)`: its dump by the lab's evaluator."""
    call = f"""import {NIXOS}/lib/configurations.nix {{
        root = {repository}; specialArgs = {{ }}; inherit (import {NIXOS}/lab) nixosSystem; }}"""
    return lambda host: evaluated(f"import {NIXOS}/tests/dump.nix ({call}).{host}")


@pytest.mark.parametrize("name", NAMES)
def test_nixos_and_the_lab_agree(name, in_nixos, in_the_lab):
    real, lab = in_nixos(name, "dump"), in_the_lab(name)
    assert [message for message in real["failed"] if message.startswith("slipway")] == lab["failed"] == []
    for part, compare in AGREEMENTS.items():
        compare(real[part], lab[part])


@pytest.mark.parametrize("name", NAMES)
def test_a_whole_system_evaluates(name, in_nixos):
    assert in_nixos(name, "toplevel").endswith(".drv")


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


AGREEMENTS: dict[str, Callable[[Any, Any], None]] = {
    "name": equal,
    "firewall": equal,
    "units": same_units,
    "links": same_units,
    "modules": includes,
    "sysctl": same_sysctls,
    "tmpfiles": includes,
    "users": includes,
    "ssh": equal,
    "sshd": includes,
    "time": equal,
}

NAMES_OF_UNITS = {"After", "Before", "Requires", "Wants", "WantedBy"}
OWN = {"Environment", "ExecStart", "X-Restart-Triggers"}
"""Keys whose values hold store paths, which differ."""


def parsed(text: str) -> dict[str, dict[str, list[str]]]:
    """A unit file as sections of keys with their sorted values; a list of unit names counts word by word."""
    sections: dict[str, dict[str, list[str]]] = {}
    keys: dict[str, list[str]] = {}
    for line in filter(None, text.splitlines()):
        if line.startswith("["):
            keys = sections.setdefault(line.strip("[]"), {})
            continue
        key, _, value = line.partition("=")
        if key not in OWN:
            keys.setdefault(key, []).extend(value.split() if key in NAMES_OF_UNITS else [value])
    return {name: {key: sorted(values) for key, values in found.items()} for name, found in sections.items() if found}
