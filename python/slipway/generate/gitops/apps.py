"""Which apps the stages consist of, and what each needs: one table, from which folders, order and policies are made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from slipway.generate.gitops.policy import API, API_CALLS, GATEWAY, S3, WORLD, Flow, called_by, calls
from slipway.inventory import Inventory
from slipway.inventory.model import Provider, Stages

BOOTSTRAP, BASE, APPS_STAGE = STAGES = ("bootstrap", "cluster-base-apps", "cluster-apps")
"""In their order: a stage needs nothing of a later one."""


def _always(_inventory: Inventory) -> bool:
    return True


def _if(condition: Callable[[Stages], bool]) -> Callable[[Inventory], bool]:
    return lambda inventory: condition(inventory.stages)


@dataclass(frozen=True)
class Volume:
    """A claim that an app's pods or dumps use, in a Flux Kustomization of its own.

    `sops` names no ExternalSecret for its repository: its Secret comes encrypted with the app.
    """

    name: str
    size: str
    sops: bool = False
    user: int = 1000
    """Who writes the files there; VolSync reads and restores them as the same user and group."""
    group: int = 1000


@dataclass(frozen=True)
class App:
    """One folder of a stage. `depends` names apps or volumes (`APP-VOLUME`) of this stage or an earlier one.

    `security` is the level of the Pod Security Standards that its namespace enforces; without one the app brings no
    namespace. `gate` says whether the stage waits for it. `flows` are None where nothing is denied by default.
    `said_ready`: its stores and secrets count as healthy only once their controller has said so.
    """

    stage: str
    name: str
    namespace: str
    chart: str = ""
    release: str = ""
    depends: tuple[str, ...] = ()
    volumes: tuple[Volume, ...] = ()
    security: str = ""
    gate: bool = True
    timeout: str = "5m"
    flows: tuple[Flow, ...] | None = None
    said_ready: bool = False
    when: Callable[[Inventory], bool] = _always

    @property
    def folder(self) -> str:
        return f"gitops/{self.stage}/{self.name}"


def git_server(inventory: Inventory) -> App | None:
    """The app of the Git server that Flux reads, if the cluster has one."""
    return next((app for app in of(inventory) if app.name in GIT_SERVERS.values()), None)


GIT_SERVERS = {"gitea": "gitea", "forgejo": "forgejo-seed"}
"""App, namespace and Helm release of the first Git server, by its kind. A Forgejo for people's code is another."""


def of(inventory: Inventory) -> tuple[App, ...]:
    """The apps that the inventory asks for, stage by stage."""
    wanted = stages_of(inventory)
    return tuple(app for app in APPS if app.stage in wanted and app.when(inventory))


def stages_of(inventory: Inventory) -> tuple[str, ...]:
    """The stages that there are, in their order."""
    return STAGES[: STAGES.index(inventory.stages.until) + 1]


def in_stage(inventory: Inventory, stage: str) -> Iterator[App]:
    return (app for app in of(inventory) if app.stage == stage)


def _served_by(kind: str) -> Callable[[Inventory], bool]:
    return _if(lambda s: s.source.kind == "git-server" and s.git_server.kind == kind)


def _snapshots(inventory: Inventory) -> bool:
    return inventory.stages.storage.provider != "local-path"


def _restores(inventory: Inventory) -> bool:
    return inventory.stages.mode in ("restore", "restore-only")


def _cilium(inventory: Inventory) -> bool:
    return inventory.cluster.network.provider is Provider.CILIUM


def _gitlab(line: str = "") -> Callable[[Inventory], bool]:
    return _if(lambda s: s.code_hosting.kind == "gitlab" and line in ("", s.code_hosting.gitlab))


_GIT_FLOWS = (called_by("flux-system", 3000), calls("flux-system", 9292), called_by(GATEWAY, 3000))

