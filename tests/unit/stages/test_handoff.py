"""The hand-off as a whole: the gate, the record of its steps, its errors."""

import shutil
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.cluster.credentials import KUBECONFIG
from tests.unit.stages.conftest import TOKEN, commit, encoded, failed, fake_decrypt

from slipway.errors import GateRefused, InvalidInput, UsageError
from slipway.events import Events
from slipway.generate import gitops
from slipway.inventory import Inventory, load
from slipway.outcome import Outcome
from slipway.secret import Secret
from slipway.stages import base_apps, bootstrap, proof, steps
from slipway.stages import handoff as stages
from slipway.stages.handoff import HandoffFailed, handoff, outlook
from slipway.stages.model import Stage
from slipway.tools import git, helm, kubectl
from slipway.verify.gate import GateResult, Reason

OPEN = GateResult(())
ALL = [
    *(step.name for step in steps.BOOTSTRAP), "bootstrap", "webhook", "openbao", "secrets", "cluster-base-apps",
    "backups", "cluster-apps", "app-backups",
]  # fmt: skip


def write_gitops(inventory: Inventory) -> None:
    """The generated files anew."""
    shutil.rmtree(inventory.root / "gitops")
    for path, text in gitops.render(inventory).items():
        (inventory.root / path).parent.mkdir(parents=True, exist_ok=True)
        (inventory.root / path).write_text(text)


@pytest.fixture
def hand_over(inventory, cluster, machine, monkeypatch):
    monkeypatch.setattr(bootstrap, "INTERVAL", 0.01)
    monkeypatch.setattr(proof, "INTERVAL", 0.01)
    monkeypatch.setattr(proof, "QUIET", 0.05)

    def run(gate=OPEN, events=None, until=None):
        return handoff(
            inventory,
            gate,
            KUBECONFIG,
            machine,
            events or Events(),
            until,
        )

    return run


def test_a_second_hand_off_changes_nothing(hand_over):
    assert hand_over().changed
    again = hand_over()
    assert not again.changed
    assert {step.outcome for step in again.steps} == {Outcome.UNCHANGED}


def test_a_shut_gate_touches_nothing_and_tells_everything(hand_over, cluster):
    gate = GateResult((Reason("w1", "never verified"), Reason("w2", "pack k0s is red: kubelet")))
    with pytest.raises(GateRefused) as caught:
        hand_over(gate)
    assert "w1: never verified" in str(caught.value)
    assert "w2: pack k0s is red" in str(caught.value)
    assert caught.value.exit_code == 9
    assert cluster.objects == {}


def test_each_step_begins_and_ends_in_the_stream(hand_over):
    seen: list[tuple[object, str]] = []
    hand_over(events=Events(lambda event: seen.append((event.data.get("step"), event.state))))
    for step in ALL:
        states = [state for name, state in seen if name == step]
        assert states[0] == "started"
        assert states[-1] in ("ok", "unchanged")


def test_a_step_that_fails_names_itself_and_the_way_on(hand_over, cluster):
    cluster.ready = False
    seen: list[tuple[object, str]] = []
    with pytest.raises(HandoffFailed, match=r"stage bootstrap, step flux-operator: .* last seen: web 0/1") as caught:
        hand_over(events=Events(lambda event: seen.append((event.data.get("step"), event.state))))
    assert caught.value.exit_code == 6
    assert caught.value.hint == (
        "why: slipway status --failing; to wait longer: stages.readyTimeout in inventory.yaml; "
        "slipway handoff goes on where it stopped"
    )
    assert seen[-1] == ("flux-operator", "failed")


def test_a_step_that_refuses_has_its_own_way_on_and_ends_in_the_stream(hand_over, inventory):
    (inventory.root / "gitops" / "changed.yaml").write_text("kind: ConfigMap\n")
    seen: list[tuple[object, str]] = []
    with pytest.raises(InvalidInput) as caught:
        hand_over(events=Events(lambda event: seen.append((event.data.get("step"), event.state))))
    assert caught.value.hint == "git add --all && git commit"
    assert seen[-1] == ("checkout", "failed")


def test_what_a_program_refuses_is_told_with_its_own_hint_first(hand_over, monkeypatch):
    def refuses(*_: object, **__: object) -> None:
        error = failed("helm upgrade", "no such chart")
        error.hint = "look at mirrors.charts"
        raise error

    monkeypatch.setattr(helm, "upgrade", refuses)
    with pytest.raises(HandoffFailed) as caught:
        hand_over()
    assert caught.value.hint == "look at mirrors.charts; slipway handoff goes on where it stopped"


