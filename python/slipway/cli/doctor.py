"""`slipway doctor`: everything that must be on this machine before a cluster can be built from it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from slipway.cli.console import print_json, print_table, say
from slipway.cli.options import INVENTORY, InventoryOption, JsonOption
from slipway.cli.prerequisites import FLAKES_ON, Finding, programs
from slipway.errors import PrerequisiteMissing, SlipwayError
from slipway.inventory import Inventory, load
from slipway.words import first_of

STORE = Path("/nix/store")
ROOM = 10 << 30
"""Bytes: a NixOS with k0s's images takes some 3 GB, and every change of nixpkgs the same again."""
_GIB = 1 << 30


def doctor(inventory_file: InventoryOption = INVENTORY, json_output: JsonOption = False) -> None:
    """Judge what this machine has: programs and their versions, flakes, keys, pinned host keys, room on the disk.

    Each finding that is not ok says what to type. Exit code 12: something is missing or too old.

    Example: slipway doctor
    """
    findings = [*programs(), *_repository(inventory_file), _room()]
    if json_output:
        print_json([asdict(finding) for finding in findings])
    else:
        print_table(("what", "state", "found", "for"), [(f.name, f.state, f.found, f.purpose) for f in findings])
        for finding in (each for each in findings if each.advice):
            say(f"{finding.name}: {finding.advice}")
    _judge(findings, inventory_file)


def _judge(findings: Sequence[Finding], inventory_file: Path) -> None:
    wrong = [finding for finding in findings if finding.is_in_the_way]
    if not wrong:
        return
    told = [f"{state}: {', '.join(each.name for each in wrong if each.state == state)}" for state in ("missing", "old")]
    raise PrerequisiteMissing(
        "; ".join(text for text in told if not text.endswith(": ")), hint=_next(wrong, findings, inventory_file)
    )


def _next(wrong: Sequence[Finding], findings: Sequence[Finding], inventory_file: Path) -> str:
    """One command where one does: the repository's own shell has all programs, if Nix is there to open it."""
    by_name = {finding.name: finding.state for finding in findings}
    from_the_shell = [each for each in wrong if each.advice.startswith("nix ")]
    if from_the_shell and by_name["nix"] == "ok" and (inventory_file.parent / "flake.nix").exists():
        return "nix develop" if by_name.get("flakes") == "ok" else f"{FLAKES_ON}; nix develop"
    return wrong[0].advice


def _repository(inventory_file: Path) -> Iterator[Finding]:
    """Keys, and what only a repository has; outside of one the user's own key alone."""
    from slipway.ssh.own import public_keys

    if (inventory_file.parent / ".sops.yaml").exists():
        yield _age_key(inventory_file.parent)
    inventory = _readable(inventory_file)
    own = public_keys()
    yield _ssh_key(inventory, own)
    if inventory:
        yield _own_key(inventory, own)
        yield _host_keys(inventory)
        if inventory.deploy.cache is not None:
            yield _cache(inventory.deploy.cache)
    elif inventory_file.exists():
        told = f"{inventory_file} is not right"
        yield Finding("inventory", "to do", told, "all that follows from it", "slipway check")


def _readable(inventory_file: Path) -> Inventory | None:
    try:
        return load(inventory_file)
    except SlipwayError:
        return None


def _ssh_key(inventory: Inventory | None, own: Sequence[str]) -> Finding:
    """The user's own, or those that the inventory names."""
    name, purpose = "SSH key", "the way into the machines"
    if own:
        kinds = ", ".join(dict.fromkeys(line.partition(" ")[0] for line in own))
        return Finding(name, "ok", f"{len(own)}: {kinds}", purpose)
    if inventory and all(host.ssh.identity for host in inventory.hosts):
        return Finding(name, "ok", "ssh.identity of the inventory", purpose)
    return Finding(name, "missing", "no agent, no ~/.ssh/id_*.pub", purpose, "ssh-keygen -t ed25519")


def _age_key(root: Path) -> Finding:
    from slipway.secrets import keys, store

    name, purpose = "age key", "opens the secrets of this repository"
    try:
        store.own_key(root)
    except SlipwayError as error:
        return Finding(name, "missing", error.message, purpose, error.hint or f"bring it to {keys.key_file()}")
    return Finding(name, "ok", f"{_short(keys.key_file())}, keep a copy elsewhere", purpose)


def _short(path: Path) -> str:
    """With ~ for the home, so that a table has room for it."""
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)


def _own_key(inventory: Inventory, own: Sequence[str]) -> Finding:
    name, purpose = "ssh.authorizedKeys", "who may log in after the first deploy"
    ours = set(map(_without_comment, own))
    out = [
        host.name
        for host in inventory.hosts
        if not host.ssh.identity and ours.isdisjoint(map(_without_comment, host.ssh.authorized_keys))
    ]
    if not out:
        return Finding(name, "ok", "yours is among them", purpose)
    told = f"none of yours on {first_of(out, 3)}: a deploy would lock you out"
    return Finding(name, "to do", told, purpose, "add the line of ~/.ssh/id_*.pub to defaults.ssh.authorizedKeys")


def _without_comment(key: str) -> str:
    return " ".join(key.split()[:2])


def _host_keys(inventory: Inventory) -> Finding:
    from slipway.ssh.keys import KNOWN_HOSTS, KnownHosts

    name, purpose = "host keys", "whom slipway takes for the machines"
    try:
        known = KnownHosts.load(inventory.root / KNOWN_HOSTS)
    except SlipwayError as error:
        return Finding(name, "missing", error.message, purpose, "mend that line")
    loose = [host.name for host in inventory.hosts if not known.of(host.login_address, host.ssh.port)]
    if not loose:
        return Finding(name, "ok", f"all {len(inventory.hosts)} are pinned", purpose)
    return Finding(name, "to do", f"not pinned: {first_of(loose, 3)}", purpose, f"slipway trust {' '.join(loose[:5])}")


def _cache(address: str) -> Finding:
    from slipway.tools import nix

    name, purpose = "binary cache", "filled once by a deploy, for all machines"
    try:
        nix.require_opens(address)
    except PrerequisiteMissing as error:
        return Finding(name, "missing", error.message, purpose, f"with a Nix that has S3: {error.hint}")
    return Finding(name, "ok", address, purpose)


def _room() -> Finding:
    place = STORE if STORE.exists() else Path("/")
    free, purpose = shutil.disk_usage(place).free, "the systems that are built"
    told = f"{free / _GIB:.1f} GiB free at {place}"
    if free >= ROOM:
        return Finding("disk", "ok", told, purpose)
    return Finding(
        "disk", "to do", f"{told}; {ROOM // _GIB} GiB are wise", purpose, "nix-collect-garbage, or a larger disk"
    )
