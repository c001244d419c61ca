"""`slipway secrets`: the few secrets that lie encrypted in Git, from which everything else comes back."""

from __future__ import annotations

import os
import shlex
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from slipway.cli.console import print_json, print_table, progress, say, tell
from slipway.cli.generate import tell_git
from slipway.cli.options import INVENTORY, InventoryOption, JsonOption
from slipway.errors import UsageError
from slipway.events import Events
from slipway.generate.gitops.secrets import BY_NAME, Key, Wanted
from slipway.inventory import Inventory, load
from slipway.secret import Secret
from slipway.secrets import editing, keys, making, recipients, store
from slipway.secrets import rotate as rotating
from slipway.secrets.making import Made
from slipway.secrets.rotate import Rotated, What
from slipway.tools.run import call

if TYPE_CHECKING:
    from slipway.secrets.check import Report

app = typer.Typer(help="Make, check and change the secrets that lie encrypted in Git.", no_args_is_help=True)

RecipientOption = Annotated[
    list[str] | None,
    typer.Option(
        "--recipient", "-r", help="A further public age key that opens everything, such as one kept offline.",
        metavar="AGE1...", show_default=False,
    ),
]  # fmt: skip


@app.command()
def init(
    recipient: RecipientOption = None, inventory: InventoryOption = INVENTORY, json_output: JsonOption = False
) -> None:
    """Make every secret that the inventory's stages read and that is not there yet. What is there is never touched.

    What only you have (the keys of the S3 account) comes from the environment under its own name, such as
    AWS_ACCESS_KEY_ID, or is asked for on a terminal.

    Example: slipway secrets init --recipient age1...
    """
    loaded = load(inventory)
    root = loaded.root
    first = not (root / store.CONFIG).exists()
    store.create(root, label=loaded.cluster.name, recipients=recipient or ())
    new = recipients.add(root, recipient or ())
    made = making.fill(loaded, _given(making.to_ask(loaded)))
    brought = recipients.bring_in_step(root)
    if json_output:
        print_json({**made.to_json(), "recipients": list(new), "reencrypted": [str(path) for path in brought]})
    else:
        _show(made, brought, first)
    tell_git(root)


@app.command()
def check(inventory: InventoryOption = INVENTORY, json_output: JsonOption = False) -> None:
    """Prove that the secrets in Git suffice: each that a stage reads is there, right, and opens with the cluster's key.

    And none lies in plain text in the working tree or in Git's history. Nothing is contacted or changed.

    Example: slipway secrets check
    """
    from slipway.secrets import check as checking

    report = checking.check(load(inventory))
    if json_output:
        print_json(report.to_json())
    else:
        _show_report(report)
    report.require()


def _show_report(report: Report) -> None:
    rows = [(str(each), "wrong" if report.wrong(each) else "ok", each.reader) for each in report.secrets]
    print_table(("secret", "state", "read by"), rows)
    for problem in report.problems:
        tell(str(problem))
        say(f"next: {problem.hint}")
    looked = report.looked
    left_out = f"; {looked.left_out} left out, too large or too many" if looked.left_out else ""
    say(f"looked for them in {looked.files} files and {looked.objects} objects of Git's history{left_out}")
    if report.recipients == 1:
        say("one key alone opens all of this: add one that is kept offline, slipway secrets init --recipient AGE1...")


@app.command()
def edit(
    name: Annotated[
        str, typer.Argument(help="NAMESPACE/NAME as `secrets check` shows it, or an encrypted file.", metavar="SECRET")
    ],
    stdin: Annotated[
        bool, typer.Option("--stdin", help="Take `name: value` lines from standard input, beside what is there.")
    ] = False,
    inventory: InventoryOption = INVENTORY,
    json_output: JsonOption = False,
) -> None:
    """Change a secret with your editor ($VISUAL, $EDITOR), in a file in memory that only you can read.

    What is not as its reader needs it is refused, and nothing is changed then.

    Example: slipway secrets edit secrets/backup-s3

    Example: slipway secrets edit secrets/backup-s3 --stdin <new.yaml
    """
    loaded = load(inventory)
    wanted = making.find(loaded, name)
    before = making.draft(loaded, wanted)
    after = _from_stdin(before) if stdin else _from_editor(wanted, before)
    there = (loaded.root / wanted.file).exists()
    changed: list[Path] = []
    if after != before or not there:
        editing.require_right(wanted, after)
        making.save(loaded.root, wanted, after)
        changed = [wanted.file, *making.repeat(loaded)]
    if json_output:
        print_json({"changed": [str(path) for path in changed]})
    else:
        _show_edited(changed, there)
    if changed:
        tell_git(loaded.root)


