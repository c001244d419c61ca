"""The Secrets that the stages read and that lie encrypted in Git: one table, for whoever makes, checks, changes or
tells of them.

A Secret of the folder `secrets/` is brought to the cluster by the hand-off; one below `gitops/` is the stage's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from slipway.generate.gitops import volumes
from slipway.generate.gitops.apps import APPS_STAGE, BASE, BOOTSTRAP, stages_of
from slipway.inventory import Inventory
from slipway.inventory.model import Stages
from slipway.paths import BINARY_CACHE_KEY, ENCRYPTION_KEY

SUFFIX = ".sops.yaml"
AGE_KEY_NAME = "age.agekey"
"""In the Secret flux-system/sops-age: kustomize-controller takes the keys whose name ends so."""
CACHE_KEY_NAME = "NIX_SECRET_KEY"
"""In the Secret nix/binary-cache."""
REGISTRY_KEYS = ("REGISTRY_USERNAME", "REGISTRY_PASSWORD")
"""In the Secret of a mirror of registries that asks for a password."""
SEEDS = Path("secrets")
DEPLOY = "deploy"
"""What reads keys before there is a stage: for Secrets at rest, for a binary cache, for mirrors of registries."""
GITEA_USER = "gitea_admin"
FORGEJO_USER = "forgejo_admin"
READER = "flux"
KNOWN_PATH, KNOWN_KEY = "slipway", "cluster"
"""In OpenBao's mount `secret`, from its first start on: the cluster's name. A drill proves that it can be read."""


class Form(StrEnum):
    """What a value must be, in words for people."""

    AGE = "age identities, one a line"
    NAME = "a user's name"
    PASSWORD = "a password of at least 16 characters, on one line"  # noqa: S105 (its form)
    TOKEN = "a token of at least 32 characters, on one line"  # noqa: S105 (its form)
    SEAL = "64 hex digits and no newline"
    SEAL_BEFORE = "64 hex digits and no newline, or nothing"
    SEAL_ID = "a name for the seal's key, never used for another one"
    SEAL_ID_BEFORE = "the name of the seal's key before, or nothing"
    BYTES_32 = "32 bytes"
    GIVEN = "given to you by whoever runs the service, on one line"
    REPOSITORY = "the address of a restic repository"
    ANY = "anything but nothing"


MADE = frozenset((Form.PASSWORD, Form.TOKEN, Form.SEAL, Form.SEAL_ID, Form.BYTES_32))
"""Values that slipway makes by chance or by rule; what a person has is GIVEN."""


@dataclass(frozen=True)
class Key:
    """One value of a Secret. `fixed` is what slipway puts there, such as the name of a user; `like` names the Secret
    of the namespace `secrets` that has the same value, since External Secrets comes too late to hand it out."""

    name: str
    form: Form
    fixed: str = ""
    like: str = ""


def _always(_inventory: Inventory) -> bool:
    return True


def _if(condition: Callable[[Stages], bool]) -> Callable[[Inventory], bool]:
    return lambda inventory: condition(inventory.stages)


@dataclass(frozen=True)
class Wanted:
    """One Secret. `reader` says who reads it, `stage` in which stage; `folder` is where its file lies.

    `open` ones have whatever keys their reader asks for, at least one.
    """

    namespace: str
    name: str
    folder: Path
    stage: str
    reader: str
    keys: tuple[Key, ...] = ()
    when: Callable[[Inventory], bool] = _always
    filename: str = ""

    @property
    def file(self) -> Path:
        return self.folder / (self.filename or f"{self.name}{SUFFIX}")

    @property
    def open(self) -> bool:
        return not self.keys

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def _served(s: Stages) -> bool:
    return s.source.kind == "git-server"


def _saves_or_restores(s: Stages) -> bool:
    return s.mode != "none"


def _login(name: str) -> tuple[Key, ...]:
    return Key("username", Form.NAME, fixed=name), Key("password", Form.PASSWORD)


_FIRST = Path("gitops") / BOOTSTRAP / "secrets" / "app"
_FLUX = Path("gitops") / BOOTSTRAP / "flux-instance" / "app"
_OPENBAO = Path("gitops") / BASE / "openbao"
_S3 = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
_RESTIC = (
    Key("RESTIC_REPOSITORY", Form.REPOSITORY),
    Key("RESTIC_PASSWORD", Form.PASSWORD, like="backup-repo"),
    *(Key(name, Form.GIVEN, like="backup-s3") for name in _S3),
)

TABLE: tuple[Wanted, ...] = (
    Wanted(
        "kube-system", "encryption", ENCRYPTION_KEY.parent, DEPLOY, "the API servers, which encrypt Secrets with it",
        (Key("key", Form.BYTES_32),), lambda inventory: inventory.cluster.k0s.encrypt_secrets,
    ),
    Wanted(
        "nix", "binary-cache", BINARY_CACHE_KEY.parent, DEPLOY, "deploys, which sign what they copy to deploy.cache",
        (Key(CACHE_KEY_NAME, Form.GIVEN),), lambda inventory: inventory.deploy.cache is not None,
    ),
    Wanted(
        "flux-system", "sops-age", SEEDS, BOOTSTRAP, "Flux, which decrypts all others with it",
        (Key(AGE_KEY_NAME, Form.AGE),),
    ),
    Wanted("gitea", "gitea-admin", SEEDS, BOOTSTRAP, "the first Git server", _login(GITEA_USER), _if(_served)),
    Wanted(
        "flux-system", "git-reader", SEEDS, BOOTSTRAP, "Flux, and the Job git-repository", _login(READER), _if(_served),
    ),
    Wanted(
        "secrets", "backup-repo", _FIRST, BOOTSTRAP, "every volume that is saved or restored",
        (Key("RESTIC_PASSWORD", Form.PASSWORD),), _if(_saves_or_restores),
    ),
    Wanted(
        "secrets", "backup-s3", _FIRST, BOOTSTRAP, "every volume that is saved or restored",
        tuple(Key(name, Form.GIVEN) for name in _S3), _if(_saves_or_restores),
    ),
    Wanted(
        "flux-system", "git-webhook", SEEDS, BOOTSTRAP, "git-webhook: Flux's Receiver and the Git server",
        (Key("token", Form.TOKEN),), _if(_served),
    ),
    Wanted(
        "secrets", "forgejo-admin", _FIRST, BASE, "forgejo", _login(FORGEJO_USER),
        _if(lambda s: s.code_hosting.kind == "forgejo"),
    ),
    Wanted(
        "secrets", "gitlab", _FIRST, BASE, "gitlab, its database and stores",
        tuple(Key(f"{name}Password", Form.PASSWORD) for name in ("database", "valkey", "objects")),
        _if(lambda s: s.code_hosting.kind == "gitlab" and s.code_hosting.gitlab == "10"),
    ),
    Wanted(
        "secrets", "external-dns", _FIRST, APPS_STAGE, "external-dns, as its provider names them",
        when=_if(lambda s: s.external_dns.enabled),
    ),
    Wanted(
        "openbao", "openbao-seal", _OPENBAO / "app", BASE, "openbao, which opens itself with it",
        (
            Key("key", Form.SEAL), Key("key-id", Form.SEAL_ID),
            Key("previous-key", Form.SEAL_BEFORE), Key("previous-key-id", Form.SEAL_ID_BEFORE),
        ),
    ),
    Wanted(
        "openbao", "openbao-admin", _OPENBAO / "app", BASE, "openbao, and who signs in as admin",
        (Key("password", Form.PASSWORD),),
    ),
    Wanted(
        "openbao", "openbao-snapshots-backup", _OPENBAO / "snapshots", BASE, "what saves OpenBao's snapshots", _RESTIC,
        _if(lambda s: s.mode in volumes.SAVES),
    ),
    Wanted(
        "openbao", "openbao-snapshots-restore", _OPENBAO / "snapshots", BASE, "what restores OpenBao's snapshots",
        _RESTIC, _if(lambda s: s.mode in ("restore", "restore-only")),
    ),
)  # fmt: skip
"""In the order in which a cluster comes to need them."""


def wanted(inventory: Inventory) -> tuple[Wanted, ...]:
    """The Secrets that this inventory's cluster reads."""
    return tuple(_all(inventory))


