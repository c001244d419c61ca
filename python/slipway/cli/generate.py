"""`slipway init` and `slipway generate`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from slipway.cli.console import print_json, say, tell
from slipway.cli.options import INVENTORY, InventoryOption, JsonOption
from slipway.errors import ChangesPending
from slipway.generate import skeleton, tree, writer
from slipway.generate.writer import Change
from slipway.inventory import load
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
    for warning in loaded.warnings:
        say(f"warning: {warning}")
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
    if any(change.verb == "new" for change in different):
        tell_git(loaded.root)


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
    flake: Annotated[str, typer.Option(help="Where the repository's flake gets slipway from.")] = skeleton.FLAKE_URL,
    json_output: JsonOption = False,
) -> None:
    """Begin a repository: a commented inventory, a flake, and the keys for its secrets. What is there stays as it is.

    Example: slipway init homelab
    """
    cluster = name or _cluster_name(directory)
    written = set_up(directory, cluster, skeleton.Flake(flake))
    if json_output:
        print_json({"written": [str(path) for path in written]})
        return
    for path in written:
        say(f"wrote    {path}")
    say(f"next: edit {directory / 'inventory.yaml'}, then: cd {directory} && slipway check && slipway generate")


def set_up(root: Path, cluster: str, flake: skeleton.Flake) -> tuple[Path, ...]:
    """The files of a new repository, Git's and sops's included; return what was written."""
    from slipway.secrets import store
    from slipway.tools import git

    made = skeleton.write(root, skeleton.files(cluster, flake, _own_keys()), flake)
    if not git.is_inside_repository(root):
        git.init(root)
    made += store.create(root, label=cluster)
    tell_git(root)
    return made


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
        "known_hosts",
    }
    return [path for path in paths if path.parts[0] in folders or str(path) in names or is_encrypted(path)]


def _to_add(paths: Iterable[Path]) -> list[Path]:
    """Secrets one by one, else whole folders: Git compares each of thousands of files with each path that it gets."""
    return sorted({path if is_encrypted(path) else Path(path.parts[0]) for path in paths})


def _cluster_name(directory: Path) -> str:
    """A name for the cluster from the folder's: a DNS label."""
    words = re.sub(r"[^a-z0-9]+", "-", directory.resolve().name.lower()).strip("-")
    return words[:63].rstrip("-") or "homelab"


def _own_keys() -> tuple[str, ...]:
    """This user's public SSH keys, so that the first deployment does not lock its author out."""
    found = sorted((Path.home() / ".ssh").glob("id_*.pub"))
    return tuple(" ".join(path.read_text().split()) for path in found)
