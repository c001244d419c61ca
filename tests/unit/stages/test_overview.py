"""What a person is told of stages, apps and sources."""

from typing import Any

from slipway.stages.overview import gather, short

COMMIT = "refs/heads/main@sha1:0123456789abcdef"


def condition(status: str, reason: str = "", message: str = "") -> dict[str, Any]:
    return {"conditions": [{"type": "Ready", "status": status, "reason": reason, "message": message}]}


def kustomization(name: str, path: str, **status: Any) -> dict[str, Any]:
    found = {**condition("True"), "lastAppliedRevision": COMMIT, **status}
    return {"metadata": {"name": name}, "spec": {"path": path}, "status": found}


def source(name: str = "flux-system", **status: Any) -> dict[str, Any]:
    found = {**condition("True"), "artifact": {"revision": COMMIT}, **status}
    return {"metadata": {"name": name, "namespace": "flux-system"}, "spec": {}, "status": found}


STAGE = kustomization("bootstrap", "./gitops/bootstrap")
APP = kustomization("gitea", "./gitops/bootstrap/gitea/app")
ROOT = kustomization("flux-system", "./gitops/flux")


class Silent:
    """Knows nothing more of any pod."""

    def words(self, _pod: Any) -> str:
        return ""

    warning = words

    def has_kind(self, _kind: str, _group: str) -> bool:
        return False


silent = Silent()


def test_a_healthy_cluster_in_one_line():
    found = gather([APP, ROOT, STAGE], [source()], [], [], silent)
    assert [(item.kind, item.name, item.revision, item.ready) for item in found.items] == [
        ("stage", "bootstrap", "0123456789ab", True),
        ("app", "gitea", "0123456789ab", True),
        ("source", "flux-system", "0123456789ab", True),
    ]
    assert found.summary == "stages 1/1, apps 1/1, sources 1/1 ready, at 0123456789ab"
    assert found.failing == ()


def test_an_app_that_is_not_ready_has_its_reasons_each_on_its_own():
    bad = kustomization("gitea", "./gitops/bootstrap/gitea/app", **condition("False", "HealthCheckFailed", "timeout"))
    about = {"name": "gitea", "namespace": "gitea", "labels": {"kustomize.toolkit.fluxcd.io/name": "gitea"}}
    release = {"metadata": about, "status": condition("False", "InstallFailed", "context deadline exceeded")}
    found = gather([STAGE, bad], [source()], [release], [], silent)
    (item,) = found.failing
    assert item.reasons == ("HealthCheckFailed: timeout", "HelmRelease gitea: InstallFailed: context deadline exceeded")
    assert item.to_json()["why"] == "; ".join(item.reasons)
    assert found.summary.startswith("stages 1/1, apps 0/1")


def test_a_source_that_cannot_be_read_says_why():
    bad = source(**condition("False", "GitOperationFailed", "authentication required"))
    (item,) = gather([], [bad], [], [], silent).failing
    assert (item.kind, item.why) == ("source", "GitOperationFailed: authentication required")


def test_words_of_others_are_cut_and_made_plain():
    bad = kustomization(
        "gitea", "./gitops/bootstrap/gitea/app", **condition("False", "Bad", "\x1b[31m" + "x" * 5000 + "no such host")
    )
    (item,) = gather([bad], [], [], [], silent).failing
    assert "\x1b" not in item.why
    assert len(item.why) < 400
    assert item.why.endswith("no such host"), "programs say the cause last"


def test_a_suspended_app_is_marked():
    quiet = {**APP, "spec": {**APP["spec"], "suspend": True}}
    (item,) = gather([quiet], [], [], [], silent).items
    assert item.suspended


def test_revisions_are_short():
    assert short(COMMIT) == "0123456789ab"
    assert short("1.20.1@sha256:0123456789abcdef") == "1.20.1"
    assert short("") == ""


def test_before_flux_there_is_nothing_to_tell():
    found = gather([], [], [], [], silent)
    assert (found.summary, found.items) == ("no stage yet", ())


class Talks(Silent):
    """Every pod said the same last, and who was asked."""

    def __init__(self, said: str) -> None:
        self.said, self.asked = said, list[str]()

    def words(self, pod: Any) -> str:
        self.asked.append(pod["metadata"]["name"])
        return self.said


def test_a_volume_that_cannot_be_saved_says_why_in_its_movers_words():
    log = Talks("=== Initialize Dir === / Fatal: dial tcp 10.0.0.1:8333: connect: connection refused")
    status = {"lastSyncTime": "2026-11-26T09:18:30Z", "latestMoverStatus": {"result": "Successful"}}
    volume: dict[str, Any] = {"metadata": {"name": "data", "namespace": "sample"}, "spec": {}, "status": status}
    labels = {"batch.kubernetes.io/job-name": "volsync-src-data"}
    mover: dict[str, Any] = {
        "metadata": {"name": "m", "namespace": "sample", "labels": labels},
        "status": {"phase": "Failed"},
    }
    at_rest = gather([STAGE], [], [], [mover], log, [volume])
    assert (at_rest.failing, log.asked) == ((), []), "what failed before it succeeded is over"
    assert at_rest.summary == "stages 1/1, backups 1/1 ready"
    assert at_rest.items[-1].revision == "2026-11-26 09:18"
    syncing = {"type": "Synchronizing", "status": "True"}
    at_work = {**volume, "status": {**status, "conditions": [syncing]}}
    (item,) = gather([STAGE], [], [], [mover], log, [at_work]).failing
    assert (item.kind, item.name) == ("backup", "sample/data")
    assert item.reasons == (
        "the backup fails, and is tried again: Fatal: dial tcp 10.0.0.1:8333: connect: connection refused",
        "last saved 2026-11-26T09:18:30Z",
    )
    others = {**mover, "metadata": {**mover["metadata"], "namespace": "other"}}
    assert gather([STAGE], [], [], [others], log, [at_work]).failing == ()


def test_a_backup_that_no_pod_makes_is_told_once_it_should_have_one():
    """As where the namespace lets the mover's pod not in."""

    def begun(time: str) -> dict[str, Any]:
        syncing = {"lastSyncStartTime": time, "conditions": [{"type": "Synchronizing", "status": "True"}]}
        return {"metadata": {"name": "data", "namespace": "sample"}, "spec": {}, "status": syncing}

    (item,) = gather([], [], [], [], silent, [begun("2026-11-26T00:00:00Z")]).failing
    assert "describe job volsync-src-data" in item.why
    assert gather([], [], [], [], silent, [begun("2126-11-26T00:00:00Z")]).failing == ()


def test_a_volume_that_is_not_to_be_saved_is_no_trouble():
    paused = {"metadata": {"name": "data", "namespace": "sample"}, "spec": {"paused": True}}
    (item,) = gather([], [], [], [], silent, [paused]).items
    assert (item.ready, item.suspended, item.revision) == (True, True, "")


def test_a_backup_that_failed_for_good_is_told_until_the_next_one_goes_through():
    status = {"latestMoverStatus": {"result": "Failed", "logs": "begin\nFatal: wrong password\n"}}
    volume = {"metadata": {"name": "data", "namespace": "sample"}, "spec": {}, "status": status}
    (item,) = gather([], [], [], [], silent, [volume]).failing
    assert item.reasons == ("the backup failed: Fatal: wrong password", "never saved before")