def _all(inventory: Inventory) -> Iterator[Wanted]:
    there = (DEPLOY, *stages_of(inventory))
    yield from (each for each in TABLE if each.stage in there and each.when(inventory))
    yield from registry_logins(inventory).values()
    source = inventory.stages.source
    if source.secret and source.kind != "git-server":
        yield Wanted("flux-system", source.secret, _FLUX, BOOTSTRAP, f"Flux, for {source.url}")


def registry_logins(inventory: Inventory) -> dict[str, Wanted]:
    """What containerd logs in to mirrors with: name in the inventory to its Secret."""
    mirrors: dict[str, list[str]] = {}
    for host, name in inventory.mirrors.credentials.items():
        mirrors.setdefault(name, []).append(host)
    return {name: _registry_login(name, hosts) for name, hosts in mirrors.items()}


def _registry_login(name: str, hosts: list[str]) -> Wanted:
    reader = f"containerd on the machines, which asks {' and '.join(hosts)} for images with it"
    keys = tuple(Key(key, Form.GIVEN) for key in REGISTRY_KEYS)
    return Wanted("containerd", f"registry-{name}", SEEDS, DEPLOY, reader, keys)


BY_NAME = {each.name: each for each in TABLE}


def repository(inventory: Inventory, name: str) -> str:
    """What RESTIC_REPOSITORY of a Secret `openbao-snapshots-...` must be."""
    backup, cluster = inventory.stages.backup, inventory.cluster.name
    prefix = (backup.from_ if name.endswith("-restore") else backup.to) or cluster
    return f"{volumes.repository(inventory, prefix)}/openbao/openbao-snapshots"
