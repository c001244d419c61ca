"""Other values in the place of secrets, in the order in which the cluster must come to know of them.

What the cluster still needs stays beside the new value until it has learned that one. Every change can be interrupted
anywhere and run again: how far it came is read from the files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

from slipway.errors import InvalidInput, PrerequisiteMissing, UsageError
from slipway.generate.gitops import apps, volumes
from slipway.generate.gitops.secrets import BY_NAME, Form, Wanted, wanted
from slipway.inventory import Inventory
from slipway.pages import page
from slipway.result import NO_SENSE
from slipway.secret import Secret
from slipway.secrets import editing, forms, keys, making, recipients, store
from slipway.secrets import seal as seals
from slipway.tools import age as age_tool
from slipway.tools import restic as restic_tool
from slipway.tools.restic import Repository
from slipway.tools.run import find_program

PASSWORD, NEXT, PREVIOUS = "RESTIC_PASSWORD", "RESTIC_NEXT_PASSWORD", "RESTIC_PREVIOUS_PASSWORD"
"""Keys of secrets/backup-repo: what is in use, and beside it what comes or goes while a change is under way."""
Values = dict[str, Secret]
Tell = Callable[[str], None]


class What(StrEnum):
    AGE = "age"
    RECIPIENTS = "recipients"
    SEAL = "seal"
    RESTIC = "restic"
    S3 = "s3"
    GIT_READER = "git-reader"
    GIT_ADMIN = "git-admin"
    WEBHOOK = "webhook"
    REPEATED = "repeated"


@dataclass(frozen=True)
class Rotated:
    """`changed` are files of the repository; `next` what a person does now, in that order."""

    changed: tuple[Path, ...]
    next: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "apiVersion": "slipway/v1",
            "kind": "SecretsRotated",
            "changed": [str(path) for path in self.changed],
            "next": list(self.next),
        }


COMMIT = "git add and commit"
BRING = (
    "slipway handoff: it brings what the cluster must have before, and the commit itself (git push, where Flux reads "
    "from elsewhere); slipway status tells when Flux has it"
)
RESTART_OPENBAO = "kubectl --namespace openbao delete pod openbao-0"


# --- who opens the files ---------------------------------------------------------------------------------------------


def age(inventory: Inventory) -> Rotated:
    """A new key of the cluster beside the old one: the cluster learns it while every file still opens with both."""
    root = inventory.root
    identities = store.cluster_identities(root)
    before = _bytes_of(root)
    if len(identities) == 1:
        pair = age_tool.generate()
        keys.add(pair, f"{inventory.cluster.name}: {root.resolve()}")
        identities = (pair.private, *identities)
        _write_identities(root, identities)
    recipients.add(root, [age_tool.public_key(identities[0])])
    recipients.bring_in_step(root)
    steps = (
        f"back up the new key: {keys.key_file()}",
        COMMIT,
        BRING,
        "slipway secrets rotate age --finish, which takes the old key away",
    )
    return Rotated(_changed(root, before), steps)


def finish_age(inventory: Inventory) -> Rotated:
    """Encrypt everything to the new key and no longer to the old one."""
    root = inventory.root
    new, *old = store.cluster_identities(root)
    if not old:
        raise UsageError("no change of the age key is under way", hint="slipway secrets rotate age")
    before = _bytes_of(root)
    for each in old:
        recipients.remove(root, age_tool.public_key(each))
    recipients.bring_in_step(root)
    _write_identities(root, (new,))
    steps = (
        COMMIT,
        BRING,
        "whoever had the old key can still open what Git's history has: if it was lost to somebody, change every value",
    )
    return Rotated(_changed(root, before), steps)


def in_step(inventory: Inventory) -> Rotated:
    """Encrypt to those whom .sops.yaml names what is encrypted to others."""
    return Rotated(recipients.bring_in_step(inventory.root), (COMMIT, BRING))


def _write_identities(root: Path, identities: tuple[Secret, ...]) -> None:
    making.save(root, BY_NAME["sops-age"], store.identities_as_values(identities))


# --- OpenBao's seal --------------------------------------------------------------------------------------------------


def seal(inventory: Inventory) -> Rotated:
    """A new key with a new name; the one before stays, and opens what was sealed with it.

    Raises UsageError where there is one before already: what only that one opens would be lost.
    """
    root, about = inventory.root, seals.SEAL
    values = _values(root, about)
    if _text(values, "previous-key-id"):
        raise UsageError(
            f"{about}: {_text(values, 'previous-key-id')} is still kept from the last change: a snapshot may need it",
            hint="slipway secrets drill tells whether it does; then slipway secrets rotate seal --finish",
        )
    new = {
        "key": forms.make(Form.SEAL),
        "key-id": forms.make(Form.SEAL_ID, seals.names(root)),
        "previous-key": values["key"],
        "previous-key-id": values["key-id"],
    }
    making.save(root, about, new)
    steps = (
        COMMIT,
        BRING,
        f"{RESTART_OPENBAO}: it starts with both keys, and closes with the new one what the one before had closed (one "
        f"without a recovery key never does: {page('how-to/secrets.md')})",
        "wait for a backup from after that (or kubectl --namespace openbao create job --from=cronjob/snapshot now)",
        "slipway secrets drill: it tells whether the newest snapshot still needs the key before",
        "slipway secrets rotate seal --finish, once it does not and you give up older snapshots",
    )
    return Rotated((about.file,), steps)


def forget_seal(inventory: Inventory) -> Rotated:
    """Keep the key before no longer: snapshots of its time open no more."""
    root, about = inventory.root, seals.SEAL
    values = _values(root, about)
    if not _text(values, "previous-key-id"):
        raise UsageError(f"{about}: there is no key before the present one", hint="slipway secrets rotate seal")
    making.save(root, about, {**values, "previous-key": Secret(""), "previous-key-id": Secret("")})
    return Rotated((about.file,), (COMMIT, BRING, RESTART_OPENBAO))


# --- backups ---------------------------------------------------------------------------------------------------------


def restic(inventory: Inventory, tell: Tell) -> Rotated:
    """A new password for every repository, beside the old one, and in Git.

    It is written down before any repository has it, so that none can be left with a password that nobody knows.
    """
    root, about = inventory.root, BY_NAME["backup-repo"]
    _require_restic()
    values = _values(root, about)
    if PREVIOUS in values:
        raise UsageError(
            f"{about}: the password before is still good for the repositories",
            hint="slipway secrets rotate restic --finish",
        )
    if NEXT not in values:
        values[NEXT] = forms.make(Form.PASSWORD)
        making.save(root, about, values)
    for repository in _repositories(inventory, values[PASSWORD]):
        _give(repository, values[NEXT], tell)
    making.save(root, about, {PASSWORD: values[NEXT], PREVIOUS: values[PASSWORD]})
    changed = (about.file, *making.repeat(inventory))
    steps = (
        COMMIT,
        BRING,
        "wait for External Secrets, an hour at most, and for one backup of each volume",
        "slipway secrets rotate restic --finish, which takes the old password away",
    )
    return Rotated(changed, steps)


def finish_restic(inventory: Inventory, tell: Tell) -> Rotated:
    """Take the old password from every repository, then out of Git."""
    root, about = inventory.root, BY_NAME["backup-repo"]
    _require_restic()
    values = _values(root, about)
    if PREVIOUS not in values:
        raise UsageError("no change of restic's password is under way", hint="slipway secrets rotate restic")
    # OpenBao's own Secret repeats the password, and an interruption may have come before it.
    making.repeat(inventory)
    for repository in _repositories(inventory, values[PASSWORD]):
        if restic_tool.exists(repository):
            restic_tool.remove_password(repository, values[PREVIOUS])
            tell(f"{repository.address}: the old password opens it no more")
    making.save(root, about, {PASSWORD: values[PASSWORD]})
    return Rotated((about.file,), (COMMIT, BRING))


def _give(repository: Repository, password: Secret, tell: Tell) -> None:
    """Let the password open the repository, unless it does or there is none."""
    try:
        if restic_tool.exists(Repository(repository.address, password, repository.account)):
            return
    except restic_tool.ForeignRepository:
        restic_tool.add_password(repository, password)
        tell(f"{repository.address}: the new password opens it too")


def s3(inventory: Inventory, given: Mapping[str, Secret]) -> Rotated:
    """Another key of the S3 account, which must open the backups before it is written down."""
    root, about = inventory.root, BY_NAME["backup-s3"]
    before = _values(root, about)
    values = {**before, **given}
    editing.require_right(about, values)
    if values == before:
        raise UsageError(
            "s3: give the new key in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or on a terminal",
            hint="make it at the provider first; the old one stays good until everything has the new one",
        )
    _require_restic()
    password = _values(root, BY_NAME["backup-repo"])[PASSWORD]
    for repository in _repositories(inventory, password, values):
        restic_tool.exists(repository)
    making.save(root, about, values)
    changed = (about.file, *making.repeat(inventory))
    steps = (COMMIT, BRING, "wait for External Secrets, an hour at most", "take the old key away at the provider")
    return Rotated(changed, steps)


def _require_restic() -> None:
    if find_program("restic") is None:
        raise PrerequisiteMissing("restic: not found on PATH", hint="nix shell nixpkgs#restic")


def _repositories(inventory: Inventory, password: Secret, account: Values | None = None) -> Iterator[Repository]:
    """One for each volume of the stages and of people's own apps, below each prefix that this cluster uses."""
    own = account or _values(inventory.root, BY_NAME["backup-s3"])
    backup, cluster = inventory.stages.backup, inventory.cluster.name
    prefixes = dict.fromkeys([backup.to or cluster, backup.from_ or cluster])
    if inventory.stages.mode == "none":
        return
    for prefix in prefixes:
        for namespace, name in _volumes(inventory.root):
            address = f"{volumes.repository(inventory, prefix)}/{namespace}/{name}"
            yield Repository(address, password, own)


