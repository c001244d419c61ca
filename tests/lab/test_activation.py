"""Activation on a machine that boots, with systemd-run, nix-env and a power button; the systems are hand-made."""

import threading

import pytest
from tests.lab.harness import eventually

from slipway.events import Events
from slipway.lab import faults, machines, nspawn
from slipway.lab.reach import remote, wait_reachable
from slipway.lab.settings import Fault
from slipway.node import diff, facts
from slipway.node.activate import UNIT, Limits, activate
from slipway.outcome import Outcome
from slipway.ssh import openssh
from slipway.tools import nix
from slipway.tools.run import run

pytestmark = pytest.mark.lab

LIMITS = Limits(activate=60, confirm=5)
SWITCH = """#!/bin/sh
system=$(dirname "$(dirname "$(readlink -f "$0")")")
echo "hand-made: $1" >&2
[ "$1" = test ] || exit 0
ln -sfn "$system" /run/current-system
{script}
"""


@pytest.fixture
def host(machine):
    wait_reachable(machine)
    host = remote(machine)
    yield host
    host.close()


@pytest.fixture
def before(host, machine):
    """What the machine runs; it gets that back after the test, whatever became of it."""
    found = facts.read(host)
    assert found.current
    yield found
    wait_reachable(machine)
    host.run(["nix-env", "-p", "/nix/var/nix/profiles/system", "--set", found.current])
    host.run([f"{found.current}/bin/switch-to-configuration", "switch"], timeout=60, check=False)


@pytest.fixture
def system(tmp_path, host, machine):
    """Make a system whose activation runs a script, and bring it to the machine."""

    def make(script: str) -> str:
        folder = tmp_path / "hand-made-system"
        (folder / "bin").mkdir(parents=True)
        (folder / "nixos-version").write_text("hand-made\n")
        switch = folder / "bin" / "switch-to-configuration"
        switch.write_text(SWITCH.format(script=script))
        switch.chmod(0o755)
        path = run(["nix-store", "--add", folder]).stdout.strip()
        ssh = openssh.options(host.endpoint, machine.lab.known_hosts, 5)
        nix.copy([path], openssh.store(host.endpoint), ssh=ssh, options={"substituters": ""}, timeout=60)
        return path

    return make


def test_a_confirmed_system_is_kept_and_its_unit_is_gone(host, before, system):
    new = system("true")
    result = activate(host, new, Events(), limits=LIMITS)
    assert (result.outcome, result.old_system) == (Outcome.OK, before.current)
    assert facts.read(host).runs(new)
    assert "hand-made: boot" in result.log
    eventually(lambda: not is_active(host, UNIT), f"the end of {UNIT}")


def is_active(host, unit: str) -> bool:
    said = host.run(["systemctl", "is-active", unit], check=False).stdout.strip()
    return said in ("active", "activating", "deactivating")


def test_a_machine_that_lets_nobody_in_returns_by_itself(host, before, system):
    """Every connection breaks as well: the machine is on its own."""
    result = activate(host, system("systemctl stop sshd; pkill -9 sshd; true"), Events(), limits=LIMITS)
    assert result.outcome is Outcome.ROLLED_BACK
    assert "no confirmation over a new connection within 5 s" in result.reason
    after = facts.read(host)
    assert (after.current, after.profile, after.boot_id) == (before.current, before.profile, before.boot_id)


def test_a_power_cut_before_the_confirmation_comes_up_in_the_old_system(host, before, system, machine):
    new = system("systemctl stop sshd; true")

    def runs_it() -> bool:
        now = nspawn.inside(machine, "run/current-system")
        return now is not None and now.is_symlink() and str(now.readlink()) == new

    def cut() -> None:
        eventually(runs_it, "the new system, which nobody can confirm")
        machines.power_cut(machine)
        machines.start(machine)

    button = threading.Thread(target=cut)
    button.start()
    result = activate(host, new, Events(), limits=Limits(activate=60, confirm=50))
    button.join()
    assert result.outcome is Outcome.ROLLED_BACK
    assert "restarted while it activated; it runs its old system" in result.reason
    after = facts.read(host)
    assert after.boot_id != before.boot_id
    assert (after.current, after.profile) == (before.current, before.profile)


