"""switch-to-configuration of the lab's own systems: NixOS's contract, on a machine that boots."""

import json
from pathlib import Path

import pytest
from tests.lab.harness import eventually

from slipway.lab import machines
from slipway.lab.reach import remote, wait_reachable
from slipway.ssh import openssh
from slipway.ssh.host import Host
from slipway.tools import nix
from slipway.tools.run import run

pytestmark = pytest.mark.lab

NIXOS = Path(__file__).parents[2] / "nixos"
OFFLINE = {"substituters": "", "sandbox": "false", "build-users-group": ""}
PROBE = """systemd.services.{name} = {{ wantedBy = [ "multi-user.target" ]; {more}
    serviceConfig.ExecStart = "/bin/sleep infinity"; serviceConfig.ExecReload = "/bin/true"; }};"""


@pytest.fixture(scope="module")
def host(machine):
    wait_reachable(machine)
    host = remote(machine)
    yield host
    host.close()


@pytest.fixture(scope="module")
def installed(host):
    """The system that the machine started with; it gets that back at the end."""
    system = host.run(["readlink", "-f", "/run/current-system"]).stdout.strip()
    yield system
    host.run([f"{system}/bin/switch-to-configuration", "switch"], timeout=60, check=False)


@pytest.fixture(scope="module")
def make(host, machine, installed):
    """`make(more)`: a worker's system for the machine with these settings beside, built and copied."""
    key = machine.lab.identity.with_suffix(".pub").read_text().strip()

    def built(more: str = "") -> str:
        expression = f"""
            let
              machine = {{ lib, ... }}: {{
                networking.hostName = lib.mkDefault {json.dumps(machine.name)};
                slipway = {{
                  role = "worker"; address = "{machine.address}"; ssh.authorizedKeys = [ {json.dumps(key)} ];
                  network = {{ interface = "host0"; prefixLength = 24; }}; k0s.version = "1.36.3+k0s.2";
                  cluster = {{ name = "test"; controllers = [ "{machine.address}" ]; provider = "cilium";
                    nodeNetworks = [ "{machine.address}/24" ]; podNetworks = [ "10.244.0.0/16" ]; }};
                }};
              }};
              more = {{ lib, ... }}: {{ {more} }};
            in
            ((import {NIXOS}/lab).nixosSystem {{ modules = [ {NIXOS}/modules machine more ]; }})
            .config.system.build.toplevel
        """
        options = [word for name, value in OFFLINE.items() for word in ("--option", name, value)]
        system = run(["nix-build", "--no-out-link", *options, "-E", expression]).stdout.strip()
        ssh = openssh.options(host.endpoint, machine.lab.known_hosts, 5)
        nix.copy([system], openssh.store(host.endpoint), ssh=ssh, options=OFFLINE, timeout=60)
        return system

    return built


@pytest.fixture
def switch(host):
    """`switch(system, action, expect=)`: what it says."""

    def act(system: str, action: str = "test", expect: int = 0) -> str:
        argv = [f"{system}/bin/switch-to-configuration", action]
        return host.run(argv, timeout=60, expect=[expect]).stderr  # type: ignore[no-any-return]

    return act


@pytest.fixture
def invocation(host):
    """`invocation(unit)`: names one run of a unit, and is empty where it does not run."""
    return lambda unit: host.run(["systemctl", "show", "--value", "-p", "InvocationID", unit]).stdout.strip()


def current(host: Host) -> str:
    return host.run(["readlink", "-f", "/run/current-system"]).stdout.strip()


def test_a_system_falls_into_place_and_a_second_time_nothing_happens(host, make, switch):
    system = make(PROBE.format(name="probe", more=""))
    switch(system)
    assert current(host) == system
    assert host.run(["systemctl", "is-active", "probe", "nftables", "sshd"]).stdout.split() == ["active"] * 3
    assert switch(system) == "activating the configuration...\n"
    assert switch(system, "dry-activate") == "would activate the configuration...\n"