def _volumes(root: Path) -> tuple[tuple[str, str], ...]:
    """Namespace and claim, as the files of the volumes say."""
    found = []
    for path in sorted((root / "gitops").rglob("volume.yaml")):
        try:
            about = yaml.safe_load(path.read_text())["data"]
            found.append((str(about["namespace"]), str(about["name"])))
        except (yaml.YAMLError, *NO_SENSE):
            raise InvalidInput(f"{path}: not what the components of volumes read", hint="slipway generate") from None
    return tuple(dict.fromkeys(found))


# --- Git server, webhook ---------------------------------------------------------------------------------------------


def git_reader(inventory: Inventory) -> Rotated:
    """Another password of the user that Flux reads as: the Job that made the user gives it to the server."""
    changed = _anew(inventory, "git-reader", "password")
    steps = (COMMIT, f"{_again(_server(inventory), 'git-repository')}, so that the Job runs again", BRING)
    return Rotated(changed, steps)


def git_admin(inventory: Inventory) -> Rotated:
    """Another password of the first user of the Git server, which takes it from the Secret when it starts."""
    changed = _anew(inventory, "gitea-admin", "password")
    server = _server(inventory)
    steps = (
        COMMIT,
        "slipway handoff: it brings the password to the cluster, and stops at the push, which the server still refuses",
        f"kubectl --namespace {server} rollout restart deployment {server}",
        BRING,
    )
    return Rotated(changed, steps)


