"""Rules of k0s: releases and their skew, load balancing, profiles."""

from __future__ import annotations

import re
from collections.abc import Iterator

from slipway.inventory.address import Address, network_around, network_of, text_of
from slipway.inventory.checks.finding import Check, Finding
from slipway.inventory.messages import nearest
from slipway.inventory.model import Document, Host, Provider, Role, System
from slipway.inventory.releases import known_releases, minor_of, newest_release
from slipway.inventory.source import Keys
from slipway.inventory.values import bytes_of

REFUSED = {
    "1.35.1+k0s.0": "it reads the join token at every start, so that joined workers crash once it is emptied "
    "(k0s #7202); take 1.35.1+k0s.1 or newer"
}
MAINTAINED_MINORS = 4
_TAKEN_PORTS = {
    2379: "etcd's clients",
    2380: "etcd's peers",
    6444: "keepalived's proxy to the API",
    7132: "the node-local load balancer",
    7443: "the node-local load balancer",
    10250: "kubelet",
    10257: "kube-controller-manager",
    10259: "kube-scheduler",
}


def release_of(document: Document, host: Host) -> str:
    """The k0s release that the host shall run."""
    return host.k0s.version or document.cluster.k0s.version


def releases(document: Document) -> Iterator[Finding]:
    k0s = document.cluster.k0s
    path: Keys = ("cluster", "k0s", "version")
    yield from _release(path, k0s.version, known=bool(k0s.hashes))
    newest = newest_release() or k0s.version
    if minor_of(k0s.version) <= minor_of(newest) - MAINTAINED_MINORS:
        message = f"{k0s.version} is no longer maintained; the newest that slipway knows is {newest}"
        yield Finding(path, message, warning=True)
    for name, host in document.hosts.items():
        if host.k0s.version is not None:
            yield from _release(("hosts", name, "k0s", "version"), host.k0s.version, known=False)


def _release(path: Keys, version: str, *, known: bool) -> Iterator[Finding]:
    if version in REFUSED:
        yield Finding(path, f"{version} is refused: {REFUSED[version]}")
    elif not known and version not in known_releases():
        fix = newest_release(f"1.{minor_of(version)}.") or newest_release()
        message = f"{version} is no release that slipway knows; did you mean {fix}?"
        if path[0] == "cluster":
            message += " (or give its hashes in cluster.k0s.hashes)"
        yield Finding(path, message)


def binaries(document: Document) -> Iterator[Finding]:
    """A binary for the platform of every host."""
    k0s = document.cluster.k0s
    for name, host in document.hosts.items():
        release = release_of(document, host)
        hashes = known_releases().get(release) or (k0s.hashes if release == k0s.version else {})
        if hashes and host.system not in hashes:
            message = f"{host.system} has no k0s {release}; add its hash to cluster.k0s.hashes"
            yield Finding(("hosts", name, "system"), message)


def skew(document: Document) -> Iterator[Finding]:
    """Controllers within one minor; workers at most one minor older than them and never newer.

    The host that has a release of its own is the one that breaks a rule.
    """
    for name, host in document.hosts.items():
        if host.k0s.version is not None:
            yield from _first_conflict(document, name, host)


def _first_conflict(document: Document, name: str, host: Host) -> Iterator[Finding]:
    release = release_of(document, host)
    for other, beside in document.hosts.items():
        rule = _broken_rule(host, minor_of(release), beside, minor_of(release_of(document, beside)))
        if rule and (host.is_controller or beside.is_controller):
            message = f"{release} does not go with {release_of(document, beside)} of {{}}: {rule}"
            yield Finding(("hosts", name, "k0s", "version"), message, other=("hosts", other))
            return


def _broken_rule(host: Host, minor: int, other: Host, other_minor: int) -> str:
    if host.is_controller and other.is_controller:
        return "controllers stay within one minor" if abs(minor - other_minor) > 1 else ""
    worker, controller = (minor, other_minor) if other.is_controller else (other_minor, minor)
    if worker > controller:
        return "a worker is never newer than a controller"
    return "a worker is at most one minor older than a controller" if worker < controller - 1 else ""


def load_balancing(document: Document) -> Iterator[Finding]:
    network = document.cluster.network
    nllb: Keys = ("cluster", "network", "nodeLocalLoadBalancing")
    external: Keys = ("cluster", "network", "externalAddress")
    if network.node_local_load_balancing and network.external_address:
        message = f"k0s does not take it beside externalAddress {network.external_address}, {{}}; remove one of them"
        yield Finding(nllb, message, other=external)
    if network.node_local_load_balancing is False and not network.external_address:
        yield from _unbalanced(document, nllb)
    single = next((name for name, host in document.hosts.items() if host.role is Role.SINGLE), None)
    if single is not None and network.node_local_load_balancing:
        yield Finding(nllb, "k0s does not take it with a single node, {}", other=("hosts", single))
    if single is not None and network.vip:
        yield Finding(
            ("cluster", "network", "vip"), "a single node has nobody to share it with, {}", other=("hosts", single)
        )


