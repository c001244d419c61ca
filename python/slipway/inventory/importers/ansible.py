"""An Ansible inventory (INI or YAML, one file or a folder, with group_vars and host_vars) as ours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from slipway.errors import InvalidInput
from slipway.inventory.importers.draft import Draft, Imported, items, mapping, parse_yaml, read_bytes, text
from slipway.inventory.importers.ini import Groups, expand, parse_ini
from slipway.inventory.kubernetes import slug
from slipway.inventory.model import Role

_CONTROLLERS: Final = frozenset(
    ("controller", "controllers", "initial_controller", "control_plane", "controlplane", "control", "cp")
) | frozenset(("master", "masters", "server", "servers", "manager", "managers"))
_WORKERS: Final = frozenset(("worker", "workers", "node", "nodes", "agent", "agents", "compute", "minion", "minions"))
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
_CLUSTER: Final = {
    "cluster_name": ("name",),
    "dns_domain": ("domain",),
    "k0s_version": ("k0s", "version"),
    "kube_pods_subnet": ("network", "podCIDR"),
    "kube_service_addresses": ("network", "serviceCIDR"),
    "kube_network_plugin": ("network", "provider"),
    "timezone": ("time", "zone"),
    "ntp_servers": ("time", "servers"),
}
_NOT_NEEDED: Final = re.compile(
    r"ansible_(become|become_method|become_user|python_interpreter|connection|ssh_pipelining|pipelining)"
    r"|access_ip|etcd_member_name"
)
_PROVIDERS: Final = {"cilium": "cilium", "calico": "calico", "kube-router": "kuberouter"}


def import_ansible(path: Path, network: dict[str, Any] | None = None) -> Imported:
    """The inventory of an Ansible inventory; `network` goes into `defaults`. Raises InvalidInput when it is none."""
    draft = Draft(network=network or {})
    groups = _read(path, draft)
    roles = _roles(groups)
    settings = {host: _variables_of(groups, host) for host in groups.variables}
    for host, variables in settings.items():
        _host(draft, groups, host, roles.get(host), variables)
    if not draft.hosts:
        raise InvalidInput(f"{path}: no hosts found")
    _cluster(draft, roles, settings)
    _left_out(draft, groups, settings)
    return draft.render(f"Imported from {path.name} by slipway.")


# --- reading ---------------------------------------------------------------------------------------------------------


def _read(path: Path, draft: Draft) -> Groups:
    groups = Groups()
    files = [path]
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.is_file() and _is_inventory(file))
    for file in files:
        _read_file(file, groups, draft)
    folder = path if path.is_dir() else path.parent
    for name in ("all", "ungrouped", *groups.groups):
        for variables in _variable_files(folder / "group_vars", name, draft):
            groups.group(name).variables.update(variables)
    for host in groups.variables:
        for variables in _variable_files(folder / "host_vars", host, draft):
            groups.variables[host].update(variables)
    return groups


def _is_inventory(file: Path) -> bool:
    """What Ansible takes from an inventory folder: neither hidden files nor backups, and no programs here."""
    return not file.name.startswith(".") and file.suffix in ("", ".ini", ".yaml", ".yml", ".json", ".cfg")


def _read_file(file: Path, groups: Groups, draft: Draft) -> None:
    raw = read_bytes(file)
    if raw.startswith(b"#!"):
        raise InvalidInput(f"{file}: a program; run `ansible-inventory -i {file} --list --yaml` and import its output")
    if file.suffix in (".yaml", ".yml", ".json") or _looks_like_yaml(raw):
        data = parse_yaml(raw, str(file), draft)
        for name, body in mapping(data).items():
            _yaml_group(name, mapping(body), groups, depth=0)
    else:
        parse_ini(raw.decode("utf-8", "replace"), str(file), groups)


def _looks_like_yaml(raw: bytes) -> bool:
    first = next(
        (line for line in raw.splitlines() if line.strip() and not line.lstrip().startswith((b"#", b";"))), b""
    )
    return first.startswith(b"---") or re.fullmatch(rb"[A-Za-z0-9_-]+:\s*", first) is not None


def _yaml_group(name: str, body: dict[str, Any], groups: Groups, depth: int) -> None:
    if depth > 50:
        raise InvalidInput(f"groups nest deeper than 50 at {name}")
    group = groups.group(name)
    group.variables.update(mapping(body.get("vars")))
    for pattern, variables in mapping(body.get("hosts")).items():
        for host in expand(pattern):
            groups.add(name, host, mapping(variables))
    for child, inner in mapping(body.get("children")).items():
        if child not in group.children:
            group.children.append(child)
        _yaml_group(child, mapping(inner), groups, depth + 1)


def _variable_files(folder: Path, name: str, draft: Draft) -> Iterator[dict[str, Any]]:
    """Variables from NAME, NAME.yml, NAME.yaml, NAME.json, or every such file in a folder NAME."""
    if "/" in name:
        return
    candidates = [folder / f"{name}{suffix}" for suffix in ("", ".yml", ".yaml", ".json")]
    if candidates[0].is_dir():
        candidates = sorted(candidates[0].iterdir())
    for file in candidates:
        if not file.is_file():
            continue
        raw = read_bytes(file)
        if raw.startswith(b"$ANSIBLE_VAULT"):
            draft.note(f"{file.parent.name}/{file.name} is encrypted by ansible-vault; nothing of it is read")
        else:
            yield mapping(parse_yaml(raw, str(file), draft))


# --- what it means ---------------------------------------------------------------------------------------------------


def _roles(groups: Groups) -> dict[str, Role]:
    """The role of each host by the names of its groups; a group around the controllers' group says nothing."""
    controllers = [name for name in groups.groups if _plain(name) in _CONTROLLERS]
    around = {name for name in groups.groups if groups.below(name) & set(controllers)}
    workers = [name for name in groups.groups if _plain(name) in _WORKERS and name not in around]
    found: dict[str, Role] = {}
    for name in controllers:
        found.update(dict.fromkeys(groups.members(name), Role.CONTROLLER))
    for name in workers:
        for host in groups.members(name):
            found[host] = Role.WORKER if found.get(host, Role.WORKER) is Role.WORKER else Role.CONTROLLER_WORKER
    return found


