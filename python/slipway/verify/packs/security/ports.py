"""What the machine offers to others.

ss -Htulnp
"""

from __future__ import annotations

from slipway.generate import pod_network
from slipway.inventory import Host, Inventory
from slipway.inventory.values import port_range
from slipway.verify.backend import NodeHost
from slipway.verify.check import CannotRun, expect, listed

ETCD_PEER, KUBELET, KUBE_PROXY = 2380, 10250, (10249, 10256)
CONTROLLER_ALONE = (2379, 10257, 10259)
"""etcd's clients, kube-controller-manager, kube-scheduler: on loopback alone, which is the pack network's check."""
VIP_PROXY = 6444
"""k0s's balancer behind the virtual address, on every address of a controller (its userSpaceProxyBindPort)."""
KONNECTIVITY_AGENT = 8093
"""The health of k0s's konnectivity-agent, a pod in the network of every node (seen with k0s 1.36.3)."""
RPCBIND = 111
NODE_PORTS = range(30000, 32768)
"""Services of type NodePort, which their owners open."""


def allowed(node: Host, inventory: Inventory) -> set[int]:
    """TCP ports that other machines may find open: the role's, the pod network's, and those the inventory's."""
    firewall, k0s = node.firewall, inventory.cluster.k0s.ports
    ports = {node.ssh.port, *firewall.allowed_tcp_ports, *firewall.pod_tcp_ports}
    ports |= {RPCBIND} if node.storage.nfs else set()
    ports |= {
        port for rule in firewall.rules if rule.protocol == "tcp" for each in rule.ports for port in port_range(each)
    }
    if node.is_controller:
        ports |= {k0s.api, k0s.k0s_api, k0s.konnectivity_agent, k0s.konnectivity_admin, ETCD_PEER, *CONTROLLER_ALONE}
        ports |= {VIP_PROXY} if inventory.cluster.network.vip else set()
    if node.runs_workloads:
        ports |= {KUBELET, KONNECTIVITY_AGENT, *KUBE_PROXY, *NODE_PORTS}
        ports |= set(pod_network.listeners(inventory.cluster.network.provider))
    return ports


def test_are_declared(host: NodeHost, node: Host, inventory: Inventory) -> None:
    """Nothing listens for other machines but what the role and the inventory ask for."""
    rows = [line.split() for line in host.check_output("ss -Htlnp").splitlines()]
    if not rows:
        raise CannotRun("ss shows no listener, not even sshd")
    ports = allowed(node, inventory)
    strange = dict.fromkeys(_text(row) for row in rows if _outside(row[3]) and _port(row[3]) not in ports)
    expect(
        not strange,
        expected="ports of the role, and firewall.allowedTCPPorts",
        found=listed(strange),
        fix="stop it, bind it to 127.0.0.1, or write the port into firewall.allowedTCPPorts of the inventory",
        command="ss -tlnp",
    )


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])


def _outside(address: str) -> bool:
    return not address.strip("[").startswith(("127.", "::1]", "::ffff:127."))


def _text(row: list[str]) -> str:
    program = row[5].partition('(("')[2].partition('"')[0] if len(row) > 5 else ""
    return f"{row[3]} {program}".strip()
