"""An Ansible inventory (INI or YAML, one file or a folder, with group_vars and host_vars) as ours."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from slipway.errors import InvalidInput
from slipway.inventory.importers.draft import (
    PROXY_VARIABLES,
    STDIN,
    Draft,
    Imported,
    is_address,
    items,
    mapping,
    parse_yaml,
    proxy_of,
    read_bytes,
    text,
)
from slipway.inventory.importers.ini import Groups, expand, parse_ini, with_port
from slipway.inventory.kubernetes import slug
from slipway.inventory.model import Role

_CONTROLLERS: Final = frozenset(
    ("controller", "controllers", "initial_controller", "control_plane", "controlplane", "control", "cp")
) | frozenset(("master", "masters", "server", "servers", "manager", "managers"))
_WORKERS: Final = frozenset(("worker", "workers", "node", "nodes", "agent", "agents", "compute", "minion", "minions"))
_K3S: Final = re.compile(r"(k3s|rke2)_")
_PREFIX: Final = re.compile(r"^(k0s|k3s|k8s|kube|kubernetes|rke2)_")
_ADDRESS: Final = ("ip", "ansible_host", "ansible_ssh_host")
_SSH: Final = {
    "ansible_user": "user",
    "ansible_ssh_user": "user",
    "ansible_port": "port",
    "ansible_ssh_port": "port",
    "ansible_ssh_private_key_file": "identity",
    "ansible_private_key_file": "identity",
}
_SSH_ARGUMENTS: Final = ("ansible_ssh_common_args", "ansible_ssh_extra_args", "ansible_ssh_args")
_CLUSTER: Final = {
    "cluster_name": ("name",),
    "dns_domain": ("domain",),
    "cluster_domain": ("domain",),
    "k0s_version": ("k0s", "version"),
    "supplementary_addresses_in_ssl_keys": ("k0s", "sans"),
    "kube_pods_subnet": ("network", "podCIDR"),
    "cluster_cidr": ("network", "podCIDR"),
    "kube_service_addresses": ("network", "serviceCIDR"),
    "service_cidr": ("network", "serviceCIDR"),
    "kube_network_plugin": ("network", "provider"),
    "timezone": ("time", "zone"),
    "ntp_servers": ("time", "servers"),
    "kube_network_node_prefix": ("network", "nodeCIDRMaskSize"),
    "kube_apiserver_port": ("k0s", "ports", "api"),
    "kube_oidc_url": ("k0s", "apiServer", "oidc", "issuerURL"),
    "kube_oidc_client_id": ("k0s", "apiServer", "oidc", "clientID"),
    "kube_oidc_username_claim": ("k0s", "apiServer", "oidc", "usernameClaim"),
    "kube_oidc_username_prefix": ("k0s", "apiServer", "oidc", "usernamePrefix"),
    "kube_oidc_groups_claim": ("k0s", "apiServer", "oidc", "groupsClaim"),
    "kube_oidc_groups_prefix": ("k0s", "apiServer", "oidc", "groupsPrefix"),
}
_FLAGS: Final = "flags of k3s: say in the inventory what they set; a token among them belongs nowhere"
_SAID: Final = {
    "apiserver_endpoint|api_endpoint": "the address of the API: say it as network.vip or network.externalAddress",
    "tls_san": "further names of the API: say them as k0s.sans",
    "kube_version": "slipway runs k0s: say its release as k0s.version",
    "k3s_version": "slipway runs k0s: say its release as k0s.version",
    "rke2_version": "slipway runs k0s: say its release as k0s.version",
    "kube_proxy_mode": "slipway leaves kube-proxy as k0s has it, and out for Cilium",
    "enable_dual_stack_networks|ipv6_stack|ip6|access_ip6|kube_[a-z_]+_ipv6": (
        "say the second family's ranges as network.dualStack, and each host's address as network.ipv6"
    ),
    "upstream_dns_servers|nameservers": "say them as network.nameservers of the hosts",
    "kube_oidc_.*": "people at the API by OIDC: say it as k0s.apiServer.oidc",
    "extra_(server|agent)_args|(server|agent)_config_yaml|k3s_node_args": _FLAGS,
}
"""Variables (as an expression) that mean something here and cannot be carried over by themselves."""
_NUMBERS: Final = ("kube_network_node_prefix", "kube_apiserver_port")
_INTERFACE: Final = ("flannel_iface", "k3s_iface")
_NOT_NEEDED: Final = re.compile(
    r"ansible_(become|become_method|become_user|python_interpreter|connection|ssh_pipelining|pipelining|group_priority)"
    r"|access_ip|etcd_member_name|kube_oidc_auth"
)
_PROVIDERS: Final = {"cilium": "cilium", "calico": "calico", "kube-router": "kuberouter"}
_OVER_SSH: Final = ("ssh", "smart", "paramiko", "paramiko_ssh", "ansible.builtin.ssh", "ansible.builtin.paramiko_ssh")
_IGNORED: Final = (
    ".pyc", ".pyo", ".swp", ".bak", "~", ".rpm", ".md", ".txt", ".rst", ".orig", ".cfg", ".retry",
)  # fmt: skip
"""Endings that Ansible passes over in a folder (INVENTORY_IGNORE_EXTS of its 2.19)."""
_VARIABLES: Final = ("group_vars", "host_vars")
_VAULT: Final = "$ANSIBLE_VAULT"
_MOST_FILES: Final = 2000


def import_ansible(
    path: Path,
    network: dict[str, Any] | None = None,
    *,
    group: str | None = None,
    lookup: Callable[[str], str | None] | None = None,
) -> Imported:
    """The inventory of an Ansible inventory; `network` goes into `defaults`. Raises InvalidInput when it is none.

    With `group` its hosts alone; `lookup` gives names their IP addresses.
    """
    draft = Draft(network=network or {})
    if path.name == "ansible.cfg":
        raise InvalidInput(f"{path}: is Ansible's own configuration and no inventory", hint=_named_in(read_bytes(path)))
    groups = _read(path, draft)
    hosts = _chosen(groups, group, path)
    settings = {host: _usable(draft, host, _variables_of(groups, host)) for host in hosts}
    roles = _roles(groups, settings)
    for host, variables in settings.items():
        _host(draft, groups, host, roles.get(host), variables)
    if not draft.hosts:
        raise InvalidInput(
            f"{path}: no hosts found", hint="slipway import ansible hosts.ini, or the folder that holds it"
        )
    _cluster(draft, {host: role for host, role in roles.items() if host in settings}, settings)
    _left_out(draft, groups, settings)
    if lookup is not None:
        draft.resolve(lookup)
    return draft.render(f"Imported from {'standard input' if path == STDIN else path.name} by slipway.")


def _named_in(configuration: bytes) -> str:
    """The command for the inventory that an ansible.cfg names."""
    found = re.search(rb"^[ \t]*inventory[ \t]*=[ \t]*([^\s,;#]+)", configuration, re.MULTILINE)
    named = found[1].decode("utf-8", "replace") if found else "hosts.ini"
    return f"slipway import ansible {shlex.quote(named)}"


def _chosen(groups: Groups, group: str | None, path: Path) -> list[str]:
    if group is None:
        return list(groups.variables)
    if group not in groups.groups:
        known = ", ".join(sorted(groups.groups)[:20])
        raise InvalidInput(f"{path}: no group {group}", hint=f"--group with one of: {known}")
    return [host for host in groups.variables if host in groups.members(group)]


# --- reading ---------------------------------------------------------------------------------------------------------


def _read(path: Path, draft: Draft) -> Groups:
    groups = Groups()
    if path.is_dir():
        for file in _files(path):
            _read_one_of_many(file, groups, draft)
    else:
        _read_file(path, groups, draft)
    folder = path if path.is_dir() else path.parent
    for name in ("all", "ungrouped", *groups.groups):
        for variables in _variable_files(folder / "group_vars", name, draft):
            groups.group(name).from_files.update(variables)
    for host in groups.variables:
        for variables in _variable_files(folder / "host_vars", host, draft):
            groups.variables[host].update(variables)
    for name in _VARIABLES:
        beside = folder.resolve().parent / name
        if beside.is_dir() and not (folder / name).is_dir():
            draft.note(f"../{name}, as it stands beside a playbook, is not read; copy it beside the inventory")
    return groups


def _files(folder: Path) -> Iterator[Path]:
    """The files of a folder that Ansible takes for inventories, those of its folders too."""
    found = 0
    for file in sorted(folder.rglob("*")):
        inside = file.relative_to(folder).parts
        odd = any(part.startswith(".") or part in _VARIABLES for part in inside) or len(inside) > 4
        if not odd and file.is_file() and not file.name.endswith(_IGNORED):
            found += 1
            if found > _MOST_FILES:
                raise InvalidInput(f"{folder}: more than {_MOST_FILES} files", hint="name the inventory's own folder")
            yield file


def _read_one_of_many(file: Path, groups: Groups, draft: Draft) -> None:
    """Beside inventories a folder may hold anything, such as playbooks."""
    try:
        _read_file(file, groups, draft)
    except InvalidInput as error:
        draft.note(f"no inventory: {str(error).splitlines()[0]}", file.name)


def _read_file(file: Path, groups: Groups, draft: Draft) -> None:
    """As Ansible tries: YAML where the ending is one of YAML's or none, else INI; INI under any ending."""
    raw = read_bytes(file)
    if raw.startswith(b"#!"):
        raise InvalidInput(
            f"{file}: a program; its output is an inventory",
            hint=f"ansible-inventory -i {file} --list | slipway import ansible -",
        )
    refused = None
    if file.suffix in (".yaml", ".yml", ".json", ""):
        try:
            data = parse_yaml(raw, str(file), draft)
        except InvalidInput as error:
            data, refused = None, error
        if isinstance(data, dict):
            _read_data(data, groups)
            return
    try:
        parse_ini(raw.decode("utf-8", "replace"), str(file), groups)
    except InvalidInput:
        if refused is not None and file.suffix:
            raise refused from None  # by its ending it is meant to be YAML
        raise


