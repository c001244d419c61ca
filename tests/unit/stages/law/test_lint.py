"""The law on planted breaches, on clean repositories, and on other layouts."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from tests.unit.stages.law.conftest import DATA, trees

from slipway.errors import InvalidInput
from slipway.stages.law import Verdict, layout, lint

PLANTED = yaml.safe_load((DATA / "breaches.yaml").read_text())
GOLDEN = Path(__file__).parents[3] / "golden"
LAST = "cluster-apps"


def place_of(text: str) -> tuple[str, int, int]:
    """The text without its mark, and where the mark stood."""
    before, _, after = text.partition("»")
    return before + after, before.count("\n") + 1, len(before.rpartition("\n")[2]) + 1


def test_a_clean_repository_keeps_the_law(judged):
    verdict = judged()
    assert [str(breach) for breach in verdict.breaches] == []
    assert verdict.stages == ("bootstrap", "cluster-base-apps", "cluster-apps")


def test_there_are_enough_planted_breaches_of_enough_kinds():
    assert len(PLANTED) >= 60
    assert len({case["rule"] for case in PLANTED}) >= 12


@pytest.mark.parametrize("case", PLANTED, ids=[f"{case['rule']}: {case['why']}" for case in PLANTED])
def test_a_planted_breach_is_found_and_nothing_else(judged, case):
    text, line, column = place_of(case["text"])
    breaches = judged({case["file"]: text}).breaches
    assert [(breach.rule.value, breach.later) for breach in breaches] == [(case["rule"], case["leans"])], breaches
    place = breaches[0].place
    assert (place.file, place.line) == (case["file"], line)
    if "|\n" not in text:
        assert place.column == column


# --- what one file alone does not show ---


def told(verdict: Verdict) -> list[tuple[str, str, int, str]]:
    return [(breach.rule.value, breach.place.file, breach.place.line, breach.later) for breach in verdict.breaches]


WEBHOOK = """\
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {{name: guard}}
webhooks:
  - name: guard.example.org
    {policy}
    clientConfig: {{service: {{name: guard, namespace: late}}}}
    rules: [{{apiGroups: ["{group}"], resources: ["{resource}"], operations: [CREATE], apiVersions: ["*"]}}]
    {selector}
"""
GUARD = f"gitops/{LAST}/guard/app.yaml"


def webhook(
    policy: str = "failurePolicy: Fail", group: str = "", resource: str = "pods", selector: str = ""
) -> dict[str, str]:
    return {GUARD: WEBHOOK.format(policy=policy, group=group, resource=resource, selector=selector)}


EARLIER = "flux-system, gitea, external-secrets, openbao, storage, volsync"


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"policy": ""},  # the default of v1 is Fail
        {"group": "*", "resource": "*"},
        {"resource": "configmaps"},
        {"selector": "namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: openbao}}"},
        {"selector": "namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: NotIn, "
         "values: [gitea]}]}"},
    ],
)  # fmt: skip
def test_a_later_webhook_that_fails_closed_is_a_breach(judged, how):
    assert [(rule, file, line) for rule, file, line, _ in told(judged(webhook(**how)))] == [("webhook", GUARD, 5)]


@pytest.mark.parametrize(
    "how",
    [
        {"policy": "failurePolicy: Ignore"},
        {"group": "example.org", "resource": "widgets"},
        {"selector": "namespaceSelector: {matchLabels: {guarded: 'true'}}"},
        {"selector": "namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: NotIn, "
         f"values: [{EARLIER}]}}]}}"},
    ],
)  # fmt: skip
def test_a_webhook_that_keeps_out_of_earlier_stages_is_none(judged, how):
    assert told(judged(webhook(**how))) == []


POLICY = """\
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {{name: kyverno, namespace: network}}
spec:
  chart: {{spec: {{chart: kyverno, sourceRef: {{kind: HelmRepository, name: kyverno}}}}}}
  values: {values}
