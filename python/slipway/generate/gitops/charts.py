"""Charts and images of the stages: the one table of their versions, and what an inventory puts in their place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from slipway import oci
from slipway.inventory import Inventory


@dataclass(frozen=True)
class Chart:
    """A Helm chart; `repository` without the chart's name, oci://... or the https:// address of an index.

    oci+http://... is a registry that speaks plain HTTP.

    `digest` (sha256:...) pins the artifact beside its version, in a registry only.
    """

    repository: str
    name: str
    version: str
    digest: str = ""

    @property
    def url(self) -> str:
        return f"{oci.url(self.repository)}/{self.name}"

    @property
    def in_registry(self) -> bool:
        return oci.is_registry(self.repository)

    @property
    def insecure(self) -> bool:
        return oci.is_plain(self.repository)

    @property
    def renovate(self) -> str:
        """How Renovate looks for newer versions of it."""
        if self.in_registry:
            return f"datasource=docker depName={self.url.removeprefix('oci://')}"
        return f"datasource=helm depName={self.name} registryUrl={self.repository}"


@dataclass(frozen=True)
class Image:
    """A container image that manifests of slipway's own name."""

    name: str
    tag: str
    digest: str = ""

    def __str__(self) -> str:
        return f"{self.name}:{self.tag}" + (f"@{self.digest}" if self.digest else "")

    @property
    def renovate(self) -> str:
        return f"datasource=docker depName={self.name}"


_GITLAB = "https://charts.gitlab.io"

CHARTS: Mapping[str, Chart] = {
    "cert-manager": Chart("oci://quay.io/jetstack/charts", "cert-manager", "v1.21.1"),
    "cilium": Chart("oci://quay.io/cilium/charts", "cilium", "1.20.1"),
    "cloudnative-pg": Chart("oci://ghcr.io/cloudnative-pg/charts", "cloudnative-pg", "0.29.0"),
    "external-dns": Chart("https://kubernetes-sigs.github.io/external-dns", "external-dns", "1.21.1"),
    "external-secrets": Chart("oci://ghcr.io/external-secrets/charts", "external-secrets", "2.9.0"),
    "flux-operator": Chart("oci://ghcr.io/controlplaneio-fluxcd/charts", "flux-operator", "0.58.1"),
    "forgejo": Chart("oci://code.forgejo.org/forgejo-helm", "forgejo", "17.1.5"),
    "gitea": Chart("oci://docker.gitea.com/charts", "gitea", "12.7.0"),
    "gitlab": Chart(_GITLAB, "gitlab", "9.11.12"),
    "kube-prometheus-stack": Chart("oci://ghcr.io/prometheus-community/charts", "kube-prometheus-stack", "88.5.3"),
    "local-path-provisioner": Chart(
        "oci://ghcr.io/rancher/local-path-provisioner/charts", "local-path-provisioner", "0.0.37"
    ),
    "openbao": Chart("oci://ghcr.io/openbao/charts", "openbao", "0.29.2"),
    "openebs": Chart("oci://ghcr.io/openebs/charts", "openebs", "4.5.1"),
    "snapshot-controller": Chart("oci://ghcr.io/piraeusdatastore/helm-charts", "snapshot-controller", "5.2.0"),
    "spegel": Chart("oci://ghcr.io/spegel-org/helm-charts", "spegel", "0.7.4"),
    "victoria-metrics-k8s-stack": Chart(
        "oci://ghcr.io/victoriametrics/helm-charts", "victoria-metrics-k8s-stack", "0.91.2"
    ),
    "volsync": Chart("https://backube.github.io/helm-charts", "volsync", "0.16.0"),
}
"""The one place for the versions of charts. The hand-off reads the generated ocirepository.yaml."""


@dataclass(frozen=True)
class Definitions:
    """CRDs as their makers keep them in Git: `path` of the folder, beginning with a slash, at a release.

    A mirror has the files of that folder as an artifact in a registry, by the name and the version.
    """

    name: str
    url: str
    path: str
    version: str
    why: str

    @property
    def in_registry(self) -> bool:
        return oci.is_registry(self.url)

    @property
    def insecure(self) -> bool:
        return oci.is_plain(self.url)

    @property
    def artifact(self) -> str:
        """Where Flux finds them in a registry."""
        return f"{oci.url(self.url)}/{self.name}"

    @property
    def renovate(self) -> str:
        return f"datasource=github-tags depName={self.url.removeprefix('https://github.com/')}"


DEFINITIONS: Mapping[str, Definitions] = {
    each.name: each
    for each in (
        Definitions(
            "gateway-api", "https://github.com/kubernetes-sigs/gateway-api", "/config/crd/standard", "v1.6.1",
            "Gateway API, as the release of Cilium wants it.",
        ),
        Definitions(
            "external-snapshotter", "https://github.com/kubernetes-csi/external-snapshotter", "/client/config/crd",
            "v8.7.0", "Snapshots of volumes: VolSync asks for the kinds, whether or not the storage can make any.",
        ),
        Definitions(
            "prometheus-operator", "https://github.com/prometheus-operator/prometheus-operator",
            "/example/prometheus-operator-crd", "v0.95.2",
            "Monitors and rules: base apps may have some before anything reads them.",
        ),
    )
}  # fmt: skip
"""Kinds that base apps use, without the controllers that a later stage may bring."""