def _read_data(data: dict[str, Any], groups: Groups) -> None:
    """The YAML form, and the JSON of `ansible-inventory --list`, whose _meta has the variables of the hosts."""
    for name, body in data.items():
        if name == "_meta":
            for host, variables in mapping(mapping(body).get("hostvars")).items():
                groups.variables.setdefault(host, {}).update(mapping(variables))
        else:
            _yaml_group(name, mapping(body), groups, depth=0)


def _yaml_group(name: str, body: dict[str, Any], groups: Groups, depth: int) -> None:
    if depth > 50:
        raise InvalidInput(f"groups nest deeper than 50 at {name}")
    group = groups.group(name)
    group.variables.update(mapping(body.get("vars")))
    for pattern, variables in _named(body.get("hosts")).items():
        bare, port = with_port(pattern)
        for host in expand(bare):
            groups.add(name, host, {**({"ansible_port": port} if port else {}), **mapping(variables)})
    for child, inner in _named(body.get("children")).items():
        if child not in group.children:
            group.children.append(child)
        _yaml_group(child, mapping(inner), groups, depth + 1)


def _named(value: object) -> dict[str, Any]:
    """Names with what is said of them; a list says only the names."""
    return {str(item): None for item in value} if isinstance(value, list) else mapping(value)


def _variable_files(folder: Path, name: str, draft: Draft) -> Iterator[dict[str, Any]]:
    """Variables from NAME, NAME.yml, NAME.yaml, NAME.json, or every such file in a folder NAME and its folders."""
    if "/" in name:
        return
    candidates = [folder / f"{name}{suffix}" for suffix in ("", ".yml", ".yaml", ".json")]
    if candidates[0].is_dir():
        below = sorted(candidates[0].rglob("*"))[:_MOST_FILES]
        candidates = [file for file in below if file.suffix in ("", ".yml", ".yaml", ".json")]
    for file in candidates:
        if not file.is_file() or file.name.startswith("."):
            continue
        raw = read_bytes(file)
        if raw.startswith(_VAULT.encode()):
            draft.note("encrypted by ansible-vault; nothing of it is read", f"{file.parent.name}/{file.name}")
        else:
            yield mapping(parse_yaml(raw, str(file), draft))


