"""Kernel settings: what systemd-sysctl makes of files (sysctl.d(5), its source). tests/lab holds it against systemd."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from slipway.verify.check import CannotRun
from slipway.verify.packs.os import _conf, kernel
from slipway.verify.packs.os.kernel import KernelModules, Sysctls

DEFAULTS = """net.ipv4.conf.default.rp_filter = 2
net.ipv4.conf.*.rp_filter = 2
-net.ipv4.conf.all.rp_filter
"""
"""The part of systemd's 50-default.conf that every NixOS has."""


class FakeHost:
    """Runs commands here, in folders that stand for /etc, /proc and so on."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.asked: list[str] = []
        for name in ("run/udev/control", "proc/sys/kernel/one"):
            self.write(name, "1\n")

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def sys(self, **values: str) -> None:
        """The kernel's settings: `__` for each folder."""
        for name, value in values.items():
            self.write("proc/sys/" + name.replace("__", "/"), value + "\n")

    def check_output(self, command: str) -> Any:
        self.asked.append(command)
        command = re.sub(r"(?<= )/(?=(proc/sys|run|usr|lib|etc)\b)", f"{self.root}/", command)
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
        return done.stdout.replace(str(self.root), "").rstrip("\n")


@pytest.fixture
def host(tmp_path):
    return FakeHost(tmp_path)


def wrong(host: FakeHost) -> dict[str, tuple[str, str]]:
    return {path.removeprefix("/proc/sys/"): values for path, values in Sysctls(host).different.items()}  # type: ignore[arg-type]


def test_what_is_in_force_is_not_told(host):
    host.write("etc/sysctl.d/60-nixos.conf", "kernel.one = 1\n")
    assert wrong(host) == {}


def test_what_is_not_in_force_is_told_with_both_values(host):
    host.write("etc/sysctl.d/60-nixos.conf", "kernel.one = 2\n")
    assert wrong(host) == {"kernel/one": ("2", "1")}


def test_patterns_leave_alone_what_is_excluded(host):
    host.sys(net__ipv4__conf__all__rp_filter="0", net__ipv4__conf__eth0__rp_filter="1")
    host.write("etc/sysctl.d/50-default.conf", DEFAULTS)
    assert wrong(host) == {"net/ipv4/conf/eth0/rp_filter": ("2", "1")}


def test_an_assignment_wins_over_patterns_before_and_after_it(host):
    host.sys(net__ipv4__conf__all__rp_filter="0", net__ipv4__conf__eth0__rp_filter="0")
    host.write("etc/sysctl.d/50-default.conf", DEFAULTS)
    host.write("etc/sysctl.d/40-ours.conf", "net.ipv4.conf.eth0.rp_filter = 0\n")
    assert wrong(host) == {}


def test_an_assignment_ends_an_exclusion(host):
    host.sys(net__ipv4__conf__all__rp_filter="1")
    host.write("etc/sysctl.d/50-default.conf", DEFAULTS)
    host.write("etc/sysctl.d/60-nixos.conf", "net.ipv4.conf.all.rp_filter = 0\n")
    assert wrong(host) == {"net/ipv4/conf/all/rp_filter": ("0", "1")}


def test_the_last_pattern_that_fits_wins(host):
    host.sys(net__ipv4__conf__lxc1__rp_filter="0")
    host.write("etc/sysctl.d/60-nixos.conf", "net.ipv4.conf.lxc*.rp_filter = 0\n")
    host.write("etc/sysctl.d/50-default.conf", DEFAULTS)
    assert wrong(host) == {}
    host.write("etc/sysctl.d/70-late.conf", "net.ipv4.conf.lx?[0-9].rp_filter = 1\n")
    assert wrong(host) == {"net/ipv4/conf/lxc1/rp_filter": ("1", "0")}


def test_files_come_by_name_from_whatever_place_and_mask_each_other(host):
    host.write("run/sysctl.d/10-same.conf", "kernel.one = 5\n")
    host.write("usr/lib/sysctl.d/10-same.conf", "kernel.one = 6\n")
    host.write("etc/sysctl.d/05-first.conf", "kernel.one = 7\n")
    assert wrong(host) == {"kernel/one": ("5", "1")}
    host.write("etc/sysctl.d/10-same.conf", "")
    assert wrong(host) == {"kernel/one": ("7", "1")}
    host.write("usr/lib/sysctl.d/90-last.conf", "kernel.one = 1\n")
    assert wrong(host) == {}


