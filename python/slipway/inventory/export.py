"""The inventory in the words of other tools: Ansible, OpenSSH, /etc/hosts."""

from __future__ import annotations

import io
import re
from typing import Any

from ruamel.yaml import YAML

from slipway.inventory.load import Inventory
from slipway.inventory.model import Host


def ansible(inventory: Inventory) -> str:
    """A YAML inventory for Ansible: roles, groups and tags as groups, one entry a host."""
    children: dict[str, Any] = {}
    for host in inventory.hosts:
        for group in dict.fromkeys(_group_name(mark) for mark in (*_roles(host), *host.groups, *host.tags)):
            children.setdefault(group, {"hosts": {}})["hosts"][host.name] = {}
    hosts = {host.name: _variables(host) for host in inventory.hosts}
    return _yaml({"all": {"hosts": hosts, "children": children}})


def _variables(host: Host) -> dict[str, Any]:
    found: dict[str, Any] = {"ansible_host": host.login_address}
    if host.login_address != host.address:
        found["ip"] = host.address
    found |= {"ansible_user": host.ssh.user, "ansible_port": host.ssh.port}
    if host.ssh.identity is not None:
        found["ansible_ssh_private_key_file"] = str(host.ssh.identity)
    if host.ssh.jump:
        found["ansible_ssh_common_args"] = f"-o ProxyJump={','.join(host.ssh.jump)}"
    return found


def _roles(host: Host) -> list[str]:
    """`controller` and `worker` as in k0s's own playbooks; a host with both roles is in both groups."""
    return [*(["controller"] if host.is_controller else []), *(["worker"] if host.runs_workloads else [])]


def _group_name(text: str) -> str:
    """Ansible warns of group names that are no identifiers."""
    name = re.sub(r"[^A-Za-z0-9_]", "_", text)
    return f"_{name}" if name[0].isdigit() else name


def _yaml(value: Any) -> str:  # noqa: ANN401 (plain data)
    yaml = YAML()
    stream = io.StringIO()
    yaml.dump(value, stream)
    return stream.getvalue()


def ssh_config(inventory: Inventory) -> str:
    """Host blocks for ~/.ssh/config (`Include`), with the keys of the inventory's own known_hosts."""
    return "\n".join(_ssh_block(inventory, host) for host in inventory.hosts)


def _ssh_block(inventory: Inventory, host: Host) -> str:
    lines = [
        f"Host {host.name}",
        f"  HostName {host.login_address}",
        f"  User {host.ssh.user}",
        f"  Port {host.ssh.port}",
        f"  UserKnownHostsFile {_quoted(str(inventory.root.resolve() / 'known_hosts'))}",
    ]
    if host.ssh.jump:
        lines.append(f"  ProxyJump {','.join(host.ssh.jump)}")
    if host.ssh.identity is not None:
        lines.append(f"  IdentityFile {_quoted(str(host.ssh.identity.absolute()))}")
    return "\n".join(lines) + "\n"


def _quoted(path: str) -> str:
    """As ssh_config(5) reads it: % begins a token there, # a comment."""
    path = path.replace("%", "%%")
    return f'"{path}"' if re.search(r"[\s#']", path) else path


def hosts_file(inventory: Inventory) -> str:
    """Lines for /etc/hosts: each address of a node and its name; the VIP under the cluster's name."""
    lines = []
    for host in inventory.hosts:
        lines.append(f"{host.address}\t{host.name}")
        if host.network.ipv6 is not None:
            lines.append(f"{host.network.ipv6.address}\t{host.name}")
    vip = inventory.cluster.network.vip
    if vip is not None:
        lines.append(f"{vip.ip}\t{inventory.cluster.name}")
    return "\n".join(lines) + "\n"
