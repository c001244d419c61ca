"""What systemd and the journal say of k0s."""

import pytest

from slipway.cluster import unit
from slipway.cluster.unit import Standing

KONNECTIVITY = """\
time="1" level=info msg="Starting konnectivity-server" component=konnectivity-server
time="1" level=info msg="Error: unknown flag: --graceful-shutdown-timeout" component=konnectivity-server stream=stderr
time="1" level=info msg="Usage:" component=konnectivity-server stream=stderr
time="1" level=info msg="  proxy-server [flags]" component=konnectivity-server stream=stderr
time="1" level=info msg="Flags:" component=konnectivity-server stream=stderr
time="1" level=info msg="      --admin-port int   Port to listen on" component=konnectivity-server stream=stderr
time="1" level=info msg="  -h, --help             help for proxy-server" component=konnectivity-server stream=stderr
"""
CHMOD = """\
Error: chmod /var/lib/k0s/images: read-only file system
Usage:
  k0s controller [join-token] [flags]

Examples:
Flags:
      --config string   config file, use '-' to read the config from stdin
  -h, --help            help for controller

Global Flags:
  -d, --debug   Debug logging
"""
FATAL = 'time="1" level=fatal msg="cannot read \\"k0s.yaml\\"" \nk0s.service: Scheduled restart job.\n'


@pytest.fixture
def machine(world):
    return world().machine("cp1")


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (KONNECTIVITY, "konnectivity-server: Error: unknown flag: --graceful-shutdown-timeout"),
        (CHMOD, "Error: chmod /var/lib/k0s/images: read-only file system"),
        (FATAL, 'cannot read "k0s.yaml"'),
        ("all is well\n", ""),
    ],
    ids=["component", "k0s", "fatal", "none"],
)
def test_the_line_that_says_why_is_found(machine, said, cause):
    machine.says = said
    assert unit.cause(machine) == cause


@pytest.mark.parametrize("said", [KONNECTIVITY, CHMOD], ids=["component", "k0s"])
def test_usage_texts_are_left_out(machine, said):
    machine.says = said
    assert not [
        word for word in ("Usage", "Flags", "--help", "--config", "--admin-port") if word in unit.journal(machine)
    ]
    assert "Error: " in unit.journal(machine)


def test_control_other_lines_stay(machine):
    machine.says = "one\ntwo - three\n"
    assert unit.journal(machine) == "one\ntwo - three"


def test_only_the_last_lines_are_told(machine):
    machine.says = "\n".join(str(number) for number in range(100))
    assert unit.journal(machine, 2) == "98\n99"


@pytest.mark.parametrize(
    ("standing", "why"),
    [
        (Standing("activating", "exit-code", 3), "ended 3 times with an error and is started again each time"),
        (Standing("active", "success", 3), "ended 3 times and is started again each time"),
        (Standing("activating", "oom-kill", 3), "ended 3 times for lack of memory and is started again each time"),
        (Standing("failed", "exit-code", 0), "is failed: it ended with an error"),
        (Standing("failed", "start-limit-hit", 9), "is failed: it ended too often for systemd to start it again"),
        (Standing("failed", "protocol", 0), "is failed: it ended (protocol)"),
        (Standing("inactive", "success", 0), "is inactive: its conditions are not met, or somebody stopped it"),
    ],
)
def test_nobody_reads_that_a_unit_ended_in_success(standing, why):
    """Which is what systemd says of a process that it has just started again."""
    assert standing.why(3) == why


def test_systemd_is_asked_how_it_stands(machine):
    machine.state = "active"
    assert unit.standing(machine) == Standing("active", "success", 0)