# --- what it means ---------------------------------------------------------------------------------------------------


def _roles(groups: Groups, settings: dict[str, dict[str, Any]]) -> dict[str, Role]:
    """The role of each host by the names of its groups; a group around the controllers' group says nothing.

    Servers of k3s and RKE2 run pods as well, unless their owner taints them.
    """
    run_pods = any(_K3S.match(name) for name in (*groups.groups, *(key for each in settings.values() for key in each)))
    controllers = [name for name in groups.groups if _plain(name) in _CONTROLLERS]
    around = {name for name in groups.groups if groups.below(name) & set(controllers)}
    workers = [name for name in groups.groups if _plain(name) in _WORKERS and name not in around]
    found: dict[str, Role] = {}
    for name in controllers:
        role = Role.CONTROLLER_WORKER if run_pods else Role.CONTROLLER
        found.update(dict.fromkeys(groups.members(name), role))
    for name in workers:
        for host in groups.members(name):
            found[host] = Role.WORKER if found.get(host, Role.WORKER) is Role.WORKER else Role.CONTROLLER_WORKER
    return found


def _plain(name: str) -> str:
    return _PREFIX.sub("", name.lower().replace("-", "_"))


def _variables_of(groups: Groups, host: str) -> dict[str, Any]:
    """Variables as Ansible resolves them: of the inventory's groups, then of group_vars, then of the host."""
    found: dict[str, Any] = {}
    names = [name for name in groups.of_host(host) if name in groups.groups]
    for name in names:
        found.update(groups.groups[name].variables)
    for name in names:
        found.update(groups.groups[name].from_files)
    return {**found, **groups.variables[host]}


