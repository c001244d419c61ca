"""Proves that the secrets in Git suffice: each that a stage reads is there, opens with the cluster's key, and is right.

Nothing is contacted, and nothing is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from slipway.errors import InvalidInput, SlipwayError
from slipway.generate.gitops.secrets import AGE_KEY_NAME, BY_NAME, SEEDS, Form, Wanted, repository, wanted
from slipway.inventory import Inventory
from slipway.result import NO_SENSE
from slipway.secret import Secret
from slipway.secrets import editing, leaks, manifest, recipients, seal, store
from slipway.secrets.leaks import Looked
from slipway.secrets.manifest import Manifest
from slipway.tools import age, sops

AT_ONCE = 4
"""Calls of sops beside each other."""
OPEN_TO_ALL = frozenset((Form.NAME, Form.SEAL_ID, Form.SEAL_ID_BEFORE, Form.REPOSITORY))
"""Values that anybody may know."""


@dataclass(frozen=True)
class Problem:
    """What is wrong, with whom, and what to do."""

    secret: str
    file: str
    text: str
    hint: str

    def __str__(self) -> str:
        return f"{self.file}: {self.secret + ': ' if self.secret else ''}{self.text}"

    def to_json(self) -> dict[str, str]:
        return {"secret": self.secret, "file": self.file, "text": self.text, "hint": self.hint}


class SecretsWrong(InvalidInput):
    """Some secret is missing, wrong, or in plain sight."""


@dataclass(frozen=True)
class Report:
    secrets: tuple[Wanted, ...]
    problems: tuple[Problem, ...]
    looked: Looked
    recipients: int

    def wrong(self, each: Wanted) -> bool:
        return any(problem.file == str(each.file) for problem in self.problems)

    def require(self) -> None:
        """Raises SecretsWrong if there is any problem."""
        if self.problems:
            count = f"{len(self.problems)} problem{'s' if len(self.problems) > 1 else ''} with secrets"
            raise SecretsWrong(count, hint=self.problems[0].hint)

    def to_json(self) -> dict[str, Any]:
        rows = [
            {"secret": str(each), "file": str(each.file), "reader": each.reader, "ok": not self.wrong(each)}
            for each in self.secrets
        ]
        return {
            "apiVersion": "slipway/v1",
            "kind": "SecretsReport",
            "secrets": rows,
            "problems": [problem.to_json() for problem in self.problems],
            "recipients": self.recipients,
            "looked": {"files": self.looked.files, "objects": self.looked.objects, "leftOut": self.looked.left_out},
        }


def check(inventory: Inventory) -> Report:
    """Everything about the secrets of a repository, in one pass."""
    root = inventory.root
    key, problems = _key_of_the_cluster(root)
    opened, closed = _opened(root, key)
    problems += closed
    for each in wanted(inventory):
        problems += _of_one(inventory, each, opened)
    problems += [*_repeated(inventory, opened), *_seal(root), *_out_of_step(root)]
    looked = leaks.look(root, leaks.needles(_texts_to_find(opened)))
    problems += [_leaked(leak) for leak in looked.leaks]
    count = len(store.recipients_of(root))
    return Report(wanted(inventory), tuple(dict.fromkeys(problems)), looked, count)


def missing_or_wrong(inventory: Inventory, opened: Mapping[Path, Manifest]) -> tuple[Problem, ...]:
    """What is not there, or not as its reader needs it, among the files that were opened."""
    return tuple(problem for each in wanted(inventory) for problem in _of_one(inventory, each, opened))


def open_all(root: Path, key: Secret) -> tuple[Mapping[Path, Manifest], tuple[Problem, ...]]:
    """Every encrypted file by the one key, and those that it does not open."""
    opened, problems = _opened(root, key)
    return opened, tuple(problems)


def _key_of_the_cluster(root: Path) -> tuple[Secret | None, list[Problem]]:
    """What the hand-off gives to Flux: opened with a key of this machine, and of the recipients."""
    about = BY_NAME["sops-age"]
    if not (root / about.file).exists():
        return None, []
    try:
        key = store.read(root, about.file).values[AGE_KEY_NAME]
        public = {age.public_key(each) for each in age.identities(key)}
    except KeyError:
        return None, []
    except SlipwayError as error:
        return None, [Problem(str(about), str(about.file), str(error), error.hint or "slipway secrets init")]
    if public & set(store.recipients_of(root)):
        return key, []
    text = "its key is none of the recipients in .sops.yaml: Flux could open nothing"
    return key, [Problem(str(about), str(about.file), text, "slipway secrets rotate age")]


def _opened(root: Path, key: Secret | None) -> tuple[dict[Path, Manifest], list[Problem]]:
    files = recipients.files(root)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        results = list(pool.map(_one_by_one(root, key), files))
    opened = {file: found for file, found in zip(files, results, strict=True) if isinstance(found, Manifest)}
    return opened, [found for found in results if isinstance(found, Problem)]


def _one_by_one(root: Path, key: Secret | None) -> Callable[[Path], Manifest | Problem]:
    def opened(file: Path) -> Manifest | Problem:
        try:
            return manifest.read(sops.decrypt(root / file, key), file)
        except SlipwayError as error:
            text = str(error).removeprefix(f"{root / file}: ").removeprefix(f"{file}: ")
            return Problem("", str(file), text, error.hint or f"slipway secrets edit {file}")

    return opened


def _of_one(inventory: Inventory, each: Wanted, opened: Mapping[Path, Manifest]) -> Iterator[Problem]:
    found = opened.get(each.file)
    if found is None:
        if not (inventory.root / each.file).exists():
            yield _problem(each, f"missing; {each.reader} reads it", "slipway secrets init")
        return
    if str(found) != str(each):
        yield _problem(each, f"is the Secret {found}", f"slipway secrets edit {each.file}")
    for fault in editing.faults(each, found.values):
        yield _problem(each, fault, f"slipway secrets edit {each}")
    if each.folder != SEEDS and each.file.name not in _listed(inventory.root / each.folder):
        yield _problem(each, f"kustomization.yaml of {each.folder} does not list it", "slipway generate")


def _problem(each: Wanted, text: str, hint: str) -> Problem:
    return Problem(str(each), str(each.file), text, hint)


def _listed(folder: Path) -> tuple[str, ...]:
    try:
        return tuple(yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"])
    except (OSError, yaml.YAMLError, *NO_SENSE):
        return ()


def _repeated(inventory: Inventory, opened: Mapping[Path, Manifest]) -> Iterator[Problem]:
    """Values that two Secrets have must be the same, and an address what the inventory says."""
    for each in wanted(inventory):
        values = opened[each.file].values if each.file in opened else {}
        for key in (key for key in each.keys if key.name in values):
            other = opened.get(BY_NAME[key.like].file) if key.like else None
            if other and other.values.get(key.name) != values[key.name]:
                yield _problem(each, f"{key.name}: another value than in {other}", "slipway secrets rotate repeated")
            if key.form is Form.REPOSITORY and values[key.name] != Secret(repository(inventory, each.name)):
                text = f"{key.name}: not {repository(inventory, each.name)}, as stages.backup has it"
                yield _problem(each, text, "slipway secrets rotate repeated")


def _seal(root: Path) -> Iterator[Problem]:
    for name, keys in seal.names(root).items():
        if len(keys) > 1:
            text = f"the name {name} has stood for {len(keys)} keys, and OpenBao takes one for the other"
            yield _problem(seal.SEAL, text, "slipway secrets rotate seal")


def _out_of_step(root: Path) -> Iterator[Problem]:
    for file in recipients.out_of_step(root):
        if sops.recipients((root / file).read_bytes()):
            text = "encrypted to others than .sops.yaml says"
            yield Problem("", str(file), text, "slipway secrets rotate recipients")


def _texts_to_find(opened: Mapping[Path, Manifest]) -> dict[str, Secret]:
    """Every value that nobody may see, by a name for people."""
    harmless = {
        (each.file, key.name) for each in BY_NAME.values() for key in each.keys if key.form in OPEN_TO_ALL or key.fixed
    }
    return {
        f"{key} of {found}": value
        for file, found in opened.items()
        for key, value in found.values.items()
        if (file, key) not in harmless
    }


def _leaked(leak: leaks.Leak) -> Problem:
    hint = f"move {leak.path} away"
    if leak.object:
        hint = f"another value: slipway secrets rotate; then take {leak.path} out of the history (git filter-repo)"
    text = str(leak).removeprefix(f"{leak.path}")
    return Problem("", leak.path, text.lstrip(": "), hint)
