"""`k0sctl.yaml` as an inventory."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from slipway.errors import InvalidInput
from slipway.inventory.checks.k0s import why_no_flag, why_no_flag_of_the_api
from slipway.inventory.importers.draft import (
    PROXY_VARIABLES,
    Draft,
    Imported,
    documents,
    is_address,
    mapping,
    parse_yaml,
    proxy_of,
    read_bytes,
    text,
)
from slipway.inventory.importers.section import Section
from slipway.inventory.model import Role
from slipway.inventory.values import K0S_FLAG

_PROVIDERS: Final = {"kuberouter": "kuberouter", "calico": "calico", "custom": "cilium"}
_CONTROL_PLANE_TAINT: Final = "node-role.kubernetes.io/control-plane:NoSchedule"
_BY_NIXOS: Final = "NixOS brings k0s to the host"
_HINTS: Final = {
    **dict.fromkeys(("uploadBinary", "k0sBinaryPath", "k0sDownloadURL", "os", "useExistingK0s"), _BY_NIXOS),
    **dict.fromkeys(("k0sInstallPath", "dataDir", "kubeletRootDir"), "slipway keeps k0s where k0s has it by default"),
    **dict.fromkeys(("files", "hooks", "environment"), "write it as NixOS configuration in hosts/NAME.nix"),
    "hostKey": "`slipway trust` pins host keys",
    "dynamicConfig": "slipway configures by the file on each controller",
    "charts": "put the charts into a GitOps stage; k0s uninstalls what leaves its file",
    "repositories": "put the charts into a GitOps stage; k0s uninstalls what leaves its file",
    "images": "images come by `mirrors` in the inventory",
    "virtualServers": "only the virtual address is carried over, not the balancing behind it",
}
_VARIABLE: Final = re.compile(rb"\$(?:\{([A-Za-z_]\w*)(?:(:?[-=])([^}]*))?\}|([A-Za-z_]\w*))")


def import_k0sctl(
    path: Path,
    network: dict[str, Any] | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    lookup: Callable[[str], str | None] | None = None,
) -> Imported:
    """The inventory of a k0sctl file; `network` goes into `defaults`. Raises InvalidInput when it is none.

    `environment` fills in variables, as k0sctl does from its own; `lookup` gives names their IP addresses.
    """
    draft = Draft(network=network or {})
    spec = _spec(path, draft, environment or {})
    hosts = spec.sections("hosts")
    if not hosts:
        raise InvalidInput(f"{path}: spec.hosts: no host in it", hint="a k0sctl.yaml has a list of hosts there")
    for host in hosts:
        _host(draft, host)
    k0s = spec.section("k0s")
    version = str(k0s.take("version") or "")
    if version:
        draft.release(version, "spec.k0s.version")
    config = k0s.section("config")
    for key in ("apiVersion", "kind", "metadata"):
        config.take(key)
    _config(draft, config.section("spec"))
    if spec.take("options"):
        draft.note("k0sctl's own way of working; slipway's is the section `deploy`", "spec.options")
    spec.tell_left(_HINTS)
    if lookup is not None:
        draft.resolve(lookup)
    _tell_names(draft)
    return draft.render(f"Imported from {path.name} by slipway.")


def _spec(path: Path, draft: Draft, environment: Mapping[str, str]) -> Section:
    """The spec of the one Cluster, with what documents of kind ClusterConfig say merged into it, as k0sctl does."""
    raw = _substituted(read_bytes(path), draft, environment)
    found = [mapping(parse_yaml(part, str(path), draft)) for part in documents(raw)]
    clusters = [part for part in found if _is_cluster(part)]
    if not clusters:
        named = (part for part in found if part.get("kind"))
        kinds = sorted({f"{part['kind']} of {part.get('apiVersion', '?')}" for part in named})
        raise InvalidInput(
            f"{path}: no document of kind Cluster of k0sctl.k0sproject.io with a spec"
            + (f", but {', '.join(kinds)}" if kinds else ""),
            hint="slipway import k0sctl k0sctl.yaml; for an Ansible inventory: slipway import ansible",
        )
    cluster = clusters[0]
    if len(clusters) > 1:
        draft.note("there are several documents of kind Cluster; the first one is taken")
    name = mapping(cluster.get("metadata")).get("name")
    if name:
        draft.cluster["name"] = str(name)
    spec = dict(mapping(cluster["spec"]))
    for part in found:
        if part.get("kind") == "ClusterConfig":
            spec["k0s"] = _merged(mapping(spec.get("k0s")), {"config": {"spec": mapping(part.get("spec"))}})
        elif part and not _is_cluster(part):
            draft.note(f"document of kind {part.get('kind', '?')}: apply it through GitOps")
    return Section(draft, spec, "spec")


def _is_cluster(part: dict[str, Any]) -> bool:
    ours = str(part.get("apiVersion", "")).startswith("k0sctl.k0sproject.io/")
    return ours and str(part.get("kind", "")).lower() == "cluster" and "spec" in part


def _merged(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    made = dict(first)
    for key, value in second.items():
        both = isinstance(value, dict) and isinstance(made.get(key), dict)
        made[key] = _merged(made[key], value) if both else value
    return made


def _substituted(raw: bytes, draft: Draft, environment: Mapping[str, str]) -> bytes:
    """With variables filled in: ${NAME}, ${NAME:-default} and $NAME."""

    def one(match: re.Match[bytes]) -> bytes:
        name = (match[1] or match[4]).decode()
        value = environment.get(name)
        if value:
            draft.note("taken from the environment", f"${name}")
            return value.encode()
        if match[2]:
            return match[3]
        draft.note("not in the environment; what it stands for is empty", f"${name}")
        return b""

    return _VARIABLE.sub(one, raw)


def _tell_names(draft: Draft) -> None:
    for name, host in draft.hosts.items():
        address = str(host.get("address") or "")
        if address and not is_address(address):
            draft.note("a name; put its IP address into `address`, or import with --resolve", f"{name} ({address})")


# --- hosts -----------------------------------------------------------------------------------------------------------


def _host(draft: Draft, host: Section) -> None:
    role = _role(draft, host)
    ssh = host.section("ssh")
    other = host.section("openSSH")
    reached = ssh.take("address") or other.take("address")
    private = host.take("privateAddress")
    entry: dict[str, Any] = {"address": str(private or reached or "")}
    name = str(host.take("hostname") or reached or "")
    if not entry["address"]:
        draft.note("no address; k0sctl works on the machine itself or over WinRM there", host.where)
        return
    entry["ssh"] = {**_ssh(other), **_ssh(ssh)}
    if jump := _jump(ssh.section("bastion")):
        entry["ssh"]["jump"] = jump
    if private and reached and private != reached:
        entry["ssh"] = {"address": str(reached), **entry["ssh"]}
    interface = host.take("privateInterface")
    if interface:
        entry["network"] = {"interface": str(interface)}
    untainted = host.truth("noTaints")
    if role is Role.CONTROLLER_WORKER and not untainted:
        entry["taints"] = [_CONTROL_PLANE_TAINT]
    _flags(draft, entry, host)
    if proxy := _proxy(host.section("environment")):
        entry["proxy"] = proxy
    if host.truth("reset"):
        draft.note("reset: true, the host is about to leave the cluster; it is imported all the same", host.where)
    draft.add_host(name, role, entry)


def _role(draft: Draft, host: Section) -> Role | None:
    given = host.take("role")
    try:
        return Role(str(given))
    except ValueError:
        draft.note(f"role {given!r} is unknown to slipway", host.where)
        return None


def _ssh(ssh: Section) -> dict[str, Any]:
    found = {ours: ssh.take(theirs) for ours, theirs in (("user", "user"), ("port", "port"), ("identity", "keyPath"))}
    return {key: value for key, value in found.items() if value not in (None, "default")}


def _jump(bastion: Section) -> list[str]:
    """The hosts on the way, the nearest first; k0sctl logs in there as root by default."""
    address, user, port = bastion.take("address"), bastion.take("user"), bastion.take("port")
    if not address:
        return []
    shown = f"[{address}]" if ":" in str(address) else str(address)
    way = f"{user or 'root'}@{shown}" + (f":{port}" if port not in (None, 22, "22") else "")
    return [*_jump(bastion.section("bastion")), way]


def _proxy(environment: Section) -> dict[str, Any]:
    """The proxy that k0s has from its environment, in which either case counts."""
    said = {name: environment.take(name.upper()) or environment.take(name) for name in PROXY_VARIABLES}
    for name in environment.left:
        if environment.take(name) is not None:
            environment.draft.note(f"{name}: {_HINTS['environment']}", environment.where)
    return proxy_of(said, environment.draft, environment.where)


_INSTALLS: Final = ("force", "start", "env", "-e")
"""Flags of `k0s install` alone, which k0s itself does not take."""


def _more_flags(draft: Draft, entry: dict[str, Any], flag: str, value: str, where: str) -> None:
    name = flag if flag.startswith("-") else f"--{flag}"
    whole = f"{name}={value}" if value else name
    problem = "it belongs to `k0s install` alone" if flag in _INSTALLS else why_no_flag(whole)
    if problem or not K0S_FLAG.fits(whole):
        draft.note(f"install flag {name} is not carried over" + (f": {problem}" if problem else ""), where)
    else:
        entry.setdefault("k0s", {}).setdefault("extraFlags", []).append(whole)


def _flags(draft: Draft, entry: dict[str, Any], host: Section) -> None:
    """What `installFlags` say, in the inventory's keys."""
    for flag, value in _split_flags(host.words("installFlags")):
        match flag:
            case "labels":
                entry.setdefault("labels", {}).update(_pairs(value))
            case "taints":
                entry.setdefault("taints", []).extend(value.split(","))
            case "profile":
                entry.setdefault("k0s", {})["profile"] = value
            case "kubelet-extra-args":
                _kubelet_arguments(draft, entry, value, host.where)
            case "disable-components":
                known = draft.cluster.setdefault("k0s", {}).setdefault("disableComponents", [])
                known.extend(part for part in value.split(",") if part not in known)
            case "no-taints":
                if value.lower() != "false":
                    entry.pop("taints", None)
            case "enable-worker" | "single":
                pass  # the role says it
            case _:
                _more_flags(draft, entry, flag, value, host.where)