def _usable(draft: Draft, host: str, variables: dict[str, Any]) -> dict[str, Any]:
    """Variables without what is encrypted, and without known ones that only Ansible can fill in."""
    known = {*_SSH, *_ADDRESS, *_CLUSTER, *_INTERFACE, "node_labels", "node_taints"}
    usable = {}
    for key, value in variables.items():
        if _VAULT in str(value):
            draft.note(f"{key} is encrypted by ansible-vault; nothing of it is read", host)
            continue
        filled = _filled(value, variables)
        if key in known and "{{" in str(filled):
            draft.note(f"{key}: {value} is a template that only Ansible can fill in", host)
            continue
        usable[key] = filled
    return usable


_TEMPLATE: Final = re.compile(r"\{\{\s*([A-Za-z_]\w*)\s*\}\}")
_FILLED_BY_EACH_OTHER: Final = 5


def _filled(value: Any, variables: dict[str, Any]) -> Any:  # noqa: ANN401 (plain data)
    """A text with plain variables of the host in the place of their names."""

    def one(match: re.Match[str]) -> str:
        found = variables.get(match[1])
        return text(found) if isinstance(found, str | int | float) and _VAULT not in str(found) else match[0]

    for _ in range(_FILLED_BY_EACH_OTHER):
        if not isinstance(value, str) or "{{" not in value:
            break
        value = _TEMPLATE.sub(one, value)[:10_000]
    return value


def _host(draft: Draft, groups: Groups, host: str, role: Role | None, variables: dict[str, Any]) -> None:
    connection = str(variables.get("ansible_connection", "ssh"))
    if connection == "local" or host == "localhost":
        draft.note("Ansible's own machine is no host of the cluster", host)
        return
    if connection not in _OVER_SSH:
        draft.note(f"connection {connection}: slipway speaks SSH alone", host)
    given = [str(variables[key]) for key in _ADDRESS if variables.get(key)]
    address = given[0] if given else host
    if not is_address(address):
        draft.note("no IP address is given; put it into `address`, or import with --resolve", host)
    if role is None:
        draft.note("no group tells its role; add `role`", host)
    ssh = {_SSH[key]: variables[key] for key in _SSH if variables.get(key)}
    if jump := _jump(variables):
        ssh["jump"] = jump
    entry = {"address": address, "ssh": {"address": given[1], **ssh} if len(set(given)) > 1 else ssh}
    entry["proxy"] = proxy_of(variables, draft, "")
    entry["tags"] = _tags(groups, host)
    entry["labels"] = {key: text(value) for key, value in mapping(_literal(variables.get("node_labels"))).items()}
    entry["taints"] = [text(taint) for taint in items(_literal(variables.get("node_taints")))]
    draft.add_host(host, role, entry)


def _jump(variables: dict[str, Any]) -> list[str]:
    """The hosts on the way that OpenSSH is told of (-J, ProxyJump), the nearest first."""
    said = " ".join(str(variables[key]) for key in _SSH_ARGUMENTS if variables.get(key))
    found = re.search(r"""(?:^|[\s"'])(?:-J\s*|-o\s*["']?ProxyJump\s*[= ]\s*)([A-Za-z0-9_.:@,\[\]-]+)""", said)
    return [] if found is None or "{{" in said or found[1] == "none" else found[1].split(",")


def _literal(value: object) -> object:
    """The mapping or list that an INI inventory writes as a literal."""
    if isinstance(value, str) and value.lstrip().startswith(("{", "[")):
        return parse_yaml(value.encode(), "literal", Draft())
    return value


