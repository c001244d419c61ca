"""What the stage cluster-base-apps is for: what each step says where it is not so yet."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from slipway.stages import base_apps, bootstrap
from slipway.stages.model import Stage
from slipway.tools import kubectl
from slipway.wait import WaitedTooLong

READY = {"conditions": [{"type": "Ready", "status": "True"}]}
REFUSED = {"conditions": [{"type": "Ready", "status": "False", "reason": "InvalidProviderConfig", "message": "403"}]}
OPEN = {"openbao-initialized": "true", "openbao-sealed": "false"}


def pod(labels: dict[str, str], **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "openbao-0", "labels": labels}, "status": status}


def volume(**status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "openbao-snapshots", "namespace": "openbao"}, "spec": {}, "status": status}


@pytest.fixture
def has(monkeypatch):
    """`has(kind, object)` or `has(kind, [objects])`: what the cluster has; nothing of any other kind."""
    there: dict[str, Any] = {}

    def get(_kubeconfig: Any, kind: str, name: str = "", **_where: str) -> dict[str, Any]:
        found = there.get(f"{kind.partition('.')[0]}/{name}" if name else kind.partition(".")[0], {})
        return {"items": found} if isinstance(found, list) else dict(found)

    monkeypatch.setattr(kubectl, "get", get)
    return there.__setitem__


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([], "no pod of OpenBao yet"),
        ([pod({})], "openbao-0 has not initialised itself: kubectl --namespace openbao logs openbao-0"),
        ([pod({**OPEN, "openbao-sealed": "true"})], "openbao-0 is sealed: its key is the Secret openbao/openbao-seal"),
        ([pod(OPEN, containerStatuses=[{"ready": False}])], "openbao-0 is not ready"),
        (
            [pod({}, containerStatuses=[{"state": {"waiting": {"reason": "ErrImagePull", "message": "no such"}}}])],
            "pod openbao-0: ErrImagePull: no such",
        ),
        ([pod(OPEN, containerStatuses=[{"ready": True}])], ""),
    ],
)
def test_what_openbao_lacks(found, said, has, bare_site):
    has("pods", found)
    assert base_apps.lacks_openbao(bare_site) == said


def test_secrets_flow_where_both_stores_let_in_and_one_secret_came_all_the_way(has, bare_site):
    assert base_apps.lacks_secrets(bare_site) == "clustersecretstores secrets: not there yet"
    has("clustersecretstores/secrets", {"status": READY})
    has("clustersecretstores/openbao", {"status": REFUSED})
    assert base_apps.lacks_secrets(bare_site) == "clustersecretstores openbao: InvalidProviderConfig: 403"
    has("clustersecretstores/openbao", {"status": READY})
    assert base_apps.lacks_secrets(bare_site) == "externalsecrets known: not there yet"
    has("externalsecrets/known", {"status": READY})
    assert base_apps.lacks_secrets(bare_site) == ""
    assert base_apps.secrets(bare_site) is False


def test_who_hands_secrets_out_and_does_not_run_is_named(has, bare_site):
    waiting = {"reason": "CrashLoopBackOff", "message": "back-off 5m0s"}
    crashed = {"metadata": {"name": "eso-0"}, "status": {"containerStatuses": [{"state": {"waiting": waiting}}]}}
    has("clustersecretstores/secrets", {"metadata": {"name": "secrets"}})
    has("pods", [crashed])
    said = base_apps.lacks_secrets(bare_site)
    assert said == "clustersecretstores secrets: no condition Ready yet; pod eso-0: CrashLoopBackOff: back-off 5m0s"


def test_a_step_that_waits_too_long_ends_with_the_cause(has, bare_site):
    has("pods", [pod({**OPEN, "openbao-sealed": "true"})])
    with pytest.raises(WaitedTooLong, match=r"OpenBao initialised and open.*openbao-0 is sealed"):
        base_apps.openbao(bare_site)


@pytest.fixture
def saved(bare_site):
    """A site whose stage saves one volume."""
    (bare_site.root / "gitops/cluster-base-apps/openbao/snapshots-backup").mkdir(parents=True)
    assert list(base_apps.saved(bare_site, Stage.CLUSTER_BASE_APPS)) == ["openbao-snapshots-backup"]
    return bare_site


SAVED = {"lastSyncTime": "2026-11-26T03:17:40Z", "latestMoverStatus": {"result": "Successful"}}
FAILED = {"latestMoverStatus": {"result": "Failed", "logs": "Fatal: wrong password"}}
AT_WORK = {"conditions": [{"type": "Synchronizing", "status": "True"}]}


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([], "openbao-snapshots-backup: no ReplicationSource yet"),
        ([volume()], "volume openbao/openbao-snapshots: no condition Synchronizing yet"),
        (
            [volume(latestMoverStatus={"result": "Failed", "logs": "begin\nFatal: wrong password\n"})],
            "volume openbao/openbao-snapshots: the backup failed: Fatal: wrong password",
        ),
        (
            [volume(latestMoverStatus={"result": "Failed"})],
            "volume openbao/openbao-snapshots: the backup failed: its mover left no word",
        ),
        ([volume(lastSyncTime="2026-11-26T03:17:40Z", latestMoverStatus={"result": "Successful"})], ""),
        ([{**volume(), "spec": {"paused": True}}], ""),
    ],
)
def test_what_the_first_backup_lacks(found, said, has, saved):
    has("replicationsources", found)
    assert base_apps.lacks_backups(saved) == said


def test_a_stage_that_saves_nothing_has_no_backup_to_wait_for(has, bare_site):
    assert base_apps.backups(bare_site) is False


@pytest.fixture
def of_apps(bare_site):
    """A site with an app that saves one volume."""
    (bare_site.root / "gitops/cluster-apps/shop/data-backup").mkdir(parents=True)
    return bare_site


def test_volumes_of_apps_are_saved_too_and_named(has, of_apps, monkeypatch):
    """The first look finds the mover at work, the next ones find the volume saved."""
    looks = iter([AT_WORK, AT_WORK])
    sources = "replicationsources"

    def get(_kubeconfig: Any, kind: str, *_: Any, **where: str) -> dict[str, Any]:
        assert (kind.partition(".")[0], where["selector"]) == (
            sources,
            "kustomize.toolkit.fluxcd.io/name=shop-data-backup",
        )
        return {"items": [volume(**next(looks, SAVED))]}

    monkeypatch.setattr(kubectl, "get", get)
    monkeypatch.setattr(bootstrap, "INTERVAL", 0.001)
    assert base_apps.app_backups(of_apps) == "shop-data-backup saved"
    assert base_apps.app_backups(of_apps) is False, "a second time there is nothing to do"
    assert base_apps.lacks_app_backups(of_apps) == ""
    assert list(base_apps.not_saved(of_apps)) == []


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ([], []),
        ([volume(**FAILED)], ["openbao/openbao-snapshots"]),
        ([volume(**AT_WORK)], ["openbao/openbao-snapshots"]),
    ],
    ids=["its app is not there", "its mover failed", "its mover takes longer than is waited for"],
)
def test_an_app_whose_volume_is_not_saved_keeps_nothing_back_and_is_told(found, told, has, of_apps):
    has("replicationsources", found)
    assert base_apps.app_backups(of_apps) is False
    assert base_apps.lacks_app_backups(of_apps)
    assert list(base_apps.not_saved(of_apps)) == told


def test_a_backup_that_has_failed_is_not_waited_for(has, of_apps):
    has("replicationsources", [volume(**FAILED)])
    told: list[str] = []
    assert base_apps.app_backups(replace(of_apps, tell=told.append)) is False
    assert told == []