def _split_flags(flags: list[str]) -> Iterator[tuple[str, str]]:
    """Name and value of `--name=value`, `--name value`, `--name "value in one word"` and `--name`."""
    words: list[str] = []
    for flag in flags:
        try:
            words += shlex.split(flag)
        except ValueError:
            words.append(flag)
    while words:
        name, equals, value = words.pop(0).removeprefix("--").partition("=")
        if not equals and words and (not words[0].startswith("-") or name.endswith("extra-args")):
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
            draft.note(f"kubelet argument {name!r} is not carried over", where)


# --- k0s -------------------------------------------------------------------------------------------------------------


def _config(draft: Draft, spec: Section) -> None:
    _api(draft, spec.section("api"))
    _network(draft, spec.section("network"))
    _pod_masks(draft.cluster["network"], spec.section("controllerManager").section("extraArgs"))
    k0s = draft.cluster.setdefault("k0s", {})
    if spec.section("telemetry").truth("enabled"):
        k0s["telemetry"] = True
    _ports(k0s, spec.section("konnectivity"), {"agentPort": "konnectivityAgent", "adminPort": "konnectivityAdmin"})
    for profile in spec.sections("workerProfiles"):
        k0s.setdefault("workerProfiles", {})[str(profile.take("name"))] = mapping(profile.take("values"))
    for gate in spec.sections("featureGates"):
        _gate(draft, k0s, gate)
    storage = spec.section("storage")
    kind = str(storage.take("type") or "etcd")
    if kind != "etcd":
        draft.note(f"{kind}: slipway's clusters keep their state in etcd", f"{storage.where}.type")
    storage.section("etcd")
    helm = spec.section("extensions").section("helm")
    helm.take("concurrencyLevel")
    spec.section("installConfig").section("users")


