"""What k0s is configured with.

cat /etc/k0s/k0s.yaml /run/k0s/kubelet/config.yaml
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from slipway.generate import k0s
from slipway.inventory import Host, Inventory
from slipway.inventory.address import Address, network_of, text_of
from slipway.verify.backend import NodeHost
from slipway.verify.check import CannotRun, controllers, expect, listed, workloads
from slipway.verify.packs._kubelet import CONFIGURATION

FILE = "/etc/k0s/k0s.yaml"
DNS = 10
"""Which address of the Service network is the cluster's DNS (k0s's pkg/apis/k0s/v1beta1, DNSAddress)."""


@controllers
def test_is_that_of_the_inventory(host: NodeHost, node: Host, inventory: Inventory) -> None:
    """k0s.yaml says what the inventory says."""
    found = _mapping(FILE, host.check_output("cat %s", FILE))
    wanted = _mapping("what is generated", k0s.render(inventory)[k0s.path_of(node)].decode())
    wrong = list(_differences(wanted, found))
    expect(
        not wrong,
        expected=listed(f"{path} {want}" for path, want, _ in wrong),
        found=listed(f"{path} {has}" for path, _, has in wrong),
        fix=f"slipway generate; slipway deploy {node.name}",
        command=f"cat {FILE}",
    )


def _differences(wanted: Any, found: Any, path: str = "") -> Iterator[tuple[str, str, str]]:  # noqa: ANN401 (YAML)
    """(path, wanted, found) of every value that is otherwise."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        for key in dict.fromkeys([*wanted, *found]):
            yield from _differences(wanted.get(key), found.get(key), f"{path}.{key}".lstrip("."))
    elif wanted != found:
        yield path, _text(wanted), _text(found)


def _text(value: object) -> str:
    return "unset" if value is None else str(value)


@workloads
def test_kubelet_has_the_clusters_names(kubelet_configuration: str, inventory: Inventory) -> None:
    """kubelet gives its pods the domain of the cluster and its DNS."""
    found = _mapping(CONFIGURATION, kubelet_configuration)
    wanted = (inventory.cluster.domain, dns_of(inventory.cluster.network.service_cidr))
    has = (str(found.get("clusterDomain", "unset")), [str(each) for each in found.get("clusterDNS") or ()])
    expect(
        has[0] == wanted[0] and wanted[1] in has[1],
        expected="{}, DNS {}".format(*wanted),
        found=f"{has[0]}, DNS {listed(has[1])}",
        fix="fixed at the cluster's first start, both: is the inventory another cluster's?",
        command=f"grep -A1 clusterD {CONFIGURATION}",
    )


@workloads
def test_network_is_the_provider_of_the_inventory(host: NodeHost, inventory: Inventory) -> None:
    """Pods get their network from the provider of the inventory."""
    # The first file by its name is the one that containerd takes; providers name theirs after themselves.
    files = host.check_output("ls /etc/cni/net.d").split()
    first = next(iter(sorted(each for each in files if each.endswith((".conf", ".conflist", ".json")))), "none")
    provider = inventory.cluster.network.provider.value
    expect(
        provider in first.replace("-", ""),
        expected=f"a file of {provider} before all others",
        found=first,
        fix="cluster.network.provider is fixed at the first start; what another provider left: rm it, reboot",
        command="ls /etc/cni/net.d",
    )


def dns_of(services: str) -> str:
    """
    >>> dns_of("10.96.0.0/12")
    '10.96.0.10'
    """
    network = network_of(services)
    return text_of(Address(network.family, network.first + DNS))


def _mapping(name: str, text: str) -> dict[str, Any]:
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise CannotRun(f"{name} is no YAML: {str(error).splitlines()[0]}") from error
    if not isinstance(found, dict):
        raise CannotRun(f"{name} holds no mapping")
    return found
