"""`slipway secrets`: the few secrets that lie encrypted in Git, from which everything else comes back."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from slipway.cli.console import print_json, say, tell
from slipway.cli.generate import tell_git
from slipway.cli.options import INVENTORY, InventoryOption, JsonOption
from slipway.generate.gitops.secrets import Key, Wanted
from slipway.inventory import load
from slipway.secret import Secret
from slipway.secrets import keys, making, recipients, store
from slipway.secrets.making import Made

app = typer.Typer(help="Make, check and change the secrets that lie encrypted in Git.", no_args_is_help=True)

RecipientOption = Annotated[
    list[str] | None,
    typer.Option(
        "--recipient", "-r", help="A further public age key that opens everything, such as one kept offline.",
        metavar="AGE1...", show_default=False,
    ),
]  # fmt: skip


@app.callback()
def _group() -> None:
    """Keeps `init` a word of its own, while it is the only one."""


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


def _given(wanted: tuple[tuple[Wanted, Key], ...]) -> making.Given:
    """By the environment, else by a person at a terminal, who may leave it out."""
    found: dict[str, dict[str, Secret]] = {}
    for secret, key in wanted:
        value = os.environ.get(key.name) or _asked(secret, key)
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
