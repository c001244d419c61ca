"""A small inventory, its fake machines, and what a run told."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from tests.unit.cluster.fakes import FakeCluster, FakeMachine, FakePool

from slipway.cluster import bringup
from slipway.cluster.encryption import Keys
from slipway.events import Event, Events
from slipway.inventory import Inventory, load
from slipway.outcome import NodeResult
from slipway.tools import kubectl

INVENTORY = """
apiVersion: slipway/v1
cluster:
  name: test
  k0s: {{version: 1.36.3+k0s.2}}
defaults:
  ssh: {{authorizedKeys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBBMF0e4Tlc2bbCEyA5LWyFv5fB6qQTfJ8cAHrtK5Yqm test]}}
  network: {{interface: eth0, prefixLength: 24}}
deploy:
  timeouts: {{join: {within}}}
hosts:
{hosts}"""


@dataclass
class World:
    """Everything that a bring-up touches."""

    inventory: Inventory
    cluster: FakeCluster
    pool: FakePool
    told: list[Event]
    listening: set[str]
    """Addresses on which a connection to the API port succeeds."""
    keys: Keys | None = None
    """For Secrets at rest."""

    def bring_up(self, *chosen: str) -> dict[str, NodeResult]:
        """All of them without a choice."""
        return bringup.bring_up(
            self.inventory,
            self.pool,  # type: ignore[arg-type]
            Events(self.told.append),
            chosen or None,
            self.keys,
        )

    def machine(self, name: str) -> FakeMachine:
        return self.pool.machines[name]

    def outcomes(self) -> dict[str, str]:
        return {name: str(result.outcome) for name, result in self.bring_up().items()}


@pytest.fixture
def world(tmp_path, monkeypatch):
    """Makes worlds: `world(controllers=1, workers=2)`."""

    def make(controllers: int = 1, workers: int = 2, within: str = "30s") -> World:
        names = {f"cp{n}": "controller" for n in range(1, controllers + 1)}
        names |= {f"w{n}": "worker" for n in range(1, workers + 1)}
        hosts = "".join(
            f"  {name}: {{address: 10.0.0.{10 + place}, role: {role}}}\n"
            for place, (name, role) in enumerate(names.items())
        )
        path = tmp_path / "inventory.yaml"
        path.write_text(INVENTORY.format(hosts=hosts, within=within))
        inventory = load(path)
        cluster = FakeCluster()

        def get(_kubeconfig, kind, namespace=""):
            if (kind, namespace) == ("leases", "kube-node-lease"):
                return {"items": [lease(name, cluster.silent.get(name, time.time())) for name in cluster.nodes]}
            assert kind == "nodes"
            ids = {name: cluster.machines.get(name, f"id-of-{name}") for name in cluster.nodes}
            return {"items": [node(name, ready, ids[name]) for name, ready in cluster.nodes.items()]}

        monkeypatch.setattr(kubectl, "get", get)
        listening: set[str] = set()
        monkeypatch.setattr(bringup, "answers", lambda address, port: port == 6443 and address in listening)
        return World(inventory, cluster, FakePool(inventory, cluster), [], listening)

    return make


def node(name: str, ready: bool, machine_id: str = "") -> dict[str, object]:
    condition = {"type": "Ready", "status": str(ready), "message": "" if ready else "cni plugin not initialized"}
    status = {"conditions": [condition], "nodeInfo": {"machineID": machine_id}}
    return {"metadata": {"name": name}, "status": status}


def lease(name: str, at: float) -> dict[str, object]:
    """A kubelet's heartbeat, in Kubernetes' form."""
    return {
        "metadata": {"name": name},
        "spec": {"renewTime": f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%S.%fZ}"},
    }