def _unbalanced(document: Document, path: Keys) -> Iterator[Finding]:
    if sum(host.is_controller for host in document.hosts.values()) > 1:
        vip = document.cluster.network.vip is not None
        message = (
            "several controllers without it or externalAddress: konnectivity reaches only some of them; set it to true"
        )
        yield Finding(path, message, warning=vip)


def profiles(document: Document) -> Iterator[Finding]:
    known = [*document.cluster.k0s.worker_profiles, "default"]
    for name, host in document.hosts.items():
        profile = host.k0s.profile
        if profile is not None and profile not in known:
            near = nearest(profile, known)
            fix = f"; did you mean {near!r}?" if near else f"; known: {', '.join(sorted(known))}"
            yield Finding(("hosts", name, "k0s", "profile"), f"{profile!r} is not in cluster.k0s.workerProfiles{fix}")


_FIXED_KUBELET_KEYS = ("clusterDNS", "clusterDomain", "apiVersion", "kind", "staticPodURL")


def profile_values(document: Document) -> Iterator[Finding]:
    for name, values in document.cluster.k0s.worker_profiles.items():
        for key in values:
            if key in _FIXED_KUBELET_KEYS:
                path = ("cluster", "k0s", "workerProfiles", name, key)
                yield Finding(path, f"k0s sets {key} itself and takes no other", about_key=True)


def ports(document: Document) -> Iterator[Finding]:
    given = document.cluster.k0s.ports
    seen: dict[int, Keys] = {}
    for key, port in given.model_dump(by_alias=True).items():
        path: Keys = ("cluster", "k0s", "ports", key)
        first = seen.setdefault(port, path)
        if port in _TAKEN_PORTS:
            yield Finding(path, f"{port} is taken by {_TAKEN_PORTS[port]}")
        elif first is not path:
            yield Finding(path, f"{port} is already used by {{}}", other=first)


def ssh_ports(document: Document) -> Iterator[Finding]:
    """sshd and k0s on one port: one of them would not start."""
    given = document.cluster.k0s.ports.model_dump(by_alias=True)
    ours = {port: f"cluster.k0s.ports.{key}" for key, port in given.items()}
    for name, host in document.hosts.items():
        taken = {**(ours if host.is_controller else {}), **_TAKEN_PORTS}
        if host.ssh.port in taken:
            message = f"{host.ssh.port} is taken by {taken[host.ssh.port]}; did you mean 22?"
            yield Finding(("hosts", name, "ssh", "port"), message)


def provider(document: Document) -> Iterator[Finding]:
    network = document.cluster.network
    if network.provider is not Provider.CILIUM and "cilium" in network.model_fields_set:
        message = f"is read with provider cilium only, here it is {network.provider}, {{}}"
        other = ("cluster", "network", "provider")
        yield Finding(("cluster", "network", "cilium"), message, other=other, about_key=True)


_COMPONENTS = (
    "applier-manager",
    "autopilot",
    "control-api",
    "coredns",
    "csr-approver",
    "endpoint-reconciler",
    "helm",
    "konnectivity-server",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "metrics-server",
    "network-provider",
    "node-role",
    "system-rbac",
    "update-prober",
    "windows-node",
)
_NEEDED = ("control-api", "csr-approver", "kube-controller-manager", "kube-scheduler", "konnectivity-server")


def components(document: Document) -> Iterator[Finding]:
    for index, component in enumerate(document.cluster.k0s.disable_components):
        path = ("cluster", "k0s", "disableComponents", index)
        if component not in _COMPONENTS:
            near = nearest(component, _COMPONENTS)
            yield Finding(path, f"{component!r} is no component of k0s" + (f"; did you mean {near!r}?" if near else ""))
        elif component in _NEEDED:
            yield Finding(path, f"the cluster cannot work without {component}")


def kubelet_arguments(document: Document) -> Iterator[Finding]:
    for name, host in document.hosts.items():
        for flag in host.k0s.kubelet_extra_args:
            path = ("hosts", name, "k0s", "kubeletExtraArgs", flag)
            if flag == "hostname-override":
                message = f"the node's name is the host's, {name}: slipway would wait for it and find another"
                yield Finding(path, message, about_key=True)
            if re.fullmatch(r"(node-ip|node-labels|register-with-taints|config|kubeconfig|bootstrap-kubeconfig)", flag):
                yield Finding(path, f"slipway or k0s sets --{flag} itself", about_key=True)


