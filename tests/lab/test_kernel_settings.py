"""What verification expects of sysctl.d, beside what systemd's own program does with the same files, in a namespace."""

import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from slipway.tools.run import run
from slipway.verify.packs.os.kernel import Sysctls

pytestmark = pytest.mark.lab

PROGRAM = Path("/lib/systemd/systemd-sysctl")
LAB_DEFAULTS = Path(__file__).parents[2] / "nixos/lab/50-default.conf"
LINKS = ("eth0", "lxc1", "lxc_health", "cilium_host", "odd.7")
FILES = {
    "etc/50-default.conf": LAB_DEFAULTS.read_text(),
    "etc/60-nixos.conf": """net.ipv4.conf.all.rp_filter = 0
        net.ipv4.conf.default.rp_filter=0
        net.ipv4.conf.lxc*.rp_filter = 0
        net.ipv4.conf.cilium_*.rp_filter = 0
        net.ipv4.ping_group_range=0 2147483647
        net.ipv4.conf.odd/7.accept_source_route = 1
        -net.ipv4.conf.no-such-link.rp_filter = 1""",
    "etc/40-early.conf": "net.ipv4.conf.eth0.rp_filter = 1",
    "run/55-masks.conf": "net.ipv4.conf.lxc_[a-h]*.promote_secondaries = 0\nnet.ipv4.conf.default.forwarding = 1",
    "usr/lib/55-masks.conf": "net.ipv4.conf.default.forwarding = 0\nnet.ipv4.conf.all.log_martians = 1",
    "usr/lib/70-late.conf": "-net/ipv4/conf/eth0/accept_local\nnet/ipv4/conf/?th0/accept_local = 1\n",
}


class Namespace:
    """Network and folders of its own. `host.check_output` runs in it, as on a node."""

    def __init__(self, name: str, root: Path) -> None:
        self.name, self.root = name, root
        self.mounts = ""
        for place in ("etc", "run", "usr/lib"):
            (root / place).mkdir(parents=True)
            self.mounts += (
                f"mkdir -p /{place}/sysctl.d; mount --bind {shlex.quote(f'{root}/{place}')} /{place}/sysctl.d; "
            )
        self.mounts += "mkdir -p /run/udev; mount -t tmpfs none /run/udev; touch /run/udev/control; "
        for path, text in FILES.items():
            (root / path).write_text(text)

    def check_output(self, command: str, *_: Any) -> str:
        # /run is the namespace's own, so that what is made in it stays in it.
        script = f"set -e; mount -t tmpfs none /run; {self.mounts} {command}"
        return run(["ip", "netns", "exec", self.name, "sh", "-c", script]).stdout.rstrip("\n")


def different(settings: Sysctls) -> dict[str, tuple[str, str]]:
    """What lies outside net is this machine's own, and nobody set it."""
    return {path: values for path, values in settings.different.items() if path.startswith("/proc/sys/net/")}


@pytest.fixture
def namespace(tmp_path) -> Iterator[Namespace]:
    name = f"slipway-test-{os.getpid()}-sysctl"
    run(["ip", "netns", "add", name])
    try:
        for link in LINKS:
            run(["ip", "-n", name, "link", "add", link, "type", "bridge"])
        yield Namespace(name, tmp_path)
    finally:
        run(["ip", "netns", "delete", name])


def test_what_systemd_sets_is_what_is_expected(namespace):
    """Before systemd has set it, much differs; afterwards nothing does."""
    before = different(Sysctls(namespace))
    assert before["/proc/sys/net/ipv4/conf/cilium_host/promote_secondaries"] == ("1", "0")
    namespace.check_output(f"{PROGRAM} --prefix=/net")
    after = Sysctls(namespace)
    assert different(after) == {}
    assert after.actual["/proc/sys/net/ipv4/conf/lxc1/rp_filter"] == "0"
    assert after.actual["/proc/sys/net/ipv4/conf/eth0/rp_filter"] == "1"
    assert after.actual["/proc/sys/net/ipv4/conf/default/forwarding"] == "1"


def test_what_is_changed_afterwards_is_told(namespace):
    namespace.check_output(f"{PROGRAM} --prefix=/net")
    namespace.check_output("echo 1 >/proc/sys/net/ipv4/conf/lxc1/rp_filter")
    assert different(Sysctls(namespace)) == {"/proc/sys/net/ipv4/conf/lxc1/rp_filter": ("0", "1")}
