"""The tree gitops/<stage>/<app>/: what the stages consist of, for the hand-off first and for Flux ever after.

Every file is a template under templates/gitops at the same path.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath
from typing import Any

from slipway.errors import InvalidInput
from slipway.generate.templates import template
from slipway.inventory import Inventory
from slipway.paths import resource

SUFFIX = ".j2"


@dataclass(frozen=True)
class Chart:
    """A Helm chart in an OCI registry; `repository` without the chart's name, beginning with oci://."""

    repository: str
    name: str
    version: str

    @property
    def url(self) -> str:
        return f"{self.repository}/{self.name}"


CHARTS: Mapping[str, Chart] = {
    "flux-operator": Chart("oci://ghcr.io/controlplaneio-fluxcd/charts", "flux-operator", "0.58.1"),
    "gitea": Chart("oci://docker.gitea.com/charts", "gitea", "12.7.0"),
}
"""The one place for the versions of the stages; everything else reads the generated ocirepository.yaml."""

FLUX_VERSION = "2.x"
FLUX_REGISTRY = "ghcr.io/fluxcd"


def render(inventory: Inventory) -> dict[PurePosixPath, str]:
    """Every file of gitops/ by its path in the repository, in a fixed order. Pure."""
    values = _values(inventory)
    return {PurePosixPath(name).with_suffix(""): template(name).render(values) for name in _templates()}


def gitea_node(inventory: Inventory) -> str:
    """The machine whose disk holds the first Git server: the first of the inventory that takes any pod.

    Raises InvalidInput where every machine that runs pods is tainted.
    """
    for host in inventory.hosts:
        if host.role.runs_workloads and not host.taints:
            return str(host.name)
    raise InvalidInput(
        f"{inventory.path}: hosts: no host without taints runs pods, and the first Git server needs one",
        hint="give one host the role worker or controller+worker and no taints",
    )


def mirrored(charts: Mapping[str, str], chart: Chart) -> Chart:
    """Where the cluster itself gets `chart` from. A folder is on this machine, so the cluster keeps the original."""
    stand_in = charts.get(chart.repository, "")
    return Chart(stand_in.rstrip("/"), chart.name, chart.version) if stand_in.startswith("oci://") else chart


def _values(inventory: Inventory) -> dict[str, Any]:
    domain = inventory.cluster.domain
    host = f"gitea-http.gitea.svc.{domain}"
    return {
        "charts": {name: mirrored(inventory.mirrors.charts, chart) for name, chart in CHARTS.items()},
        "domain": domain,
        "flux": {"version": FLUX_VERSION, "registry": inventory.mirrors.images.get(FLUX_REGISTRY, FLUX_REGISTRY)},
        "gitea": {
            "node": gitea_node(inventory),
            "domain": host,
            "url": f"http://{host}:3000/",
            "email": f"gitea@{inventory.cluster.name}.{domain}",
        },
    }


@cache
def _templates() -> tuple[str, ...]:
    """Names of the templates below templates/, in order: every file of the folder gitops."""
    top = resource("templates")
    return tuple(sorted(path.relative_to(top).as_posix() for path in (top / "gitops").rglob(f"*{SUFFIX}")))
