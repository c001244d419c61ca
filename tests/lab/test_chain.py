"""The whole chain, as a user types it: one inventory to a verified, handed-over cluster, and where it must stop.

The tests of this file run in order, and leave the cluster for those of the other files; each fault is mended again by
the test that made it.
"""

import re

import pytest
from tests.lab.harness import fault, outcomes, sooner_or_later

from slipway.lab import images

pytestmark = pytest.mark.lab

NODES = ("cp1", "w1", "w2")


def test_check_finds_nothing_wrong(repository):
    repository.slipway("check").ended(0)


def test_generate_writes_once(repository):
    assert repository.slipway("generate", "--check").ended(4)
    repository.slipway("generate").ended(0)
    before = {path: path.stat().st_mtime_ns for path in (repository.root / "generated").rglob("*")}
    repository.slipway("generate").ended(0)
    assert {path: path.stat().st_mtime_ns for path in (repository.root / "generated").rglob("*")} == before
    repository.slipway("generate", "--check").ended(0)


def test_the_gate_is_shut_before_verification(repository):
    refused = repository.slipway("handoff").ended(9)
    for node in NODES:
        assert node in refused.err


def test_deploy_takes_every_node_into_the_cluster(repository):
    ran = repository.slipway("deploy", "--json").ended(0)
    assert set(outcomes(ran)) == set(NODES)
    assert set(outcomes(ran).values()) <= {"ok", "unchanged"}


def test_no_node_imports_an_image_that_the_lab_has_prepared(repository):
    prepared = set(images.references().values())
    for node in NODES[1:]:
        said = repository.sh(node, "journalctl --unit=k0s --output=cat --no-pager")
        assert "Started kubelet" in said, "control: the journal has what k0s said"
        imported = {tag for line in re.findall(r"imported (.+) in [0-9.]+ s", said) for tag in line.split(", ")}
        assert not imported & prepared


def test_a_second_deploy_says_unchanged(repository):
    before = repository.systems()
    ran = repository.slipway("deploy", "--json").ended(0)
    assert set(outcomes(ran).values()) == {"unchanged"}
    assert repository.systems() == before


def test_every_node_verifies_green(repository):
    repository.verified()


def test_the_hand_off_reaches_ready_and_a_second_one_changes_nothing(repository):
    repository.slipway("handoff").ended(0)

    def states() -> set[str]:
        again = repository.slipway("handoff", "--json").ended(0).json
        return {step["state"] for step in again["steps"]}

    sooner_or_later(states, {"unchanged"}, "a hand-off with nothing to do")


def test_an_unreachable_node_stops_the_deploy_before_anything_changes(repository, tmp_path):
    wrong = repository.copy(tmp_path / "wrong-address")
    address = wrong.inventory().host("w2").address
    for name in ("inventory.yaml", "known_hosts"):
        path = wrong.root / name
        path.write_text(path.read_text().replace(address, nobody_at(address)))
    wrong.slipway("generate").ended(0)
    before = repository.systems()
    ran = wrong.slipway("deploy", "--json").ended(5)
    assert outcomes(ran)["w2"] == "unreachable"
    assert "w2" in ran.err
    assert repository.systems() == before


def test_a_system_that_kills_sshd_is_taken_back_by_the_node_itself(repository, tmp_path):
    killing = repository.copy(tmp_path / "kills-sshd")
    inventory = killing.root / "inventory.yaml"
    inventory.write_text(inventory.read_text().replace("\ndeploy:\n", "\ndeploy:\n  timeouts: {confirm: 10s}\n"))
    (killing.root / "hosts").mkdir(exist_ok=True)
    (killing.root / "hosts" / "w1.nix").write_text(KILL_SSHD)
    (killing.root / "hosts" / "w2.nix").write_text(HARMLESS)
    killing.git("add", "-A")
    before = repository.systems()
    ran = killing.slipway("deploy", "--json").ended(6)
    assert outcomes(ran)["w1"] == "rolled-back"
    assert outcomes(ran)["w2"] == "skipped", "the canary was w1"
    assert repository.systems() == before
    assert "unchanged" in outcomes(repository.slipway("deploy", "--json").ended(0)).values()


def nobody_at(address: str) -> str:
    """An address of the lab's own network that no machine has."""
    return address.rpartition(".")[0] + ".99"


HARMLESS = '{ environment.etc."harmless".text = "1"; }\n'
KILL_SSHD = """\
# A mistake that is easily made: the way in is gone, and everything else comes up.
{ lib, ... }: { services.openssh.enable = lib.mkForce false; }
"""


@pytest.mark.nightly
def test_a_stopped_kubelet_is_seen_and_the_hand_off_refused(repository):
    with fault(repository, "w1", "systemctl stop k0s.service", "systemctl start k0s.service"):
        red = repository.slipway("verify").ended(8)
        assert "w1" in red.out + red.err
        refused = repository.slipway("handoff").ended(9)
        # Of w2 something may be red as well: the cluster's DNS may run on w1.
        assert re.search(r"w1.*: pack k0s is red", refused.err)
    repository.slipway("deploy").ended(0)
    repository.verified()
    repository.slipway("handoff").ended(0)