def _plain(name: str) -> str:
    return _PREFIX.sub("", name.lower().replace("-", "_"))


def _variables_of(groups: Groups, host: str) -> dict[str, Any]:
    """Variables as Ansible would resolve them: all, then groups from the widest to the narrowest, then the host."""
    memberships = [name for name in groups.groups if name != "all" and host in groups.members(name)]
    memberships.sort(key=lambda name: (-len(groups.below(name)), name))
    found: dict[str, Any] = {}
    for name in ["all", *memberships]:
        if name in groups.groups:
            found.update(groups.groups[name].variables)
    return {**found, **groups.variables[host]}


def _host(draft: Draft, groups: Groups, host: str, role: Role | None, variables: dict[str, Any]) -> None:
    if variables.get("ansible_connection") == "local" or host == "localhost":
        draft.note(f"{host}: Ansible's own machine is no host of the cluster")
        return
    usable = {key: value for key, value in variables.items() if not _is_template(draft, key, value)}
    given = [str(usable[key]) for key in _ADDRESS if usable.get(key)]
    address = given[0] if given else host
    if not re.fullmatch(r"[0-9.]+|[0-9A-Fa-f:]*:[0-9A-Fa-f:]*", address):
        draft.note(f"{host}: no IP address is given; put it into `address`")
    if role is None:
        draft.note(f"{host}: no group tells its role; add `role`")
    ssh = {_SSH[key]: usable[key] for key in _SSH if usable.get(key)}
    entry = {"address": address, "ssh": {"address": given[1], **ssh} if len(set(given)) > 1 else ssh}
    entry["tags"] = _tags(groups, host)
    entry["labels"] = {key: text(value) for key, value in mapping(_literal(usable.get("node_labels"))).items()}
    entry["taints"] = [text(taint) for taint in items(_literal(usable.get("node_taints")))]
    draft.add_host(host, role, entry)


def _literal(value: object) -> object:
    """The mapping or list that an INI inventory writes as a literal."""
    if isinstance(value, str) and value.lstrip().startswith(("{", "[")):
        return parse_yaml(value.encode(), "literal", Draft())
    return value


def _is_template(draft: Draft, key: str, value: object) -> bool:
    known = key in _SSH or key in _ADDRESS or key in ("node_labels", "node_taints")
    if known and "{{" in str(value):
        draft.note(f"{key}: {value} is a template that only Ansible can fill in")
        return True
    return False


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
    for key, (*sections, last) in _CLUSTER.items():
        value = variables.get(key)
        if value is None or "{{" in str(value):
            continue
        if key == "k0s_version" and not re.fullmatch(r"v?1\.\d+\.\d+\+k0s\.\d+", str(value)):
            draft.note(f"k0s_version {value} names no release such as 1.36.3+k0s.2")
            continue
        if key == "kube_network_plugin" and value not in _PROVIDERS:
            draft.note(f"kube_network_plugin {value}: slipway has cilium, kuberouter and calico; cilium is taken")
            continue
        into = draft.cluster
        for section in sections:
            into = into.setdefault(section, {})
        into[last] = _carried(key, value)


def _carried(key: str, value: Any) -> Any:  # noqa: ANN401 (plain data)
    if isinstance(value, list):
        return [text(item) for item in value]
    if key == "kube_network_plugin":
        return _PROVIDERS[value]
    return text(value).removeprefix("v") if key == "k0s_version" else text(value)


def _left_out(draft: Draft, groups: Groups, settings: dict[str, dict[str, Any]]) -> None:
    carried = {*_ADDRESS, *_SSH, *_CLUSTER, "node_labels", "node_taints"}
    names = sorted({key for variables in settings.values() for key in variables})
    others = []
    for key in names:
        values = [str(variables[key]) for variables in settings.values() if key in variables]
        if re.search(r"pass(word)?$", key):
            draft.note(f"{key}: slipway logs in with keys; no password is carried over")
        elif key in ("ansible_ssh_common_args", "ansible_ssh_extra_args", "ansible_ssh_args"):
            if any("Proxy" in value or "-J" in value for value in values):
                draft.note(f"{key}: slipway reaches hosts directly, not through a jump host")
        elif key not in carried and not _NOT_NEEDED.fullmatch(key):
            others.append(key)
    if others:
        draft.note(f"variables that mean nothing here: {', '.join(others)}")
    controllers = [name for name in groups.groups if _plain(name) in _CONTROLLERS]
    lonely = set(groups.members("etcd")).difference(*(groups.members(name) for name in controllers))
    if lonely:
        draft.note(f"etcd runs on the controllers, not on {', '.join(sorted(lonely))}")
