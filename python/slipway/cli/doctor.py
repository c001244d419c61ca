"""`slipway doctor`: everything that must be on this machine before a cluster can be built from it."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from slipway.cli.console import print_json, print_table
from slipway.cli.options import JsonOption
from slipway.errors import PrerequisiteMissing
from slipway.tools.run import find_program


@dataclass(frozen=True)
class Need:
    """A program that slipway calls, and how to get it; the devShell of the flake has them all."""

    program: str
    purpose: str
    how: str


NEEDS = (
    Need("nix", "evaluates and builds the systems", "https://nixos.org/download"),
    Need("git", "the repository that flakes are read from", "nix shell nixpkgs#git"),
    Need("ssh", "the transport of nix copy", "nix shell nixpkgs#openssh"),
    Need("sops", "secrets in Git", "nix shell nixpkgs#sops"),
    Need("age-keygen", "the key that opens them", "nix shell nixpkgs#age"),
    Need("kubectl", "the hand-off to the cluster stages", "nix shell nixpkgs#kubectl"),
    Need("helm", "charts of the network and the first stage", "nix shell nixpkgs#kubernetes-helm"),
)


@dataclass(frozen=True)
class Finding:
    program: str
    purpose: str
    state: str
    where: str


def examine() -> list[Finding]:
    """One finding per need, in the order in which a run would meet them."""
    found = []
    for need in NEEDS:
        place = find_program(need.program)
        found.append(Finding(need.program, need.purpose, "ok" if place else "missing", str(place or need.how)))
    return found


def doctor(json_output: JsonOption = False) -> None:
    """Show every prerequisite on this machine, and how to get what is missing.

    Example: slipway doctor
    """
    findings = examine()
    if json_output:
        print_json([asdict(finding) for finding in findings])
    else:
        rows = [(each.program, each.state, each.where, each.purpose) for each in findings]
        print_table(("program", "state", "found at, or how to get it", "for"), rows)
    missing = [finding.program for finding in findings if finding.state == "missing"]
    if missing:
        raise PrerequisiteMissing(f"missing here: {', '.join(missing)}", hint="nix develop")