def test_a_second_activation_at_a_time_is_refused(host, before, system, machine):
    slow = system("for try in $(seq 500); do [ ! -e /run/go-on ] || break; sleep 0.1; done; rm /run/go-on")
    second = remote(machine)
    results = []
    thread = threading.Thread(target=lambda: results.append(activate(host, slow, Events(), limits=LIMITS)))
    thread.start()
    eventually(lambda: is_active(second, UNIT), "the first activation")
    refused = activate(second, str(before.current), Events(), limits=LIMITS)
    second.run(["touch", "/run/go-on"])
    second.close()
    thread.join()
    assert refused.outcome is Outcome.BLOCKED
    assert "slipway-activate" in refused.reason
    assert results[0].outcome is Outcome.OK


def test_what_would_change_is_told_by_the_machine(host, before, system):
    new = system("true")
    assert any(line.startswith("hand-made: ∅") for line in diff.closures(host, str(before.current), new))
    said = diff.dry_activate(host, new)
    assert "hand-made: dry-activate" in said.stderr
    assert facts.read(host).current == before.current


def test_a_machine_of_the_lab_is_fit_for_activation(host, machine):
    found = facts.read(host)
    assert found.obstacles(machine.name) == []
    assert found.obstacles("other") == [], "nothing of a cluster is on it: its first deploy may rename it"
    host.run(["mkdir", "/var/lib/k0s/pki"])
    try:
        (refused,) = facts.read(host).obstacles("other")
        assert f"called {machine.name}" in refused
        host.run(refused.partition("slipway exec other -- ")[2].split())
        assert facts.read(host).obstacles("other") == [], "the hint works as typed"
    finally:
        host.run(["rm", "-rf", "/var/lib/k0s/pki", "/var/lib/slipway/allow-rename"])


@pytest.mark.parametrize(
    "how",
    [
        "isolate rescue.target",
        pytest.param("isolate emergency.target", marks=pytest.mark.nightly),
        pytest.param("start emergency.target", marks=pytest.mark.nightly),
    ],
)
def test_an_activation_outlives_the_target_that_it_isolates(host, before, system, how):
    """sshd and all other units are stopped meanwhile."""
    script = f"systemctl --no-block {how}; sleep 3; systemctl --no-block isolate multi-user.target"
    result = activate(host, system(script), Events(), limits=Limits(activate=60, confirm=30))
    assert (result.outcome, result.reason) == (Outcome.OK, "")


@pytest.mark.parametrize("how", ["stop", "kill --signal=KILL"])
def test_a_unit_that_is_ended_from_outside_leaves_nobody_on_an_unconfirmed_system(host, before, system, how):
    result = activate(host, system(f"systemctl --no-block {how} slipway-activate; sleep 20"), Events(), limits=LIMITS)
    assert result.outcome is Outcome.ROLLED_BACK
    assert "it was stopped or killed; the old system is active again" in result.reason
    after = facts.read(host)
    assert (after.current, after.profile) == (before.current, before.profile)


@pytest.mark.nightly
def test_a_machine_that_can_go_neither_way_boots_its_old_system_where_that_is_wanted(host, before, system):
    """What hides the old system's program goes with the reboot."""
    breaks = f"mount --bind /bin/false {before.current}/bin/switch-to-configuration; exit 2"
    result = activate(host, system(breaks), Events(), limits=Limits(activate=60, confirm=5, reboot=300))
    assert result.outcome is Outcome.ROLLED_BACK
    # Where the machine was quicker than our question, that it has restarted is all that we know.
    assert "so the node has booted it" in result.reason or "it runs its old system" in result.reason
    after = facts.read(host)
    assert (after.current, after.profile) == (before.current, before.profile)
    assert after.boot_id != before.boot_id


@pytest.mark.nightly
def test_an_activation_outlives_what_the_kernel_kills_for_memory(host, before, system, machine):
    new = system("tail /dev/zero; echo killed: $?; true")
    faults.begin(machine, Fault.OOM)
    try:
        result = activate(host, new, Events(), limits=LIMITS)
    finally:
        faults.end(machine)
    assert "killed: 137" in result.log, "control: something was killed"
    assert (result.outcome, result.reason) == (Outcome.OK, "")
    assert facts.read(host).runs(new)


def test_a_full_run_keeps_no_node_from_saying_how_it_went(host, before, system):
    host.run(["sh", "-c", "mkdir -p /run/slipway && mount -t tmpfs -o size=256k tmpfs /run/slipway"])
    try:
        new = system("echo filling; head -c 1M /dev/zero >/run/slipway/fill; echo much to say; true")
        result = activate(host, new, Events(), limits=LIMITS)
    finally:
        host.run(["umount", "/run/slipway"])
    assert (result.outcome, result.reason) == (Outcome.OK, "")
    assert host.run(["sh", "-c", "journalctl --unit slipway-activate --output cat | grep 'much to say'"]).ok