def test_files_that_are_missing_are_the_users_to_mend(hand_over, inventory):
    (inventory.root / "gitops" / "bootstrap" / "gitea" / "app" / "helmrelease.yaml").write_text("kind: [")
    commit(inventory.root)
    with pytest.raises(InvalidInput, match=r"helmrelease\.yaml: not YAML"):
        hand_over()


def test_the_result_as_json(hand_over):
    shown = hand_over().to_json()
    assert (shown["kind"], shown["stage"], shown["changed"]) == ("Handoff", "cluster-apps", True)
    assert [step["step"] for step in shown["steps"]] == ALL
    assert {step["state"] for step in shown["steps"]} == {"ok", "unchanged"}


def test_what_comes_next_names_no_secret(inventory):
    said = " ".join(stages.next_steps(inventory, Stage.BOOTSTRAP))
    assert "Flux goes on with cluster-base-apps, cluster-apps" in said
    assert "slipway open gitea" in said
    assert "ops/small" in said


class NoMachine:
    def host(self, name: str) -> Any:
        pytest.fail(f"{name} is not needed")

    def tunnel(self, name: str, address: str, port: int) -> Any:
        pytest.fail(f"no tunnel to {name} is needed")


def test_where_flux_reads_from_elsewhere_there_is_no_git_server(hand_over, inventory, cluster):
    text = (inventory.root / "inventory.yaml").read_text()
    elsewhere = "stages: {source: {kind: oci, url: oci://registry.example.org/small}, readyTimeout: 1s}"
    (inventory.root / "inventory.yaml").write_text(
        text.replace("stages: {readyTimeout: 1s, proofTimeout: 1s}", elsewhere)
    )
    changed = load(inventory.root)
    write_gitops(changed)
    result = handoff(changed, OPEN, KUBECONFIG, NoMachine(), Events())
    assert [step.name for step in result.steps] == ["key", "namespaces", "credentials", "flux-operator", "flux"]
    assert {name for kind, _, name in cluster.objects if kind == "Secret"} == {"sops-age"}
    assert "registry.example.org" in " ".join(result.next)


def test_a_volume_of_an_app_that_is_not_saved_is_told_at_the_end(hand_over, inventory, monkeypatch):
    folder = inventory.root / "gitops/cluster-apps/shop/data-backup"
    folder.mkdir(parents=True)
    (folder / "kustomization.yaml").write_text("kind: Kustomization\n")
    commit(inventory.root)
    assert not [line for line in hand_over().next if "not saved" in line], "control"
    broken = {"latestMoverStatus": {"result": "Failed", "logs": "Fatal: no bucket"}}
    about = {"name": "shop-data", "namespace": "shop"}
    monkeypatch.setattr(base_apps, "_sources", lambda *_: [{"metadata": about, "spec": {}, "status": broken}])
    assert hand_over().next[0] == "not saved, 1 volume: shop/shop-data; why: slipway status"
    assert not [line for line in hand_over(until=Stage.CLUSTER_BASE_APPS).next if "not saved" in line]


def test_until_a_stage_the_later_ones_are_fluxs_alone(hand_over, cluster):
    result = hand_over(until=Stage.BOOTSTRAP)
    assert [step.name for step in result.steps] == ALL[: ALL.index("openbao")]
    assert result.stage is Stage.BOOTSTRAP


def test_a_stage_that_the_inventory_does_not_have_is_refused(inventory):
    text = (inventory.root / "inventory.yaml").read_text()
    (inventory.root / "inventory.yaml").write_text(text.replace("stages: {", "stages: {until: bootstrap, "))
    fewer = load(inventory.root)
    assert stages.wanted(fewer, None) == (Stage.BOOTSTRAP,)
    with pytest.raises(UsageError, match="the last stage of this inventory is bootstrap"):
        stages.wanted(fewer, Stage.CLUSTER_APPS)


def test_an_outlook_tells_each_step_and_changes_nothing(inventory, cluster, machine, git_server, hand_over):
    def look() -> dict[str, Outcome]:
        return {step.name: step.outcome for step in outlook(inventory, KUBECONFIG, machine, Events())}

    before = look()
    assert before["namespaces"] is before["push"] is before["webhook"] is Outcome.OK
    assert before["key"] is Outcome.UNCHANGED
    assert (cluster.objects, cluster.releases, git_server.pushes, machine.folders) == ({}, {}, [], set())
    hand_over()
    assert set(look().values()) == {Outcome.UNCHANGED}


def test_an_outlook_names_what_a_step_is_about_and_where(inventory, cluster, machine):
    texts = {step.name: step.text for step in outlook(inventory, KUBECONFIG, machine, Events())}
    assert texts["key"] == "every encrypted file opens with the cluster's age key"
    assert "Secret flux-system/git-reader, Secret gitea/git-webhook" in texts["credentials"]
    assert "Namespace gitea" in texts["namespaces"]


