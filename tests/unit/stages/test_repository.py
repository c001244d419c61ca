"""The repository on its way to the Git server: what is pushed, what is refused, what Flux makes of it."""

import json
from dataclasses import replace

import pytest
from tests.unit.stages.conftest import commit

from slipway.errors import DeployFailed, InvalidInput
from slipway.secret import Secret
from slipway.stages import bootstrap, proof, repository
from slipway.stages.repository import OlderCheckout, backends
from slipway.tools import git, kubectl
from slipway.tools.run import run
from slipway.wait import WaitedTooLong


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(bootstrap, "INTERVAL", 0.01)
    monkeypatch.setattr(proof, "INTERVAL", 0.01)
    monkeypatch.setattr(proof, "QUIET", 0.05)


@pytest.fixture
def site(site):
    return replace(site, repository="ops/small")


def test_what_is_not_committed_is_named(site, cluster):
    (site.root / "gitops" / "extra.yaml").write_text("")
    (site.root / "overlays").mkdir()
    (site.root / "overlays" / "mine.yaml").write_text("")
    (site.root / "notes").write_text("Flux reads nothing of this")
    with pytest.raises(InvalidInput) as error:
        repository.checkout(site)
    assert str(error.value) == "not in the last commit, which is what Flux reads: gitops/extra.yaml, overlays/mine.yaml"
    assert error.value.hint == "git add --all && git commit"
    commit(site.root)
    assert repository.checkout(site) is False


def test_a_repository_without_a_commit_is_refused(site, cluster, tmp_path_factory):
    root = tmp_path_factory.mktemp("empty")
    git.init(root)
    with pytest.raises(InvalidInput, match="nothing is committed yet"):
        repository.checkout(replace(site, root=root))


def test_a_folder_of_another_repository_is_refused(site, cluster):
    below = site.root / "clusters" / "small"
    below.mkdir(parents=True)
    with pytest.raises(InvalidInput, match="not the top of its repository"):
        repository.checkout(replace(site, root=below))


def test_the_commit_is_pushed_once_and_again_when_there_is_a_newer_one(site, cluster, git_server):
    assert repository.push(site)
    assert git_server.tip == git.head(site.root)
    assert not repository.push(site)
    commit(site.root)
    assert repository.push(site)
    assert git_server.pushes[-1] == git.head(site.root) != git_server.pushes[0]


def test_an_older_checkout_is_refused_before_and_at_the_push(site, cluster, git_server):
    older = git.head(site.root)
    commit(site.root)
    repository.push(site)
    run(["git", "-C", str(site.root), "reset", "--quiet", "--hard", older])
    for step in (repository.checkout, repository.push):
        with pytest.raises(OlderCheckout, match=f"the cluster has commit {git_server.tip[:12]}") as error:
            step(site)
        assert "git pull" in str(error.value.hint)
    assert len(git_server.pushes) == 1


def test_a_commit_that_is_not_here_at_all_is_refused(site, cluster, git_server):
    git_server.tip = "0123456789" * 4
    with pytest.raises(OlderCheckout):
        repository.checkout(site)


def test_a_server_that_does_not_answer_is_named_with_its_pod(site, cluster, git_server):
    git_server.dead = True
    with pytest.raises(DeployFailed) as error:
        repository.push(site)
    assert str(error.value).startswith("the Git server (pod 10.244.0.9 on w1): ")
    assert "Empty reply from server" in str(error.value)


def test_the_first_user_may_stand_in_string_data(site, cluster, git_server, monkeypatch):
    about = {"kind": "Secret", "metadata": {"name": "gitea-admin", "namespace": "gitea"}}
    plain = json.dumps({**about, "stringData": {"username": "gitea_admin", "password": "swordfish"}})
    monkeypatch.setattr("slipway.secrets.store.decrypt", lambda *_: Secret(plain))
    with repository.remote(site) as server:
        assert server.login == git.login(b"gitea_admin", b"swordfish")


def test_a_push_that_somebody_undid_is_told(site, cluster, git_server, monkeypatch):
    monkeypatch.setattr(git, "push", lambda *_, **__: None)
    with pytest.raises(OlderCheckout, match="has no commit after the push"):
        repository.push(site)


def test_flux_is_waited_for_at_this_commit(site, cluster, git_server):
    commit(site.root)
    with pytest.raises(WaitedTooLong, match=f"at {git.head(site.root)[:12]}: not so .* last seen: at no commit"):
        repository.source(site)
    repository.push(site)
    assert not repository.source(site)
    assert not repository.stage(site, "bootstrap")
    commit(site.root)
    with pytest.raises(WaitedTooLong, match=f"last seen: at {git_server.tip[:12]}"):
        repository.stage(site, "bootstrap")