_FLAGS_OF_SLIPWAY = (
    "-c", "--config", "--token-file", "--enable-worker", "--no-taints", "--single", "--labels", "--taints", "--profile",
    "--disable-components", "--kubelet-extra-args",
)  # fmt: skip
_FLAGS_THAT_MISLEAD = {
    "--enable-dynamic-config": "the cluster would go by an object in it, and no longer by this file",
    "--data-dir": "deploy, verify and backups look into /var/lib/k0s",
    "--status-socket": "deploy and verify ask k0s at its usual socket",
    "--kubelet-root-dir": "verify looks where k0s has it by default",
    "--ignore-pre-flight-checks": "verify asks for those very checks",
}


def k0s_flags(document: Document) -> Iterator[Finding]:
    for name, host in document.hosts.items():
        for index, text in enumerate(host.k0s.extra_flags):
            if problem := why_no_flag(text):
                yield Finding(("hosts", name, "k0s", "extraFlags", index), problem)


def why_no_flag(text: str) -> str:
    """What is wrong with a flag of k0s in `extraFlags`, empty if nothing."""
    flag = text.partition("=")[0]
    if flag in _FLAGS_OF_SLIPWAY:
        return f"slipway sets {flag} itself"
    return f"{flag} cannot be set: {_FLAGS_THAT_MISLEAD[flag]}" if flag in _FLAGS_THAT_MISLEAD else ""


def balancer(document: Document) -> Iterator[Finding]:
    """Which node-local balancer a release and a platform have (k0s pkg/apis/k0s/v1beta1/nllb.go)."""
    network, release = document.cluster.network, document.cluster.k0s.version
    path: Keys = ("cluster", "network", "nodeLocalLoadBalancer")
    if network.node_local_load_balancer == "Traefik" and minor_of(release) < 36:
        yield Finding(path, f"k0s {release} has no Traefik; it came with 1.36", about_key=True)
    used = network.balances_locally(sum(host.is_controller for host in document.hosts.values()))
    for name, host in document.hosts.items() if used and network.node_local_load_balancer == "EnvoyProxy" else ():
        if host.system is System.ARMV7L and host.runs_workloads:
            message = "Envoy does not run on it; cluster.network.nodeLocalLoadBalancer: Traefik does, from k0s 1.36 on"
            yield Finding(("hosts", name, "system"), message)


def ipv6_only(document: Document) -> Iterator[Finding]:
    """Which releases of k0s do without IPv4 (docs/feature-gates.md: IPv6SingleStack, alpha from 1.34 on)."""
    version = document.cluster.k0s.version
    if document.cluster.network.ipv6_only and minor_of(version) < 34:
        message = f"{version} knows no cluster of IPv6 alone, as {{}} says; k0s does from 1.34 on"
        yield Finding(("cluster", "k0s", "version"), message, other=("cluster", "network", "serviceCIDR"))


_SERVICES_OF_IPV6 = 108
"""kube-apiserver takes no shorter prefix, and k0s of a cluster of IPv6 alone no longer one, from 1.35 on
(pkg/apis/k0s/v1beta1/network.go; with two families it takes a longer one)."""


def ipv6_services(document: Document) -> Iterator[Finding]:
    """k0s ends at its start where the range of services has another size."""
    network, version = document.cluster.network, document.cluster.k0s.version
    given = network_of(network.service_cidr)
    if network.ipv6_only and given.prefix_length > _SERVICES_OF_IPV6 and minor_of(version) >= 35:
        around = network_around(Address(6, given.first), _SERVICES_OF_IPV6)
        meant = f"{text_of(Address(6, around.first))}/{_SERVICES_OF_IPV6}"
        message = f"{network.service_cidr}: k0s {version} takes a /{_SERVICES_OF_IPV6} alone; did you mean {meant}?"
        yield Finding(("cluster", "network", "serviceCIDR"), message)


_MOST_PODS = 110
"""kubelet's own `maxPods`."""


def pods_of_a_node(document: Document) -> Iterator[Finding]:
    """A node's part of podCIDR has an address for each of its pods."""
    network = document.cluster.network
    length = network.node_cidr_mask_size or (117 if network.ipv6_only else 24)
    room = (1 << max((128 if network.ipv6_only else 32) - length, 0)) - 2
    profiles = document.cluster.k0s.worker_profiles
    path: Keys = ("cluster", "network", "nodeCIDRMaskSize")
    if room < _MOST_PODS and "maxPods" not in profiles.get("default", {}):
        message = f"/{length} has room for {room} pods, and kubelet takes {_MOST_PODS} unless a profile says otherwise"
        yield Finding(path, message, warning=True)
    for name, values in profiles.items():
        most = values.get("maxPods")
        if isinstance(most, int) and most > room:
            profile = ("cluster", "k0s", "workerProfiles", name, "maxPods")
            yield Finding(profile, f"{most} pods have no room in the /{length} of a node, {{}}", other=path)


