"""The steps of the hand-off in their order: each knows what it still lacks, and how to get there.

A step can be begun anywhere and again: it looks at the cluster, not at what an earlier run has noted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from slipway.stages import base_apps, bootstrap, key, proof, repository
from slipway.stages.bootstrap import Site
from slipway.stages.model import Stage


@dataclass(frozen=True)
class Step:
    """`lacking` says what is missing, and changes nothing; "" means that it is so already.

    `run` does what is missing and waits, bounded, until it is so; it returns whether it changed anything, or in words
    what came of it. `git` steps are for a Git server in the cluster.
    """

    name: str
    text: str
    lacking: Callable[[Site], str]
    run: Callable[[Site], bool | str]
    stage: Stage = Stage.BOOTSTRAP
    git: bool = False
    asks_only: bool = False
    """Whether `run` changes nothing, and is the check itself."""


def _nothing(_site: Site) -> str:
    return ""


BOOTSTRAP = (
    Step("key", "every encrypted file opens with the cluster's age key", _nothing, key.check, asks_only=True),
    Step(
        "checkout", "committed, and not older than what Flux has", _nothing, repository.checkout, git=True,
        asks_only=True,
    ),
    Step("namespaces", "of the stage's apps", bootstrap.lacks_namespaces, bootstrap.namespaces),
    Step(
        "credentials", "the age key for Flux, the users of the Git server", bootstrap.lacks_credentials,
        bootstrap.credentials,
    ),
    Step("git-volume", "a folder on one machine", bootstrap.lacks_git_volume, bootstrap.git_volume, git=True),
    Step("git-chart", "Helm release of the Git server", bootstrap.lacks_git_chart, bootstrap.git_chart, git=True),
    Step("flux-operator", "Helm release flux-operator", bootstrap.lacks_flux_operator, bootstrap.flux_operator),
    Step("flux", "CRDs and controllers", bootstrap.lacks_flux, bootstrap.flux),
    Step("git-server", "Git server ready", bootstrap.lacks_git_server, bootstrap.git_server, git=True),
    Step(
        "git-repository", "organisation, repository, Flux's user", bootstrap.lacks_git_repository,
        bootstrap.git_repository, git=True,
    ),
    Step("push", "this checkout's commit, through a tunnel", repository.push_lacks, repository.push, git=True),
    Step("source", "Flux has read that commit", repository.lacks_source, repository.source, git=True),
)  # fmt: skip
OF_BASE_APPS = (
    Step(
        "openbao", "it initialised itself, and its seal's key opened it", base_apps.lacks_openbao, base_apps.openbao,
        Stage.CLUSTER_BASE_APPS, git=True,
    ),
    Step(
        "secrets", "External Secrets hands out what OpenBao has", base_apps.lacks_secrets, base_apps.secrets,
        Stage.CLUSTER_BASE_APPS, git=True,
    ),
)  # fmt: skip
BACKUPS = Step(
    "backups", "each volume of the stage was saved once", base_apps.lacks_backups, base_apps.backups,
    Stage.CLUSTER_BASE_APPS, git=True,
)  # fmt: skip
APP_BACKUPS = Step(
    "app-backups", "each volume of apps was saved once", base_apps.lacks_app_backups, base_apps.app_backups,
    Stage.CLUSTER_APPS, git=True,
)  # fmt: skip
PROOF = Step("webhook", "a pushed commit is applied at once", proof.lacks, proof.proof, git=True)


def steps(site: Site, stages: Sequence[Stage]) -> Sequence[Step]:
    """The steps up to the last of these stages. Later ones are Flux's work, and are waited for."""
    first, *later = stages
    after = (step for stage in later for step in _later(stage))
    return [step for step in (*BOOTSTRAP, _healthy(first), PROOF, *after) if site.git or not step.git]


def _later(stage: Stage) -> tuple[Step, ...]:
    """What a stage is for is said before whether all of its apps are healthy: it names the cause."""
    base = stage is Stage.CLUSTER_BASE_APPS
    return (*OF_BASE_APPS, _healthy(stage), BACKUPS) if base else (_healthy(stage), APP_BACKUPS)


def _healthy(stage: Stage) -> Step:
    return Step(
        stage.value,
        "Flux has it, and what it is for is healthy",
        partial(repository.lacks_stage, name=stage.value),
        partial(repository.stage, name=stage.value),
        stage,
        git=True,
    )
