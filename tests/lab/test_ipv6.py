"""A cluster without any IPv4: machines, pods and Services, from nothing to its hand-off, in a lab of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.lab.conftest import of_tests
from tests.lab.harness import Cluster, Home, Repository, outcomes

from slipway.cluster import kubeconfig
from slipway.events import Events
from slipway.lab import family, machines, supplies
from slipway.lab.settings import FOR_TESTS
from slipway.ssh.pool import Pool
from slipway.tools import kubectl

pytestmark = [pytest.mark.lab, pytest.mark.nightly]


@pytest.fixture(scope="module")
def cluster(made: None, home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with of_tests(FOR_TESTS[2]) as chosen, pytest.MonkeyPatch.context() as patch:
        family.settle(chosen, ipv6=True)
        supplies.stock(machines.up(chosen, Events(), controllers=1, workers=2), Events())
        patch.setenv("SLIPWAY_LAB", str(chosen.number))
        repository = Repository(tmp_path_factory.mktemp("six"), home)
        for words in (("lab", "init", "."), ("generate",)):
            repository.slipway(*words).ended(0)
        assert set(outcomes(repository.slipway("deploy", "--json").ended(0)).values()) == {"ok"}
        inventory = repository.inventory()
        with Pool.of(inventory) as pool:
            yield Cluster(repository, inventory, pool, kubeconfig.of(inventory, pool))


def test_no_machine_no_pod_and_no_service_has_ipv4(cluster):
    for host in cluster.inventory.hosts:
        assert cluster.sh(host.name, "ip -4 -oneline address show | grep -v ' lo ' || true") == "", host.name
    pods = [pod["status"].get("podIPs", []) for pod in cluster.get("pods", namespace=kubectl.EVERY)["items"]]
    services = [each["spec"]["clusterIPs"] for each in cluster.get("services", namespace=kubectl.EVERY)["items"]]
    found = [*(each["ip"] for ips in pods for each in ips), *(address for each in services for address in each)]
    assert len(found) > len(services) > 1
    assert [address for address in found if ":" not in address] == []


def test_every_node_is_green(cluster):
    cluster.repository.verified()


def test_it_is_handed_over(cluster):
    cluster.repository.slipway("handoff").ended(0)
    assert cluster.repository.slipway("status", "--json").ended(0).json["handedOver"]