_RESERVES = {
    "systemReserved": "system-reserved",
    "kubeReserved": "kube-reserved",
    "evictionHard": "eviction-hard",
}
"""Key of a host to kubelet's flag; in a worker profile it has the key's name."""


def reserves(document: Document) -> Iterator[Finding]:
    """What kubelet keeps from pods is said once, and leaves something to them."""
    for name, host in document.hosts.items():
        k0s = host.k0s
        profile = document.cluster.k0s.worker_profiles.get(k0s.profile or "", {})
        said = {
            "systemReserved": k0s.system_reserved,
            "kubeReserved": k0s.kube_reserved,
            "evictionHard": k0s.eviction_hard,
        }
        for key, flag in _RESERVES.items() if any(said.values()) else ():
            path: Keys = ("hosts", name, "k0s", key)
            if said[key] and flag in k0s.kubelet_extra_args:
                other: Keys = ("hosts", name, "k0s", "kubeletExtraArgs", flag)
                yield Finding(path, "is said as a flag too, {}; remove one of them", other=other, about_key=True)
            if said[key] and key in profile:
                other = ("cluster", "k0s", "workerProfiles", k0s.profile or "", key)
                yield Finding(path, "kubelet would ignore that of the host's profile, {}", other=other, about_key=True)
        yield from _reserved_memory(name, host)


def _reserved_memory(name: str, host: Host) -> Iterator[Finding]:
    parts = [host.k0s.system_reserved.get("memory"), host.k0s.kube_reserved.get("memory")]
    reserved = sum(bytes_of(part) for part in parts if part)
    if host.hardware.memory is not None and reserved >= host.hardware.memory:
        message = f"{' and '.join(part for part in parts if part)} leave pods nothing of {{}}"
        path = ("hosts", name, "k0s", "systemReserved" if parts[0] else "kubeReserved", "memory")
        yield Finding(path, message, other=("hosts", name, "hardware", "memory"))


_OURS_OF_THE_API = {
    "encryption-provider-config": "encryptSecrets",
    "encryption-provider-config-automatic-reload": "encryptSecrets",
    "audit-policy-file": "apiServer.audit",
    "audit-log-path": "apiServer.audit",
    "audit-log-maxage": "apiServer.audit.maxAge",
    "audit-log-maxbackup": "apiServer.audit.maxBackups",
    "audit-log-maxsize": "apiServer.audit.maxSize",
}
_OF_K0S = (
    "advertise-address", "secure-port", "service-cluster-ip-range", "etcd-servers", "etcd-cafile", "etcd-certfile",
    "etcd-keyfile", "tls-cert-file", "tls-private-key-file", "client-ca-file", "kubelet-client-certificate",
    "kubelet-client-key", "service-account-issuer", "service-account-key-file", "service-account-signing-key-file",
    "egress-selector-config-file", "authorization-mode",
)  # fmt: skip
"""Without them in k0s's way the cluster would not come up, or let in whom it should not (k0s pkg/component/controller/
apiserver.go)."""


def why_no_flag_of_the_api(flag: str) -> str | None:
    """What keeps a flag of kube-apiserver from being one that the inventory passes on."""
    key = _OURS_OF_THE_API.get(flag) or ("apiServer.oidc" if flag.startswith("oidc-") else None)
    if key is not None:
        return f"slipway sets --{flag} itself; it is cluster.k0s.{key}"
    return f"k0s sets --{flag} itself, and the cluster hangs on it" if flag in _OF_K0S else None


def api_arguments(document: Document) -> Iterator[Finding]:
    api = document.cluster.k0s.api_server
    for flag in api.extra_args:
        if reason := why_no_flag_of_the_api(flag):
            yield Finding(("cluster", "k0s", "apiServer", "extraArgs", flag), reason, about_key=True)
    if api.oidc is not None and api.oidc.groups_claim is not None and api.oidc.groups_prefix is None:
        message = "without groupsPrefix a group of the provider may be one of Kubernetes's own, such as system:masters"
        yield Finding(("cluster", "k0s", "apiServer", "oidc", "groupsClaim"), message, warning=True)


CHECKS: tuple[Check, ...] = (
    releases,
    binaries,
    skew,
    load_balancing,
    profiles,
    profile_values,
    ports,
    ssh_ports,
    provider,
    components,
    kubelet_arguments,
    k0s_flags,
    balancer,
    pods_of_a_node,
    ipv6_only,
    ipv6_services,
    reserves,
    api_arguments,
)