GITLAB_10 = "10.3.1"
"""The chart of GitLab without a database, cache and object store of its own (`codeHosting.gitlab: "10"`): the newest of
the line whose notes (doc/releases, 10.3) the values were written after."""

IMAGES: Mapping[str, Image] = {
    "forgejo": Image("code.forgejo.org/forgejo/forgejo", "16.0.3-rootless"),
    "gitea": Image("docker.gitea.com/gitea", "1.27.0-rootless"),
    "openbao": Image("quay.io/openbao/openbao", "2.6.2"),
    "podinfo": Image("ghcr.io/stefanprodan/podinfo", "6.14.1"),
    "postgresql": Image("ghcr.io/cloudnative-pg/postgresql", "17.11-standard-trixie"),
    "seaweedfs": Image("docker.io/chrislusf/seaweedfs", "4.53"),
    "valkey": Image("docker.io/valkey/valkey", "8.1.11-alpine"),
    "volsync": Image("quay.io/backube/volsync", "0.16.0"),
}
"""Where each version was read: podinfo in its charts/podinfo/Chart.yaml (release of July 2026); PostgreSQL in
docker-bake.hcl of cloudnative-pg/postgres-containers (August 2026; `standard`, since the bare tags are its deprecated
`system` images); SeaweedFS in its k8s/charts/seaweedfs/Chart.yaml (November 2026); Valkey on valkey.io/download/8.1
(October 2026); OpenBao, Forgejo, Gitea and VolSync in the values of their charts above."""

FLUX_VERSION = "2.x"
FLUX_REGISTRY = "ghcr.io/fluxcd"


def chart(inventory: Inventory, name: str) -> Chart:
    """The chart in the version of the inventory, else of the table, from where the cluster gets it."""
    wanted = CHARTS[name]
    if name == "gitlab" and inventory.stages.code_hosting.gitlab == "10":
        wanted = replace(wanted, version=GITLAB_10)
    if name in inventory.stages.charts:
        version, _, digest = inventory.stages.charts[name].partition("@")
        wanted = replace(wanted, version=version, digest=digest)
    return mirrored(inventory.mirrors.charts, wanted)


def definitions(inventory: Inventory, name: str) -> Definitions:
    """The CRDs in the version of the inventory, else of the table, from where the cluster gets them."""
    wanted = DEFINITIONS[name]
    if name in inventory.stages.charts:
        wanted = replace(wanted, version=inventory.stages.charts[name])
    stand_in = inventory.mirrors.charts.get(wanted.url, "").rstrip("/")
    return replace(wanted, url=stand_in, path="/") if oci.is_registry(stand_in) else wanted


def mirrored(charts: Mapping[str, str], wanted: Chart) -> Chart:
    """Where the cluster itself gets a chart from. A folder is on this machine, so the cluster keeps the original."""
    stand_in = charts.get(wanted.repository, "").rstrip("/")
    return replace(wanted, repository=stand_in) if oci.is_registry(stand_in) else wanted


def idle_mirrors(mirrors: Mapping[str, str]) -> dict[str, str]:
    """Repositories of `mirrors.charts` from which nothing comes, each with the one that is meant, "" if unclear.

    They are compared as texts, so that another spelling would leave an air-gapped cluster without its charts.
    """
    names = {each.repository: each.name for each in CHARTS.values()}
    names |= {each.url: each.name for each in DEFINITIONS.values()}
    return {each: _meant(each, names) for each in mirrors if each not in names}


def _meant(repository: str, names: Mapping[str, str]) -> str:
    alike = (known for known, name in names.items() if name in repository or known == repository.rstrip("/"))
    return next(alike, "")


def image(inventory: Inventory, name: str) -> Image:
    """The image in the version of the inventory, else of the table, by the name that the mirrors give it."""
    wanted = IMAGES[name]
    if name in inventory.stages.images:
        tag, _, digest = inventory.stages.images[name].partition("@")
        wanted = replace(wanted, tag=tag, digest=digest)
    return replace(wanted, name=stand_in(inventory, wanted.name))


def stand_in(inventory: Inventory, name: str) -> str:
    """An image's name as `mirrors.images` has it: the longest prefix that ends at a slash counts."""
    mirrors = inventory.mirrors.images
    for prefix in sorted(mirrors, key=len, reverse=True):
        if name == prefix or name.startswith(prefix.rstrip("/") + "/"):
            return mirrors[prefix].rstrip("/") + name[len(prefix.rstrip("/")) :]
    return name
