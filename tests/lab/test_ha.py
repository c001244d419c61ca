"""Three controllers: the API goes on while one of them dies or is changed, and a quorum at risk is left alone.

The tests run in order on one cluster, which starts with a minor release of k0s before the newest.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import pairwise

import pytest
from tests.lab.controls import OF_SEVERAL, red
from tests.lab.controls import Fault as Broken
from tests.lab.harness import Repository, eventually, fault, outcomes

from slipway.lab import faults
from slipway.lab.reach import remote
from slipway.lab.settings import Fault, Lab, Machine
from slipway.lab.state import recorded
from slipway.ssh.pool import Pool

pytestmark = pytest.mark.lab

BEFORE, NOW = "1.35.7+k0s.0", "1.36.3+k0s.2"
LONGEST_GAP = 10.0
"""Seconds without an answer of the API: keepalived takes 4 s, a lease of etcd or a connection's timeout some more."""
ANSWERS = 180.0
CONTROLLERS = ("cp1", "cp2", "cp3")
# 401 is an answer, too.
PROBE = """\
for each in vip=https://{vip}:6443 local=https://localhost:7443; do
  while :; do
    curl -sko /dev/null --max-time 1 "${{each#*=}}/livez" && echo "${{each%%=*}} $(date +%s.%N)"
    sleep 0.2
  done >>/run/probe &
done
wait
"""
BOOT_ID = "/proc/sys/kernel/random/boot_id"
RUNS = "readlink -f /run/current-system"
# Both ways, whatever the machine's own firewall lets through.
NO_PEERS = """{ pkgs, ... }: {
  systemd.services.no-peers = {
    wantedBy = [ "multi-user.target" ];
    path = [ pkgs.nftables ];
    serviceConfig.Type = "oneshot";
    serviceConfig.RemainAfterExit = true;
    script = ''
      nft add table inet no-peers
      for way in input output; do
        nft add chain inet no-peers $way "{ type filter hook $way priority -10; }"
        nft add rule inet no-peers $way tcp dport 2380 drop
      done
    '';
    serviceConfig.ExecStopPost = "${pkgs.nftables}/bin/nft delete table inet no-peers";
  };
}
"""


class Ha:
    """The cluster's repository and its machines."""

    def __init__(self, repository: Repository, lab: Lab) -> None:
        self.repository = repository
        self.machines = {machine.name: machine for machine in recorded(lab)}
        self.vip = str(lab.virtual_address)

    def sh(self, node: str, script: str, timeout: float = 60.0) -> str:
        host = remote(self.machines[node])
        try:
            return host.run(["sh", "-ec", script], timeout=timeout).stdout.strip()
        finally:
            host.close()

    def kubectl(self, node: str, *words: str) -> str:
        return self.sh(node, f"k0s kubectl {' '.join(words)}")

    def holder(self) -> Machine:
        """Who has the virtual address."""
        eventually(lambda: len(self._holders()) == 1, "one controller with the virtual address")
        (found,) = self._holders()
        return self.machines[found]

    def _holders(self) -> list[str]:
        return [name for name in CONTROLLERS if f" {self.vip}/" in self.sh(name, "ip -4 -br address")]

    def heard(self, node: str) -> datetime:
        """When the API server last heard of w1's kubelet, whose first lease comes some seconds after it is Ready."""
        lease = self.kubectl(node, "get lease w1 --namespace=kube-node-lease --output=json --ignore-not-found")
        return datetime.fromisoformat(json.loads(lease)["spec"]["renewTime"] if lease else "1970-01-01T00:00:00Z")

    def systems(self) -> dict[str, str]:
        return {name: self.sh(name, RUNS) for name in CONTROLLERS}

    def ready(self, name: str) -> None:
        """Wait until this controller's API server is, with its etcd."""
        eventually(
            lambda: self.sh(name, "k0s kubectl get --raw=/readyz || true").endswith("ok"),
            f"{name} ready",
            deadline=ANSWERS,
        )

    def red(self, *names: str, packs: tuple[str, ...]) -> set[str]:
        inventory = self.repository.inventory()
        with Pool.of(inventory) as pool:
            return red(inventory, pool, names, packs)

    def set_release(self, release: str) -> None:
        inventory = self.repository.root / "inventory.yaml"
        before = BEFORE if BEFORE in inventory.read_text() else NOW
        inventory.write_text(inventory.read_text().replace(before, release))
        self.repository.slipway("generate").ended(0)

    @contextmanager
    def probed(self) -> Iterator[None]:
        """Ask the API five times a second, from the worker, by the virtual address and by its own balancer; both
        answered all the time."""
        script = PROBE.format(vip=self.vip)
        self.sh(
            "w1",
            f"rm -f /run/probe; cat >/run/probe.sh <<'EOF'\n{script}EOF\nsystemd-run --unit=probe sh /run/probe.sh",
        )
        began = float(self.sh("w1", "date +%s.%N"))
        try:
            yield
            ended = float(self.sh("w1", "date +%s.%N"))
            said = [line.split() for line in self.sh("w1", "cat /run/probe").splitlines()]
        finally:
            self.sh("w1", "systemctl stop probe; systemctl reset-failed probe 2>/dev/null || true")
        for way in ("vip", "local"):
            times = [began, *(float(at) for which, at in said if which == way), ended]
            gaps = [(after - before, before - began) for before, after in pairwise(times)]
            assert max(gaps)[0] < LONGEST_GAP, f"{way}: no answer for {max(gaps)[0]:.1f} s, {max(gaps)[1]:.1f} s in"