def test_a_link_to_nowhere_masks(host):
    host.write("usr/lib/sysctl.d/90-late.conf", "kernel.one = 6\n")
    host.write("etc/sysctl.d/60-nixos.conf", "kernel.one = 1\n")
    (host.root / "etc/sysctl.d/90-late.conf").symlink_to("/dev/null")
    assert wrong(host) == {}


def test_what_is_no_conf_file_is_not_read(host):
    host.write("etc/sysctl.d/60-nixos.conf", "kernel.one = 1")
    host.write("etc/sysctl.d/70-old.conf.bak", "kernel.one = 2")
    assert wrong(host) == {}


def test_what_may_fail_is_not_told_yet_counts_as_named(host):
    host.sys(net__ipv4__conf__eth0__rp_filter="0")
    host.write("etc/sysctl.d/50.conf", f"{DEFAULTS}-net.ipv4.conf.eth0.rp_filter = 1\n")
    assert wrong(host) == {}


@pytest.mark.parametrize(
    "key", ["net.ipv4.conf.eth0/1.rp_filter", "net/ipv4/conf/eth0.1/rp_filter", "/net/ipv4/conf/eth0.1/rp_filter"]
)
def test_the_first_separator_decides(host, key):
    host.write("proc/sys/net/ipv4/conf/eth0.1/rp_filter", "1\n")
    host.write("etc/sysctl.d/60-nixos.conf", f"{key} = 0\n")
    assert wrong(host) == {"net/ipv4/conf/eth0.1/rp_filter": ("0", "1")}


def test_of_several_numbers_the_first_may_be_meant(host):
    """NixOS sets kernel.printk to one number; the kernel has four."""
    host.sys(kernel__printk="4\t4\t1\t7", kernel__words="a b")
    host.write("etc/sysctl.d/60-nixos.conf", "kernel.printk = 4\nkernel.words = a\n")
    assert wrong(host) == {"kernel/words": ("a", "a b")}


def test_without_udev_nobody_applies_patterns_to_links_that_come_later(host):
    host.sys(net__ipv4__conf__veth1__rp_filter="0", net__core__x="0")
    host.write("etc/sysctl.d/50-default.conf", f"{DEFAULTS}net.core.* = 1\n")
    (host.root / "run/udev/control").unlink()
    assert wrong(host) == {"net/core/x": ("1", "0")}


def test_a_node_that_asks_for_nothing_is_no_node_of_ours(host):
    with pytest.raises(CannotRun, match="no setting at all"):
        Sysctls(host)


def test_a_key_is_data_to_the_shell(host):
    host.write("etc/sysctl.d/60-nixos.conf", "kernel.one = 1\nkernel.$(touch ${0}x)'; false = 1\n")
    assert wrong(host) == {}


def test_modules_come_from_all_places_as_well(host):
    host.write("etc/modules-load.d/nixos.conf", "br_netfilter\n# no\n; no\n\n")
    host.write("usr/lib/modules-load.d/more.conf", "no_such_module_of_any_kernel\n")
    assert KernelModules(host).wanted == ["no_such_module_of_any_kernel", "br_netfilter"]
    assert "no_such_module_of_any_kernel" in KernelModules(host).missing


def test_the_order_is_that_of_applying():
    assert list(kernel.settings(["a=1", "b=1", "a=2", "no assignment", "-c"])) == [
        "/proc/sys/b", "/proc/sys/a", "/proc/sys/c",
    ]  # fmt: skip


def test_lines_are_without_comments(host):
    host.write("etc/sysctl.d/a.conf", "# one\n ; two\n  three = 3  \n\nfour=4")
    host.write("etc/sysctl.d/b.conf", "five=5")
    assert _conf.lines(host, "sysctl.d") == ["three = 3", "four=4", "five=5"]


def test_the_question_names_nothing_twice(host):
    """It fits into a short packet."""
    host.sys(net__ipv4__conf__eth0__rp_filter="0", net__ipv4__conf__lxc1__rp_filter="0")
    host.write("etc/sysctl.d/a.conf", f"{DEFAULTS}net.ipv4.conf.lxc*.rp_filter = 0\nnet.ipv4.conf.eth0.rp_filter = 0\n")
    assert wrong(host) == {}
    assert "for file in net/ipv4/conf/*/rp_filter; do" in host.asked[-1]