def webhook(inventory: Inventory) -> Rotated:
    """Another token; the address that the Git server calls follows from it, and the hand-off has both changed."""
    return Rotated(_anew(inventory, "git-webhook", "token"), (COMMIT, BRING))


def _again(namespace: str, job: str) -> str:
    """A Job that has ended stays, so that Flux makes no other; its name goes on with a digest."""
    kubectl = f"kubectl --namespace {namespace}"
    return f"{kubectl} get jobs --output name | grep {job} | xargs {kubectl} delete"


def _server(inventory: Inventory) -> str:
    server = apps.git_server(inventory)
    if server is None:
        raise UsageError("stages.source.kind is not git-server: there is no Git server in the cluster")
    return server.namespace


def _anew(inventory: Inventory, name: str, key: str) -> tuple[Path, ...]:
    about = BY_NAME[name]
    form = next(each.form for each in about.keys if each.name == key)
    if about not in wanted(inventory):
        raise UsageError(f"{about}: the stages of this inventory do not read it")
    making.save(inventory.root, about, {**_values(inventory.root, about), key: forms.make(form)})
    return (about.file,)


# --- common ----------------------------------------------------------------------------------------------------------


def repeated(inventory: Inventory) -> Rotated:
    """Secrets that repeat others, or an address of the inventory, in step with them."""
    return Rotated(making.repeat(inventory), (COMMIT, BRING))


def _values(root: Path, about: Wanted) -> Values:
    return dict(store.read(root, about.file).values)


def _text(values: Mapping[str, Secret], name: str) -> str:
    return values[name].reveal().decode() if name in values else ""


def _bytes_of(root: Path) -> dict[Path, bytes]:
    return {path: (root / path).read_bytes() for path in (store.CONFIG, *recipients.files(root))}


def _changed(root: Path, before: Mapping[Path, bytes]) -> tuple[Path, ...]:
    return tuple(path for path, content in _bytes_of(root).items() if before.get(path) != content)
