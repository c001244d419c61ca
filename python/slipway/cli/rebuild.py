"""`slipway rebuild`: a cluster whose machines lost everything, out of its repository and of what it saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Annotated

import typer

from slipway.cli import typed
from slipway.cli.console import print_json, say
from slipway.cli.locked import ByNameOption, DryRunOption, agree_by_name, rehearse
from slipway.cli.node import of_the_machine, seen_of
from slipway.cli.options import INVENTORY, INVENTORY_VARIABLE, InventoryOption, JsonOption
from slipway.cli.typed import Step, Timing
from slipway.errors import InvalidInput, Unreachable, UsageError
from slipway.inventory import Inventory, edit, load
from slipway.inventory.source import Keys, dotted
from slipway.rollout import lock
from slipway.rollout.interruption import Interruption
from slipway.rollout.run import Run
from slipway.secrets import bundles, drill
from slipway.ssh.pool import Pool
from slipway.stages import comeback
from slipway.tools import git
from slipway.tools.run import find_program
from slipway.words import counted

MACHINES, REPOSITORY = "machines", "repository"
"""Steps that are done once in a rebuild, and never again by one that goes on."""
LOCK = "rebuild.lock"
"""Beside the repository's own, which each command that is typed holds for itself: a second rebuild would begin between
two commands of the first."""
GOES_ON = "mend what the words above say; then slipway rebuild goes on where it stopped"
MESSAGE = "Bring the cluster back from what it saved"

DirectoryArgument = Annotated[
    Path | None,
    typer.Argument(help="With --from: the folder that the repository comes to; default: named after it.",
                   metavar="DIR", show_default=False),
]  # fmt: skip
SourceOption = Annotated[
    str | None,
    typer.Option("--from", help="The repository, where no clone is left: an address, a bundle, or one in S3 "
                 "(s3:https://HOST/BUCKET/NAME.bundle).", metavar="SOURCE", show_default=False),
]  # fmt: skip
KeyOption = Annotated[
    Path | None,
    typer.Option("--age-key", help="A file with the age key, such as the one kept offline.", metavar="FILE",
                 show_default="this machine's"),
]  # fmt: skip
AnewOption = Annotated[
    bool, typer.Option("--anew", help="From the beginning, also where an earlier rebuild did not come to its end.")
]


def rebuild(
    directory: DirectoryArgument = None,
    source: SourceOption = None,
    age_key: KeyOption = None,
    anew: AnewOption = False,
    dry_run: DryRunOption = False,
    yes: ByNameOption = "",
    inventory_file: InventoryOption = INVENTORY,
    json_output: JsonOption = False,
) -> None:
    """Bring back a lost cluster from its repository, its age key and what it saved: all stages, volumes, OpenBao.

    Types what you would, command after command, and asks first where a machine still holds
    something of a cluster. Nothing is saved over what it came from until you have said that it is
    right. Run again, it goes on where it stopped.

    Example: slipway rebuild --dry-run

    Example: slipway rebuild --from s3:https://s3.example.org/backups/homelab.bundle --age-key offline.txt
    """
    inventory = load(_file(source, directory, inventory_file, dry_run))
    with nullcontext() if dry_run else lock.hold(inventory.root, LOCK):
        _rebuild(inventory, age_key, anew=anew, dry_run=dry_run, yes=yes, json_output=json_output)


def _rebuild(
    inventory: Inventory, age_key: Path | None, *, anew: bool, dry_run: bool, yes: str, json_output: bool
) -> None:
    root, name = inventory.root, inventory.cluster.name
    if anew and not dry_run:
        comeback.forget(root)
    before = comeback.under_way(root)
    if before is None:
        _require_committed(root)
    held = {} if before and MACHINES in before.done else _held(inventory)
    if dry_run:
        rehearse(_outlook(inventory, held), json_output, key="wouldDo", said="would")
        return
    if before:
        say(f"going on with the rebuild that began {before.began}; from the beginning: slipway rebuild --anew")
    work = _Work(root, inventory.path.name, before or comeback.begun(), _environment(inventory, age_key), json_output)
    with Run.begin(root, "rebuild", keep=inventory.deploy.keep_runs).recorded():
        _prove(work, inventory)
        _machines(work, name, held, yes)
        _repository(work, inventory)
        _to_the_end(work)
    _told(work, inventory, held, resumed=before is not None, json_output=json_output)


@dataclass
class _Work:
    """One rebuild: where it is, how far it has come, and what it typed."""

    root: Path
    file: str
    progress: comeback.Progress
    env: Mapping[str, str]
    aside: bool
    timings: list[Timing] = field(default_factory=list)

    def type(self, *words: str, why: str, program: str = "slipway", short: str = "") -> None:
        named = ("--inventory", self.file) if program == "slipway" and self.file != INVENTORY.name else ()
        step = Step((*words, *named), why, program=program, short=short)
        self.timings.append(typed.take(step, self.root, hint=GOES_ON, env=self.env, aside=self.aside))

    def is_done(self, step: str) -> bool:
        return step in self.progress.done

    def note(self, step: str) -> None:
        self.progress = comeback.note(self.root, self.progress, step)


def _file(source: str | None, directory: Path | None, inventory_file: Path, dry_run: bool) -> Path:
    """The inventory's path, in a clone made now where the repository comes from elsewhere."""
    if source is None:
        if directory is not None:
            raise UsageError(f"{directory}: a folder is for --from", hint=f"cd {directory}; slipway rebuild")
        return inventory_file
    target = directory or Path(PurePosixPath(source.rstrip("/")).name.removesuffix(".bundle").removesuffix(".git"))
    if dry_run:
        raise UsageError(
            "--dry-run with --from: nothing is fetched then", hint=f"git clone {source}, then without --from"
        )
    if target.exists():
        raise UsageError(f"{target}: is there already", hint=f"cd {target}; slipway rebuild, which goes on there")
    say(f"fetched  {target}: commit {bundles.clone(source, target)[:12]} of {source}")
    return target / inventory_file.name


