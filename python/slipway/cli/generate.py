"""`slipway init` and `slipway generate`."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from slipway.cli.console import print_json, say, tell
from slipway.cli.options import INVENTORY, InventoryOption, JsonOption
from slipway.errors import ChangesPending, UsageError
from slipway.generate import skeleton, tree, writer
from slipway.generate.skeleton import Example
from slipway.generate.writer import Change
from slipway.inventory import load
from slipway.inventory.kubernetes import dns_label
from slipway.inventory.problem import told
from slipway.secrets.plain import is_encrypted
from slipway.words import counted

SHOWN = 40
"""Lines of changed files that a person still reads."""

CheckOption = Annotated[
    bool, typer.Option("--check", help="Write nothing: show what would change, and end with exit code 4 if anything.")
]


def generate(
    inventory: InventoryOption = INVENTORY, check: CheckOption = False, json_output: JsonOption = False
) -> None:
    """Write what follows from the inventory: NixOS modules, k0s configuration, GitOps files.

    Example: slipway generate --check
    """
    loaded = load(inventory)
    for line in told(loaded.warnings):
        say(f"warning: {line}")
    files = tree.render(loaded)
    different = writer.changes(loaded.root, files)
    if json_output:
        print_json([{"path": change.path, "change": change.verb} for change in different])
    if check:
        _refuse_drift(different, show=not json_output)
        return
    writer.write(loaded.root, different)
    if not json_output:
        _list_changes(different)
    tell_git_of_new(loaded.root, different)


def _list_changes(different: Sequence[Change]) -> None:
    for change in different[:SHOWN]:
        say(f"{change.verb:<8} {change.path}")
    if len(different) > SHOWN:
        say(f"... and {len(different) - SHOWN} more")
    say(f"{counted(len(different), 'generated file')} written" if different else "nothing changed")


def _refuse_drift(different: Sequence[Change], *, show: bool) -> None:
    """Show what is not up to date as a diff, and raise ChangesPending if anything is."""
    for change in different if show else ():
        tell(change.diff().removesuffix("\n"))
    if different:
        counts = f"{counted(len(different), 'generated file')} not up to date"
        raise ChangesPending(counts, hint="slipway generate")


def init(
    directory: Annotated[Path, typer.Argument(help="The folder to write to; made if it is not there.", metavar="DIR")],
    name: Annotated[str | None, typer.Option(help="Name of the cluster.", show_default="the folder's name")] = None,
    example: Annotated[
        Example, typer.Option(help="Whose machines the inventory shows: ha, single or homelab.")
    ] = Example.HOMELAB,
    flake: Annotated[
        str,
        typer.Option("--from", help="Where the repository's flake gets slipway from: a URL, or a clone's folder."),
    ] = skeleton.FLAKE_URL,
    json_output: JsonOption = False,
) -> None:
    """Begin a repository: a commented inventory, a flake, and the keys for its secrets. What is there stays as it is.

    Example: slipway init homelab

    Example: slipway init homelab --example ha --from ~/src/slipway
    """
    cluster = _checked(name) if name else _cluster_name(directory)
    written = set_up(directory, cluster, skeleton.Flake(skeleton.source(flake)), example)
    if json_output:
        print_json({"written": [str(path) for path in written]})
        return
    for path in written:
        say(f"wrote    {path}")
    _tell_what_is_yours(directory, written)
    typed = shlex.quote(str(directory))
    say(f"next: edit {directory / 'inventory.yaml'}, then: cd {typed} && slipway check && slipway generate")


def _checked(name: str) -> str:
    """Raises UsageError for what `check` would refuse."""
    try:
        return dns_label(name)
    except ValueError as error:
        raise UsageError(f"--name: {error}", hint=f"slipway init DIR --name {_label(name)}") from None


def _tell_what_is_yours(root: Path, written: Sequence[Path]) -> None:
    """What nobody can make again, and what is missing: said where it comes into being."""
    from slipway.secrets import keys

    if keys.key_file() in written:
        say(
            f"back up now: {keys.key_file()} has the age key that opens everything in {root / 'secrets'}; it is nowhere"
        )
        say("             else, and without it nobody can read the secrets again, nor rebuild the cluster from Git")
    inventory = root / "inventory.yaml"
    if inventory in written and "REPLACE-ME" in inventory.read_text(encoding="utf-8"):
        say("no SSH key was found, neither in an agent nor as ~/.ssh/id_*.pub: ssh-keygen -t ed25519, and put the line")
        say(f"  of its .pub file into {inventory}, defaults.ssh.authorizedKeys")


def set_up(root: Path, cluster: str, flake: skeleton.Flake, example: Example = Example.HOMELAB) -> tuple[Path, ...]:
    """The files of a new repository, Git's and sops's included; return what was written.

    Whoever runs it may log in to its machines: the first deployment shall not lock its author out.
    """
    from slipway.secrets import store
    from slipway.ssh.own import public_keys
    from slipway.tools import git

    made = skeleton.write(root, skeleton.files(cluster, flake, public_keys(), example), flake)
    if not git.is_inside_repository(root):
        git.init(root)
    made += store.create(root, label=cluster)
    tell_git(root)
    return made


def tell_git_of_new(root: Path, written: Sequence[Change]) -> None:
    if any(change.verb == "new" for change in written):
        tell_git(root)


def tell_git(root: Path) -> None:
    """A flake sees only what Git knows; new files are made known, their contents left to the user to stage."""
    from slipway.tools import git

    if not git.is_inside_repository(root):
        say(f"{root} is in no Git repository; a flake needs one: git init {root}")
        return
    found = _known_to_flakes(git.untracked(root))
    if found:
        git.intend_to_add(root, _to_add(found))
        say(f"Git now knows {counted(len(found), 'new file')} (git add --intent-to-add)")


def _known_to_flakes(paths: Iterable[Path]) -> list[Path]:
    """Files of slipway's and of the flake; what else lies around untracked is the user's business.

    Of the secrets only what is encrypted: what a flake sees ends in the store, where everybody can read it.
    """
    folders = {"generated", "gitops", "hosts", "modules", "overlays"}
    names = {
        ".gitignore",
        ".sops.yaml",
        "README.md",
        "renovate.json",
        "versions.yaml",
        "flake.nix",
        "inventory.yaml",
        "inventory.schema.json",
        "known_hosts",
    }
    return [path for path in paths if path.parts[0] in folders or str(path) in names or is_encrypted(path)]


def _to_add(paths: Iterable[Path]) -> list[Path]:
    """Secrets one by one, else whole folders: Git compares each of thousands of files with each path that it gets."""
    return sorted({path if is_encrypted(path) else Path(path.parts[0]) for path in paths})


def _cluster_name(directory: Path) -> str:
    """A name for the cluster from the folder's."""
    return _label(directory.resolve().name)


def _label(text: str) -> str:
    """A DNS label that is like it."""
    words = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return words[:63].rstrip("-") or "homelab"
