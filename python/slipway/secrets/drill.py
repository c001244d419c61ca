"""The cold-start drill: from nothing but the repository and the age key to a secret out of OpenBao, on this machine.

What a rebuild needs is used in its order, with the programs that the cluster uses: sops, restic, bao. Nothing of the
cluster is contacted, and nothing that is saved is changed.
"""

from __future__ import annotations

import secrets
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from slipway.errors import InvalidInput, PrerequisiteMissing, SlipwayError, VerificationRed
from slipway.events import Events
from slipway.generate.gitops.secrets import BY_NAME, KNOWN_KEY, KNOWN_PATH
from slipway.generate.gitops.volumes import SAVES
from slipway.inventory import Inventory, load
from slipway.secret import Secret
from slipway.secrets import bundles, check, keys, seal, store
from slipway.secrets.manifest import Manifest
from slipway.tools import age, git, openbao, restic
from slipway.tools.openbao import OpenBao, Seal
from slipway.tools.restic import ForeignRepository, NoRepository, Repository, Snapshot
from slipway.tools.run import find_program

PHASE = "drill"
OPEN_DEADLINE = 120.0
"""Seconds for OpenBao to start, open itself and become active."""
ALONE_DEADLINE = 20.0
"""Seconds after which it counts as closed where only the present key of the seal is tried."""
SNAPSHOT = "openbao.snap"
"""What the CronJob of OpenBao leaves in its volume (templates/gitops/cluster-base-apps/openbao)."""
PROGRAMS: Mapping[str, str] = {"restic": "nix shell nixpkgs#restic", "bao": "nix shell nixpkgs#openbao"}


class DrillFailed(VerificationRed):
    """A step of the drill did not get where a rebuild would have to."""


@dataclass(frozen=True)
class Plan:
    """`source` is what Git can clone: a folder, an address, a bundle, or a bundle in S3; `inventory` its path in there.

    `age_key` is the text of a key file, None for the key on this machine. `known` is what to read beside the cluster's
    name that OpenBao has from its first start on.
    """

    source: str
    inventory: Path = Path("inventory.yaml")
    age_key: Secret | None = None
    known: str = ""


@dataclass(frozen=True)
class Step:
    name: str
    text: str
    seconds: float


@dataclass
class DrillResult:
    """`saved` is when the snapshot was made; `previous` whether it still needs the seal's key before."""

    steps: list[Step] = field(default_factory=list)
    saved: datetime | None = None
    previous: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            "apiVersion": "slipway/v1",
            "kind": "ColdStartDrill",
            "saved": self.saved.isoformat() if self.saved else None,
            "needsPreviousSealKey": self.previous,
            "steps": [{"step": each.name, "text": each.text, "seconds": round(each.seconds, 2)} for each in self.steps],
        }


def drill(plan: Plan, events: Events) -> DrillResult:
    """Go through the whole of it. Raises DrillFailed with the step, and all that is missing for it."""
    for name, how in PROGRAMS.items():
        if find_program(name) is None:
            raise PrerequisiteMissing(f"{name}: not found on PATH; the drill runs the real one", hint=how)
    result = DrillResult()
    with tempfile.TemporaryDirectory(prefix="slipway-drill-") as folder:
        _Drill(plan, Path(folder), events, result).run()
    return result


