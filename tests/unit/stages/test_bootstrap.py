"""Each step: is it so already, do it, is it so now."""

from dataclasses import replace

import pytest

from slipway.result import CommandFailed, CommandResult
from slipway.stages import bootstrap
from slipway.stages.bootstrap import STEPS
from slipway.tools import kubectl
from slipway.tools.helm import Release
from slipway.wait import WaitedTooLong


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(bootstrap, "INTERVAL", 0.01)


def test_every_step_changes_something_once(site, cluster):
    first = {step.name: step.run(site) for step in STEPS}
    assert {name for name, changed in first.items() if not changed} == {"gitea"}
    assert {step.name: step.run(site) for step in STEPS} == dict.fromkeys(first, False)


def test_namespaces_come_from_the_apps(site, cluster):
    bootstrap.namespaces(site)
    assert {name for kind, _, name in cluster.objects if kind == "Namespace"} == {"flux-system", "secrets", "gitea"}


def test_a_namespace_that_somebody_changed_is_put_right(site, cluster):
    bootstrap.namespaces(site)
    key = ("Namespace", "-", "gitea")
    cluster.objects[key] = {"somebody": "else's"}, 7
    assert bootstrap.namespaces(site)
    assert cluster.objects[key][0]["metadata"]["name"] == "gitea"


def test_the_folder_of_the_volume_is_made_on_its_machine(site, cluster, machine):
    assert bootstrap.gitea_volume(site)
    assert machine.folders == {"/var/lib/slipway/volumes/gitea"}
    assert ("PersistentVolume", "-", "gitea-bootstrap") in cluster.objects


def test_charts_come_through_the_mirrors(site, cluster):
    bootstrap.gitea_chart(site)
    bootstrap.flux_operator(site)
    assert cluster.charts == ["oci://mirror.example.org/charts/gitea", "oci://mirror.example.org/charts/flux-operator"]


@pytest.mark.parametrize(
    "found", [{"version": "0.1"}, {"values": {"other": 1}}, {"status": "failed"}], ids=lambda change: next(iter(change))
)
def test_a_release_that_differs_is_upgraded(site, cluster, found):
    bootstrap.gitea_chart(site)
    cluster.releases["gitea"] = replace(cluster.releases["gitea"], **found)
    assert bootstrap.gitea_chart(site)
    assert cluster.releases["gitea"].revision == 2
    assert not bootstrap.gitea_chart(site)


def test_a_release_left_by_a_killed_helm_is_taken_back_first(site, cluster):
    told: list[str] = []
    cluster.releases["gitea"] = Release("gitea", "gitea", "12.7.0", 1, "pending-install", {})
    assert bootstrap.gitea_chart(replace(site, tell=told.append))
    assert cluster.put_right == ["gitea"]
    assert cluster.releases["gitea"].status == "deployed"
    assert told == ["release gitea was interrupted (pending-install): taken back first"]


def test_waiting_is_bounded_and_tells_what_is_lacking(site, cluster):
    cluster.ready = False
    told: list[str] = []
    with pytest.raises(WaitedTooLong, match=r"last seen: web 0/1"):
        bootstrap.flux_operator(replace(site, tell=told.append))
    assert told == ["web 0/1"]


def test_flux_waits_for_what_the_operator_says(site, cluster):
    cluster.ready = False
    with pytest.raises(WaitedTooLong, match=r"fluxinstances.* last seen: Progressing"):
        bootstrap.flux(site)


def test_a_wait_that_was_needed_counts_as_a_change(site, cluster):
    cluster.ready = False

    def become_ready(_text):
        cluster.ready = True

    assert bootstrap.gitea(replace(site, tell=become_ready))
    assert not bootstrap.gitea(site)


def test_an_api_server_that_restarts_is_waited_for(site, cluster, monkeypatch):
    answers = iter([CommandFailed(CommandResult(("kubectl",), "localhost", 1, "", "connection refused\n", 0.1))])

    def get(*where, **more):
        for error in answers:
            raise error
        return cluster.get(*where, **more)

    told: list[str] = []
    monkeypatch.setattr(kubectl, "get", get)
    assert bootstrap.gitea(replace(site, tell=told.append))
    assert told == ["connection refused"]
