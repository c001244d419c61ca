"""`slipway upgrade` as a user sees it; what runs and the deploy are fakes, the files are real."""

import json
from pathlib import Path

import pytest
from tests.unit.cli.test_deploy import repository  # noqa: F401 (a fixture)

from slipway.cli import deploy as deploying
from slipway.cluster import upgrade as releases
from slipway.cluster.skew import Leap
from slipway.errors import DeployFailed, UsageError
from slipway.generate import tree, writer
from slipway.inventory import load

OLD, NEW = "1.35.7+k0s.0", "1.36.3+k0s.2"


@pytest.fixture
def cluster(repository, monkeypatch):  # noqa: F811
    """Runs the release before; `deployed` is what the inventory said at each deploy, and with which options."""
    path = repository / "inventory.yaml"
    path.write_text(path.read_text().replace(f"{NEW}}}", f"{OLD}}}   # since May"))
    generate(path)
    now = {"cp1": OLD, "w1": OLD}
    deployed: list[str] = []

    def deploy(*, batch, json_output, **_options):
        inventory = load(path)
        assert not writer.changes(inventory.root, tree.render(inventory)), "generated before it is deployed"
        deployed.append(f"{inventory.cluster.k0s.version} {batch}".strip())

    monkeypatch.setattr(releases, "running", lambda *_: now)
    monkeypatch.setattr(deploying, "deploy", deploy)
    return now, deployed


def generate(path: Path) -> None:
    inventory = load(path)
    writer.write(inventory.root, writer.changes(inventory.root, tree.render(inventory)))


def test_a_dry_run_says_the_steps_and_changes_nothing(cluster, slipway, repository):  # noqa: F811
    before = (repository / "inventory.yaml").read_text()
    said = slipway("upgrade", NEW, "--dry-run").stdout
    assert f"k0s {OLD}: cp1 w1" in said and f"step 1: {NEW}" in said
    printed = json.loads(slipway("upgrade", "--dry-run", "--json").stdout)
    assert (printed["running"], printed["steps"][-1]) == ({"cp1": OLD, "w1": OLD}, printed["target"])
    assert (repository / "inventory.yaml").read_text() == before and cluster[1] == []


def test_somebody_agrees_to_what_is_shown_before_a_file_is_changed(cluster, slipway, repository):  # noqa: F811
    with pytest.raises(UsageError, match="nobody is there to agree"):
        slipway("upgrade", NEW)
    assert OLD in (repository / "inventory.yaml").read_text() and cluster[1] == []
    said = slipway("upgrade", NEW, "--yes", "--batch", "2").stderr
    assert f"inventory.yaml:5: {OLD} -> {NEW}" in said and "a backup of the control plane before that" in said
    assert f"{{version: {NEW}}}   # since May" in (repository / "inventory.yaml").read_text()
    assert cluster[1] == [f"{NEW} 2"] and "next: slipway verify" in said


def test_two_minor_releases_are_two_calls_and_the_second_is_told(cluster, slipway):
    now, deployed = cluster
    now |= {"cp1": "1.34.10+k0s.0", "w1": "1.34.10+k0s.0"}
    assert f"next: slipway upgrade {NEW}" in slipway("upgrade", NEW, "--yes").stderr
    assert deployed == [OLD], "the inventory had the first step already"
    now |= {"cp1": OLD, "w1": OLD}
    assert "next: slipway verify" in slipway("upgrade", NEW, "--yes").stderr
    assert deployed == [OLD, NEW]


def test_after_a_deploy_that_failed_the_same_command_goes_on(cluster, slipway, monkeypatch, repository):  # noqa: F811
    def fail(**_):
        raise DeployFailed("rolled-back: w1")

    deploy = deploying.deploy
    monkeypatch.setattr(deploying, "deploy", fail)
    with pytest.raises(DeployFailed):
        slipway("upgrade", NEW, "--yes")
    cluster[0]["cp1"] = NEW
    monkeypatch.setattr(deploying, "deploy", deploy)
    slipway("upgrade", NEW, "--yes")
    assert cluster[1] == [NEW]


def test_nothing_is_left_to_do_and_never_back(cluster, slipway):
    cluster[0].update(cp1=NEW, w1=NEW)
    assert f"all run {NEW}: nothing to do" in slipway("upgrade", NEW).stdout
    with pytest.raises(Leap, match="does not go back"):
        slipway("upgrade", "1.35", "--yes")
    assert cluster[1] == []


def test_other_changes_are_no_part_of_an_upgrade(cluster, slipway, repository):  # noqa: F811
    path = repository / "inventory.yaml"
    path.write_text(path.read_text().replace("role: worker", "role: worker, labels: {disk: ssd}"))
    with pytest.raises(UsageError, match="generated files do not follow"):
        slipway("upgrade", NEW, "--yes")
    path.write_text(path.read_text().replace("labels: {disk: ssd}", f"k0s: {{version: {OLD}}}"))
    with pytest.raises(UsageError, match="w1: the inventory has a release of their own"):
        slipway("upgrade", NEW, "--yes")
    assert cluster[1] == []
