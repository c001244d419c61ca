"""Whatever happens to a machine or to the deployer while a deploy is under way: docs/faults.md has the list.

After each fault three questions: what runs on every node, does the API answer, does the next run finish. The tests run
in order, on one cluster that begins with the death of its founder's deployer.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.lab.conftest import OWN, of_tests
from tests.lab.harness import COMMAND_TIMEOUT, Home, Ran, Repository, eventually, fault, on_machine, outcomes

from slipway.cluster.token import ISSUED
from slipway.events import Events
from slipway.lab import faults, machines, supplies
from slipway.lab.reach import wait_reachable
from slipway.lab.settings import Fault, Machine
from slipway.lab.state import recorded

pytestmark = [pytest.mark.lab, pytest.mark.nightly]

NODES = ("cp1", "w1", "w2")
ENDS = 300.0
"""Seconds for what a machine does by itself until it is decided what it runs, on a host that has much else to do."""
FROZEN = 45.0
RUNS, DEFAULT = "readlink -f /run/current-system", "readlink -f /nix/var/nix/profiles/system"
BOUNDS = "\ndeploy:\n  timeouts: {activate: 120s, confirm: 30s}\n  drain: {timeout: 60s}\n"
SENTINEL = "/var/lib/slipway/allow-bootstrap"
# No answer finds its way any more; the old system, which does not have the unit, has the routes again.
NO_ROUTE = """{ pkgs, ... }: let
  again = pkgs.writeShellScript "route-again" "exec ${pkgs.iproute2}/bin/ip route restore </run/no-route";
in {
  systemd.services.no-route = {
    wantedBy = [ "multi-user.target" ];
    path = [ pkgs.iproute2 ];
    serviceConfig.Type = "oneshot";
    serviceConfig.RemainAfterExit = true;
    script = "ip route save >/run/no-route && ip route flush table main";
    serviceConfig.ExecStopPost = again;
  };
}
"""
DROPS_API = "nft add table inet away; nft add chain inet away in '{ type filter hook input priority -10; }'; " \
            "nft add rule inet away in tcp dport 6443 reject with tcp reset"  # fmt: skip


@dataclass
class Site:
    """A repository, its machines, and what they are to run."""

    repository: Repository
    machines: dict[str, Machine]
    before: dict[str, str] = field(default_factory=dict)
    number: int = 0

    def sh(self, node: str, script: str, timeout: float = 60.0) -> str:
        return on_machine(self.machines[node], script, timeout)

    def kubectl(self, *words: str) -> str:
        return self.sh("cp1", f"k0s kubectl {' '.join(words)}")

    def systems(self) -> dict[str, str]:
        return {name: self.sh(name, RUNS) for name in NODES}

    def change(self, *nodes: str, restarts: bool = False, more: str = "") -> None:
        """Give these nodes another system, whose k0s has to restart if that is asked for."""
        self.number += 1
        self.before = self.systems()
        text = more or f'{{ environment.etc."slipway-fault".text = "{self.number}"; }}\n'
        if restarts:
            text = f'{{ slipway.k0s.kubeletExtraArgs.max-pods = "{100 + self.number}"; }}\n'
        for name in nodes:
            file = self.repository.root / "hosts" / f"{name}.nix"
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)
        self.repository.git("add", "--all")

    def struck(self, at: tuple[str, str, str | None], strike: Callable[[Any], None], *words: str) -> int:
        """Begin a deploy, do that once this has happened, and say how the deploy ended. `strike` gets the process."""
        earlier = self.runs()
        with self.repository.under_way("deploy", "--json", *words) as process:
            eventually(lambda: self._happened(at, self.runs() - earlier), f"{at} in a deploy", deadline=ENDS)
            strike(process)
            process.communicate(timeout=COMMAND_TIMEOUT)
        return int(process.returncode)

    def runs(self) -> set[Path]:
        return set((self.repository.root / ".slipway" / "runs").glob("*/"))

    def _happened(self, at: tuple[str, str, str | None], runs: set[Path]) -> bool:
        files = [run / "events.jsonl" for run in runs if (run / "events.jsonl").exists()]
        # The last line may be half written.
        lines = [line for file in files for line in file.read_text().rpartition("\n")[0].splitlines()]
        return any((each["phase"], each["state"], each["node"]) == at for each in map(json.loads, lines))

    def at_rest(self, node: str) -> None:
        """Wait until the machine has decided by itself what it runs."""
        wait_reachable(self.machines[node])
        units = "systemctl list-units --no-legend --plain 'slipway-activate*'"
        eventually(lambda: self.sh(node, units) == "", f"{node} at rest", deadline=ENDS)

    def finished_by_the_next_run(self, *words: str) -> None:
        """The three questions. What was under way leaves every node on its old system or on its new one, and that is
        what it boots."""
        for name in NODES:
            self.at_rest(name)
        now = self.systems()
        assert all(self.sh(name, DEFAULT) == now[name] for name in NODES)
        assert self.kubectl("get --raw=/readyz").endswith("ok")
        ran = self.repository.slipway(*(words or ("deploy",)), "--json").ended(0)
        assert set(outcomes(ran).values()) <= {"ok", "unchanged"}
        new = self.systems()
        assert all(now[name] in (self.before.get(name), new[name]) for name in NODES), (self.before, now, new)
        unschedulable = "get nodes --output=jsonpath='{.items[*].spec.unschedulable}'"
        assert self.kubectl(unschedulable) == "", "whom a dead run has cordoned takes pods again"
        assert set(outcomes(self.again()).values()) == {"unchanged"}

    def again(self) -> Ran:
        return self.repository.slipway("deploy", "--json").ended(0)

    def as_before(self, *nodes: str) -> None:
        assert {name: self.systems()[name] for name in nodes} == {name: self.before[name] for name in nodes}


@pytest.fixture(scope="module")
def site(made: None, home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Machines that have nothing of a cluster yet."""
    with of_tests(OWN) as lab, pytest.MonkeyPatch.context() as patch:
        supplies.stock(machines.up(lab, Events(), controllers=1, workers=2), Events())
        patch.setenv("SLIPWAY_LAB", str(lab.number))
        repository = Repository(tmp_path_factory.mktemp("faults") / "repository", home)
        repository.slipway("lab", "init", ".").ended(0)
        inventory = repository.root / "inventory.yaml"
        inventory.write_text(inventory.read_text().replace("\ndeploy:\n", BOUNDS))
        repository.slipway("generate").ended(0)
        yield Site(repository, {machine.name: machine for machine in recorded(lab)})