@pytest.fixture(scope="module")
def ha(three_controllers, home, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLIPWAY_LAB", str(three_controllers.number))
        repository = Repository(tmp_path_factory.mktemp("ha"), home)
        repository.slipway("lab", "init", ".").ended(0)
        made = Ha(repository, three_controllers)
        made.set_release(BEFORE)
        ran = repository.slipway("deploy", "--json").ended(0)
        assert set(outcomes(ran).values()) == {"ok"}
        yield made


def test_three_controllers_are_one_etcd(ha):
    wanted = {name: f"https://{ha.machines[name].address}:2380" for name in CONTROLLERS}
    for name in CONTROLLERS:
        assert json.loads(ha.sh(name, "k0s etcd member-list")) == {"members": wanted}
        assert BEFORE in ha.sh(name, "k0s version")
        assert "lab" in ha.sh(name, "k0s version")
    assert ha.sh("cp2", "k0s token list --role=controller") == "No k0s join tokens found"


def test_the_api_goes_on_without_the_controller_that_had_its_address(ha):
    gone = ha.holder()
    (left, *_) = (name for name in CONTROLLERS if name != gone.name)
    with ha.probed():
        began = datetime.fromtimestamp(time.time()).astimezone()
        faults.begin(gone, Fault.KILL)
        try:
            wait_for(lambda: ha.heard(left) > began, "w1's kubelet to be heard of again")
        finally:
            faults.end(gone)
        ha.ready(gone.name)
    assert ha.holder() != gone, "who comes back takes nothing from the one that has it"


def test_with_one_member_of_etcd_down_no_other_controller_is_changed(ha):
    before, booted = ha.systems(), ha.sh("cp1", f"cat {BOOT_ID}")
    ha.set_release(NOW)
    with fault(ha, "cp3", "systemctl stop k0s.service", "systemctl start k0s.service"):
        ran = ha.repository.slipway("deploy", "--json")
        assert ran.result.exit_code not in (0, 2), ran.err
        assert outcomes(ran)["cp1"] == "blocked", ran.out
        assert "cp3 does not serve" in ran.out + ran.err
        assert ha.systems() == before
        assert BEFORE in ha.sh("cp1", "k0s status")
        assert outcomes(ha.repository.slipway("reboot", "cp1", "--json").ended(6)) == {"cp1": "blocked"}
        assert ha.sh("cp1", f"cat {BOOT_ID}") == booted
        assert "cp3: k0s.control_plane.api_server_is_ready" in ha.red("cp3", packs=("k0s",))
        assert "w1: k0s.unit.has_its_version" in ha.red("w1", packs=("k0s",))
    ha.ready("cp3")


def test_controllers_take_a_minor_release_one_by_one_and_the_api_goes_on(ha):
    ha.set_release(NOW)
    with ha.probed():
        ran = ha.repository.slipway("deploy", "--json").ended(0)
    assert set(outcomes(ran).values()) == {"ok"}
    for name in (*CONTROLLERS, "w1"):
        assert NOW in ha.sh(name, "k0s status")
    times = [started(ha, name) for name in CONTROLLERS]
    assert times == sorted(times)
    # The next is not stopped before the one before it serves again, which takes longer than this.
    assert all(after - before > 2 for before, after in pairwise(times)), times
    assert set(outcomes(ha.repository.slipway("deploy", "--json").ended(0)).values()) == {"unchanged"}
    ha.repository.slipway("verify").ended(0)


@pytest.mark.parametrize("broken", OF_SEVERAL, ids=str)
def test_a_fault_turns_its_check_red_and_no_other_of_that_pack(ha, broken: Broken):
    addresses = {name: machine.address for name, machine in ha.machines.items()}
    make, mend = (broken.script(text, addresses) for text in (broken.make, broken.mend))
    with fault(ha, broken.on, make, mend):
        assert ha.red(*broken.asked, packs=broken.packs) == broken.expected
    wait_for(lambda: not ha.red(*broken.asked, packs=broken.packs), f"{broken.on} green again")


def test_a_virtual_address_that_two_controllers_have_is_seen_on_all(ha):
    second = next(name for name in CONTROLLERS if name != ha.holder().name)
    taken, quiet = f"{ha.vip}/32 dev lo", "/proc/sys/net/ipv4/conf/all/arp_ignore"
    # Nobody is told that it is there, so that nobody has to forget it.
    make, mend = f"echo 1 >{quiet}; ip address add {taken}", f"ip address del {taken}; echo 0 >{quiet}"
    with fault(ha, second, make, mend):
        found = ha.red(*CONTROLLERS, packs=("network",))
    assert found == {f"{name}: network.single.virtual_address_is_held_once" for name in CONTROLLERS}


def test_a_controller_reboots_while_the_others_are_a_quorum(ha):
    booted = ha.sh("cp2", f"cat {BOOT_ID}")
    with ha.probed():
        ran = ha.repository.slipway("reboot", "cp2", "--json").ended(0)
    assert outcomes(ran) == {"cp2": "ok"}
    assert ran.json["nodes"][0]["reason"].startswith("rebooted")
    assert ha.sh("cp2", f"cat {BOOT_ID}") != booted
    assert ha.sh("cp2", "k0s kubectl get --raw=/readyz").endswith("ok"), "it was waited for"


def test_a_rule_that_cuts_etcd_off_ends_with_the_first_controller(ha):
    """The others stay as they were, and the API with them; then the rule is taken back."""
    leave_the_address(ha, "cp1")
    before, inventory = ha.systems(), ha.repository.root / "inventory.yaml"
    text = inventory.read_text()
    # Nothing comes of waiting: the run ends sooner.
    inventory.write_text(text.replace("\ndeploy:\n", "\ndeploy:\n  timeouts: {join: 30s, ready: 30s}\n"))
    for name in CONTROLLERS:
        write(ha, f"hosts/{name}.nix", NO_PEERS)
    with ha.probed():
        ran = ha.repository.slipway("deploy", "--json")
        assert ran.result.exit_code in (6, 7), ran.err
        after = ha.systems()
        assert after["cp1"] != before["cp1"]
        assert {name: after[name] for name in ("cp2", "cp3")} == {name: before[name] for name in ("cp2", "cp3")}
        assert {outcomes(ran)[name] for name in ("cp2", "cp3")} <= {"skipped", "blocked"}, ran.out
    inventory.write_text(text)
    for name in CONTROLLERS:
        write(ha, f"hosts/{name}.nix", "{ }")
    ran = ha.repository.slipway("deploy", "--json").ended(0)
    assert set(outcomes(ran).values()) <= {"ok", "unchanged"}
    assert ha.systems() == before
    ha.ready("cp1")


def leave_the_address(ha: Ha, name: str) -> None:
    """Have another controller hold the virtual address: k0s gives it up with k0s alone, whatever etcd says."""
    if ha.holder().name == name:
        ha.sh(name, "systemctl restart k0s.service", timeout=ANSWERS)
        wait_for(lambda: ha.holder().name != name, "another controller with the virtual address")
        ha.ready(name)


def write(ha: Ha, path: str, text: str) -> None:
    file = ha.repository.root / path
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    ha.repository.git("add", "--all")


def started(ha: Ha, name: str) -> float:
    said = ha.sh(name, 'date -d "$(systemctl show --property=ExecMainStartTimestamp --value k0s)" +%s')
    return float(said)


def wait_for(is_so, what: str) -> None:
    eventually(is_so, what, deadline=ANSWERS)
