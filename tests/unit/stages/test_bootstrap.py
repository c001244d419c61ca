"""Each step: is it so already, do it, is it so now."""

from dataclasses import replace
from typing import Any

import pytest

from slipway.result import CommandFailed, CommandResult
from slipway.secret import Secret
from slipway.stages import bootstrap, steps
from slipway.tools import kubectl, sops
from slipway.tools.helm import Release
from slipway.wait import WaitedTooLong

STEPS = [step for step in steps.BOOTSTRAP if step.name not in ("key", "checkout", "push", "source")]
"""Those that put the stage up; the others are for the repository."""


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(bootstrap, "INTERVAL", 0.01)


def test_every_step_changes_something_once(site, cluster):
    assert [step.name for step in STEPS if not step.lacking(site)] == ["git-server", "git-repository"]
    assert cluster.objects == {}, "to be asked changes nothing"
    first = {step.name: step.run(site) for step in STEPS}
    assert {name for name, changed in first.items() if not changed} == {"git-server"}
    assert {step.name: step.run(site) for step in STEPS} == dict.fromkeys(first, False)
    assert [step.lacking(site) for step in STEPS] == [""] * len(STEPS)


def test_namespaces_come_from_the_apps(site, cluster):
    bootstrap.namespaces(site)
    assert {name for kind, _, name in cluster.objects if kind == "Namespace"} == {"flux-system", "secrets", "gitea"}


def test_everything_is_applied_in_the_name_of_fluxs_controller(site, cluster):
    """What Git drops later is Flux's to remove; fields of another manager would stay. Flux's own Secrets stay ours."""
    for step in STEPS:
        step.run(site)
    secrets = {key: manager for key, manager in cluster.managers.items() if key[0] == "Secret"}
    others = {key: manager for key, manager in cluster.managers.items() if key not in secrets}
    assert set(others.values()) == {("kustomize-controller", True)}
    assert set(secrets.values()) == {("slipway", True)}


def test_what_flux_has_taken_over_is_left_to_it(site, cluster):
    bootstrap.namespaces(site)
    taken = {"metadata": {"name": "gitea", "labels": {"kustomize.toolkit.fluxcd.io/name": "gitea"}}, "newer": True}
    cluster.objects["Namespace", "-", "gitea"] = taken, 7
    assert not bootstrap.namespaces(site)
    assert cluster.objects["Namespace", "-", "gitea"] == (taken, 7)


def test_a_release_that_flux_has_taken_over_is_left_to_it(site, cluster):
    cluster.releases["gitea"] = Release("gitea", "gitea", "13.0.0", 4, "deployed", {"newer": True})
    cluster.flux_releases.append("gitea")
    assert not bootstrap.git_chart(site)
    assert cluster.releases["gitea"].revision == 4
    cluster.flux_releases.clear()
    assert bootstrap.git_chart(site)


def test_flux_is_asked_for_a_release_of_its_own_that_is_gone(site, cluster, monkeypatch):
    """Otherwise the hand-off would wait for pods that nobody makes for an hour."""
    asked: list[tuple[str, str]] = []
    monkeypatch.setattr(kubectl, "patch", lambda _k, kind, name, *_, **__: asked.append((kind, name)))
    cluster.flux_releases.append("gitea")
    assert bootstrap.git_chart(site)
    assert asked == [("helmreleases.helm.toolkit.fluxcd.io", "gitea")]
    assert cluster.charts == [], "and helm is not"


def test_the_namespace_of_flux_has_no_annotation_of_ours(site, cluster):
    """The operator forces its own, and a second hand-off would end in a conflict."""
    bootstrap.namespaces(site)
    assert "annotations" not in cluster.objects["Namespace", "-", "flux-system"][0]["metadata"]


def test_build_metadata_makes_no_other_version(site, cluster):
    bootstrap.git_chart(site)
    found = cluster.releases["gitea"]
    cluster.releases["gitea"] = replace(found, version=f"{found.version}+0a1b2c")
    assert not bootstrap.git_chart(site)


def test_a_volume_that_is_there_stays_on_its_machine(site, cluster, machine):
    """Another first host in the inventory changes the file; what Kubernetes has cannot be changed."""
    bootstrap.git_volume(site)
    before = dict(cluster.objects)
    path = site.root / "gitops/bootstrap/gitea/app/persistentvolume.yaml"
    path.write_text(path.read_text().replace('"w1"', '"w0"'))
    told: list[str] = []
    asked: list[str] = []

    def host(name: str) -> Any:
        asked.append(name)
        return machine

    moved = replace(site, tell=told.append, host=host)
    assert not bootstrap.git_volume(moved)
    assert (cluster.objects, asked) == (before, ["w1"])
    assert told == ["volume gitea-bootstrap is on w1, and stays there: the files now say w0"]


