"""What goes, and in which order."""

from typing import Any

import pytest
from tests.unit.stages.conftest import failed

from slipway.stages import bootstrap, caches, teardown
from slipway.stages.model import Stage
from slipway.stages.teardown import Removal, apps, planned
from slipway.tools import helm, kubectl


def app(name: str, stage: str, *needs: str) -> dict[str, Any]:
    spec = {"path": f"./gitops/{stage}/{name}/app", "dependsOn": [{"name": each} for each in needs]}
    return {"metadata": {"name": name}, "spec": spec}


BAO, SECRETS = app("openbao", "cluster-base-apps", "storage"), app("external-secrets", "cluster-base-apps", "openbao")
FOUND = [
    {"metadata": {"name": "flux-system"}, "spec": {"path": "gitops/flux"}},
    {"metadata": {"name": "bootstrap"}, "spec": {"path": "./gitops/bootstrap"}},
    app("gitea", "bootstrap"), BAO, SECRETS, app("storage", "cluster-base-apps"),
    app("sample", "cluster-apps", "external-secrets"),
]  # fmt: skip


def test_the_last_stage_goes_first_and_in_it_what_others_need_last():
    assert [name for _, name in apps(FOUND)] == ["sample", "external-secrets", "openbao", "storage", "gitea"]


def test_apps_that_need_each_other_go_all_the_same():
    knot = [app("a", "cluster-apps", "b"), app("b", "cluster-apps", "a")]
    assert {name for _, name in apps(knot)} == {"a", "b"}


@pytest.fixture
def done(site, cluster, monkeypatch):
    """What is asked of kubectl and helm, in order."""
    monkeypatch.setattr(bootstrap, "INTERVAL", 0.01)
    said: list[str] = []
    gone: set[str] = set()

    def get(_kubeconfig: Any, kind: str, name: str = "", **_: str) -> dict[str, Any]:
        if name:
            return {} if name in gone else {"metadata": {"name": name}}
        return {"items": [each for each in FOUND if each["metadata"]["name"] not in gone]}

    def delete(_kubeconfig: Any, kind: str, name: str, *, namespace: str) -> None:
        said.append(f"delete {name}")
        gone.add(name)

    monkeypatch.setattr(kubectl, "get", get)
    monkeypatch.setattr(kubectl, "delete", delete)
    monkeypatch.setattr(
        kubectl, "patch", lambda _k, _kind, name, change, **_: said.append(f"{name} {sorted(change['spec'].items())}")
    )
    monkeypatch.setattr(helm, "get", lambda *_: object())
    monkeypatch.setattr(helm, "uninstall", lambda _k, _namespace, name: said.append(f"uninstall {name}"))
    return said


def test_nothing_that_goes_is_brought_back_and_cilium_stays(site, done):
    removals = planned(site)
    assert done == [], "to be asked changes nothing"
    assert removals[-3:] == (
        Removal("flux", Stage.BOOTSTRAP, "flux"),
        Removal("release", Stage.BOOTSTRAP, "flux-operator", "flux-system"),
        Removal("release", Stage.BOOTSTRAP, "gitea", "gitea"),
    )
    teardown.teardown(site, removals)
    assert done[:2] == ["flux-system [('suspend', True)]", "bootstrap [('suspend', True)]"]
    ends = [line for line in done if line.startswith(("delete", "uninstall"))]
    assert ends.pop(0) == "delete slipway-handoff", "the next hand-off proves its webhook anew"
    assert ends == [
        "delete sample", "delete external-secrets", "delete openbao", "delete storage", "delete flux",
        "uninstall flux-operator", "uninstall gitea",
    ]  # fmt: skip
    assert "sample [('deletionPolicy', 'WaitForTermination'), ('prune', True), ('suspend', False)]" in done


@pytest.mark.parametrize("goes", [True, False])
def test_caches_of_backups_go_before_the_storage_does_and_keep_nothing_from_going(site, done, monkeypatch, goes):
    """What takes volumes away is an app of the stages: after it nobody would."""
    monkeypatch.setattr(teardown, "CACHES_GONE", 60.0 if goes else 0.0)
    looked = iter([("pv-cache",), ("pv-cache",), ("pv-cache",), ()])

    def there(*_: Any) -> tuple[str, ...]:
        done.append("there?")
        return next(looked) if goes else ("pv-cache",)

    monkeypatch.setattr(caches, "there", there)
    assert teardown.teardown(site, planned(site)) == ("pv-cache",)
    assert done.index("there?") < done.index("delete sample"), "what goes is told at the end"
    done.remove("there?")
    assert (
        done.index("delete openbao") < done.index("there?") < done.index("delete storage") < done.index("delete flux")
    )
    assert done.count("there?") == (3 if goes else 1)


def test_without_caches_nothing_is_waited_for(site, done, monkeypatch):
    looked = iter([()])
    monkeypatch.setattr(caches, "there", lambda _: next(looked))
    assert teardown.teardown(site, planned(site)) == ()


def test_what_would_not_go_is_named_with_what_it_says_and_the_way_on(site, done, monkeypatch):
    stuck = {"type": "Ready", "status": "False", "reason": "HealthCheckFailed", "message": "finalizer of its own"}

    def get(_kubeconfig: Any, _kind: str, name: str = "", **_: str) -> dict[str, Any]:
        found = {"metadata": {"name": name}, "status": {"conditions": [stuck]}}
        return found if name else {"items": FOUND}

    removals = planned(site)
    monkeypatch.setattr(kubectl, "get", get)
    with pytest.raises(teardown.TeardownFailed, match=r"cluster-apps: app sample: .* finalizer of its own") as caught:
        teardown.teardown(site, removals)
    assert "slipway teardown goes on where it stopped" in str(caught.value.hint)
    assert "stages.readyTimeout" in str(caught.value.hint)
    assert caught.value.exit_code == 6


def test_an_api_server_that_is_away_ends_it_with_the_way_on(site, done, monkeypatch):
    def refuses(*_: Any, **__: Any) -> None:
        raise failed("kubectl patch", "connection refused")

    removals = planned(site)
    monkeypatch.setattr(kubectl, "patch", refuses)
    with pytest.raises(teardown.TeardownFailed, match=r"(?s)Flux, .*: .*connection refused") as caught:
        teardown.teardown(site, removals)
    assert str(caught.value.hint).startswith("slipway teardown goes on")
