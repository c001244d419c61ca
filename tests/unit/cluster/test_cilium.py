"""The Helm release of the pod network."""

from dataclasses import replace

import pytest
from tests.unit.cluster.credentials import KUBECONFIG

from slipway.cluster import cilium as release
from slipway.errors import DeployFailed
from slipway.events import Events
from slipway.generate import cilium
from slipway.inventory import load
from slipway.tools import helm, kubectl


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
            self.flux: dict[str, object] = {}

        def object(self, _kubeconfig, kind, name, *, namespace):
            assert (kind, name, namespace) == (release.HELM_RELEASES, "cilium", "kube-system")
            return self.flux

        def get(self, _kubeconfig, namespace, name):
            assert (namespace, name) == ("kube-system", "cilium")
            return self.release

        def upgrade(self, _kubeconfig, _namespace, name, chart, version, values):
            self.calls.append(("upgrade", chart))
            self.release = helm.Release(name, "cilium", version, 1, self.status, values)

        def put_right(self, _kubeconfig, _namespace, found):
            self.calls.append(("put_right", found.status))

        def ensure(self):
            return release.ensure(self.inventory, KUBECONFIG, Events())

    fake = FakeHelm()
    for name in ("get", "upgrade", "put_right"):
        monkeypatch.setattr(helm, name, getattr(fake, name))
    monkeypatch.setattr(kubectl, "get", fake.object)
    return fake


def test_is_installed_once(fake_helm):
    assert fake_helm.ensure() is True
    assert fake_helm.ensure() is False
    assert fake_helm.calls == [("upgrade", "oci://quay.io/cilium/charts/cilium")]


def test_a_chart_that_the_inventory_pins_is_installed_by_its_digest(fake_helm):
    pinned, path = "sha256:" + "ab" * 32, fake_helm.inventory.path
    path.write_text(f'{path.read_text()}stages: {{charts: {{cilium: "1.20.1@{pinned}"}}}}\n')
    fake_helm.inventory = load(path)
    fake_helm.ensure()
    assert fake_helm.calls == [("upgrade", f"oci://quay.io/cilium/charts/cilium@{pinned}")]


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


OWNED = [
    {"status": {"history": [{"chartName": "cilium", "chartVersion": "1.21.4"}]}},
    {"status": {"lastAttemptedRevision": "1.21.4"}},
]


@pytest.mark.parametrize("flux", OWNED, ids=["history", "attempted"])
@pytest.mark.parametrize(
    "change",
    [{"version": "1.21.4"}, {"values": {"bgpControlPlane": {"enabled": True}}}, {"status": "pending-upgrade"}],
    ids=["version", "values", "at work"],
)
def test_what_flux_has_taken_over_is_left_alone(fake_helm, flux, change):
    """Whoever moves Cilium on in Git does not get the old one back by the next deploy."""
    fake_helm.ensure()
    fake_helm.release = replace(fake_helm.release, **change)
    fake_helm.flux = flux
    fake_helm.calls.clear()
    assert fake_helm.ensure() is False
    assert fake_helm.calls == []


@pytest.mark.parametrize("flux", [{}, {"spec": {}}, {"status": {"observedGeneration": -1}}])
def test_control_a_release_that_flux_has_not_acted_upon_is_ours(fake_helm, flux):
    fake_helm.ensure()
    fake_helm.release = replace(fake_helm.release, version="1.19.0")
    fake_helm.flux = flux
    assert fake_helm.ensure() is True


def test_without_a_release_flux_cannot_run_and_the_network_is_installed(fake_helm):
    fake_helm.flux = OWNED[0]
    assert fake_helm.ensure() is True


def test_build_metadata_makes_no_other_version(fake_helm):
    fake_helm.ensure()
    fake_helm.release = replace(fake_helm.release, version=f"{fake_helm.release.version}+mirror.1")
    assert fake_helm.ensure() is False