def _gate(draft: Draft, k0s: dict[str, Any], gate: Section) -> None:
    name, enabled, components = str(gate.take("name")), gate.take("enabled"), gate.take("components")
    k0s.setdefault("featureGates", {})[name] = enabled is None or str(enabled).lower() == "true"
    if components:
        draft.note(f"feature gate {name}: for all components, not for {components} alone")


def _api(draft: Draft, api: Section) -> None:
    k0s = draft.cluster.setdefault("k0s", {})
    _ports(k0s, api, {"port": "api", "k0sApiPort": "k0sApi"})
    addresses = [str(host.get("address")) for host in draft.hosts.values()]
    sans = [name for name in api.words("sans") if name not in addresses]
    if sans:
        k0s["sans"] = sans
    _api_server(k0s, api.section("extraArgs"))
    external, announced = api.take("externalAddress"), api.take("address")
    if external:
        draft.cluster.setdefault("network", {})["externalAddress"] = str(external)
    if announced and str(announced) not in addresses:
        ours = addresses[0] if addresses else "of the host"
        told = f"{announced} is not the address {ours} that slipway announces: see `address`"
        draft.note(told, f"{api.where}.address")


_OIDC: Final = {
    "oidc-issuer-url": "issuerURL", "oidc-client-id": "clientID", "oidc-username-claim": "usernameClaim",
    "oidc-username-prefix": "usernamePrefix", "oidc-groups-claim": "groupsClaim", "oidc-groups-prefix": "groupsPrefix",
}  # fmt: skip