def test_an_outlook_tells_what_would_be_refused(inventory, cluster, machine):
    (inventory.root / "gitops" / "new.yaml").write_text("")
    found = {step.name: step for step in outlook(inventory, KUBECONFIG, machine, Events())}
    assert found["checkout"].outcome is Outcome.BLOCKED
    assert "gitops/new.yaml" in found["checkout"].text


def at(step: str, do: Any) -> Events:
    """Events of a hand-off in which something happens when the step has begun."""

    def listen(event: Any) -> None:
        if (event.data.get("step"), event.state) == (step, "started"):
            do()

    return Events(listen)


@pytest.mark.parametrize("step", ["namespaces", "credentials", "git-chart", "push", "bootstrap", "webhook"])
def test_an_api_server_that_is_away_for_a_while_is_waited_for(hand_over, cluster, git_server, step):
    def goes() -> None:
        cluster.away = 5

    assert hand_over(events=at(step, goes)).changed
    assert cluster.away == 0, "control: it was asked while it was away"
    assert git_server.tip == git.head(git_server.root)
    assert not hand_over().changed


def test_an_api_server_that_stays_away_ends_it_with_its_words(hand_over, cluster):
    def goes() -> None:
        cluster.away = 10**9

    with pytest.raises(
        HandoffFailed, match=r"step namespaces: .* not so after 1 s; last seen: the API server does not"
    ):
        hand_over(events=at("namespaces", goes))


def test_what_an_api_server_refuses_is_not_asked_again(hand_over, monkeypatch):
    asked: list[str] = []

    def refuse(*_: Any, **__: Any) -> Any:
        asked.append("apply")
        raise failed("kubectl apply", 'namespaces "gitea" is forbidden')

    monkeypatch.setattr(kubectl, "apply", refuse)
    with pytest.raises(HandoffFailed, match="is forbidden"):
        hand_over()
    assert asked == ["apply"]


@pytest.mark.parametrize("cuts", [1, 2])
def test_a_push_that_is_cut_short_is_made_again(hand_over, git_server, cuts):
    git_server.cuts = cuts
    assert hand_over().changed
    assert git_server.cuts == 0, "control: it was cut short"
    assert git_server.tip == git.head(git_server.root)


def test_a_git_server_that_stays_away_ends_it_with_its_pod(hand_over, git_server):
    git_server.dead = True
    with pytest.raises(HandoffFailed, match=r"step push: .*the Git server \(pod 10\.244\.0\.9 on w1\)"):
        hand_over()


@pytest.fixture
def rotated(monkeypatch, hand_over):
    """The repository has another token than the one that was handed over."""
    hand_over()
    decrypt = fake_decrypt

    def other(root: Any, name: Any) -> Secret:
        return Secret(decrypt(root, name).reveal().decode().replace(encoded(TOKEN), encoded("second")))

    monkeypatch.setattr("slipway.secrets.store.decrypt", other)


def test_another_token_is_proven_anew(hand_over, rotated, cluster, git_server):
    before = git_server.calls
    states = {step.name: step.outcome for step in hand_over().steps}
    assert states["webhook"] is Outcome.OK
    assert (git_server.hook, git_server.listening, cluster.jobs_made) == ("second", "second", 2)
    assert git_server.calls > before
    assert not hand_over().changed
    assert "second" not in str(git_server.marker()), "what is in Git leads to no token"


def test_a_receiver_that_listens_elsewhere_is_brought_back(hand_over, git_server):
    """Somebody has changed the Secret in the cluster: the hand-off brings it back, and Flux would not look for long."""
    hand_over()
    git_server.listening = "somebody's"
    assert hand_over().changed
    assert git_server.listening == TOKEN


def test_a_webhook_of_a_token_that_was_never_proven_is_made_anew(hand_over, cluster, git_server):
    git_server.hook = "of a hand-off that was killed"
    assert hand_over().changed
    assert (git_server.hook, cluster.jobs_made) == (TOKEN, 2)


def test_a_helm_that_outlived_a_killed_hand_off_is_waited_for(hand_over, cluster, monkeypatch):
    """It goes on by itself; only whoever looks too early is told that somebody is at work."""
    looks = []

    def still_at_work(*_: Any) -> None:
        looks.append("")
        if len(looks) == 3:
            cluster.releases["gitea"] = replace(cluster.releases["gitea"], status="deployed")
        raise helm.AtWork("Helm release gitea in gitea is pending-install")

    monkeypatch.setattr(helm, "put_right", still_at_work)
    cluster.releases["gitea"] = helm.Release("gitea", "gitea", "12.7.0", 1, "pending-install", {})
    told: list[str] = []
    assert hand_over(events=Events(lambda event: told.append(event.words))).changed
    assert len(looks) == 3
    assert told.count("Helm release gitea in gitea is pending-install") == 1
    assert cluster.put_right == []