APPS: tuple[App, ...] = (
    # --- bootstrap
    App(BOOTSTRAP, "cilium", "kube-system", "cilium", gate=False, timeout="10m", when=_cilium),
    App(BOOTSTRAP, "flux-operator", "flux-system", "flux-operator", security="none"),
    App(BOOTSTRAP, "flux-instance", "flux-system", depends=("flux-operator",)),
    App(BOOTSTRAP, "secrets", "secrets", security="restricted"),
    App(
        BOOTSTRAP, "gitea", "gitea", "gitea", depends=("flux-instance",), security="baseline", flows=_GIT_FLOWS,
        when=_served_by("gitea"),
    ),
    App(
        BOOTSTRAP, "forgejo-seed", "forgejo-seed", "forgejo", depends=("flux-instance",), security="baseline",
        flows=_GIT_FLOWS, when=_served_by("forgejo"),
    ),
    App(
        BOOTSTRAP, "git-repository", "", depends=("{gitea}", "{forgejo-seed}"),
        when=_if(lambda s: s.source.kind == "git-server"),
    ),
    App(
        BOOTSTRAP, "git-webhook", "flux-system", depends=("git-repository",),
        when=_if(lambda s: s.source.kind == "git-server"),
    ),
    # --- cluster-base-apps
    App(BASE, "crds", "flux-system", gate=False, timeout="10m"),
    App(
        BASE, "storage", "storage", "local-path-provisioner", security="privileged", flows=(API_CALLS,),
        when=_if(lambda s: s.storage.provider == "local-path"),
    ),
    App(
        BASE, "openebs", "openebs", "openebs", depends=("crds",), security="privileged", timeout="10m", when=_snapshots,
    ),
    App(
        BASE, "snapshot-controller", "snapshot-controller", "snapshot-controller", depends=("crds", "openebs"),
        security="restricted", flows=(API_CALLS,), when=_snapshots,
    ),
    App(
        BASE, "volsync", "volsync", "volsync", depends=("crds", "{storage}"), security="restricted", flows=(API_CALLS,),
    ),
    App(
        BASE, "openbao", "openbao", "openbao", depends=("openbao-snapshots",), security="baseline", timeout="10m",
        volumes=(Volume("snapshots", "2Gi", sops=True, user=100),),
        flows=(API_CALLS, called_by("external-secrets", 8200), called_by(GATEWAY, 8200), calls(S3)),
    ),
    App(BASE, "openbao-restore", "openbao", depends=("openbao",), timeout="10m", when=_restores),
    App(
        BASE, "external-secrets", "external-secrets", "external-secrets", depends=("crds", "{openbao}"),
        security="restricted", flows=(API_CALLS, called_by(API, 10250), calls("openbao", 8200)),
    ),
    App(BASE, "stores", "external-secrets", depends=("external-secrets", "{openbao}"), said_ready=True),
    App(
        BASE, "forgejo", "forgejo", "forgejo", depends=("stores", "forgejo-dumps"), security="baseline", timeout="10m",
        volumes=(Volume("dumps", "{code}"),), flows=(called_by(GATEWAY, 3000), calls(WORLD), calls(S3)),
        when=_if(lambda s: s.code_hosting.kind == "forgejo"),
    ),
    App(
        BASE, "cloudnative-pg", "cnpg-system", "cloudnative-pg", depends=("crds",), security="restricted",
        when=_gitlab("10"),
    ),
    App(
        BASE, "gitlab-database", "gitlab", depends=("gitlab-namespace", "cloudnative-pg", "{storage}", "stores"),
        timeout="15m", when=_gitlab("10"),
    ),
    App(
        BASE, "gitlab-stores", "gitlab", depends=("gitlab-database", "{storage}", "stores"), timeout="15m",
        when=_gitlab("10"),
    ),
    App(
        BASE, "gitlab-namespace", "gitlab", security="baseline", when=_gitlab(),
    ),
    App(
        BASE, "gitlab", "gitlab", "gitlab", depends=("gitlab-namespace", "stores", "{gitlab}"), timeout="30m",
        when=_gitlab(),
    ),
    # --- cluster-apps
    App(
        APPS_STAGE, "load-balancer", "kube-system", gate=False, when=_if(lambda s: bool(s.load_balancer.pools)),
    ),
    App(
        APPS_STAGE, "cert-manager", "cert-manager", "cert-manager", security="restricted",
        flows=(API_CALLS, called_by(API, 10250), calls(WORLD)), when=_if(lambda s: s.cert_manager.enabled),
    ),
    App(
        APPS_STAGE, "issuers", "cert-manager", depends=("cert-manager",),
        when=_if(lambda s: s.cert_manager.enabled and s.cert_manager.email is not None and s.gateway.enabled),
    ),
    App(
        APPS_STAGE, "gateway", "gateway", depends=("{issuers}", "{load-balancer}"), security="restricted",
        when=_if(lambda s: s.gateway.enabled),
    ),
    App(APPS_STAGE, "exposure", "gateway", depends=("gateway",), gate=False, when=_if(lambda s: s.gateway.enabled)),
    App(
        APPS_STAGE, "external-dns", "external-dns", "external-dns", security="restricted", gate=False,
        flows=(API_CALLS, calls(WORLD)), when=_if(lambda s: s.external_dns.enabled),
    ),
    App(
        APPS_STAGE, "monitoring", "monitoring", "kube-prometheus-stack", security="privileged", gate=False,
        timeout="15m", when=_if(lambda s: s.monitoring == "prometheus"),
    ),
    App(
        APPS_STAGE, "victoria-metrics", "monitoring", "victoria-metrics-k8s-stack", security="privileged", gate=False,
        timeout="15m", when=_if(lambda s: s.monitoring == "victoria-metrics"),
    ),
    App(
        APPS_STAGE, "postgresql", "cnpg-system", "cloudnative-pg", security="restricted",
        when=lambda inventory: inventory.stages.cloud_native_pg and not _gitlab("10")(inventory),
    ),
    App(
        APPS_STAGE, "spegel", "spegel", "spegel", security="privileged", gate=False,
        when=_if(lambda s: s.registry_mirror),
    ),
    App(
        APPS_STAGE, "sample", "sample", depends=("sample-data",), security="restricted", gate=False,
        volumes=(Volume("data", "1Gi", user=100, group=101),), flows=(called_by(GATEWAY, 9898), calls(S3)),
        when=_if(lambda s: s.sample),
    ),
)  # fmt: skip
"""In the order in which a reader meets them; `depends` says what comes first, and `depends_of` fills in {NAMES}."""


def depends_of(inventory: Inventory, app: App) -> tuple[str, ...]:
    """What the app waits for within its stage, by names of Flux Kustomizations that there are."""
    words = {
        "{storage}": "storage" if not _snapshots(inventory) else "snapshot-controller",
        "{openbao}": openbao_of(inventory),
        "{gitlab}": "gitlab-stores" if inventory.stages.code_hosting.gitlab == "10" else "stores",
    }
    there = {each.name for each in of(inventory)}
    named = [words.get(name, name.strip("{}")) for name in app.depends]
    optional = {name.strip("{}") for name in app.depends if name.startswith("{") and name not in words}
    return tuple(dict.fromkeys(name for name in named if name in there or name not in optional))


def openbao_of(inventory: Inventory) -> str:
    """What stands for OpenBao with its content."""
    return "openbao-restore" if _restores(inventory) else "openbao"
