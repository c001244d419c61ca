"""The programs that slipway calls: whether they are there, and new enough."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from slipway.errors import SlipwayError
from slipway.tools import nix
from slipway.tools.run import find_program, run

WITHIN = 20.0
"""Seconds for a program to say its version."""
NIX = "https://nixos.org/download"
FLAKES_ON = "mkdir -p ~/.config/nix && echo 'experimental-features = nix-command flakes' >> ~/.config/nix/nix.conf"


@dataclass(frozen=True)
class Need:
    """A program; `least` is the oldest version that has what we call, empty where any does. `package` in nixpkgs."""

    program: str
    purpose: str
    package: str
    ask: tuple[str, ...]
    least: tuple[int, ...] = ()


NEEDS = (
    Need("nix", "evaluates and builds the systems", "", ("--version",), (2, 8)),
    # --pathspec-from-file of `git add`
    Need("git", "the repository that flakes are read from", "git", ("--version",), (2, 25)),
    Need("ssh", "the transport of nix copy", "openssh", ("-V",)),
    # the command `sops encrypt`, with --filename-override
    Need("sops", "secrets in Git", "sops", ("--version", "--disable-version-check"), (3, 9)),
    Need("age-keygen", "the key that opens them", "age", ("-version",), (1, 0)),
    Need("kubectl", "the hand-off to the cluster stages", "kubectl", ("version", "--client"), (1, 28)),
    # charts of OCI registries
    Need("helm", "charts of the network and the first stage", "kubernetes-helm", ("version", "--short"), (3, 8)),
)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `state`: ok, missing, old, off, or to do; `advice` is what to type, if anything."""

    name: str
    state: str
    found: str
    purpose: str
    advice: str = ""

    @property
    def is_in_the_way(self) -> bool:
        """Whether slipway cannot do its work like this; `off` and `to do` are for people to judge."""
        return self.state in ("missing", "old")


def programs() -> Iterator[Finding]:
    """One finding per need, in the order in which a run would meet them."""
    has_nix = find_program("nix") is not None
    flakes = has_nix and flakes_are_on()
    for need in NEEDS:
        yield _judged(need, _how(need, has_nix, flakes))
        if need.program == "nix" and has_nix:
            told = "on" if flakes else "off: slipway turns them on for itself, nix develop does not"
            yield Finding(
                "flakes", "ok" if flakes else "off", told, "nix build, nix develop", "" if flakes else FLAKES_ON
            )


def _judged(need: Need, how: str) -> Finding:
    place = find_program(need.program)
    if place is None:
        return Finding(need.program, "missing", "", need.purpose, how)
    version = _version(need)
    told = f"{_dotted(version) if version else 'unknown version'}, {place}"
    if version and version < need.least:
        wanted = f"{told}; {_dotted(need.least)} is needed"
        return Finding(need.program, "old", wanted, need.purpose, how)
    return Finding(need.program, "ok", told, need.purpose)


def _version(need: Need) -> tuple[int, ...]:
    """Empty where the program does not tell."""
    try:
        said = run([need.program, *need.ask], timeout=WITHIN, check=False)
    except SlipwayError:
        return ()
    found = re.search(r"(?<![\d.])(\d+(?:\.\d+)+)", said.stdout or said.stderr)
    return tuple(map(int, found[1].split("."))) if found else ()


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def flakes_are_on() -> bool:
    """Whether Nix's own settings allow what a person types, such as `nix develop`."""
    for words in (("config", "show"), ("show-config",)):
        try:
            said = run(["nix", *nix.FEATURES[:1], "nix-command", *words], timeout=WITHIN, check=False)
        except SlipwayError:
            return False
        found = re.search(r"^experimental-features = (.*)$", said.stdout, re.MULTILINE)
        if said.ok and found:
            return "flakes" in found[1].split()
    return False


def _how(need: Need, has_nix: bool, flakes: bool) -> str:
    """What gets it in the state that this machine is in."""
    if not need.package or not has_nix:
        return f"install Nix first: {NIX}" if need.package else NIX
    features = "" if flakes else "--extra-experimental-features 'nix-command flakes' "
    return f"nix {features}shell nixpkgs#{need.package}"
