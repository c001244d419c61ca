"""The table of the pod networks, which the modules for NixOS and verification both read."""

from dataclasses import replace

import pytest

from slipway.generate import pod_network
from slipway.inventory import Inventory
from slipway.inventory.model import Cilium, Provider


def with_network(inventory: Inventory, **changes: object) -> Inventory:
    network = inventory.cluster.network.model_copy(update=changes)
    return replace(inventory, cluster=inventory.cluster.model_copy(update={"network": network}))


def opened(inventory: Inventory) -> list[str]:
    return [str(each) for each in pod_network.openings(inventory)]


def test_every_provider_has_its_row():
    assert set(pod_network.table()) == {provider.value for provider in Provider}


@pytest.mark.parametrize(
    ("cilium", "expected"),
    [
        ({}, {"TCP 4240 (health checks)", "UDP 8472 (VXLAN)"}),
        ({"routing": "geneve"}, {"TCP 4240 (health checks)", "UDP 6081 (Geneve)"}),
        ({"routing": "native"}, {"TCP 4240 (health checks)"}),
        ({"encryption": "wireguard"}, {"TCP 4240 (health checks)", "UDP 8472 (VXLAN)", "UDP 51871 (WireGuard)"}),
    ],
)
def test_cilium_uses_what_its_settings_ask_for(make, cilium, expected):
    found = opened(with_network(make(), cilium=Cilium(hubble=False, **cilium)))
    assert set(found) == expected


def test_hubble_is_asked_by_other_nodes(make):
    assert pod_network.ports(with_network(make(), cilium=Cilium(hubble=True)), "tcp") == (4240, 4244)
    assert pod_network.ports(with_network(make(), cilium=Cilium(hubble=False)), "tcp") == (4240,)


@pytest.mark.parametrize(
    ("provider", "expected"),
    [
        ("kuberouter", ["TCP 179 (BGP)", "protocol 4 (IP in IP, to nodes in other networks)"]),
        ("calico", ["UDP 4789 (VXLAN)"]),
    ],
)
def test_the_others_have_theirs_whatever_is_said_of_cilium(make, provider, expected):
    native = Cilium(routing="native", hubble=False)
    assert opened(with_network(make(), provider=Provider(provider), cilium=native)) == expected


@pytest.mark.parametrize("provider", Provider)
def test_what_others_call_by_tcp_is_listened_on(make, provider):
    assert set(pod_network.ports(with_network(make(), provider=provider), "tcp")) <= set(
        pod_network.listeners(provider)
    )
