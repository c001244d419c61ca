"""CRDs as artifacts of the lab's registry."""

import tarfile

import pytest

from slipway.events import Events
from slipway.generate.gitops.charts import DEFINITIONS
from slipway.lab import binaries, definitions


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache with one CRD of each in the place of upstream's, as a finished build."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(binaries, "ensure", lambda names, events: None)
    for name in definitions.versions():
        folder = binaries.result_dir(definitions.BUILD) / name
        folder.mkdir(parents=True)
        (folder / f"{name}.yaml").write_text("kind: CustomResourceDefinition\n")


def test_every_definition_of_the_stages_has_an_artifact(cache):
    archives = definitions.ensure(Events())
    assert {path.name for path in archives} == {
        f"{name}-{version}.tgz" for name, version in definitions.versions().items()
    }
    assert definitions.versions().keys() == DEFINITIONS.keys()
    assert definitions.repositories() == {each.url for each in DEFINITIONS.values()}


def test_its_files_are_at_the_top(cache):
    for path in definitions.ensure(Events()):
        with tarfile.open(path) as opened:
            (name,) = opened.getnames()
            assert name == f"./{path.name.rpartition('-v')[0]}.yaml"


def test_an_inventory_names_the_versions_that_are_not_the_tables():
    assert definitions.other_versions() == {
        name: version for name, version in definitions.versions().items() if DEFINITIONS[name].version != version
    }
    assert "gateway-api" not in definitions.other_versions()