def test_a_stage_that_is_not_healthy_names_its_apps(site, cluster, git_server, monkeypatch):
    repository.push(site)
    answer = cluster.of_flux
    bad = {"conditions": [{"type": "Ready", "status": "False", "reason": "Failed", "message": "no chart"}]}
    app = {"metadata": {"name": "gitea"}, "spec": {"path": "./gitops/bootstrap/gitea/app"}, "status": bad}
    other = {"metadata": {"name": "volsync"}, "spec": {"path": "./gitops/cluster-base-apps/volsync/app"}, "status": bad}

    def found(kind, name):
        known = answer(kind, name)
        if not kind.startswith("kustomizations"):
            return known
        first = {**known["items"][0], "status": bad}
        return {"items": [first, *known["items"][1:], app, other]}

    monkeypatch.setattr(cluster, "of_flux", found)
    said = repository.lacks_stage(site, "bootstrap")
    assert said == "Failed: no chart; gitea: Failed: no chart"


def suspended(cluster, monkeypatch, name: str, **about: object) -> list[tuple[str, object]]:
    """One of Flux's Kustomizations is suspended, until somebody lets it go on; what is changed."""
    answer, changes = cluster.of_flux, list[tuple[str, object]]()

    def found(kind, which):
        known = answer(kind, which)
        if kind.startswith("kustomizations") and not changes:
            for each in known["items"]:
                if each["metadata"]["name"] == name:
                    each["metadata"] |= about
                    each["spec"] = {"suspend": True}
        return known

    monkeypatch.setattr(cluster, "of_flux", found)
    monkeypatch.setattr(kubectl, "patch", lambda _k, _kind, which, change, **_: changes.append((which, change)))
    return changes


def test_what_a_teardown_has_suspended_goes_on(site, cluster, git_server, monkeypatch):
    git_server.tip = git.head(site.root)
    changes = suspended(cluster, monkeypatch, "bootstrap", annotations={"slipway/teardown": "true"})
    repository.stage(site, "bootstrap")
    goes_on = {"metadata": {"annotations": {"slipway/teardown": None}}, "spec": {"suspend": False}}
    assert changes == [("bootstrap", goes_on)]


def test_what_somebody_has_suspended_is_left_and_told_at_once(site, cluster, git_server, monkeypatch):
    git_server.tip = git.head(site.root)
    changes = suspended(cluster, monkeypatch, "bootstrap")
    with pytest.raises(repository.Suspended, match="Kustomization bootstrap is suspended") as caught:
        repository.stage(site, "bootstrap")
    assert "patch kustomization bootstrap --type=merge" in str(caught.value.hint)
    repository.stage(site, "cluster-base-apps")
    assert changes == []


