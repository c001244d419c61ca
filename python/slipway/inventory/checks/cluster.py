"""The cluster as a whole: how many of what, and what belongs together."""

from __future__ import annotations

import re
from collections.abc import Iterator

from slipway.inventory.checks.finding import Check, Finding
from slipway.inventory.families import of_another_family
from slipway.inventory.model import Document, Role
from slipway.inventory.source import Keys

HOSTS: Keys = ("hosts",)


def controllers(document: Document) -> Iterator[Finding]:
    names = [name for name, host in document.hosts.items() if host.is_controller]
    count = len(names)
    if count == 0:
        yield Finding(HOSTS, "no host has the role controller, controller+worker or single", about_key=True)
    elif count % 2 == 0:
        message = (
            f"{count} controllers survive the loss of {(count - 1) // 2}, as {count - 1} do; "
            f"make it {count - 1} or {count + 1}"
        )
        yield Finding(("hosts", names[-1], "role"), message, warning=True)
    elif count > 7:
        message = f"{count} controllers: each write waits for a majority of them; 3 or 5 are usual"
        yield Finding(("hosts", names[-1], "role"), message, warning=True)


def single_alone(document: Document) -> Iterator[Finding]:
    single = next((name for name, host in document.hosts.items() if host.role is Role.SINGLE), None)
    other = next((name for name in document.hosts if name != single), None)
    if single is not None and other is not None:
        message = "a single node takes no other into its cluster, there is {}; did you mean controller+worker?"
        yield Finding(("hosts", single, "role"), message, other=("hosts", other))


def workloads(document: Document) -> Iterator[Finding]:
    if not any(host.runs_workloads for host in document.hosts.values()):
        message = "no host runs pods; add a worker, or make a controller a controller+worker"
        yield Finding(HOSTS, message, warning=True, about_key=True)


def dual_stack(document: Document) -> Iterator[Finding]:
    """Nodes of a dual-stack cluster need an address of each family."""
    if document.cluster.network.dual_stack is None:
        return
    for name, host in document.hosts.items():
        if host.network.ipv6 is None and not host.network.dhcp:
            message = "needs network.ipv6 for {}"
            yield Finding(("hosts", name), message, other=("cluster", "network", "dualStack"))


def families(document: Document) -> Iterator[Finding]:
    network = document.cluster.network
    if (":" in network.pod_cidr) != network.ipv6_only or (network.ipv6_only and network.dual_stack):
        return  # told apart; what the hosts' family should be, nobody knows then
    for name, message in of_another_family(network, document.hosts.values()).items():
        yield Finding(("hosts", name, "address"), message)


def nixos(document: Document) -> Iterator[Finding]:
    channel, state = document.cluster.nixos.channel, document.cluster.nixos.state_version
    if state > channel:
        message = f"{state} is newer than {channel}, {{}}; it is the release at installation"
        yield Finding(("cluster", "nixos", "stateVersion"), message, other=("cluster", "nixos", "channel"))


def airgap(document: Document) -> Iterator[Finding]:
    for key, bundles in (("airgap", document.mirrors.airgap), ("firstImages", document.mirrors.first_images)):
        for name, host in document.hosts.items() if bundles else ():
            if host.runs_workloads and host.system not in bundles:
                message = f"{host.system} has no bundle in {{}}"
                yield Finding(("hosts", name, "system"), message, other=("mirrors", key))


def mirrors(document: Document) -> Iterator[Finding]:
    """containerd never looks for plain HTTP where a certificate is named, nor asks a mirror for itself."""
    for path, url in _mirrors(document):
        host = mirror_host(url)
        if "@" in url.partition("://")[2].partition("/")[0]:
            bare = re.sub(r"//[^/]*@", "//", url)
            message = "a user or a password here ends in the Nix store, which everybody on the machine can read"
            yield Finding(path, f"{message}; write {bare}, and name a Secret with them in mirrors.credentials")
        elif url.startswith("http://") and host in document.mirrors.ca:
            message = f"plain http has no certificate, yet {{}} names one; did you mean https://{url[7:]}?"
            yield Finding(path, message, other=("mirrors", "ca", host))
        elif url.startswith("http://") and host in document.mirrors.credentials:
            message = f"plain http shows the password, {{}}, to everybody on the way; did you mean https://{url[7:]}?"
            yield Finding(path, message, other=("mirrors", "credentials", host))
        elif not url.startswith(("http://", "https://")):
            yield Finding(path, f"containerd takes http and https alone; did you mean https://{host}?")


def credentials(document: Document) -> Iterator[Finding]:
    """A password is sent to a mirror that is asked, and to nobody else."""
    asked = {mirror_host(url) for _, url in _mirrors(document)}
    for host in document.mirrors.credentials:
        if host not in asked:
            known = f"; those are {', '.join(sorted(asked))}" if asked else ", which names none"
            message = f"is no mirror of mirrors.registries{known}"
            yield Finding(("mirrors", "credentials", host), message, about_key=True)


def mirror_host(url: str) -> str:
    """By which containerd knows a mirror: its host, with its port where one is said."""
    return url.partition("://")[2].partition("/")[0].lower()


def _mirrors(document: Document) -> Iterator[tuple[Keys, str]]:
    for registry, urls in document.mirrors.registries.items():
        for index, url in enumerate(urls):
            yield ("mirrors", "registries", registry, index), url


CHECKS: tuple[Check, ...] = (controllers, single_alone, workloads, dual_stack, nixos, airgap, mirrors, credentials)