def test_what_changed_is_restarted_and_the_rest_left_alone(make, switch, invocation):
    probes = (
        PROBE.format(name="plain", more="{more}")
        + PROBE.format(name="same", more="")
        + PROBE.format(name="never", more="restartIfChanged = false; {more}")
        + PROBE.format(name="reloads", more="reloadIfChanged = true; {more}")
        + PROBE.format(name="goes", more="")
    )
    units = ("plain", "same", "never", "reloads", "goes")
    switch(make(probes.replace("{more}", "")))
    before = {unit: invocation(unit) for unit in units}
    assert all(before.values())

    without = probes[: probes.rindex("systemd.services.goes")]
    changed = make(without.replace("{more}", 'environment.X = "y";'))
    said = switch(changed, "dry-activate")
    for line in (
        "would stop the following units: goes.service, plain.service",
        "would NOT restart the following units: never.service",
        "would reload the following units: reloads.service",
        "would start the following units: plain.service",
    ):
        assert line in said.splitlines()
    assert {unit: invocation(unit) for unit in units} == before

    switch(changed)
    after = {unit: invocation(unit) for unit in units}
    assert {unit for unit in units if after[unit] != before[unit]} == {"plain", "goes"}
    assert after["plain"]
    assert not after["goes"]


def test_units_that_fail_are_named_and_mended_by_the_next_system(make, switch):
    failing = 'wantedBy = [ "multi-user.target" ]; serviceConfig.Type = "oneshot"; script = "exit 7";'
    broken = f"systemd.services.broken = {{ {failing} }};"
    assert "the following units failed: broken.service" in switch(make(broken), expect=4)
    switch(make())


FAILING_SCRIPT = 'system.activationScripts.broken = "(exit 12)";'
FAILING_UNIT = """systemd.services.broken = {
    wantedBy = [ "multi-user.target" ]; serviceConfig.Type = "oneshot"; script = "exit 7"; };"""


def test_an_activation_script_that_fails_is_told_apart(host, make, switch):
    system = make(FAILING_SCRIPT)
    done = host.run([f"{system}/bin/switch-to-configuration", "test"], timeout=60, expect=[2])
    assert "Activation script snippet 'broken' failed (12)" in done.stdout.splitlines()
    assert "Failed to run activate script" in done.stderr.splitlines()
    switch(make())


def test_failed_units_hide_the_code_of_a_failed_script_but_not_its_words(make, switch):
    """As on NixOS, whose program overwrites the code."""
    said = switch(make(FAILING_SCRIPT + FAILING_UNIT), expect=4).splitlines()
    assert "Failed to run activate script" in said
    assert any(line.startswith("warning: the following units failed: broken.service") for line in said)
    switch(make())


def test_files_of_the_old_system_go(host, make, switch):
    files = '"slipway-test/one".text = "1"; "slipway-test/two" = { text = "2"; mode = "0400"; };'
    switch(make(f"environment.etc = {{ {files} }};"))
    assert host.run(["cat", "/etc/slipway-test/one", "/etc/slipway-test/two"]).stdout == "12"
    assert host.run(["stat", "-c", "%a %F", "/etc/slipway-test/two"]).stdout == "400 regular file\n"
    switch(make())
    host.run(["test", "-e", "/etc/slipway-test"], expect=[1])


def test_another_machines_system_is_refused(host, make, switch):
    before = current(host)
    said = switch(make('networking.hostName = "other";'), expect=1)
    assert "the system is for other" in said
    assert current(host) == before
    assert host.run(["hostname"]).stdout.strip() != "other"


def test_two_at_a_time_are_refused(host, make, switch):
    system = make()
    lock = "/run/nixos/switch-to-configuration.lock"
    host.run(["systemd-run", "--unit=holds-the-lock", "flock", lock, "sleep", "infinity"])
    try:
        eventually(lambda: not host.run(["flock", "-n", lock, "true"], check=False).ok, "the lock to be held")
        assert "Could not acquire lock" in switch(system, expect=1)
    finally:
        host.run(["systemctl", "stop", "holds-the-lock"])


def test_another_init_interface_wants_a_reboot(host, make, switch):
    system = make()
    switch(system)
    host.run(["sh", "-c", "mkdir -p /run/other && echo other > /run/other/init-interface-version"])
    host.run(["ln", "-sfn", "/run/other", "/run/current-system"])
    try:
        assert "reboot" in switch(system, expect=100)
    finally:
        host.run(["ln", "-sfn", system, "/run/current-system"])


def test_boot_counts_from_the_next_boot_on_and_test_until_then(host, machine, make, switch):
    default, tried = make('environment.etc.slipway-test.text = "default";'), make()
    switch(default, "boot")
    switch(tried, "test")
    assert current(host) == tried
    machines.power_cut(machine)
    machines.start(machine)
    wait_reachable(machine)
    assert current(host) == default
    assert host.run(["readlink", "-f", "/run/booted-system"]).stdout.strip() == default
    assert host.run(["cat", "/etc/slipway-test"]).stdout == "default"


def test_wrong_usage(switch, make):
    assert switch(make(), "nonsense", expect=1).startswith("usage: switch-to-configuration")
