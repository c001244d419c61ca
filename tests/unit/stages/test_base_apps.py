"""What the stage cluster-base-apps is for: what each step says where it is not so yet."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.stages import base_apps
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
    assert list(base_apps.saved(bare_site)) == ["openbao-snapshots-backup"]
    return bare_site


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