"""


def test_a_policy_engine_that_fails_closed_is_a_breach_unless_told_otherwise(judged):
    assert [rule for rule, *_ in told(judged({GUARD: POLICY.format(values="{}")}))] == ["webhook"]
    mild = "{features: {forceFailurePolicyIgnore: {enabled: true}}}"
    assert told(judged({GUARD: POLICY.format(values=mild)})) == []


def test_a_vault_that_a_later_job_opens_is_a_breach(judged):
    job = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: init, namespace: openbao}\nspec: {command: "
    job += "['sh', '-c', 'bao operator init -address=http://openbao.openbao.svc:8200']}\n"
    breaches = judged({f"gitops/{LAST}/init/job.yaml": job}).breaches
    assert [(breach.rule, breach.stage, breach.later) for breach in breaches] == [
        ("readiness", "cluster-base-apps", LAST)
    ]


def test_a_circle_of_kustomizations_is_told_once(judged):
    one = "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: a, namespace: flux-system}"
    two = one.replace("name: a", "name: b")
    path = "path: ./gitops/cluster-apps/late"
    text = (
        f"{one}\nspec: {{{path}, dependsOn: [{{name: b}}]}}\n---\n{two}\nspec: {{{path}, dependsOn: [{{name: a}}]}}\n"
    )
    breaches = judged({"gitops/cluster-apps/circle/ks.yaml": text}).breaches
    assert [breach.rule for breach in breaches] == ["cycle"]
    assert "a -> b -> a" in breaches[0].message


@pytest.mark.parametrize("folder", ["overlay-restore", "modes/restore"])
def test_an_overlay_that_is_not_chosen_is_judged_too(judged, folder):
    where = f"gitops/cluster-base-apps/openbao/{folder}"
    more = {
        f"{where}/kustomization.yaml": "resources: [../../openbao/app, claim.yaml]\n".replace(
            "../..", "../../.." if "/" in folder else "../.."
        ),
        f"{where}/claim.yaml": "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: x, namespace: openbao}\n"
        "spec: {storageClassName: fast}\n",
    }
    assert [(rule, file) for rule, file, *_ in told(judged(more))] == [("class", f"{where}/claim.yaml")]


def test_an_overlay_that_a_variable_chooses_belongs_to_its_kustomization(judged):
    """Its own dependsOn is short of VolSync, which only the overlay for restoring needs."""
    ks = (
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: v, namespace: flux-system}\n"
    )
    ks += "spec:\n  path: ./gitops/cluster-base-apps/volumes/${mode}\n  dependsOn: []\n"
    restore = "apiVersion: volsync.backube/v1alpha1\nkind: ReplicationDestination\n"
    restore += "metadata: {name: r, namespace: flux-system}\n"
    more = {
        "gitops/cluster-base-apps/kustomization.yaml": "resources: [storage/ks.yaml, volsync/ks.yaml, volumes/ks.yaml]",
        "gitops/cluster-base-apps/volumes/ks.yaml": ks,
        "gitops/cluster-base-apps/volumes/none/empty.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: none}\n",
        "gitops/cluster-base-apps/volumes/restore/restore.yaml": restore,
    }
    assert ("order", "gitops/cluster-base-apps/volumes/restore/restore.yaml", 2, "cluster-base-apps") in told(
        judged(more)
    )


# --- what slipway writes, and other people's layouts ---


@pytest.mark.parametrize("name", ["homelab", "single"])
def test_what_slipway_generates_keeps_the_law(name):
    verdict = lint(layout.of(GOLDEN / name))
    assert [str(breach) for breach in verdict.breaches] == []
    assert verdict.objects > 0
    assert not verdict.unread


@pytest.mark.parametrize("name", ["helm-example.yaml", "home-cluster.yaml"])
def test_clean_repositories_of_other_layouts_keep_the_law(judged, name):
    verdict = judged(base=trees(name))
    assert [str(breach) for breach in verdict.breaches] == []
    assert verdict.objects > 10


def test_control_the_same_layout_backwards_breaks_it(judged):
    base = dict(trees("home-cluster.yaml"))
    stages = ["network=kubernetes/apps/network", "later=kubernetes/apps/cert-manager"]
    verdict = judged(base=base, stages=stages)
    assert {breach.rule for breach in verdict.breaches} >= {"crd", "class", "depends-on"}
    assert {breach.later for breach in verdict.breaches} == {"later"}


def test_what_is_given_before_all_stages_is_no_breach(judged):
    more = {
        "gitops/bootstrap/x/x.yaml": "apiVersion: example.org/v1\nkind: Widget\nmetadata: {name: x, namespace: gitea}"
    }
    assert [rule for rule, *_ in told(judged(more))] == ["crd"]
    assert told(judged(more, provides=["example.org"])) == []


def test_what_cannot_be_read_is_told_and_never_green(judged):
    verdict = judged({"gitops/bootstrap/gitea/broken.yaml": "a: [b\n"})
    assert verdict.breaches == ()
    assert verdict.to_json()["kept"] is False
    with pytest.raises(InvalidInput, match=r"gitops/bootstrap/gitea/broken\.yaml:2:1: not YAML"):
        verdict.require()
