"""`k0sctl.yaml` as an inventory."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from slipway.errors import InvalidInput
from slipway.inventory.importers.draft import Draft, Imported, documents, items, mapping, parse_yaml, read_bytes
from slipway.inventory.model import Role

_PROVIDERS: Final = {"kuberouter": "kuberouter", "calico": "calico", "custom": "cilium"}
_NOT_NEEDED: Final = frozenset(
    ("uploadBinary", "k0sBinaryPath", "k0sDownloadURL", "os", "useExistingK0s", "role", "ssh")
)
"""Keys of a host about how k0sctl brings k0s there: NixOS does that."""
_CONTROL_PLANE_TAINT: Final = "node-role.kubernetes.io/control-plane:NoSchedule"


def import_k0sctl(path: Path, network: dict[str, Any] | None = None) -> Imported:
    """The inventory of a k0sctl file; `network` goes into `defaults`. Raises InvalidInput when it is none."""
    draft = Draft(network=network or {})
    spec = _cluster_document(path, draft)
    for index, host in enumerate(items(spec.get("hosts"))):
        _host(draft, mapping(host), f"spec.hosts[{index}]")
    k0s = mapping(spec.get("k0s"))
    _release(draft, k0s)
    _config(draft, mapping(mapping(k0s.get("config")).get("spec")))
    if "options" in spec:
        draft.note("spec.options: k0sctl's own way of working; slipway's is the section `deploy`")
    return draft.render(f"Imported from {path.name} by slipway.")


def _cluster_document(path: Path, draft: Draft) -> dict[str, Any]:
    raw = read_bytes(path)
    if re.search(rb"\$\{?[A-Za-z_]", raw):
        draft.note("variables such as ${NAME} are taken as they stand: k0sctl fills them in, slipway does not")
    found = [mapping(parse_yaml(part, str(path), draft)) for part in documents(raw)]
    clusters = [part for part in found if str(part.get("kind", "")).lower() == "cluster" and "spec" in part]
    if not clusters:
        raise InvalidInput(f"{path}: no document of kind Cluster with a spec, as k0sctl has it")
    for part in found:
        if part and part not in clusters:
            draft.note(f"document of kind {part.get('kind', '?')}: apply it through GitOps")
    name = mapping(clusters[0].get("metadata")).get("name")
    if name:
        draft.cluster["name"] = str(name)
    return mapping(clusters[0]["spec"])


# --- hosts -----------------------------------------------------------------------------------------------------------


def _host(draft: Draft, host: dict[str, Any], where: str) -> None:
    role = _role(draft, host, where)
    ssh = mapping(host.get("ssh") or host.get("openSSH"))
    reached, private = ssh.get("address"), host.get("privateAddress")
    entry: dict[str, Any] = {"address": str(private or reached or "")}
    if not entry["address"]:
        draft.note(f"{where}: no address; k0sctl works on the machine itself or over WinRM there")
        return
    if not re.fullmatch(r"[0-9.]+|[0-9A-Fa-f:]+", entry["address"]):
        draft.note(f"{where}: {entry['address']} is a name; put its IP address into `address`")
    entry["ssh"] = _ssh(draft, ssh, where)
    if private and reached and private != reached:
        entry["ssh"] = {"address": str(reached), **entry["ssh"]}
    if host.get("privateInterface"):
        entry["network"] = {"interface": str(host["privateInterface"])}
    if role is Role.CONTROLLER_WORKER and not host.get("noTaints"):
        entry["taints"] = [_CONTROL_PLANE_TAINT]
    _flags(draft, entry, host, where)
    _left_out(draft, host, where)
    draft.add_host(str(host.get("hostname") or reached or ""), role, entry)


def _role(draft: Draft, host: dict[str, Any], where: str) -> Role | None:
    try:
        return Role(str(host.get("role")))
    except ValueError:
        draft.note(f"{where}: role {host.get('role')!r} is unknown to slipway")
        return None


def _ssh(draft: Draft, ssh: dict[str, Any], where: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for ours, theirs in (("user", "user"), ("port", "port"), ("identity", "keyPath")):
        if ssh.get(theirs) not in (None, "default"):
            found[ours] = ssh[theirs]
    for key in sorted(ssh.keys() - {"address", "user", "port", "keyPath"}):
        hint = " (`slipway trust` pins host keys)" if key == "hostKey" else ""
        draft.note(f"{where}: ssh.{key} is not carried over{hint}")
    return found


def _left_out(draft: Draft, host: dict[str, Any], where: str) -> None:
    carried = {"openSSH", "privateAddress", "privateInterface", "hostname", "noTaints", "installFlags"}
    for key in sorted(host.keys() - _NOT_NEEDED - carried):
        if key == "reset" and host[key]:
            draft.note(f"{where}: reset: true, the host is about to leave the cluster; it is imported all the same")
        elif key in ("files", "hooks", "environment"):
            draft.note(f"{where}: {key}: write it as NixOS configuration in hosts/NAME.nix")
        elif key != "reset":
            draft.note(f"{where}: {key} is not carried over")


def _flags(draft: Draft, entry: dict[str, Any], host: dict[str, Any], where: str) -> None:
    """What `installFlags` say, in the inventory's keys."""
    for flag, value in _split_flags(items(host.get("installFlags"))):
        match flag:
            case "labels":
                entry.setdefault("labels", {}).update(_pairs(value))
            case "taints":
                entry.setdefault("taints", []).extend(value.split(","))
            case "profile":
                entry.setdefault("k0s", {})["profile"] = value
            case "kubelet-extra-args":
                _kubelet_arguments(draft, entry, value, where)
            case "disable-components":
                known = draft.cluster.setdefault("k0s", {}).setdefault("disableComponents", [])
                known.extend(part for part in value.split(",") if part not in known)
            case "no-taints":
                entry.pop("taints", None)
            case "enable-worker" | "single":
                pass  # the role says it
            case _:
                draft.note(f"{where}: install flag --{flag} is not carried over")


