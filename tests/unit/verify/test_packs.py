"""Every check of our packs can pass, can fail, and can tell that it could not run. All nodes of this file are asked in
one run of the real machinery: one question per way to break a node."""

import shlex
from collections import Counter
from typing import Any

import pytest
import yaml
from tests.unit.verify.fakes import BATCH, FakeHost
from tests.unit.verify.machines import HERE, INVENTORY, machine

from slipway.verify import catalog
from slipway.verify.asked import Question
from slipway.verify.result import NodeVerification, Verdict
from slipway.verify.runner import Limits, ask

HOW = ("answers", "changed", "recorded", "facts", "ways")
CONTROLS = yaml.safe_load((HERE / "controls.yaml").read_text())
ASKED_BEFORE = {
    "os.system.runs_what_was_deployed", "os.system.has_its_name", "os.system.machine_id_is_its_own",
    "os.clock.within_30_s", "os.clock.agrees_with_the_others", "network.single.address_is_on_no_other_node",
}  # fmt: skip
"""Checks on what the node said before, which ask it nothing themselves."""
ASKED_OF_THE_API = "kubernetes.pods.canary_runs"
"""Another machine says it, too."""


@pytest.fixture(scope="module")
def healthy() -> dict[str, FakeHost]:
    return {node: machine(node, node) for node in ("cp1", "w1")}


@pytest.fixture(scope="module")
def results(healthy):
    machines = dict(healthy)
    machines |= {f"silent {node}": machine(f"silent {node}", node, silent=True) for node in ("cp1", "w1")}
    machines["twin"] = machine("twin", "w1", facts={"machine": "f" * 32})
    nodes = {key: key.split()[-1] for key in machines} | {"twin": "w1"}
    for key, control in CONTROLS.items():
        if "canary" in control:
            continue
        broken = {word: control[word] for word in HOW if word in control}
        machines[key] = machine(key, control["node"], **broken)
        nodes[key] = control["node"]
    questions = tuple(Question(key, INVENTORY.host(node)) for key, node in nodes.items())
    asked = ask(INVENTORY, questions, machines.__getitem__, catalog.chosen(INVENTORY), limits=Limits(16, 60))
    apart = [result for key, control in CONTROLS.items() if "canary" in control for result in alone(key, control)]
    return {result.node: result for result in (*asked, *apart)}


def alone(key: str, control: dict[str, Any]) -> tuple[NodeVerification, ...]:
    """One node asked in a run of its own, since its canary is the run's."""
    machines = {"cp1": machine("cp1", "cp1", changed=[control["canary"]]), key: machine(key, control["node"])}
    question = Question(key, INVENTORY.host(control["node"]))
    return ask(INVENTORY, (question,), machines.__getitem__, catalog.chosen(INVENTORY), limits=Limits(16, 60))


def red(result: NodeVerification) -> set[str]:
    return {check.id for check in result.red}


@pytest.mark.parametrize("node", ["cp1", "w1"])
def test_a_healthy_node_is_green(results, node):
    assert [str(check) for check in results[node].red] == []
    assert results[node].green


@pytest.mark.parametrize("key", CONTROLS)
def test_control_turns_this_check_red_and_no_other(results, key):
    name, control = key.split()[0], CONTROLS[key]
    assert red(results[key]) == {name, *control.get("with", ())}
    (check,) = (check for check in results[key].red if check.id == name)
    assert check.verdict is Verdict.FAILED
    assert control["found"] in check.finding.found
    assert check.finding.expected
    assert check.finding.command
    assert check.finding.fix


def test_every_check_has_a_control(results):
    checks = {check.id for node in ("cp1", "w1") for check in results[node].checks}
    assert checks == {key.split()[0] for key in CONTROLS}


@pytest.mark.parametrize("node", ["cp1", "w1"])
def test_no_check_passes_on_a_node_that_answers_nothing(results, node):
    passed = {check.id for check in results[f"silent {node}"].checks if not check.verdict.red}
    assert passed - {ASKED_OF_THE_API} == ASKED_BEFORE
    assert {check.verdict for check in results[f"silent {node}"].red} == {Verdict.ERROR}


def test_nothing_is_skipped_on_these_nodes(results):
    skipped = {check.id for node in ("cp1", "w1") for check in results[node].checks if check.verdict is Verdict.SKIPPED}
    assert skipped == set()


@pytest.mark.parametrize("node", ["cp1", "w1"])
def test_nothing_is_asked_twice(results, healthy, node):
    asked = Counter(each for command in healthy[node].asked for each in questions(command))
    assert [command for command, times in asked.items() if times > 1] == []


def questions(command: str) -> list[str]:
    """Those of a pack that asks many at once, or the command itself."""
    return shlex.split(command)[6::3] if command.startswith(BATCH) else [command]
