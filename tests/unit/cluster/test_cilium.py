"""The Helm release of the pod network."""

from dataclasses import replace

import pytest

from slipway.cluster import cilium as release
from slipway.errors import DeployFailed
from slipway.events import Events
from slipway.generate import cilium
from slipway.secret import Secret
from slipway.tools import helm


@pytest.fixture
def fake_helm(monkeypatch, world):
    """A fake helm that keeps one release."""
    one = world()

    class FakeHelm:
        def __init__(self) -> None:
            self.inventory = one.inventory
            self.release: helm.Release | None = None
            self.calls: list[tuple[str, str]] = []
            self.status = "deployed"

        def get(self, _kubeconfig, namespace, name):
            assert (namespace, name) == ("kube-system", "cilium")
            return self.release

        def upgrade(self, _kubeconfig, _namespace, name, chart, version, values):
            self.calls.append(("upgrade", chart))
            self.release = helm.Release(name, "cilium", version, 1, self.status, values)

        def put_right(self, _kubeconfig, _namespace, found):
            self.calls.append(("put_right", found.status))

        def ensure(self):
            return release.ensure(self.inventory, Secret("k"), Events())

    fake = FakeHelm()
    for name in ("get", "upgrade", "put_right"):
        monkeypatch.setattr(helm, name, getattr(fake, name))
    return fake


def test_is_installed_once(fake_helm):
    assert fake_helm.ensure() is True
    assert fake_helm.ensure() is False
    assert fake_helm.calls == [("upgrade", "oci://quay.io/cilium/charts/cilium")]


@pytest.mark.parametrize(
    "change",
    [
        {"version": "1.19.0"},
        {"status": "failed"},
        {"values": {"ipam": {"mode": "cluster-pool"}}},
    ],
    ids=["version", "failed", "values"],
)
def test_another_release_is_upgraded(fake_helm, change):
    fake_helm.ensure()
    fake_helm.release = replace(fake_helm.release, **change)
    assert fake_helm.ensure() is True
    assert len(fake_helm.calls) == 2


def test_what_an_interrupted_helm_left_is_put_right_first(fake_helm):
    fake_helm.ensure()
    fake_helm.release = replace(fake_helm.release, status="pending-upgrade")
    fake_helm.calls.clear()
    assert fake_helm.ensure() is True
    assert [call[0] for call in fake_helm.calls] == ["put_right", "upgrade"]


def test_a_release_that_does_not_come_out_right_is_an_error(fake_helm):
    fake_helm.status = "failed"
    with pytest.raises(DeployFailed, match="revision 1 is failed"):
        fake_helm.ensure()


def test_differing_values_are_named(fake_helm):
    fake_helm.ensure()
    values = {**cilium.values(fake_helm.inventory), "k8sServiceHost": "10.9.9.9", "debug": True}
    found = release.difference(fake_helm.inventory, replace(fake_helm.release, values=values))
    assert found == "other values: debug, k8sServiceHost"
