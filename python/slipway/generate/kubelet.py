"""What a machine's kubelet keeps from pods: as flags, which go before its configuration file."""

from __future__ import annotations

from collections.abc import Mapping

from slipway.inventory import Host

EVICTION_HARD: Mapping[str, str] = {
    "memory.available": "100Mi",
    "nodefs.available": "10%",
    "nodefs.inodesFree": "5%",
    "imagefs.available": "15%",
    "imagefs.inodesFree": "5%",
}
"""kubelet's own thresholds on Linux (pkg/kubelet/apis/config/v1beta1/defaults_linux.go). Whoever names one of them
names all: the others count as zero then (Node-pressure Eviction in Kubernetes's documentation)."""


def eviction_hard(host: Host) -> Mapping[str, str]:
    """Every threshold of that kubelet, where the inventory names any."""
    named = {str(signal): value for signal, value in host.k0s.eviction_hard.items()}
    return {**EVICTION_HARD, **named} if named else {}


def reserves(host: Host) -> Mapping[str, frozenset[str]]:
    """Flag of kubelet to its parts, such as `memory=1Gi` or `memory.available<500Mi`, as the NixOS module has them."""
    parts = {
        "--system-reserved": [f"{name}={value}" for name, value in host.k0s.system_reserved.items()],
        "--kube-reserved": [f"{name}={value}" for name, value in host.k0s.kube_reserved.items()],
        "--eviction-hard": [f"{signal}<{value}" for signal, value in eviction_hard(host).items()],
    }
    return {flag: frozenset(values) for flag, values in parts.items() if values}