def _environment(inventory: Inventory, age_key: Path | None) -> Mapping[str, str]:
    """What the typed commands have beside this one's environment; they are typed in the repository's own folder."""
    named = {INVENTORY_VARIABLE: inventory.path.name}
    if age_key is None:
        return named
    if not age_key.is_file():
        raise InvalidInput(f"{age_key}: there is no such file", hint="--age-key FILE")
    return {**named, "SOPS_AGE_KEY_FILE": str(age_key.resolve())}


def _require_committed(root: Path) -> None:
    """What a rebuild changes in the repository it commits, and nothing of the user's with it."""
    top, _ = drill.source_of(root)
    changed = git.uncommitted(Path(top), ".")
    if changed:
        raise UsageError(
            f"{counted(len(changed), 'file')} not committed, such as {changed[0]}: a rebuild goes by what is committed",
            hint="git status; then git commit, or git stash",
        )


def _held(inventory: Inventory) -> Mapping[str, Sequence[str]]:
    """What machines still have of a cluster, in words. Raises Unreachable where one does not answer."""
    with Pool.of(inventory) as pool, Interruption(pool.shut, say).heard():
        try:
            seen = seen_of(pool, [host.name for host in inventory.hosts])
        except Unreachable as error:
            raise Unreachable(
                str(error),
                hint="without NixOS: slipway install NODE; with new host keys: slipway trust NODE --replace",
            ) from None
    return {name: of_the_machine(name, each, "") for name, each in seen.items() if each.control_plane or each.kubelet}