def _api_server(k0s: dict[str, Any], arguments: Section) -> None:
    oidc = {ours: str(value) for flag, ours in _OIDC.items() if (value := arguments.take(flag)) is not None}
    more = {flag: text(arguments.take(flag)) for flag in arguments.left if why_no_flag_of_the_api(flag) is None}
    found = {**({"oidc": oidc} if oidc else {}), **({"extraArgs": more} if more else {})}
    if found:
        k0s["apiServer"] = found


def _pod_masks(network: dict[str, Any], arguments: Section) -> None:
    """A node's part of the ranges of pods, which kube-controller-manager gives out."""
    dual = network.get("dualStack")
    one, first, second = (arguments.take(f"node-cidr-mask-size{end}") for end in ("", "-ipv4", "-ipv6"))
    if str(one or first).isdecimal():
        network["nodeCIDRMaskSize"] = int(one or first)
    if str(second).isdecimal():
        (network if dual is None else dual)["nodeCIDRMaskSize"] = int(second)


_DEFAULT_PORTS: Final = {"api": 6443, "k0sApi": 9443, "konnectivityAgent": 8132, "konnectivityAdmin": 8133}


def _ports(k0s: dict[str, Any], given: Section, names: dict[str, str]) -> None:
    for theirs, ours in names.items():
        port = given.take(theirs)
        if port not in (None, _DEFAULT_PORTS[ours]):
            k0s.setdefault("ports", {})[ours] = port


def _network(draft: Draft, network: Section) -> None:
    ours = draft.cluster.setdefault("network", {})
    provider = str(network.take("provider") or "kuberouter")
    ours["provider"] = _PROVIDERS.get(provider, "cilium")
    if provider not in ("kuberouter", "calico"):
        draft.note(f"network provider {provider} is taken for Cilium")
    for key in ("podCIDR", "serviceCIDR"):
        value = network.take(key)
        if value:
            ours[key] = str(value)
    domain = network.take("clusterDomain")
    if domain:
        draft.cluster["domain"] = str(domain)
    _dual_stack(ours, network.section("dualStack"))
    local = network.section("nodeLocalLoadBalancing")
    enabled = local.take("enabled")
    if enabled is not None:
        ours["nodeLocalLoadBalancing"] = str(enabled).lower() == "true"
    balancer = local.take("type")
    if balancer not in (None, "EnvoyProxy"):
        ours["nodeLocalLoadBalancer"] = str(balancer)
    _vip(draft, network.section("controlPlaneLoadBalancing"))
    _kube_proxy(draft, provider, network.section("kubeProxy"))


def _dual_stack(ours: dict[str, Any], dual: Section) -> None:
    pods, services = dual.take("IPv6podCIDR"), dual.take("IPv6serviceCIDR")
    if dual.truth("enabled"):
        ours["dualStack"] = {"podCIDR": str(pods), "serviceCIDR": str(services)}


def _kube_proxy(draft: Draft, provider: str, proxy: Section) -> None:
    mode, disabled = str(proxy.take("mode") or "iptables"), proxy.truth("disabled")
    if mode != "iptables":
        draft.note(f"kube-proxy's mode {mode} is not carried over", proxy.where)
    if disabled and provider in _PROVIDERS and provider != "custom":
        draft.note(f"disabled, beside {provider}: slipway leaves kube-proxy out for Cilium alone", proxy.where)


def _vip(draft: Draft, balancing: Section) -> None:
    enabled, kind = balancing.truth("enabled"), str(balancing.take("type") or "Keepalived")
    instances = balancing.section("keepalived").sections("vrrpInstances")
    if not enabled:
        return
    if not instances:
        draft.note(f"enabled ({kind}) without an address: say it as network.vip", balancing.where)
        return
    addresses = instances[0].words("virtualIPs")
    vip: dict[str, Any] = {"address": addresses[0] if addresses else None}
    for key in ("interface", "virtualRouterID", "authPass"):
        value = instances[0].take(key)
        if value:
            vip[key] = value
    if any([instances[0].take("unicastSourceIP"), instances[0].take("unicastPeers")]):
        vip["unicast"] = True
    draft.cluster.setdefault("network", {})["vip"] = vip
    if len(instances) > 1 or len(addresses) > 1:
        draft.note("only the first virtual address is carried over", balancing.where)