def test_a_helm_that_stays_at_work_ends_it_with_its_release(hand_over, cluster, monkeypatch):
    def at_work(*_: Any) -> None:
        raise helm.AtWork("Helm release gitea in gitea is pending-install")

    monkeypatch.setattr(helm, "put_right", at_work)
    cluster.releases["gitea"] = helm.Release("gitea", "gitea", "12.7.0", 1, "pending-install", {})
    with pytest.raises(HandoffFailed, match=r"step git-chart: .* last seen: Helm release gitea in gitea is pending"):
        hand_over()


def with_an_app(cluster: Any, monkeypatch: pytest.MonkeyPatch, status: str, reason: str) -> None:
    """The user has one in the stage bootstrap, of which Flux says this."""
    answer, ready = cluster.of_flux, {"type": "Ready", "status": status, "reason": reason}
    shop = {"metadata": {"name": "shop"}, "spec": {"path": "./gitops/bootstrap/shop/app"}}

    def found(kind: str, name: str) -> Any:
        known = answer(kind, name)
        if kind.startswith("kustomizations"):
            known["items"].append({**shop, "status": {"conditions": [ready]}})
        return known

    monkeypatch.setattr(cluster, "of_flux", found)


def test_an_app_of_the_users_that_is_broken_is_named_and_fails_nothing(hand_over, cluster, monkeypatch):
    with_an_app(cluster, monkeypatch, "False", "HealthCheckFailed")
    assert hand_over().next[0] == "not healthy, 1 app: shop; why: slipway status --failing"


def test_an_app_that_never_comes_to_an_end_is_waited_for_within_bounds(hand_over, cluster, monkeypatch):
    with_an_app(cluster, monkeypatch, "Unknown", "Progressing")
    told: list[str] = []
    result = hand_over(events=Events(lambda event: told.append(event.words)), until=Stage.BOOTSTRAP)
    assert "shop: Progressing" in told
    assert "shop" in result.next[0]


class Killed(BaseException):
    """What no code of ours catches: as if the process had ended there."""


MOST_CHANGES = 100
"""More than a whole hand-off makes."""


@pytest.fixture
def changes(cluster, machine, git_server, monkeypatch):
    """Every call that changes something, in order; `stop_after` is the one after which the process is killed."""
    log = ChangeLog()
    for target, name in ((kubectl, "apply"), (kubectl, "patch"), (helm, "upgrade"), (git, "push"), (machine, "run")):
        log.watch(monkeypatch, target, name)
    return log


class ChangeLog:
    def __init__(self) -> None:
        self.done: list[str] = []
        self.stop_after = 0

    def watch(self, monkeypatch: pytest.MonkeyPatch, target: Any, name: str) -> None:
        real = getattr(target, name)

        def call(*args: Any, **more: Any) -> Any:
            answer = real(*args, **more)
            self.done.append(name)
            if len(self.done) == self.stop_after:
                raise Killed(name)
            return answer

        monkeypatch.setattr(target, name, call)


def test_killed_after_any_change_it_goes_on_and_ends_where_it_would_have(hand_over, changes, cluster, git_server):
    """From nothing, killed after the first change, then after the next one, and so on, on one and the same cluster."""
    killed = []
    for number in range(1, MOST_CHANGES):
        changes.done, changes.stop_after = [], number
        try:
            result = hand_over()
        except Killed as error:
            killed.append(str(error))
        else:
            break
    assert {"apply", "upgrade", "push", "run"} <= set(killed), (
        "control: it was killed in the middle of all kinds of work"
    )
    assert {step.outcome for step in result.steps} <= {Outcome.OK, Outcome.UNCHANGED}
    assert git_server.tip == git.head(git_server.root)
    assert {"gitea", "flux-operator"} == set(cluster.releases)
    changes.stop_after = 0
    assert not hand_over().changed


@pytest.mark.parametrize("number", [2, 6, 10])
def test_killed_once_the_second_one_ends_like_one_that_was_not(hand_over, changes, cluster, git_server, number):
    changes.stop_after = number
    with pytest.raises(Killed):
        hand_over()
    changes.stop_after = 0
    hand_over()
    assert {kind for kind, _, _ in cluster.objects} >= {
        "Namespace",
        "Secret",
        "PersistentVolume",
        "FluxInstance",
        "Job",
    }
    assert git_server.tip == git.head(git_server.root)
    assert not hand_over().changed