def _outlook(inventory: Inventory, held: Mapping[str, Sequence[str]]) -> Sequence[str]:
    lost = [f"lose {line}" for lines in held.values() for line in lines]
    changed = [f"change {_change(inventory, keys, value)}" for keys, value in comeback.settings(inventory)]
    committed = ["commit that, with the secrets and files that follow from it"] if changed else []
    return [*lost, *changed, *committed, f"deploy, verify and hand over {inventory.cluster.name}"]


def _change(inventory: Inventory, keys: Keys, value: str) -> str:
    return f"{edit.where(inventory.path, keys)}: {dotted(keys)} becomes {value}"


def _prove(work: _Work, inventory: Inventory) -> None:
    """Before anything is lost: what is in Git opens, and what was saved can be read."""
    if work.is_done(MACHINES):
        return
    work.type("secrets", "check", why="does what is in Git suffice?")
    if not comeback.restores(inventory):
        return
    if all(map(find_program, drill.PROGRAMS)):
        work.type("secrets", "drill", why="can what was saved be read?")
    else:
        say(f"what was saved is not tried before: {' and '.join(drill.PROGRAMS)} are not both here")


def _machines(work: _Work, cluster: str, held: Mapping[str, Sequence[str]], yes: str) -> None:
    """None of them holds anything of a cluster afterwards."""
    if held:
        for line in (each for lines in held.values() for each in lines):
            say(f"is lost: {line}")
        say("is lost: whatever was not saved; volumes come back as they were at their last backup")
        nothing = f"{counted(len(held), 'machine')} still hold something of a cluster; nothing was changed"
        agree_by_name(cluster, yes, to="give this up", nothing=nothing, again="slipway rebuild")
        work.type("reset", *held, "--yes", why="nothing is left of the cluster that was")
        work.type("reboot", *held, "--no-drain", why="nor of its network in the kernel")
    if not work.is_done(MACHINES):
        work.note(MACHINES)


def _repository(work: _Work, inventory: Inventory) -> None:
    """The repository says that volumes come back, in a commit of its own."""
    if work.is_done(REPOSITORY):
        return
    for keys, value in comeback.settings(inventory):
        say(f"changed  {_change(inventory, keys, value)}")
        edit.change(inventory.path, keys, value)
    work.type("secrets", "init", why="what restoring reads, out of what is there")
    work.type("generate", why="inventory to files")
    if git.uncommitted(work.root, "."):
        work.type("add", "--all", "--", ".", why="Flux reads what is committed", program="git")
        who = () if git.knows_who_commits(work.root) else git.NOBODY
        words = (*who, "commit", "--quiet", "--message", MESSAGE)
        work.type(*words, why="so that it restores", program="git", short="git commit ...")
    work.note(REPOSITORY)


def _to_the_end(work: _Work) -> None:
    work.type("deploy", why="build, copy, activate, confirm, join")
    work.type("verify", why="testinfra on every node")
    work.type("handoff", why="the gate, then stage by stage, with what was saved")
    work.type("status", why="where we stand")
    comeback.forget(work.root)


def _told(
    work: _Work, inventory: Inventory, held: Mapping[str, Sequence[str]], *, resumed: bool, json_output: bool
) -> None:
    following = [*_next(inventory)]
    if json_output:
        steps = [timing.to_json() for timing in work.timings]
        about = {"cluster": inventory.cluster.name, "repository": str(work.root), "resumed": resumed}
        print_json({"apiVersion": "slipway/v1", "kind": "Rebuild", **about, "reset": list(held), "steps": steps,
                    "next": following})  # fmt: skip
        return
    typed.show(work.timings)
    for line in following:
        say(f"next: {line}")


def _next(inventory: Inventory) -> Sequence[str]:
    if not comeback.restores(inventory):
        return ()
    if inventory.stages.mode == "restore-only":
        return ("look at what came back; stages.mode is restore-only: nothing is saved",)
    return (
        "look at what came back. Until you say that it is right, nothing is saved: in inventory.yaml "
        "stages.backup.verified: true",
        "slipway generate; git commit --all; slipway handoff",
    )
