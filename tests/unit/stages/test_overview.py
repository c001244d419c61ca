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
