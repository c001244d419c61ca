"""What the machine itself listens on.

ss -Htln
"""

from __future__ import annotations

import pytest

from slipway.inventory import Host, Inventory
from slipway.verify.backend import NodeHost
from slipway.verify.check import controllers, expect, listed, workers, workloads

ETCD_CLIENT, ETCD_PEER, KUBELET = 2379, 2380, 10250
LOCAL_ONLY = {ETCD_CLIENT: "etcd", 10257: "kube-controller-manager", 10259: "kube-scheduler", 10248: "kubelet's health"}
"""Ports that nobody else needs; on a link they would be a way in."""
READ_ONLY = 10255
"""kubelet's old port without any authentication."""


class Listening:
    """The machine's listening TCP sockets.

    >>> listening.on(6443)
    {'*'}
    """

    def __init__(self, host: NodeHost) -> None:
        self._sockets: dict[int, set[str]] = {}
        for line in host.check_output("ss -Htln").splitlines():
            address, _, port = line.split()[3].rpartition(":")
            self._sockets.setdefault(int(port), set()).add(address.strip("[]").partition("%")[0])

    def on(self, port: int) -> set[str]:
        """The addresses on which `port` listens; empty if it does not."""
        return self._sockets.get(port, set())

    def outside(self, port: int) -> set[str]:
        """Those of them that other machines can reach."""
        return {address for address in self.on(port) if not address.startswith(("127.", "::1", "::ffff:127."))}


@pytest.fixture(scope="session")
def listening(host: NodeHost) -> Listening:
    return Listening(host)


def _must_listen(listening: Listening, port: int, what: str) -> None:
    __tracebackhide__ = True
    expect(
        bool(listening.outside(port)),
        expected=f"{what} on port {port}",
        found="nobody listens there",
        fix="journalctl -u k0s.service",
        command="ss -Htlnp",
    )


def test_sshd(listening: Listening, node: Host) -> None:
    """sshd listens on the port of the inventory."""
    _must_listen(listening, node.ssh.port, "sshd")


@controllers
def test_api_server(listening: Listening, inventory: Inventory) -> None:
    """The API server listens."""
    _must_listen(listening, inventory.cluster.k0s.ports.api, "kube-apiserver")


@workloads
def test_kubelet(listening: Listening) -> None:
    """kubelet listens."""
    _must_listen(listening, KUBELET, "kubelet")


def test_local_ports_are_local(listening: Listening) -> None:
    """What is meant for this machine alone listens on loopback alone."""
    outside = [
        f"{name} on {listed(sorted(listening.outside(port)))}:{port}"
        for port, name in LOCAL_ONLY.items()
        if listening.outside(port)
    ]
    expect(
        not outside,
        expected=f"loopback only: {listed(map(str, LOCAL_ONLY))}",
        found=listed(outside),
        fix="extraArgs in k0s.yaml change the bind address; take them out",
        command="ss -Htlnp",
    )


@workloads
def test_kubelet_has_no_open_port(listening: Listening) -> None:
    """kubelet's port without authentication is off."""
    expect(
        not listening.on(READ_ONLY),
        expected=f"nobody on port {READ_ONLY}",
        found=listed(sorted(listening.on(READ_ONLY))),
        fix="readOnlyPort: 0 in the worker profile",
        command="ss -Htlnp",
    )


@workers
def test_worker_is_no_controller(listening: Listening, inventory: Inventory) -> None:
    """A worker runs nothing of the control plane."""
    ports = {
        inventory.cluster.k0s.ports.api: "kube-apiserver",
        inventory.cluster.k0s.ports.k0s_api: "k0s's join port",
        ETCD_CLIENT: "etcd",
        ETCD_PEER: "etcd",
    }
    found = [
        f"{name} on port {port}"
        for port, name in ports.items()
        if listening.outside(port) or (port == ETCD_CLIENT and listening.on(port))
    ]
    expect(
        not found,
        expected="no part of the control plane",
        found=listed(found),
        fix="was it a controller once? drain it, then k0s reset and a reboot",
        command="ss -Htlnp",
    )