def _tags(groups: Groups, host: str) -> list[str]:
    """Groups become tags, except those that tell the role, and those around the whole cluster."""
    controllers = {name for name in groups.groups if _plain(name) in _CONTROLLERS}
    found = []
    for name in groups.groups:
        told = name in ("all", "ungrouped", "etcd") or _plain(name) in _CONTROLLERS | _WORKERS
        if not told and not groups.below(name) & controllers and host in groups.members(name):
            found.append(slug(name))
    return found


def _cluster(draft: Draft, roles: dict[str, Role], settings: dict[str, dict[str, Any]]) -> None:
    """Variables about the whole cluster, as a controller sees them."""
    first = next((host for host, role in roles.items() if role.is_controller), next(iter(settings)))
    variables = settings[first]
    for key, sections in _CLUSTER.items():
        off = key.startswith("kube_oidc_") and text(variables.get("kube_oidc_auth")) != "true"
        if variables.get(key) is not None and not off:
            _carry(draft, key, sections, variables[key])
    if "." in str(variables.get("cluster_name", "")) and "domain" not in draft.cluster:
        draft.cluster["domain"] = text(variables["cluster_name"])  # Kubespray's cluster_name is the DNS domain
    _balancer(draft, _literal(variables.get("loadbalancer_apiserver")))
    interface = next((text(variables[key]) for key in _INTERFACE if variables.get(key)), None)
    if interface and not draft.network:
        for host in draft.hosts.values():
            host.setdefault("network", {}).setdefault("interface", interface)


def _balancer(draft: Draft, said: object) -> None:
    """Kubespray's load balancer of somebody else's, which k0s calls an external address."""
    address, port = mapping(said).get("address"), mapping(said).get("port")
    if address:
        draft.cluster.setdefault("network", {})["externalAddress"] = str(address)
        api = draft.cluster.get("k0s", {}).get("ports", {}).get("api", 6443)
        if port is not None and str(port) != str(api):
            draft.note(f"loadbalancer_apiserver: its port {port} is not the API's own, {api}, on which k0s counts")


def _carry(draft: Draft, key: str, sections: tuple[str, ...], value: Any) -> None:  # noqa: ANN401 (plain data)
    if key == "k0s_version":
        draft.release(text(value), key)
        return
    if key == "kube_network_plugin" and value not in _PROVIDERS:
        draft.note(f"kube_network_plugin {value}: slipway has cilium, kuberouter and calico; cilium is taken")
        return
    into = draft.cluster
    for section in sections[:-1]:
        into = into.setdefault(section, {})
    if isinstance(_literal(value), list):
        into[sections[-1]] = [text(item) for item in items(_literal(value))]
    else:
        plain = _PROVIDERS[value] if key == "kube_network_plugin" else text(value)
        into[sections[-1]] = int(plain) if key in _NUMBERS and plain.isdecimal() else plain


def _left_out(draft: Draft, groups: Groups, settings: dict[str, dict[str, Any]]) -> None:
    carried = {*_ADDRESS, *_SSH, *_CLUSTER, *_INTERFACE, *PROXY_VARIABLES}
    carried |= {"node_labels", "node_taints", "loadbalancer_apiserver"}
    names = sorted({key for variables in settings.values() for key in variables})
    others = []
    for key in names:
        values = [str(variables[key]) for variables in settings.values() if key in variables]
        if re.search(r"pass(word)?$", key):
            draft.note(f"{key}: slipway logs in with keys; no password is carried over")
        elif key in _SSH_ARGUMENTS:
            if any(_jump({key: value}) for value in values):
                draft.note(f"{key}: of it the jump host alone is carried over")
            elif any("Proxy" in value or "-J" in value for value in values):
                draft.note(f"{key}: say the way through other hosts as `ssh.jump`, such as [user@bastion.example.org]")
            else:
                others.append(key)
        elif key in carried or _NOT_NEEDED.fullmatch(key):
            pass
        elif meant := next((said for each, said in _SAID.items() if re.fullmatch(each, key)), None):
            shown = "" if meant == _FLAGS else f" ({values[0]})"
            draft.note(f"{key}{shown}: {meant}")
        else:
            others.append(key)
    if others:
        draft.note(f"variables that slipway does not know: {', '.join(others)}")
    controllers = [name for name in groups.groups if _plain(name) in _CONTROLLERS]
    lonely = set(groups.members("etcd")).difference(*(groups.members(name) for name in controllers))
    if lonely:
        draft.note(f"etcd runs on the controllers, not on {', '.join(sorted(lonely))}")
