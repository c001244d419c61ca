"""`slipway encryption`: the keys by which the API servers encrypt Secrets before they store them."""

from __future__ import annotations

from pathlib import Path

import typer

from slipway.cli.console import print_json, print_table, say
from slipway.cli.locked import BreakLockOption, at_work
from slipway.cli.options import INVENTORY, InventoryOption, JsonOption
from slipway.cluster import rekeying
from slipway.cluster.encryption import Keys
from slipway.cluster.rekeying import Holding, Seen, UnsafeKeys, name_of
from slipway.errors import SlipwayError, UsageError
from slipway.inventory import Inventory, load
from slipway.paths import ENCRYPTION_KEY
from slipway.secrets import at_rest
from slipway.secrets.at_rest import Step
from slipway.ssh.pool import Pool

app = typer.Typer(
    no_args_is_help=True, help="The keys by which Secrets are encrypted at rest.\n\nExample: slipway encryption status"
)

WAIT = "look again in a minute: an API server looks for a new file as often as that"
AGAIN = "slipway deploy; then `slipway encryption rotate` again"
NEXT = {
    Step.DEPLOY: "slipway deploy",
    Step.BEGIN: "nothing is left to do",
    Step.PROMOTE: "slipway encryption rotate",
    Step.FINISH: "slipway encryption rotate",
}


@app.command()
def status(inventory_file: InventoryOption = INVENTORY, json_output: JsonOption = False) -> None:
    """Show which key each controller writes Secrets with and by which it reads, and what a change of keys needs next.

    Example: slipway encryption status
    """
    inventory, keys = _keys(inventory_file)
    with Pool.of(inventory) as pool:
        seen = rekeying.look_at(inventory, pool)
    if json_output:
        controllers = {name: _json(each) for name, each in seen.items()}
        print_json({"keys": [key.name for key in keys.every], "controllers": controllers})
        return
    print_table(("controller", "writes with", "reads by", "in force", "all stored with"), _rows(seen))
    say(f"{ENCRYPTION_KEY}: {', '.join(key.name for key in keys.every)}; the first is written with")
    held = _held(seen)
    if len(held) == len(seen):
        step = at_rest.step(keys, held)
        waits = step is not Step.DEPLOY and not all(each.loaded for each in held.values())
        say(f"next: {WAIT if waits else NEXT[step]}")


@app.command()
def rotate(
    break_lock: BreakLockOption = False, inventory_file: InventoryOption = INVENTORY, json_output: JsonOption = False
) -> None:
    """Take the next step to another key, as soon as every controller is ready for it; a deploy comes after each step.

    Three steps: a new key to read by; write with it; store every Secret anew and let the old key go. Each changes
    secrets/encryption.sops.yaml, and says what comes next.

    Example: slipway encryption rotate
    """
    inventory, keys = _keys(inventory_file)
    with at_work("encryption rotate", inventory, break_lock=break_lock, quiet=json_output) as work:
        done, after = _step(inventory, work.pool, keys)
        at_rest.write(inventory.root, after)
    names = [key.name for key in after.every]
    if json_output:
        print_json({"done": done, "keys": names, "next": "slipway deploy"})
        return
    say(f"{done}\nwrote {inventory.root / ENCRYPTION_KEY}: {', '.join(names)}; commit it")
    say(f"next: {AGAIN if len(names) > 1 else 'slipway deploy'}")


@app.command()
def rewrite(
    break_lock: BreakLockOption = False, inventory_file: InventoryOption = INVENTORY, json_output: JsonOption = False
) -> None:
    """Store every Secret of the cluster anew, so that none is left as it was before encryption or under an old key.

    It happens on the first controller, which no Secret leaves. Every controller must write with the current key.

    Example: slipway encryption rewrite
    """
    inventory, keys = _keys(inventory_file)
    with at_work("encryption rewrite", inventory, break_lock=break_lock, quiet=json_output) as work:
        count = rekeying.store_anew(keys, inventory, work.pool)
    if json_output:
        print_json({"stored": count, "key": keys.writer.name})
    else:
        say(_stored(count, keys))


def _step(inventory: Inventory, pool: Pool, keys: Keys) -> tuple[str, Keys]:
    """Take it; what was done, and the keys after it. Raises UnsafeKeys where a controller is not ready."""
    seen = rekeying.look_at(inventory, pool)
    rekeying.require_written(keys, seen)
    match at_rest.step(keys, _held(seen)):
        case Step.BEGIN:
            after = at_rest.with_a_new_one(keys)
            return f"made the key {at_rest.newest(after).name}, to read by at first", after
        case Step.PROMOTE:
            after = at_rest.promoted(keys)
            return f"every controller reads by {after.writer.name}: now it is written with", after
        case Step.FINISH:
            return _stored(rekeying.store_anew(keys, inventory, pool), keys), at_rest.alone(keys)
    raise UnsafeKeys(f"the controllers do not have what {ENCRYPTION_KEY} says yet", hint=AGAIN)


def _stored(count: int, keys: Keys) -> str:
    return f"stored {count} Secrets anew with the key {keys.writer.name}"


def _keys(inventory_file: Path) -> tuple[Inventory, Keys]:
    inventory = load(inventory_file)
    if not inventory.cluster.k0s.encrypt_secrets:
        raise UsageError("Secrets are not encrypted at rest: cluster.k0s.encryptSecrets is false")
    return inventory, at_rest.read(inventory.root)


def _held(seen: Seen) -> dict[str, Holding]:
    return {name: each for name, each in seen.items() if isinstance(each, Holding)}


def _rows(seen: Seen) -> list[tuple[str, ...]]:
    return [(name, *_row(each)) for name, each in seen.items()]


def _row(each: Holding | SlipwayError) -> tuple[str, ...]:
    if isinstance(each, SlipwayError):
        return (str(each), "", "", "")
    read = ", ".join(map(name_of, each.keys))
    return (name_of(each.writer), read, "yes" if each.loaded else "not yet", name_of(each.stored_anew))


def _json(each: Holding | SlipwayError) -> dict[str, object]:
    return {"error": str(each)} if isinstance(each, SlipwayError) else each.to_json()
