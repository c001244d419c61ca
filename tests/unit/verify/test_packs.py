"""Every check of our packs can pass, can fail, and can tell that it could not run. All nodes of this file are asked in
one run of the real machinery: one question per way to break a node."""

import hashlib
import re
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.unit.verify.fakes import Canned, FakeHost, batched, from_table

from slipway.inventory import load
from slipway.verify import catalog
from slipway.verify.asked import Question
from slipway.verify.result import NodeVerification, Verdict
from slipway.verify.runner import Limits, ask

HERE = Path(__file__).parent
INVENTORY = load(HERE / "inventory.yaml")
HEALTHY = yaml.safe_load((HERE / "healthy.yaml").read_text())
CONTROLS = yaml.safe_load((HERE / "controls.yaml").read_text())
SYSTEM = "/nix/store/00000000000000000000000000000000-nixos-system"
ASKED_BEFORE = {
    "os.system.runs_what_was_deployed", "os.system.has_its_name", "os.system.machine_id_is_its_own",
    "os.clock.within_30_s", "os.clock.agrees_with_the_others",
}  # fmt: skip
"""Checks on what the node said before, which ask it nothing themselves."""


def machine(
    key: str,
    node: str,
    *,
    answers: dict[str, Any] | None = None,
    changed: Sequence[tuple[str, str, str]] = (),
    recorded: dict[str, str] | None = None,
    facts: dict[str, Any] | None = None,
    silent: bool = False,
) -> FakeHost:
    """A node like healthy ones but for what is given; `silent` has no program at all."""
    said: dict[str, Any] = {"system": SYSTEM, "profile": SYSTEM, "hostname": node, "ahead": 0}
    said |= {"machine": hashlib.md5(key.encode()).hexdigest()} | (facts or {})
    table = [Canned(match, **fields) for match, fields in (answers or {}).items()]
    table += [Canned(match, (HERE / "recorded" / name).read_text()) for match, name in (recorded or {}).items()]
    healthy = () if silent else healthy_table(node)
    table += [_changed(canned, changed) for canned in healthy]
    ask = batched(from_table(table))

    def answer(command: str) -> Canned:
        if "boot_id" not in command:
            return ask(command)
        lines = (
            said["system"],
            said["profile"],
            "boot",
            said["machine"],
            said["hostname"],
            time.time() + said["ahead"],
        )
        return Canned("", "".join(f"{line}\n" for line in lines))

    return FakeHost(key, answer)


def healthy_table(node: str) -> list[Canned]:
    host = INVENTORY.host(node)
    words = {"name": node, "address": host.address, "host": host.address.rpartition(".")[2]}
    role = "controller" if host.is_controller else "worker"
    return [_canned(entry, words) for entry in (*HEALTHY[role], *HEALTHY["all"])]


def _canned(entry: dict[str, Any], words: dict[str, str]) -> Canned:
    if "recorded" in entry:
        text = (HERE / "recorded" / entry["recorded"]).read_text()
        return Canned(entry["match"], re.sub("@([a-z]+)@", lambda found: words[found[1]], text))
    texts = {name: entry[name].format(**words) for name in ("stdout", "stderr") if name in entry}
    return Canned(entry["match"], exit=entry.get("exit", 0), **texts)


def _changed(canned: Canned, changes: Sequence[tuple[str, str, str]]) -> Canned:
    for match, old, new in changes:
        if match in canned.match:
            assert old in canned.stdout, f"{old!r} is not in the answer of {canned.match!r}"
            canned = replace(canned, stdout=canned.stdout.replace(old, new))
    return canned


@pytest.fixture(scope="module")
def results():
    machines = {node: machine(node, node) for node in ("cp1", "w1")}
    machines |= {f"silent {node}": machine(f"silent {node}", node, silent=True) for node in ("cp1", "w1")}
    machines["twin"] = machine("twin", "w1", facts={"machine": "f" * 32})
    nodes = {key: key.split()[-1] for key in machines} | {"twin": "w1"}
    for key, control in CONTROLS.items():
        broken = {word: control[word] for word in ("answers", "changed", "recorded", "facts") if word in control}
        machines[key] = machine(key, control["node"], **broken)
        nodes[key] = control["node"]
    questions = tuple(Question(key, INVENTORY.host(node)) for key, node in nodes.items())
    asked = ask(INVENTORY, questions, machines.__getitem__, catalog.chosen(INVENTORY), limits=Limits(16, 60))
    return {result.node: result for result in asked}


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
    assert passed == ASKED_BEFORE
    assert {check.verdict for check in results[f"silent {node}"].red} == {Verdict.ERROR}


def test_nothing_is_skipped_on_these_nodes(results):
    skipped = {check.id for node in ("cp1", "w1") for check in results[node].checks if check.verdict is Verdict.SKIPPED}
    assert skipped == set()
