"""What a node runs, in the detail that a comparison with a new system needs. Asks with one command, changes nothing."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from slipway.node.places import NIXOS, Places
from slipway.ssh.host import Host

TIMEOUT = 120.0
KERNEL = ("kernel", "initrd", "kernel-modules")
"""Links of a system to what a running machine cannot exchange."""
STORE = "/nix/store/"

# `$1` is the current system, `$2` the booted one; standard input are the paths that it is about to need.
READ = """for part in kernel initrd kernel-modules; do
  if [ -e "$2/$part" ]; then printf 'boot %s %s\\n' "$part" "$(readlink -f "$2/$part")"; fi
done
main=$(systemctl show --property=MainPID --value k0s.service 2>/dev/null)
started=
if [ "${main:-0}" != 0 ]; then
  started=$(tr '\\0' '\\n' <"/proc/$main/environ" | sed -n 's/^SLIPWAY_STARTED_WITH=//p' | tr ':' ' ')
fi
for file in $started; do
  printf 'k0s %s %s\\n' "$file" "$(head -c 65536 "$file" 2>/dev/null | base64 | tr -d '\\n')"
done
xargs -r nix-store --check-validity --print-invalid 2>/dev/null | sed 's/^/lacks /'
if [ -e "$1" ]; then nix-store --query --requisites "$(readlink -f "$1")" | sed 's/^/has /'; fi
"""


@dataclass(frozen=True)
class Contents:
    """`closure` and `lacks`: store paths, of the current system and of those asked for that are not valid there;
    `boot`: part of the booted system to its store path; `k0s`: files that the running k0s was started with, path to
    text; empty where it does not run."""

    closure: frozenset[str] = frozenset()
    lacks: frozenset[str] = frozenset()
    boot: Mapping[str, str] = field(default_factory=dict)
    k0s: Mapping[str, str] = field(default_factory=dict)


def read(host: Host, needed: Iterable[str], places: Places = NIXOS) -> Contents:
    """Raises Unreachable, OddAnswer, or whatever else keeps us from asking. `needed`: the closure of its new system."""
    text = "".join(f"{path}\n" for path in needed).encode()
    result = host.run(["sh", "-c", READ, "contents", places.current, places.booted], input=text, timeout=TIMEOUT)
    with result.read() as said:
        return _contents([line.split() for line in said.splitlines() if line])


def _contents(lines: list[list[str]]) -> Contents:
    """Raises LookupError or ValueError for lines that READ does not print."""
    found: dict[str, dict[str, str]] = {"boot": {}, "k0s": {}, "has": {}, "lacks": {}}
    for kind, name, *rest in lines:
        found[kind][_known(kind, name)] = rest[0] if rest else ""
    texts = {path: base64.b64decode(text, validate=True).decode() for path, text in found["k0s"].items()}
    return Contents(frozenset(found["has"]), frozenset(found["lacks"]), found["boot"], texts)


def _known(kind: str, name: str) -> str:
    if (kind == "boot" and name in KERNEL) or (kind != "boot" and name.startswith(STORE)):
        return name
    raise ValueError(name)