def killed(process: Any) -> None:
    process.send_signal(signal.SIGKILL)


def test_a_deployer_that_dies_while_it_founds_and_while_it_joins_leaves_one_cluster(site: Site):
    for node in ("cp1", "w1"):
        assert site.struck(("join", "started", node), killed) == -signal.SIGKILL
    ran = site.repository.slipway("deploy", "--json").ended(0)
    assert set(outcomes(ran).values()) <= {"ok", "unchanged"}
    assert len(json.loads(site.sh("cp1", "k0s etcd member-list"))["members"]) == 1
    assert site.kubectl("get nodes --output=name").split() == ["node/w1", "node/w2"]
    assert site.sh("cp1", f"ls {ISSUED}* 2>/dev/null || true") == "", "what was handed out is taken back"
    for role in ("controller", "worker"):
        assert site.sh("cp1", f"k0s token list --role={role}") == "No k0s join tokens found"
    assert site.sh("cp1", f"test ! -e {SENTINEL} && echo gone") == "gone"
    assert set(outcomes(site.again()).values()) == {"unchanged"}


@pytest.mark.parametrize(
    "at",
    [
        ("build", "started", None),
        ("copy", "started", "w1"),
        ("drain", "started", "w1"),
        ("activate", "started", "w1"),
        ("confirm", "done", "w1"),
    ],
    ids=lambda at: at[0],
)
def test_a_deployer_that_is_killed_is_gone_on_with(site: Site, at):
    site.change("w1", "w2", restarts=True)
    assert site.struck(at, killed) == -signal.SIGKILL
    site.finished_by_the_next_run("resume")


@pytest.mark.parametrize("what", [Fault.FREEZE, Fault.KILL], ids=str)
@pytest.mark.parametrize("phase", ["copy", "drain", "activate"])
def test_a_machine_that_stands_still_or_dies_meanwhile(site: Site, what: Fault, phase: str):
    """A frozen one comes back while the deploy goes on; one that has lost its power, after it ended."""
    w1 = site.machines["w1"]
    site.change("w1", restarts=True)

    def strike(_process: Any) -> None:
        faults.begin(w1, what)
        if what is Fault.FREEZE:
            time.sleep(FROZEN)
            faults.end(w1)

    try:
        ended = site.struck((phase, "started", "w1"), strike, "w1")
    finally:
        faults.end(w1)
    assert ended in ((0, 5, 6, 7) if what is Fault.FREEZE else (5, 6, 7))
    site.finished_by_the_next_run()


