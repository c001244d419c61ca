"""Three controllers: the API goes on while one of them dies or is changed, and a quorum at risk is left alone.

The tests run in order on one cluster, which starts with a minor release of k0s before the newest. The nightly ones take
it to that one, and leave it to test_day2.py.
"""

import json
import time
from datetime import datetime
from itertools import pairwise

import pytest
from tests.lab.controls import OF_SEVERAL
from tests.lab.controls import Fault as Broken
from tests.lab.ha import ANSWERS, BEFORE, CONTROLLERS, NOW, Ha
from tests.lab.harness import eventually, fault, outcomes

from slipway.lab import faults
from slipway.lab.settings import Fault

pytestmark = pytest.mark.lab

BOOT_ID = "/proc/sys/kernel/random/boot_id"
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
# The same at once, by hand.
CUT_OFF = """nft add table inet cut-off
for way in input output; do
  nft add chain inet cut-off $way '{ type filter hook '$way' priority -10; }'
  nft add rule inet cut-off $way tcp dport 2380 drop
done"""


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
    ha.set_release(BEFORE)


@pytest.mark.nightly
def test_controllers_take_a_minor_release_one_by_one_and_the_api_goes_on(ha):
    before = len(ha.repository.slipway("backup", "--list", "--json").ended(0).json)
    said = ha.repository.slipway("upgrade", NOW, "--dry-run", "--json").ended(0).json
    assert (said["steps"], set(said["running"].values())) == ([NOW], {BEFORE})
    with ha.probed():
        ran = ha.repository.slipway("upgrade", NOW, "--yes", "--json").ended(0)
    assert set(outcomes(ran).values()) == {"ok"}
    assert all(NOW in ha.sh(name, "k0s status") for name in (*CONTROLLERS, "w1"))
    times = [started(ha, name) for name in CONTROLLERS]
    assert times == sorted(times)
    # The next is not stopped before the one before it serves again, which takes longer than this.
    assert all(after - before > 2 for before, after in pairwise(times)), times
    kept = ha.repository.slipway("backup", "--list", "--json").ended(0).json
    assert len(kept) == before + 1 and kept[0]["k0s"] == BEFORE
    assert "nothing to do" in ha.repository.slipway("upgrade", NOW).ended(0).out
    assert set(outcomes(ha.repository.slipway("deploy", "--json").ended(0)).values()) == {"unchanged"}
    ha.repository.verified()


@pytest.mark.parametrize("broken", OF_SEVERAL, ids=str)
def test_a_fault_turns_its_check_red_and_no_other_of_that_pack(ha, broken: Broken):
    addresses = {name: machine.address for name, machine in ha.machines.items()}
    make, mend = (broken.script(text, addresses) for text in (broken.make, broken.mend))
    with fault(ha, broken.on, make, mend):
        assert ha.red(*broken.seen_by, packs=broken.packs) == broken.expected
    wait_for(lambda: not ha.red(*broken.seen_by, packs=broken.packs), f"{broken.on} green again")


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


@pytest.mark.nightly
def test_a_rule_that_cuts_etcd_off_ends_with_the_first_controller(ha):
    """The others stay as they were, and the API with them; then the rule is taken back."""
    ha.set_release(NOW)
    ha.repository.slipway("deploy").ended(0)
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
        assert after["cp1"] != before["cp1"], f"{ran.out}\n{ran.err}"
        assert {name: after[name] for name in ("cp2", "cp3")} == {name: before[name] for name in ("cp2", "cp3")}
        assert {outcomes(ran)[name] for name in ("cp2", "cp3")} <= {"skipped", "blocked"}, ran.out
    inventory.write_text(text)
    for name in CONTROLLERS:
        write(ha, f"hosts/{name}.nix", "{ }")
    ran = ha.repository.slipway("deploy", "--json").ended(0)
    assert set(outcomes(ran).values()) <= {"ok", "unchanged"}
    assert ha.systems() == before
    ha.ready("cp1")


@pytest.mark.nightly
def test_a_controller_whose_etcd_is_cut_off_gives_the_virtual_address_away(ha):
    """It runs on, and keepalived with it; what comes by the address is answered out of etcd all the same."""
    ha.set_release(NOW)
    ha.repository.slipway("deploy").ended(0)
    cut = ha.holder().name
    with fault(ha, cut, CUT_OFF, "nft delete table inet cut-off"):
        wait_for(lambda: ha.holder().name != cut, "another controller with the virtual address")
        new = ha.holder().name
        (third,) = {*CONTROLLERS} - {cut, new}
        asked = f"--server=https://{ha.vip}:6443 --request-timeout=30s get namespace kube-system --output=name"
        wait_for(lambda: ha.kubectl(third, asked) == "namespace/kube-system", "the API by the virtual address")
        assert ha.sh(cut, "systemctl is-active k0s") == "active"
    ha.ready(cut)
    assert ha.holder().name == new, "who is well again takes nothing from the one that has it"
    assert set(outcomes(ha.repository.slipway("deploy", "--json").ended(0)).values()) == {"unchanged"}


def leave_the_address(ha: Ha, name: str) -> None:
    """Have another controller hold the virtual address: that it changes hands is another test's."""
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
