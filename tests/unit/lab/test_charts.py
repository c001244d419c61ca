"""The lab's charts: packaged under the names and versions that slipway asks for."""

import shutil
import tarfile
from pathlib import Path

import pytest
import yaml

from slipway.events import Events
from slipway.generate.cilium import CHART
from slipway.generate.gitops import CHARTS
from slipway.lab import charts, images


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache of the test's own, with two CRDs in the place of upstream's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    crds = tmp_path / "crds"
    crds.mkdir()
    for name in ("source.toolkit.fluxcd.io_buckets", "source.toolkit.fluxcd.io_helmcharts", "helm.toolkit.fluxcd.io_x"):
        (crds / f"{name}.yaml").write_text(f"kind: CustomResourceDefinition\nmetadata:\n  name: {name}\n")
    monkeypatch.setattr(images, "flux_crds", lambda _events: crds)
    return tmp_path


def content(archive: Path, path: str) -> str:
    with tarfile.open(archive) as opened:
        member = opened.extractfile(path)
        assert member is not None
        return member.read().decode()


def test_every_chart_that_slipway_asks_for_is_packaged(cache):
    archives = {path.name for path in charts.ensure(Events())}
    assert archives == {
        f"{chart.name}-{chart.version}.tgz" for chart in (CHART, CHARTS["flux-operator"], CHARTS["gitea"])
    }


def test_a_chart_says_that_it_stands_in(cache):
    for archive in charts.ensure(Events()):
        about = yaml.safe_load(content(archive, f"{archive.name.rpartition('-')[0]}/Chart.yaml"))
        assert "stand-in" in about["description"].lower()
        assert archive.name == f"{about['name']}-{about['version']}.tgz"


def test_what_is_inside_has_its_own_version(cache):
    (archive,) = charts.ensure(Events(), ["gitea"])
    about = yaml.safe_load(content(archive, "gitea/Chart.yaml"))
    assert f"docker.gitea.com/gitea:{about['appVersion']}-rootless" == images.references()["gitea"]


def test_upstreams_crds_are_packed_in_a_file_for_each_group(cache):
    (archive,) = charts.ensure(Events(), ["flux-operator"])
    packed = list(yaml.safe_load_all(content(archive, "flux-operator/files/crds/crds-source.yaml")))
    assert [each["metadata"]["name"] for each in packed] == [
        "source.toolkit.fluxcd.io_buckets",
        "source.toolkit.fluxcd.io_helmcharts",
    ]
    assert "toolkit" in content(archive, "flux-operator/files/crds/crds-helm.yaml")


def test_the_operator_knows_the_images_of_its_controllers(cache):
    (archive,) = charts.ensure(Events(), ["flux-operator"])
    versions = content(archive, "flux-operator/files/versions")
    assert f"FLUX_VERSION={charts.FLUX}\n" in versions
    for name in images.FLUX:
        assert f"{name.replace('-', '_')}={images.references()[name].rpartition(':')[2]}\n" in versions


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
