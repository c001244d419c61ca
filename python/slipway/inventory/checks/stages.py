"""The stages: what belongs together, and what a choice needs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from slipway.inventory.address import address_of, network_of
from slipway.inventory.checks.finding import Check, Finding
from slipway.inventory.model import Document, Host, Provider, Stages
from slipway.inventory.source import Keys

STAGES: Keys = ("stages",)


def source(document: Document) -> Iterator[Finding]:
    found = document.stages.source
    schemes = {"git": ("https", "http", "ssh"), "oci": ("oci",), "bucket": ("https", "http")}
    if found.kind == "git-server":
        if found.url:
            message = f"{found.url} is not read with {{}}; set kind to git, oci or bucket"
            yield Finding((*STAGES, "source", "url"), message, other=(*STAGES, "source", "kind"))
        return
    if not found.url:
        yield Finding((*STAGES, "source"), f"the kind {found.kind} needs a url", about_key=True)
    elif found.url.partition("://")[0] not in schemes[found.kind]:
        wanted = " or ".join(f"{scheme}://" for scheme in schemes[found.kind])
        yield Finding(
            (*STAGES, "source", "url"), f"{found.url} does not begin with {wanted}, as the kind {found.kind} does"
        )


def git_server(document: Document) -> Iterator[Finding]:
    node = document.stages.git_server.node
    if node is None:
        return
    path: Keys = (*STAGES, "gitServer", "node")
    host = document.hosts.get(node)
    if host is None:
        yield Finding(path, f"there is no host {node!r}")
    elif not host.runs_workloads:
        yield Finding(path, f"{node} runs no pods, {{}}", other=("hosts", node, "role"))
    elif host.taints:
        yield Finding(path, f"{node} takes no pod that does not tolerate {{}}", other=("hosts", node, "taints"))


def git_host(document: Document) -> Iterator[Finding]:
    if document.stages.source.kind == "git-server" and git_node(document.stages, document.hosts.values()) is None:
        message = (
            "no host without taints runs pods, and the first Git server needs one; make one a worker or a "
            "controller+worker without taints, or let stages.source name a repository elsewhere"
        )
        yield Finding(("hosts",), message, about_key=True)


def git_node(stages: Stages, hosts: Iterable[Host]) -> str | None:
    """Host whose disk holds the first Git server: as said, else the first that takes any pod, None without one."""
    first = (host.name for host in hosts if host.runs_workloads and not host.taints)
    return stages.git_server.node or next(first, None)


def backup(document: Document) -> Iterator[Finding]:
    found = document.stages
    if found.mode != "none" and not found.backup.repository:
        message = f"{found.mode} needs stages.backup.repository, such as s3:https://s3.example.org/backups"
        yield Finding((*STAGES, "mode"), message)
    for key, value in (("from", found.backup.from_), ("verified", found.backup.verified)):
        if value and found.mode in ("install", "none"):
            message = "nothing is restored with {}; did you mean mode: restore?"
            yield Finding((*STAGES, "backup", key), message, other=(*STAGES, "mode"), warning=True)


def gitlab(document: Document) -> Iterator[Finding]:
    """A pinned chart of the other line would lack its database, or bring a second one."""
    found = document.stages
    pinned, line = found.charts.get("gitlab"), found.code_hosting.gitlab
    if pinned and found.code_hosting.kind == "gitlab" and pinned.startswith("9.") != (line == "9.11"):
        message = f"{pinned} is not of the line {line}, {{}}"
        yield Finding((*STAGES, "charts", "gitlab"), message, other=(*STAGES, "codeHosting", "gitlab"))


def storage(document: Document) -> Iterator[Finding]:
    found = document.stages.storage
    if found.provider != "local-path" and not found.pool:
        message = f"{found.provider} needs a pool: the name of the volume group or pool that the nodes have"
        yield Finding((*STAGES, "storage", "provider"), message)
    if found.provider == "local-path" and found.pool:
        yield Finding(
            (*STAGES, "storage", "pool"), "local-path has no pool, {}", other=(*STAGES, "storage", "provider")
        )


def published(document: Document) -> Iterator[Finding]:
    """Gateway and load balancer are Cilium's own."""
    found, provider = document.stages, document.cluster.network.provider
    other: Keys = ("cluster", "network", "provider")
    if found.gateway.enabled and not found.gateway.domain:
        yield Finding((*STAGES, "gateway"), "enabled: true needs a domain, such as home.example.org", about_key=True)
    if provider is not Provider.CILIUM:
        if found.gateway.enabled:
            yield Finding(
                (*STAGES, "gateway", "enabled"), "the Gateway is Cilium's own, and {} is another", other=other
            )
        if found.load_balancer.pools:
            message = "Cilium announces these addresses, and {} is another"
            yield Finding((*STAGES, "loadBalancer", "pools"), message, other=other)
    address, pools = found.gateway.address, found.load_balancer.pools
    if address and pools and not any(network_of(pool).contains(address_of(address)) for pool in pools):
        message = f"{address} is in none of {{}}"
        yield Finding((*STAGES, "gateway", "address"), message, other=(*STAGES, "loadBalancer", "pools"))


def pools_and_hosts(document: Document) -> Iterator[Finding]:
    """An address that is given out must not be anybody's already."""
    for index, pool in enumerate(document.stages.load_balancer.pools):
        path: Keys = (*STAGES, "loadBalancer", "pools", index)
        for name, host in document.hosts.items():
            if network_of(pool).contains(address_of(host.address)):
                yield Finding(path, f"{pool} has the address of a host, {{}}", other=("hosts", name, "address"))
        vip = document.cluster.network.vip
        if vip and network_of(pool).contains(address_of(vip.ip)):
            message = f"{pool} has the virtual address of the control plane, {{}}"
            yield Finding(path, message, other=("cluster", "network", "vip", "address"))


def families(document: Document) -> Iterator[Finding]:
    """Services have addresses of the cluster's families alone: one of another that is given out is nobody's."""
    network, found = document.cluster.network, document.stages
    known = {4: not network.ipv6_only, 6: network.has_ipv6}
    other: Keys = ("cluster", "network", "serviceCIDR")
    given = [((*STAGES, "loadBalancer", "pools", index), pool) for index, pool in enumerate(found.load_balancer.pools)]
    given += [((*STAGES, "gateway", "address"), found.gateway.address)] if found.gateway.address else []
    for path, text in given:
        family = 6 if ":" in text else 4
        if not known[family]:
            yield Finding(path, f"{text} is IPv{family}, and services have none: {{}} is IPv{10 - family}", other=other)


CHECKS: tuple[Check, ...] = (source, git_server, backup, gitlab, storage, published, pools_and_hosts, families)
