"""What the templates of the stages are given. Pure: the inventory in, plain values out."""

from __future__ import annotations

from typing import Any

from slipway.errors import InvalidInput
from slipway.generate import cilium
from slipway.generate.gitops import apps, charts, secrets, sources, volumes
from slipway.generate.gitops.charts import CHARTS, FLUX_REGISTRY, FLUX_VERSION, IMAGES
from slipway.inventory import Inventory
from slipway.inventory.model import Provider


def values(inventory: Inventory) -> dict[str, Any]:
    stages, domain = inventory.stages, inventory.cluster.domain
    return {
        "stages": stages,
        "cluster": inventory.cluster.name,
        "domain": domain,
        "provider": inventory.cluster.network.provider.value,
        "charts": {name: charts.chart(inventory, name) for name in CHARTS},
        "images": {name: charts.image(inventory, name) for name in IMAGES},
        "account": sources.ACCOUNT,
        "crds": {name: charts.definitions(inventory, name) for name in charts.DEFINITIONS},
        "image": lambda name: charts.stand_in(inventory, name),
        "registry": lambda name: charts.stand_in(inventory, name).partition("/")[0],
        "flux": _flux(inventory),
        "git": _git(inventory),
        "cilium": cilium.values(inventory) if inventory.cluster.network.provider is Provider.CILIUM else {},
        "ipv6_only": inventory.cluster.network.ipv6_only,
        "storage_class": volumes.STORAGE_CLASS,
        "scratch_class": volumes.SCRATCH_CLASS,
        "code_size": volumes.size(stages.code_hosting.size),
        "openbao_policies": POLICIES,
        "openbao_roles": ROLES,
        "known": {"path": secrets.KNOWN_PATH, "key": secrets.KNOWN_KEY},
        "dump_schedule": volumes.dump_schedule(stages.backup.schedule),
        "published": _published(inventory),
        "tls": stages.cert_manager.enabled and stages.cert_manager.email is not None,
    }


POLICIES = {
    "admin": 'path "*" { capabilities = ["create", "read", "update", "patch", "delete", "list", "sudo"] }',
    "external-secrets": (
        'path "secret/data/*" { capabilities = ["read"] }\npath "secret/metadata/*" { capabilities = ["read", "list"] }'
    ),
    "snapshot": 'path "sys/storage/raft/snapshot" { capabilities = ["read"] }',
    "restore": 'path "sys/storage/raft/snapshot-force" { capabilities = ["create", "update"] }',
}
"""Who may do what in OpenBao, by the names of the roles below and of the person who signs in as admin."""
ROLES = (
    {"name": "external-secrets", "account": "openbao-reader", "namespace": "external-secrets"},
    {"name": "snapshot", "account": "snapshot", "namespace": "openbao"},
    {"name": "restore", "account": "restore", "namespace": "openbao"},
)


def _published(inventory: Inventory) -> dict[str, dict[str, Any]]:
    """What the Gateway shows, by the first label of its name; `base` are those of earlier stages."""
    there = {app.name for app in apps.of(inventory)}
    server = apps.GIT_SERVERS[inventory.stages.git_server.kind]
    found = {
        "git": (server, server, f"{server}-http", 3000),
        "bao": ("openbao", "openbao", "openbao", 8200),
        "code": ("forgejo", "forgejo", "forgejo-http", 3000),
        "gitlab": ("gitlab", "gitlab", "gitlab-webservice-default", 8181),
        "sample": ("sample", "sample", "sample", 9898),
    }
    return {
        name: {"namespace": namespace, "service": service, "port": port, "base": name != "sample"}
        for name, (app, namespace, service, port) in found.items()
        if app in there
    }


def _flux(inventory: Inventory) -> dict[str, Any]:
    registry = charts.stand_in(inventory, FLUX_REGISTRY)
    return {
        "version": FLUX_VERSION,
        "registry": registry,
        # flux-operator knows the digests of its makers' images under this name alone, unless told which they are.
        "variant": "" if registry == FLUX_REGISTRY else "upstream-alpine",
        "sync": sources.sync(inventory),
        "root_patches": sources.root_patches(),
        "source_kind": sources.kind(inventory),
        "source_patches": sources.source_patches(inventory),
    }


def _git(inventory: Inventory) -> dict[str, Any]:
    """The first Git server, if there is one; `host` and `url` within the cluster."""
    settings = inventory.stages.git_server
    name, domain = apps.GIT_SERVERS[settings.kind], inventory.cluster.domain
    served = inventory.stages.source.kind == "git-server"
    return {
        "name": name,
        "node": git_node(inventory) if served else "",
        "claim": f"{settings.kind}-shared-storage" if settings.kind == "gitea" else "forgejo-seed-data",
        "size": volumes.size(settings.size),
        "host": sources.server_host(inventory),
        "url": sources.server_url(inventory),
        "email": f"{settings.kind}@{inventory.cluster.name}.{domain}",
        "organization": settings.organization,
        "repository": settings.repository or inventory.cluster.name,
        "reader": sources.READER,
        "image": charts.image(inventory, settings.kind),
        # Gitea and Forgejo call no address inside the cluster unless it is named here.
        "webhooks": f"webhook-receiver.flux-system.svc.{domain}",
    }


def git_node(inventory: Inventory) -> str:
    """The machine whose disk holds the first Git server: as said, else the first that takes any pod.

    Raises InvalidInput where every machine that runs pods is tainted.
    """
    if inventory.git_node is not None:
        return inventory.git_node
    raise InvalidInput(
        f"{inventory.path}: hosts: no host without taints runs pods, and the first Git server needs one",
        hint="give one host the role worker or controller+worker and no taints",
    )