def _split_flags(flags: list[Any]) -> Iterator[tuple[str, str]]:
    """Name and value of `--name=value`, `--name value` and `--name`."""
    words: list[str] = []
    for flag in flags:
        try:
            words += shlex.split(str(flag))
        except ValueError:
            words.append(str(flag))
    while words:
        name, equals, value = words.pop(0).removeprefix("--").partition("=")
        if not equals and words and not words[0].startswith("--"):
            value = words.pop(0)
        yield name, value


def _pairs(text: str) -> dict[str, str]:
    return {key: value for key, _, value in (pair.partition("=") for pair in text.split(",")) if key}


def _kubelet_arguments(draft: Draft, entry: dict[str, Any], text: str, where: str) -> None:
    for name, value in _split_flags([text]):
        if name == "node-ip":
            continue  # slipway passes the host's address
        if name == "node-labels":
            entry.setdefault("labels", {}).update(_pairs(value))
        elif re.fullmatch(r"[a-z0-9-]+", name):
            entry.setdefault("k0s", {}).setdefault("kubeletExtraArgs", {})[name] = value
        else:
            draft.note(f"{where}: kubelet argument {name!r} is not carried over")


# --- k0s -------------------------------------------------------------------------------------------------------------


def _release(draft: Draft, k0s: dict[str, Any]) -> None:
    version = str(k0s.get("version") or "").removeprefix("v")
    if re.fullmatch(r"1\.\d+\.\d+\+k0s\.\d+", version):
        draft.cluster.setdefault("k0s", {})["version"] = version
    elif version:
        draft.note(f"spec.k0s.version {version!r} names no release such as 1.36.3+k0s.2")
    if k0s.get("dynamicConfig"):
        draft.note("spec.k0s.dynamicConfig: slipway configures by the file on each controller")


def _config(draft: Draft, spec: dict[str, Any]) -> None:
    _api(draft, mapping(spec.get("api")))
    _network(draft, mapping(spec.get("network")))
    k0s = draft.cluster.setdefault("k0s", {})
    if mapping(spec.get("telemetry")).get("enabled"):
        k0s["telemetry"] = True
    _ports(k0s, mapping(spec.get("konnectivity")), {"agentPort": "konnectivityAgent", "adminPort": "konnectivityAdmin"})
    for profile in map(mapping, items(spec.get("workerProfiles"))):
        k0s.setdefault("workerProfiles", {})[str(profile.get("name"))] = mapping(profile.get("values"))
    for gate in map(mapping, items(spec.get("featureGates"))):
        k0s.setdefault("featureGates", {})[str(gate.get("name"))] = gate.get("enabled", True) is True
        if gate.get("components"):
            draft.note(f"feature gate {gate.get('name')}: for all components, not for {gate['components']} alone")
    if mapping(mapping(spec.get("storage"))).get("type", "etcd") != "etcd":
        draft.note("spec.storage: slipway's clusters keep their state in etcd")
    if mapping(mapping(spec.get("extensions")).get("helm")).get("charts"):
        draft.note("spec.extensions.helm: put the charts into a GitOps stage; k0s uninstalls what leaves its file")
    carried = {"api", "network", "telemetry", "konnectivity", "workerProfiles", "featureGates", "storage", "extensions"}
    for key in sorted(spec.keys() - carried - {"installConfig"}):
        draft.note(f"spec.{key} of the k0s configuration is not carried over")