@pytest.mark.parametrize("what", [Fault.HANG_ACTIVATION, Fault.FILL_DISK, Fault.FILL_RUN], ids=str)
def test_a_machine_that_cannot_take_its_system_keeps_the_old_one(site: Site, what: Fault):
    w1 = site.machines["w1"]
    site.change("w1", "w2")
    faults.begin(w1, what)
    try:
        ran = site.repository.slipway("deploy", "w1", "w2", "--json")
    finally:
        faults.end(w1)
    assert ran.result.exit_code in (5, 6, 7), ran.err
    site.at_rest("w1")
    site.as_before("cp1", "w1", "w2")
    site.finished_by_the_next_run()


def test_a_change_that_takes_the_way_back_to_us_is_taken_back(site: Site):
    site.change("w1", more=NO_ROUTE)
    ran = site.repository.slipway("deploy", "w1", "--json").ended(6)
    assert outcomes(ran) == {"w1": "rolled-back"}
    site.as_before(*NODES)
    site.change("w1")
    site.finished_by_the_next_run()


def test_of_two_deploys_at_once_the_second_is_refused_from_this_clone_and_from_another(site: Site, tmp_path: Path):
    other = site.repository.copy(tmp_path / "other-clone")
    site.change("w1", "w2")
    refused: list[int] = []

    def second(_process: Any) -> None:
        refused.extend(clone.slipway("deploy", "--json").result.exit_code for clone in (other, site.repository))

    # The first has something to wait for meanwhile.
    faults.begin(site.machines["w1"], Fault.HANG_ACTIVATION)
    try:
        assert site.struck(("activate", "started", "w1"), second) == 6
    finally:
        faults.end(site.machines["w1"])
    assert refused == [11, 11]
    site.finished_by_the_next_run()


def test_a_machine_with_another_host_key_is_not_touched_nor_are_the_others(site: Site):
    known = site.repository.root / "known_hosts"
    right = known.read_text()
    (of_w2,) = (line for line in right.splitlines() if of(site.machines["w2"], line))
    (of_cp1,) = (line for line in right.splitlines() if of(site.machines["cp1"], line))
    site.change("w1", "w2")
    known.write_text(right.replace(of_w2, " ".join([of_w2.split()[0], *of_cp1.split()[1:]])))
    try:
        ran = site.repository.slipway("deploy", "--json").ended(5)
    finally:
        known.write_text(right)
    assert "slipway trust w2" in ran.err
    site.as_before(*NODES)
    site.finished_by_the_next_run()


def of(machine: Machine, line: str) -> bool:
    """Whether a line of known_hosts pins it."""
    return machine.address in line.split()[0].split(",")


def test_with_the_api_away_no_pod_is_moved_and_the_next_run_does_it(site: Site):
    site.change("w1", "w2", restarts=True)
    with fault(site, "cp1", DROPS_API, "nft delete table inet away"):
        ran = site.repository.slipway("deploy", "--json")
        assert ran.result.exit_code in (5, 6, 7), ran.err
        site.as_before(*NODES)
    eventually(lambda: site.kubectl("get --raw=/readyz").endswith("ok"), "the API again", deadline=ENDS)
    site.finished_by_the_next_run()


def test_a_worker_that_was_built_anew_under_its_name_comes_back_by_its_replacement(site: Site):
    site.before = site.systems()
    uid = site.kubectl("get node w2 --output=jsonpath={.metadata.uid}")
    site.sh("w2", "systemctl stop k0s.service; k0s reset; rm -rf /var/lib/k0s/kubelet*", timeout=120)
    site.repository.slipway("node", "replace", "w2", "--yes").ended(0)
    assert outcomes(site.repository.slipway("deploy", "w2", "--json").ended(0)) == {"w2": "ok"}
    assert site.kubectl("get node w2 --output=jsonpath={.metadata.uid}") != uid
    site.finished_by_the_next_run()
