"""The lab's charts: packaged under the names and versions that slipway asks for."""

import shutil
import tarfile
from pathlib import Path

import pytest
import yaml

from slipway.events import Events
from slipway.generate.cilium import CHART
from slipway.generate.gitops import CHARTS
from slipway.lab import binaries, charts, images

CRD = "kind: CustomResourceDefinition\nmetadata:\n  annotations:\n    version: v0\n  name: {name}\n"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache of the test's own, with two CRDs in the place of upstream's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(binaries, "ensure", lambda names, events: None)
    for build in ("flux-operator", "volsync", "external-secrets"):
        crds = binaries.result_dir(build) / "crds"
        crds.mkdir(parents=True)
        (crds / "kustomization.yaml").write_text("resources: []\n")
        for name in ("fluxinstances", "resourcesets"):
            (crds / f"{name}.yaml").write_text(CRD.format(name=name))
    return tmp_path


def content(archive: Path, path: str) -> str:
    with tarfile.open(archive) as opened:
        member = opened.extractfile(path)
        assert member is not None
        return member.read().decode()


def test_every_chart_that_slipway_asks_for_is_packaged(cache):
    first = {f"{chart.name}-{chart.version}.tgz" for chart in (CHART, CHARTS["flux-operator"], CHARTS["gitea"])}
    assert {path.name for path in charts.ensure(Events())} == first
    base = [CHARTS[name] for name in ("local-path-provisioner", "volsync", "openbao", "external-secrets")]
    assert {path.name for path in everything()} == first | {f"{chart.name}-{chart.version}.tgz" for chart in base}


def everything() -> tuple[Path, ...]:
    return charts.ensure(Events(), [chart.name for chart in charts.wanted_until("cluster-base-apps")])


def test_a_mirror_is_asked_for_every_chart(cache):
    assert charts.repositories() < charts.repositories("cluster-base-apps")
    assert CHARTS["volsync"].repository in charts.repositories("cluster-base-apps")


def test_a_chart_says_that_it_stands_in(cache):
    for archive in everything():
        about = yaml.safe_load(content(archive, f"{archive.name.rpartition('-')[0]}/Chart.yaml"))
        assert "stand-in" in about["description"].lower()
        assert archive.name == f"{about['name']}-{about['version']}.tgz"


def test_what_is_inside_has_its_own_version(cache):
    (archive,) = charts.ensure(Events(), ["gitea"])
    about = yaml.safe_load(content(archive, "gitea/Chart.yaml"))
    assert f"docker.gitea.com/gitea:{about['appVersion']}-rootless" == images.references()["gitea"]


@pytest.mark.parametrize("chart", ["flux-operator", "volsync", "external-secrets"])
def test_upstreams_crds_stay_when_the_release_goes(cache, chart):
    (archive,) = charts.ensure(Events(), [chart])
    with tarfile.open(archive) as opened:
        assert not [name for name in opened.getnames() if "kustomization" in name]
    for name in ("fluxinstances", "resourcesets"):
        crd = yaml.safe_load(content(archive, f"{chart}/files/crds/{name}.yaml"))
        assert crd["metadata"] == {
            "name": name,
            "annotations": {"version": "v0", "helm.sh/resource-policy": "keep"},
        }


def test_the_operator_is_of_the_release_that_the_stages_ask_for(cache):
    assert images.references()["flux-operator"].endswith(f":v{CHARTS['flux-operator'].version}")


def test_a_second_ensure_writes_nothing(cache):
    before = {path: path.stat().st_mtime_ns for path in charts.ensure(Events())}
    assert {path: path.stat().st_mtime_ns for path in charts.ensure(Events())} == before


def test_a_changed_source_is_packaged_anew(cache, tmp_path, monkeypatch):
    shutil.copytree(charts.SOURCES, tmp_path / "sources")
    monkeypatch.setattr(charts, "SOURCES", tmp_path / "sources")
    (archive,) = charts.ensure(Events(), ["gitea"])
    (tmp_path / "sources" / "gitea" / "values.yaml").write_text("a: 1\n")
    charts.ensure(Events(), ["gitea"])
    assert content(archive, "gitea/values.yaml") == "a: 1\n"