def _show_edited(changed: Sequence[Path], there: bool) -> None:
    if not changed:
        say("nothing was changed")
        return
    for path in changed:
        tell(f"wrote    {path}")
    say(f"next: {'' if there else 'slipway generate, '}git add and commit, and push: Flux brings it to the cluster")


def _from_stdin(before: Mapping[str, Secret]) -> dict[str, Secret]:
    written = Secret(sys.stdin.buffer.read(editing.MOST_WRITTEN))
    return {**before, **editing.values_of(written, "standard input")}


def _from_editor(wanted: Wanted, before: Mapping[str, Secret]) -> dict[str, Secret]:
    """What the person wrote; what cannot be read is shown again rather than lost."""
    with editing.in_memory(editing.text(wanted, before), f"{wanted.name}.yaml") as file:
        while True:
            code = call([*_editor(), file], timeout=None)
            if code:
                raise UsageError(f"the editor ended with {code}; nothing was changed")
            written = Secret(file.read_bytes())
            if not written.reveal().strip():
                return dict(before)
            try:
                after = editing.values_of(written, str(wanted))
                editing.require_right(wanted, after)
                return after
            except editing.WrongValues as wrong:
                say(str(wrong))
                if not (sys.stdin.isatty() and typer.confirm("edit again?", default=True, err=True)):
                    raise


def _editor() -> list[str]:
    words = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    return [*words, *_NO_COPIES.get(Path(words[0]).name, ())]


_VIM = ("-n", "-i", "NONE", "-c", "set noundofile nobackup")
_NO_COPIES = {"vim": _VIM, "nvim": _VIM}
"""What keeps an editor from leaving copies on the disk, and registers in a file of its own."""


@app.command()
def rotate(
    what: Annotated[What, typer.Argument(help="What to change.", metavar="|".join(What))],
    finish: Annotated[
        bool, typer.Option("--finish", help="Take the old value away, once the cluster has the new one.")
    ] = False,
    inventory: InventoryOption = INVENTORY,
    json_output: JsonOption = False,
) -> None:
    """Put another value in the place of a secret, and say what the cluster must learn, in which order.

    The old value of the age key, the seal's key and restic's password stays beside the new one until `--finish`. An
    interrupted change is run again. For s3 the new key comes from the environment, as with `init`.

    Example: slipway secrets rotate seal

    Example: slipway secrets rotate age --finish
    """
    loaded = load(inventory)
    done = _rotations(loaded, finish)[what]()
    if json_output:
        print_json(done.to_json())
    else:
        for path in done.changed:
            tell(f"wrote    {path}")
        for number, step in enumerate(done.next, 1):
            say(f"next {number}: {step}")
    tell_git(loaded.root)


def _rotations(loaded: Inventory, finish: bool) -> Mapping[What, Callable[[], Rotated]]:
    """What `--finish` stands for too, where it stands for anything."""
    if finish:
        finishing: dict[What, Callable[[], Rotated]] = {
            What.AGE: lambda: rotating.finish_age(loaded),
            What.SEAL: lambda: rotating.forget_seal(loaded),
            What.RESTIC: lambda: rotating.finish_restic(loaded, say),
        }
        return defaultdict(_nothing_to_finish, finishing)
    return {
        What.AGE: lambda: rotating.age(loaded),
        What.RECIPIENTS: lambda: rotating.in_step(loaded),
        What.SEAL: lambda: rotating.seal(loaded),
        What.RESTIC: lambda: rotating.restic(loaded, say),
        What.S3: lambda: rotating.s3(loaded, _given(making.asked(BY_NAME["backup-s3"])).get("backup-s3", {})),
        What.GIT_READER: lambda: rotating.git_reader(loaded),
        What.GIT_ADMIN: lambda: rotating.git_admin(loaded),
        What.WEBHOOK: lambda: rotating.webhook(loaded),
        What.REPEATED: lambda: rotating.repeated(loaded),
    }


def _nothing_to_finish() -> Callable[[], Rotated]:
    raise UsageError("--finish is for age, seal and restic: the others are done at once")