def _api(draft: Draft, api: dict[str, Any]) -> None:
    k0s = draft.cluster.setdefault("k0s", {})
    _ports(k0s, api, {"port": "api", "k0sApiPort": "k0sApi"})
    addresses = {host.get("address") for host in draft.hosts.values()}
    sans = [str(name) for name in items(api.get("sans")) if name not in addresses]
    if sans:
        k0s["sans"] = sans
    if api.get("externalAddress"):
        draft.cluster.setdefault("network", {})["externalAddress"] = str(api["externalAddress"])
    for key in sorted(api.keys() - {"address", "port", "k0sApiPort", "sans", "externalAddress"}):
        draft.note(f"spec.api.{key} is not carried over")


_DEFAULT_PORTS: Final = {"api": 6443, "k0sApi": 9443, "konnectivityAgent": 8132, "konnectivityAdmin": 8133}


def _ports(k0s: dict[str, Any], given: dict[str, Any], names: dict[str, str]) -> None:
    for theirs, ours in names.items():
        if given.get(theirs) not in (None, _DEFAULT_PORTS[ours]):
            k0s.setdefault("ports", {})[ours] = given[theirs]


def _network(draft: Draft, network: dict[str, Any]) -> None:
    ours = draft.cluster.setdefault("network", {})
    provider = str(network.get("provider") or "kuberouter")
    ours["provider"] = _PROVIDERS.get(provider, "cilium")
    if provider == "custom":
        draft.note("network provider custom is taken for Cilium")
    for key in ("podCIDR", "serviceCIDR"):
        if network.get(key):
            ours[key] = str(network[key])
    if network.get("clusterDomain"):
        draft.cluster["domain"] = str(network["clusterDomain"])
    dual = mapping(network.get("dualStack"))
    if dual.get("enabled"):
        ours["dualStack"] = {"podCIDR": str(dual.get("IPv6podCIDR")), "serviceCIDR": str(dual.get("IPv6serviceCIDR"))}
    local = mapping(network.get("nodeLocalLoadBalancing"))
    if "enabled" in local:
        ours["nodeLocalLoadBalancing"] = local["enabled"] is True
    _vip(draft, mapping(network.get("controlPlaneLoadBalancing")))
    carried = {"provider", "podCIDR", "serviceCIDR", "clusterDomain", "dualStack", "nodeLocalLoadBalancing"}
    for key in sorted(network.keys() - carried - {"controlPlaneLoadBalancing", "kubeProxy"}):
        if network[key]:
            draft.note(f"spec.network.{key} is not carried over")
    if mapping(network.get("kubeProxy")).get("mode", "iptables") != "iptables":
        draft.note(f"kube-proxy's mode {network['kubeProxy']['mode']} is not carried over")


def _vip(draft: Draft, balancing: dict[str, Any]) -> None:
    instances = items(mapping(balancing.get("keepalived")).get("vrrpInstances"))
    if not balancing.get("enabled") or not instances:
        return
    first = mapping(instances[0])
    addresses = items(first.get("virtualIPs"))
    vip = {"address": str(addresses[0]) if addresses else None}
    for key in ("interface", "virtualRouterID", "authPass"):
        if first.get(key):
            vip[key] = first[key]
    draft.cluster.setdefault("network", {})["vip"] = vip
    if len(instances) > 1 or len(addresses) > 1:
        draft.note("controlPlaneLoadBalancing: only the first virtual address is carried over")
    if items(mapping(balancing.get("keepalived")).get("virtualServers")):
        draft.note("controlPlaneLoadBalancing: virtualServers are not carried over")
