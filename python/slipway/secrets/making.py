"""Makes the Secrets that the inventory's stages read and that are not there yet. What is there is never touched."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipway.errors import InvalidInput
from slipway.generate.gitops.secrets import BY_NAME, MADE, TABLE, Form, Key, Wanted, repository, wanted
from slipway.inventory import Inventory
from slipway.secret import Secret
from slipway.secrets import manifest, seal, store
from slipway.secrets.manifest import Manifest

Given = Mapping[str, Mapping[str, Secret]]
"""Name of a Secret to what a person gave for it."""


@dataclass(frozen=True)
class Lacking:
    """A Secret that could not be made: these of its keys only a person has; none of them if only its reader knows."""

    wanted: Wanted
    keys: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "secret": str(self.wanted),
            "file": str(self.wanted.file),
            "reader": self.wanted.reader,
            "keys": list(self.keys),
        }


@dataclass(frozen=True)
class Made:
    """`files` are new; `there` were there before."""

    files: tuple[Path, ...]
    there: tuple[Path, ...]
    lacking: tuple[Lacking, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "apiVersion": "slipway/v1",
            "kind": "SecretsMade",
            "made": [str(path) for path in self.files],
            "there": [str(path) for path in self.there],
            "lacking": [each.to_json() for each in self.lacking],
        }


def missing(inventory: Inventory) -> tuple[Wanted, ...]:
    return tuple(each for each in wanted(inventory) if not (inventory.root / each.file).exists())


def to_ask(inventory: Inventory) -> tuple[tuple[Wanted, Key], ...]:
    """What only a person has, of those that are not there."""
    return tuple(pair for each in missing(inventory) for pair in asked(each))


def asked(each: Wanted) -> tuple[tuple[Wanted, Key], ...]:
    """What only a person has of one Secret."""
    return tuple((each, key) for key in each.keys if key.form is Form.GIVEN and not key.like)


def fill(inventory: Inventory, given: Given) -> Made:
    """Make what is missing, as far as slipway and `given` know it. The repository has its age key already."""
    lacking = missing(inventory)
    there = tuple(each.file for each in wanted(inventory) if each not in lacking)
    files, left = [], []
    for each in lacking:
        values = _values(inventory, each, given.get(each.name, {}))
        unknown = tuple(key.name for key in each.keys if key.name not in values and not _is_made(key))
        if unknown or (each.open and not values):
            left.append(Lacking(each, unknown))
            continue
        made = store.made_of(each, values, _taken(inventory.root, each))
        files.append(store.encrypted(inventory.root, each.file, made))
    return Made(tuple(files), there, tuple(left))


def repeat(inventory: Inventory) -> tuple[Path, ...]:
    """Bring Secrets that repeat others, or say an address of the inventory, in step with them; return the changed."""
    changed = []
    for each in wanted(inventory):
        if not (inventory.root / each.file).exists() or not any(key.like for key in each.keys):
            continue
        found = store.read(inventory.root, each.file).values
        values = {**found, **_values(inventory, each, {})}
        if values != found:
            save(inventory.root, each, values)
            changed.append(each.file)
    return tuple(changed)


def save(root: Path, each: Wanted, values: Mapping[str, Secret]) -> Path:
    """Write a Secret's file, whether or not it is there: whole or not at all."""
    return store.rewritten(root, each.file, manifest.written(Manifest(each.namespace, each.name, values)))


def draft(inventory: Inventory, each: Wanted) -> dict[str, Secret]:
    """What a person begins with: the present values, else what can be made and emptiness for the rest."""
    if (inventory.root / each.file).exists():
        return dict(store.read(inventory.root, each.file).values)
    known = _values(inventory, each, {})
    empty = {key.name: Secret("") for key in each.keys if key.name not in known and not _is_made(key)}
    made = manifest.read(store.made_of(each, {**known, **empty}, _taken(inventory.root, each)), each.file)
    return dict(made.values)


def _taken(root: Path, each: Wanted) -> Collection[str]:
    """The names of the seal's keys that there ever were. Each state of its file costs a call of sops, and no other
    Secret has one."""
    return seal.names(root) if each == seal.SEAL else ()


def find(inventory: Inventory, name: str) -> Wanted:
    """The Secret that a person means: NAMESPACE/NAME, its name alone, or the path of an encrypted file.

    Raises InvalidInput where there is no such one.
    """
    for each in (*wanted(inventory), *TABLE):
        if name in (str(each), each.name, str(each.file)):
            return each
    path = Path(os.path.relpath(name, inventory.root) if Path(name).is_absolute() else name)
    if ".sops." in path.name and (inventory.root / path).is_file():
        found = store.read(inventory.root, path)
        return Wanted(found.namespace, found.name, path.parent, "", "your own", filename=path.name)
    known = ", ".join(str(each) for each in wanted(inventory))
    raise InvalidInput(f"{name}: neither a Secret that the stages read ({known}) nor an encrypted file here")


def _is_made(key: Key) -> bool:
    return bool(key.fixed) or (not key.like and key.form in MADE | {Form.SEAL_BEFORE, Form.SEAL_ID_BEFORE})


def _values(inventory: Inventory, each: Wanted, given: Mapping[str, Secret]) -> dict[str, Secret]:
    """What is known of it: given, the same as in another Secret, or said by the inventory."""
    if each.name == "sops-age":
        return store.identities_as_values([store.own_key(inventory.root).private])
    found = dict(given)
    for key in each.keys:
        if key.form is Form.REPOSITORY:
            found[key.name] = Secret(repository(inventory, each.name))
    return _likes(inventory.root, each) | found


def _likes(root: Path, each: Wanted) -> dict[str, Secret]:
    """Values that other Secrets have too, as far as those are there. A key that has no such value is never made."""
    found: dict[str, Secret] = {}
    for name in dict.fromkeys(key.like for key in each.keys if key.like):
        file = BY_NAME[name].file
        if (root / file).exists():
            values = store.read(root, file).values
            found |= {key.name: values[key.name] for key in each.keys if key.like == name and key.name in values}
    return found