@app.command()
def bundle(inventory: InventoryOption = INVENTORY, json_output: JsonOption = False) -> None:
    """Put the repository, as it is committed, into one file in the S3 account of the backups.

    With the age key it is all that a cold start needs when every clone is lost. Secrets in it stay encrypted; whatever
    else you commit is in it as it is.

    Example: slipway secrets bundle
    """
    from slipway.secrets import bundles

    place, size = bundles.save(load(inventory))
    if json_output:
        print_json({"apiVersion": "slipway/v1", "kind": "Bundle", "place": str(place), "bytes": size})
        return
    tell(f"wrote    {place}: {size} bytes")
    say(f"next: try it: slipway secrets drill --from {place}")


@app.command()
def drill(
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="The repository: a folder, an address, a bundle, or s3:https://HOST/BUCKET/NAME.",
            metavar="SOURCE",
            show_default="what Git has of this one",
        ),
    ] = None,
    age_key: Annotated[
        Path | None,
        typer.Option(
            "--age-key",
            help="A file with the age key, such as the one kept offline; - for standard input.",
            metavar="FILE",
            show_default="this machine's",
        ),
    ] = None,
    known: Annotated[
        str, typer.Option("--read", help="A secret of OpenBao that must be there too, below `secret/`.", metavar="PATH")
    ] = "",
    inventory: InventoryOption = INVENTORY,
    json_output: JsonOption = False,
) -> None:
    """Try a cold start on this machine: from nothing but the repository and the age key to a secret out of OpenBao.

    Opens what is committed, takes the newest snapshot that was saved, starts an OpenBao with the seal's key from Git,
    sees it open itself and reads a known secret. Needs restic and bao; contacts the backup's S3 and changes nothing.

    Example: slipway secrets drill

    Example: slipway secrets drill --from s3:https://s3.example.org/backups/homelab.bundle --age-key offline.txt
    """
    from slipway.secrets import drill as drilling

    where, inside_it = (source, Path()) if source else drilling.source_of(inventory.resolve().parent)
    key = None if age_key is None else _key_from(age_key)
    plan = drilling.Plan(where, inside_it / (inventory if source else inventory.name), key, known)
    with progress(quiet=json_output) as listener:
        result = drilling.drill(plan, Events(listener))
    if json_output:
        print_json(result.to_json())
        return
    print_table(("step", "time", "what"), [(each.name, f"{each.seconds:.1f} s", each.text) for each in result.steps])
    tell("a cold start from this repository and this key gets its secrets back")


def _key_from(file: Path) -> Secret:
    content = sys.stdin.buffer.read(editing.MOST_WRITTEN) if str(file) == "-" else file.read_bytes()
    return Secret(content)


def _given(wanted: tuple[tuple[Wanted, Key], ...]) -> making.Given:
    """By the environment, else by a person at a terminal, who may leave it out. What several Secrets call the same is
    asked for: one value would stand in all of them."""
    names = Counter(key.name for _, key in wanted)
    found: dict[str, dict[str, Secret]] = {}
    for secret, key in wanted:
        value = (os.environ.get(key.name) if names[key.name] == 1 else "") or _asked(secret, key)
        if value:
            found.setdefault(secret.name, {})[key.name] = Secret(value)
    return found


def _asked(secret: Wanted, key: Key) -> str:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return ""
    prompt = f"{key.name} for {secret} (nothing: later)"
    return str(typer.prompt(prompt, default="", hide_input=True, show_default=False, err=True))


def _show(made: Made, brought: tuple[Path, ...], first: bool) -> None:
    for path in made.files:
        tell(f"made     {path}")
    for path in brought:
        tell(f"encrypted anew for all recipients: {path}")
    for each in made.lacking:
        what = ", ".join(each.keys) or "what its provider asks for"
        tell(f"lacking  {each.wanted}: {what}; {each.wanted.reader} reads it")
    if first:
        _bold(f"Back up the age key now: {keys.key_file()}. Without it nothing in this repository can be opened again.")
    for line in _next(made):
        say(f"next: {line}")


def _next(made: Made) -> list[str]:
    """What only a person has is edited; what repeats it is made by another `init`."""
    first = [each for each in made.lacking if not any(key.like for key in each.wanted.keys)]
    lines = [f"slipway secrets edit {each.wanted}" for each in first]
    if len(first) < len(made.lacking):
        lines.append("slipway secrets init again, for what repeats it")
    if made.files:
        lines.append("slipway generate, which lists the new files in their stages; then git add and commit")
    return lines


def _bold(text: str) -> None:
    from slipway.cli.console import stderr

    stderr().print(text, style="bold", soft_wrap=True)