class TestProof:
    @pytest.fixture(autouse=True)
    def pushed(self, site, cluster):
        repository.push(site)

    def test_a_commit_is_pushed_seen_and_taken_back(self, site, git_server):
        head = git.head(site.root)
        said = proof.proof(site)
        assert isinstance(said, str)
        assert said.startswith("a commit was applied ")
        _, marker, last = git_server.pushes
        assert (last, git_server.tip) == (head, head)
        assert git.below(site.root, marker, repository.MARKER) == head
        assert git.head(site.root) == head

    def test_it_is_proven_once(self, site, git_server):
        proof.proof(site)
        assert proof.proof(site) is False
        assert len(git_server.pushes) == 3

    def test_a_flux_that_asks_by_itself_is_no_proof(self, site, git_server):
        git_server.deaf = True
        with pytest.raises(proof.NotCalled, match="but was not called") as error:
            proof.proof(site)
        assert "Webhooks of ops/small" in str(error.value.hint)
        assert git_server.tip == git.head(site.root), "the marker is taken back all the same"

    def test_a_commit_that_nobody_applies_is_taken_back(self, site, cluster, git_server, monkeypatch):
        monkeypatch.setattr(git_server, "marker", dict)
        with pytest.raises(
            proof.NotApplied, match=r"a pushed commit to be applied: not so after .*read, and not"
        ) as error:
            proof.proof(site)
        assert "stages.proofTimeout" in str(error.value.hint)
        assert git_server.tip == git.head(site.root)
        assert cluster.jobs_made == 1, "another webhook would not help"

    def test_a_commit_that_nobody_reads_has_its_webhook_made_anew(self, site, cluster, git_server, monkeypatch):
        """Flux may look by itself so rarely that nobody waits for it."""
        answer, head = cluster.of_flux, git.head(site.root)

        def nothing_new(kind, name):
            found = answer(kind, name)
            if kind.startswith("gitrepositories"):
                found["status"]["artifact"]["revision"] = f"main@sha1:{head}"
            return {} if kind == "configmaps" else found

        monkeypatch.setattr(cluster, "of_flux", nothing_new)
        with pytest.raises(proof.NotCalled, match=f"last seen: at {head[:12]}") as error:
            proof.proof(site)
        assert "Webhooks of ops/small" in str(error.value.hint)
        assert "stages.proofTimeout" in str(error.value.hint)
        assert cluster.jobs_made == 2

    def test_what_the_proof_waits_for_is_told_meanwhile(self, site, git_server, monkeypatch):
        monkeypatch.setattr(git_server, "marker", dict)
        told: list[str] = []
        with pytest.raises(proof.NotApplied):
            proof.proof(replace(site, tell=told.append))
        assert "read, and not applied yet" in told

    def test_a_proof_that_comes_late_is_told_with_its_seconds(self, site, git_server, monkeypatch):
        monkeypatch.setattr(proof, "QUIET", 0.0)
        said = str(proof.proof(site))
        assert "more than the 0 s that a quiet cluster needs: Flux had read it after 0 s" in said
        assert "slipway exec -- uptime" in said

    def test_a_call_that_comes_after_flux_has_looked_by_itself_is_waited_for(
        self, site, cluster, git_server, monkeypatch
    ):
        """Where machines are busy its own look of every minute may come first."""
        git_server.deaf = True
        later = iter(["of an earlier push"] * 20)
        monkeypatch.setattr(proof, "_handled", lambda _site: next(later, "of this one"))
        told: list[str] = []
        said = str(proof.proof(replace(site, tell=told.append, proven_within=60.0)))
        assert said.startswith("a commit was applied ")
        assert "Flux found the commit by itself; not called yet" in told
        assert cluster.jobs_made == 1

    def test_a_marker_that_a_killed_hand_off_left_is_no_newer_commit(self, site, git_server):
        left = git.beside(site.root, git.head(site.root), repository.MARKER, b"{}", "left")
        git_server.tip = left
        assert repository.checkout(site) is False
        assert repository.push(site)
        assert git_server.tip == git.head(site.root)


def test_the_backend_is_a_ready_pod_by_its_http_port():
    slices = json.loads("""{
      "ports": [{"name": "metrics", "port": 1}, {"name": "http", "port": 3000}],
      "endpoints": [
        {"addresses": ["10.0.0.1"], "nodeName": "w1", "conditions": {"ready": false}},
        {"addresses": ["10.0.0.2"], "nodeName": "w2", "conditions": {"ready": true}},
        {"addresses": ["10.0.0.3"], "conditions": {"ready": true}}
      ]
    }""")
    assert list(backends(slices)) == [repository.Backend("w2", "10.0.0.2", 3000)]
    assert list(backends({"ports": None, "endpoints": None})) == []


def of_users(name: str, status: str, reason: str, **spec: object) -> dict[str, object]:
    ready = {"type": "Ready", "status": status, "reason": reason, "message": "said"}
    path = f"./gitops/bootstrap/{name}/app"
    return {"metadata": {"name": name}, "spec": {"path": path, **spec}, "status": {"conditions": [ready]}}


WORKS, WAITS = of_users("a", "Unknown", "Progressing"), of_users("b", "False", "DependencyNotReady")
FAILED, GOOD, STILL = (
    of_users("c", "False", "HealthCheckFailed"),
    of_users("d", "True", ""),
    of_users("e", "False", "X"),
)
STILL["spec"] = {"path": "./gitops/bootstrap/e/app", "suspend": True}


@pytest.mark.parametrize(
    ("found", "names"),
    [
        ((WORKS, GOOD), ["a"]),
        ((WORKS, WAITS), ["a", "b"]),
        ((WAITS,), ["b"]),
        ((FAILED, WAITS), []),
        ((FAILED, WORKS, WAITS), ["a"]),
        ((STILL, GOOD), []),
    ],
)
def test_apps_are_at_work_until_it_shows_what_becomes_of_them(found, names):
    assert [each.partition(":")[0] for each in repository.at_work(found, "bootstrap")] == names
    assert repository.at_work(found, "cluster-apps") == []