class _Drill:
    """One drill, in a folder that is gone afterwards: everything in it is encrypted, by sops or by OpenBao."""

    def __init__(self, plan: Plan, folder: Path, events: Events, result: DrillResult) -> None:
        self._plan = plan
        self._folder = folder
        self._events = events
        self._result = result

    def run(self) -> None:
        inventory = self._step("repository", self._repository)
        opened = self._step("secrets", lambda: self._secrets(inventory))
        repository = _repository_of(inventory, opened)
        snapshot = self._step("snapshot", lambda: self._snapshot(repository))
        file = self._step("restore", lambda: self._restored(repository, snapshot))
        own = Seal.of(opened[seal.SEAL.file].values)
        self._step("openbao", lambda: self._put_in(file, own))
        admin = opened[BY_NAME["openbao-admin"].file].values["password"]
        self._step("unseal and read", lambda: self._read(inventory, own, admin))

    def _step(self, name: str, work: Callable[[], tuple[Any, str]]) -> Any:  # noqa: ANN401 (whatever the step gives)
        self._events.emit(PHASE, "started", text=name)
        began = time.monotonic()
        try:
            found, text = work()
        except (DrillFailed, PrerequisiteMissing) as error:
            self._events.emit(PHASE, "failed", text=name)
            raise error
        except SlipwayError as error:
            self._events.emit(PHASE, "failed", text=name)
            raise DrillFailed(f"{name}: {error}", hint=error.hint) from error
        self._result.steps.append(Step(name, text, time.monotonic() - began))
        self._events.emit(PHASE, "done", text=f"{name}: {text}")
        return found

    def _repository(self) -> tuple[Inventory, str]:
        root = self._folder / "repository"
        commit = bundles.clone(self._plan.source, root)
        inventory = load(root / self._plan.inventory)
        return inventory, f"commit {commit[:12]} of {self._plan.source}"

    def _secrets(self, inventory: Inventory) -> tuple[Mapping[Path, Manifest], str]:
        key = self._plan.age_key or _own_key(inventory.root)
        opened, closed = check.open_all(inventory.root, key)
        problems = [*closed, *check.missing_or_wrong(inventory, opened)]
        if problems:
            told = "\n  ".join(str(problem) for problem in problems)
            raise DrillFailed(f"secrets: what is in Git does not suffice:\n  {told}", hint=problems[0].hint)
        return opened, f"{len(opened)} files opened with {_public(key)}"

    def _snapshot(self, repository: Repository) -> tuple[Snapshot, str]:
        try:
            found = restic.newest(repository)
        except NoRepository as error:
            raise DrillFailed(f"snapshot: {error}", hint="is stages.backup right, and has a backup run?") from None
        except ForeignRepository as error:
            text = f"snapshot: {error}: it is another cluster's, or secrets/backup-repo is"
            raise DrillFailed(
                text, hint="stages.backup.from and to, slipway secrets edit secrets/backup-repo"
            ) from None
        if found is None:
            raise DrillFailed(
                f"snapshot: {repository.address}: the repository is empty: nothing was ever saved",
                hint="kubectl --namespace openbao get cronjobs,replicationsources",
            )
        self._result.saved = found.time
        return found, f"{found.id[:8]} of {found.time:%Y-%m-%d %H:%M}, {_age(found.time)} old"

    def _restored(self, repository: Repository, snapshot: Snapshot) -> tuple[Path, str]:
        target = self._folder / "volume"
        restic.restore(repository, snapshot, target)
        found = next((path for path in target.rglob(SNAPSHOT) if path.stat().st_size), None)
        if found is None:
            raise DrillFailed(
                f"restore: {repository.address}: its newest snapshot has no {SNAPSHOT}",
                hint="kubectl --namespace openbao get cronjob snapshot",
            )
        return found, f"{found.stat().st_size} bytes of OpenBao's storage"

    def _put_in(self, file: Path, own: Seal) -> tuple[None, str]:
        password = Secret(secrets.token_urlsafe(24))
        with openbao.running(self._folder, own.alone, first=password) as bao:
            bao.await_active(OPEN_DEADLINE)
            bao.signed_in("admin", password).restore(file, "admin", password, OPEN_DEADLINE)
        return None, "a new one, and the snapshot in it"

    def _read(self, inventory: Inventory, own: Seal, admin: Secret) -> tuple[None, str]:
        self._result.previous = bool(own.previous_name) and not self._opens(own.alone)
        with openbao.running(self._folder, own) as bao:
            _await_open(bao, own)
            text = _known(inventory, bao.signed_in("admin", admin), self._plan.known)
        before = f"; it needs the key before, {own.previous_name}" if self._result.previous else ""
        return None, f"opened itself with the key {own.name}{before}; {text}"

    def _opens(self, own: Seal) -> bool:
        """Whether a snapshot still needs the key before is worth knowing before that one is forgotten."""
        with openbao.running(self._folder, own) as bao:
            try:
                bao.await_active(ALONE_DEADLINE)
            except openbao.Sealed:
                return False
        return True


def _await_open(bao: OpenBao, own: Seal) -> None:
    try:
        bao.await_active(OPEN_DEADLINE)
    except openbao.Sealed as error:
        names = " or ".join(filter(None, (own.name, own.previous_name)))
        raise DrillFailed(
            f"unseal: the key of openbao/openbao-seal ({names}) does not open what was saved: {error}",
            hint=f"git log -- {seal.SEAL.file}",
        ) from None


def _known(inventory: Inventory, bao: OpenBao, asked: str) -> str:
    """Read what must be there, and what the person asked for beside."""
    try:
        found = bao.read(KNOWN_PATH).get(KNOWN_KEY)
    except openbao.Refused as error:
        raise DrillFailed(
            f"read: secret/{KNOWN_PATH}: {error}",
            hint=f"bao kv put -mount=secret {KNOWN_PATH} {KNOWN_KEY}={inventory.cluster.name}, and save again",
        ) from None
    if found != inventory.cluster.name:
        raise DrillFailed(
            f"read: secret/{KNOWN_PATH}: {KNOWN_KEY} is {found!r}, and this cluster is {inventory.cluster.name}: the "
            "snapshot is another cluster's",
            hint="look at stages.backup.from and to",
        )
    if asked and not bao.read(asked):
        raise DrillFailed(f"read: secret/{asked}: it is empty")
    return f"secret/{KNOWN_PATH} says {found}" + (f", secret/{asked} is there" if asked else "")


def _repository_of(inventory: Inventory, opened: Mapping[Path, Manifest]) -> Repository:
    """What the cluster saves to, else what it restores from. Raises DrillFailed where it does neither."""
    mode = inventory.stages.mode
    if mode == "none":
        raise DrillFailed(
            "snapshot: stages.mode is none: nothing is saved, so nothing could come back",
            hint="set stages.mode: install and stages.backup.repository",
        )
    name = "openbao-snapshots-backup" if mode in SAVES else "openbao-snapshots-restore"
    return Repository.of(opened[BY_NAME[name].file].values)


def _own_key(root: Path) -> Secret:
    found = keys.find(store.recipients_of(root))
    if found is None:
        raise DrillFailed(
            f"secrets: {keys.key_file()} has the key of none of the recipients in {store.CONFIG}",
            hint="name the key's file: --age-key FILE",
        )
    return found.private


def _public(key: Secret) -> str:
    return ", ".join(age.public_key(each) for each in age.identities(key))


def _age(time: datetime) -> str:
    hours = (datetime.now(UTC) - time).total_seconds() / 3600
    return f"{hours:.0f} hours" if hours < 48 else f"{hours / 24:.0f} days"


def source_of(root: Path) -> tuple[str, Path]:
    """The repository that has `root`, and where `root` is in it. Raises InvalidInput where there is none."""
    if not git.is_inside_repository(root):
        raise InvalidInput(f"{root}: in no Git repository, which is all that a rebuild has", hint=f"git init {root}")
    top = git.top(root).resolve()
    return str(top), root.resolve().relative_to(top)
