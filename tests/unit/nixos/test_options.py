"""Every NixOS option that slipway's modules set exists in NixOS, with that type.

tests/data/nixos-options.tsv has the options' names and types as NixOS 24.11 has them, those alone that are set here.
After a module sets a new one, `pytest tests/unit/nixos --nixos-options FULL.tsv` writes it anew from a list of all
options (name, tab, type on each line; `<name>` and `*` stand for any name and for the elements of a list).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

HERE = Path(__file__).parent
NIXOS = HERE.parents[2] / "nixos"
KNOWN = HERE.parents[1] / "data" / "nixos-options.tsv"

ELSEWHERE = {
    ("disko",): "declared by disko",
    ("system", "preSwitchChecks"): "in NixOS from 24.11 on; guarded by `options.system ? preSwitchChecks`",
}
"""Options that the list of NixOS 24.11 does not have, and why they may be set."""

KINDS = {
    "bool": ("boolean",),
    "int": ("integer", "number"),
    "string": ("string", "one of", "path", "strings concatenated", "atom", "systemd option", "unspecified"),
    "path": ("path", "package", "string"),
    "list": ("list of", "unspecified", "systemd option"),
    "set": ("attribute set", "submodule", "unspecified"),
    "null": ("null",),
}
"""Kind of a value to the words one of which its option's type must hold."""


@dataclass(frozen=True)
class Option:
    name: str
    type: str

    @property
    def words(self) -> list[str]:
        """The option's path; a quoted part is one word, dots and all."""
        outside = self.name.split('"')
        words: list[str] = []
        for index, part in enumerate(outside):
            words += [part] if index % 2 else part.strip(".").split(".")
        return [word for word in words if word]


def matches(pattern: Sequence[str], path: Sequence[str]) -> bool:
    return len(pattern) == len(path) and all(
        wanted in (word, "<name>") or wanted == word == "*" for wanted, word in zip(pattern, path, strict=True)
    )


class Options:
    """A list of options, to be asked for the one that a path lies in."""

    def __init__(self, options: Sequence[Option]) -> None:
        self._by_first: dict[str, list[tuple[list[str], Option]]] = {}
        for option in options:
            words = option.words
            self._by_first.setdefault(words[0], []).append((words, option))

    @classmethod
    def read(cls, file: Path) -> "Options":
        lines = [line.split("\t") for line in file.read_text().splitlines() if not line.startswith("#")]
        return cls([Option(*line) for line in lines])

    def find(self, path: Sequence[str]) -> tuple[Option, Sequence[str]] | None:
        """The option that `path` names or lies in, and the rest of the path below it."""
        for length in range(len(path), 0, -1):
            for words, option in self._by_first.get(path[0], []):
                if matches(words, path[:length]):
                    return option, path[length:]
        return None


def complaint(options: Options, path: Sequence[str], kind: str) -> str | None:
    if any(tuple(path[: len(prefix)]) == prefix for prefix in ELSEWHERE):
        return None
    found = options.find(path)
    if found is None:
        return f"{'.'.join(path)} is no option of NixOS"
    option, below = found
    wanted = KINDS["set"] if below else KINDS[kind]
    if not any(word in option.type for word in wanted):
        return f"{'.'.join(path)} is set to a {kind}, its type is {option.type}"
    return None


@pytest.fixture(scope="module")
def definitions(nix_value):
    """All that slipway's modules set, for every role and both kinds of firmware: (path, kind)."""
    machine = """networking.hostName = "n1"; slipway.address = "10.0.0.11"; slipway.k0s.version = "1.36.3+k0s.2";
        slipway.k0s.configFile = /etc/hostname; slipway.ssh.authorizedKeys = [ "ssh-ed25519 AAAA" ];
        slipway.network.prefixLength = 24; slipway.cluster = { name = "test"; controllers = [ "10.0.0.11" ];
        nodeNetworks = [ "10.0.0.0/24" ]; podNetworks = [ "10.244.0.0/16" ]; provider = "cilium"; };"""
    roles = ["controller", "worker"]
    expression = f"""
        let
          machine = role: mode: {{ {machine} slipway.role = role; slipway.boot.mode = mode; }};
          system = role: mode: (import {NIXOS}/lab).nixosSystem {{
            modules = [ {NIXOS}/modules {HERE}/everything.nix (machine role mode) ];
          }};
          of = role: mode: import {HERE}/definitions.nix {{ system = system role mode; modules = {NIXOS}/modules; }};
        in
        {" ++ ".join(f'of "{role}" "{mode}"' for role in roles for mode in ("uefi", "bios"))}
    """
    return sorted({(tuple(entry["path"]), entry["kind"]) for entry in nix_value(expression)})


def test_enough_is_set_to_mean_something(definitions):
    paths = {path for path, _kind in definitions}
    for wanted in (
        "services.openssh.enable",
        "systemd.services.k0s.wantedBy",
        "nix.gc.dates",
        "system.autoUpgrade.flake",
    ):
        assert tuple(wanted.split(".")) in paths


def test_every_option_exists_with_that_type(definitions, request):
    full = request.config.getoption("--nixos-options")
    if full:
        write_subset(KNOWN, "slipway's modules set", Options.read(Path(full)), [path for path, _kind in definitions])
    options = Options.read(KNOWN)
    assert [line for path, kind in definitions if (line := complaint(options, path, kind))] == []


def write_subset(file: Path, who: str, everything: Options, paths: Sequence[Sequence[str]]) -> None:
    found = {option.name: option for option in _found(everything, paths)}
    lines = [f"{name}\t{found[name].type}\n" for name in sorted(found)]
    file.write_text(f"# Options of NixOS 24.11 that {who}: name, type.\n" + "".join(lines))


def _found(everything: Options, paths: Sequence[Sequence[str]]) -> Iterator[Option]:
    for path in paths:
        found = everything.find(path)
        if found:
            yield found[0]


@pytest.mark.parametrize(
    ("path", "kind", "words"),
    [
        (("services", "opensshd", "enable"), "bool", "no option"),
        (("services", "openssh", "enable"), "string", "type is boolean"),
        (("services", "openssh", "ports", "x"), "int", "type is list of"),
    ],
)
def test_control_what_is_wrong_is_seen(path, kind, words):
    assert words in str(complaint(Options.read(KNOWN), path, kind))