def test_the_reader_is_known_to_flux_and_to_the_git_server(site, cluster):
    bootstrap.credentials(site)
    found = {(namespace, name) for kind, namespace, name in cluster.objects if kind == "Secret"}
    assert found == {
        ("flux-system", "sops-age"), ("gitea", "gitea-admin"), ("gitea", "git-reader"), ("flux-system", "git-reader"),
        ("gitea", "git-webhook"), ("flux-system", "git-webhook"),
    }  # fmt: skip


def test_encrypted_files_of_an_app_are_decrypted(site, cluster, monkeypatch):
    folder = site.root / "gitops/bootstrap/secrets/app"
    (folder / "backup-repo.sops.yaml").write_text("ciphertext")
    plain = Secret('{"kind": "Secret", "metadata": {"name": "backup-repo", "namespace": "secrets"}}')
    monkeypatch.setattr(sops, "decrypt", lambda path: plain if path.parent == folder else pytest.fail(str(path)))
    bootstrap.credentials(site)
    assert cluster.managers["Secret", "secrets", "backup-repo"] == ("kustomize-controller", True)


def test_a_job_that_failed_is_told(site, cluster, monkeypatch):
    failed = {"type": "Failed", "status": "True", "message": "BackoffLimitExceeded"}
    job = {"metadata": {"name": "git-repository"}, "status": {"conditions": [failed]}}
    answer = cluster.get
    monkeypatch.setattr(kubectl, "get", lambda k, kind, *a, **b: job if kind.startswith("job") else answer(k, kind, *a))
    with pytest.raises(WaitedTooLong, match="last seen: failed: BackoffLimitExceeded"):
        bootstrap.git_repository(site)


def test_a_namespace_that_somebody_changed_is_put_right(site, cluster):
    bootstrap.namespaces(site)
    key = ("Namespace", "-", "gitea")
    cluster.objects[key] = {"metadata": {}, "somebody": "else's"}, 7
    assert bootstrap.namespaces(site)
    assert cluster.objects[key][0]["metadata"]["name"] == "gitea"


def test_the_folder_of_the_volume_is_made_on_its_machine(site, cluster, machine):
    assert bootstrap.git_volume(site)
    assert machine.folders == {"/var/lib/slipway/volumes/gitea"}
    assert ("PersistentVolume", "-", "gitea-bootstrap") in cluster.objects


def test_charts_come_through_the_mirrors_by_their_digest_if_they_have_one(site, cluster):
    pinned, source = "sha256:" + "ab" * 32, site.root / "gitops/bootstrap/gitea/app/ocirepository.yaml"
    source.write_text(source.read_text().replace("  ref:\n", f"  ref:\n    digest: {pinned}\n"))
    bootstrap.git_chart(site)
    bootstrap.flux_operator(site)
    mirror = "oci://mirror.example.org/charts"
    assert cluster.charts == [f"{mirror}/gitea@{pinned}", f"{mirror}/flux-operator"]


@pytest.mark.parametrize(
    "found", [{"version": "0.1"}, {"values": {"other": 1}}, {"status": "failed"}], ids=lambda change: next(iter(change))
)
def test_a_release_that_differs_is_upgraded(site, cluster, found):
    bootstrap.git_chart(site)
    cluster.releases["gitea"] = replace(cluster.releases["gitea"], **found)
    assert bootstrap.git_chart(site)
    assert cluster.releases["gitea"].revision == 2
    assert not bootstrap.git_chart(site)


def test_a_release_left_by_a_killed_helm_is_taken_back_first(site, cluster):
    told: list[str] = []
    cluster.releases["gitea"] = Release("gitea", "gitea", "12.7.0", 1, "pending-install", {})
    assert bootstrap.git_chart(replace(site, tell=told.append))
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

    assert bootstrap.git_server(replace(site, tell=become_ready))
    assert not bootstrap.git_server(site)


def test_an_api_server_that_restarts_is_waited_for(site, cluster, monkeypatch):
    answers = iter([CommandFailed(CommandResult(("kubectl",), "localhost", 1, "", "connection refused\n", 0.1))])

    def get(*where, **more):
        for error in answers:
            raise error
        return cluster.get(*where, **more)

    told: list[str] = []
    monkeypatch.setattr(kubectl, "get", get)
    assert bootstrap.git_server(replace(site, tell=told.append))
    assert told == ["connection refused"]
