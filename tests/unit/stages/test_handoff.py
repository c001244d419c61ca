"""The hand-off as a whole: the gate, the record of its steps, its errors."""

import shutil

import pytest
from tests.unit.cluster.credentials import KUBECONFIG

from slipway.errors import GateRefused, InvalidInput
from slipway.events import Events
from slipway.generate import gitops
from slipway.inventory import Inventory, load
from slipway.outcome import Outcome
from slipway.stages import bootstrap
from slipway.stages import handoff as stages
from slipway.stages.handoff import HandoffFailed, handoff
from slipway.verify.gate import GateResult, Reason

OPEN = GateResult(())


def write_gitops(inventory: Inventory) -> None:
    """The generated files anew."""
    shutil.rmtree(inventory.root / "gitops")
    for path, text in gitops.render(inventory).items():
        (inventory.root / path).parent.mkdir(parents=True, exist_ok=True)
        (inventory.root / path).write_text(text)


@pytest.fixture
def hand_over(inventory, cluster, machine, monkeypatch):
    monkeypatch.setattr(bootstrap, "INTERVAL", 0.01)

    def run(gate=OPEN, events=None):
        return handoff(
            inventory,
            gate,
            KUBECONFIG,
            lambda _name: machine,
            events or Events(),
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
    for step in bootstrap.STEPS:
        states = [state for name, state in seen if name == step.name]
        assert states[0] == "started"
        assert states[-1] in ("ok", "unchanged")


def test_a_step_that_fails_names_itself_and_the_way_on(hand_over, cluster):
    cluster.ready = False
    seen: list[tuple[object, str]] = []
    with pytest.raises(HandoffFailed, match=r"stage bootstrap, step flux-operator: .* last seen: web 0/1") as caught:
        hand_over(events=Events(lambda event: seen.append((event.data.get("step"), event.state))))
    assert caught.value.exit_code == 6
    assert caught.value.hint == "slipway handoff goes on where it stopped"
    assert seen[-1] == ("flux-operator", "failed")


def test_files_that_are_missing_are_the_users_to_mend(hand_over, inventory):
    (inventory.root / "gitops" / "bootstrap" / "gitea" / "app" / "helmrelease.yaml").write_text("kind: [")
    with pytest.raises(InvalidInput, match=r"helmrelease\.yaml: not YAML"):
        hand_over()


def test_the_result_as_json(hand_over):
    shown = hand_over().to_json()
    assert (shown["kind"], shown["stage"], shown["changed"]) == ("Handoff", "bootstrap", True)
    assert [step["step"] for step in shown["steps"]] == [step.name for step in bootstrap.STEPS]
    assert {step["state"] for step in shown["steps"]} == {"ok", "unchanged"}


def test_what_comes_next_names_no_secret(inventory):
    said = " ".join(stages.next_steps(inventory))
    assert "sops decrypt secrets/gitea-admin.sops.yaml" in said
    assert "ops/small" in said


def test_where_flux_reads_from_elsewhere_there_is_no_git_server(hand_over, inventory, cluster):
    text = (inventory.root / "inventory.yaml").read_text()
    elsewhere = "stages: {source: {kind: oci, url: oci://registry.example.org/small}, readyTimeout: 1s}"
    (inventory.root / "inventory.yaml").write_text(text.replace("stages: {readyTimeout: 1s}", elsewhere))
    changed = load(inventory.root)
    write_gitops(changed)
    result = handoff(changed, OPEN, KUBECONFIG, lambda _name: pytest.fail("no machine is needed"), Events())
    assert [step.name for step in result.steps] == ["namespaces", "credentials", "flux-operator", "flux"]
    assert {name for kind, _, name in cluster.objects if kind == "Secret"} == {"sops-age"}
    assert "registry.example.org" in " ".join(result.next)
