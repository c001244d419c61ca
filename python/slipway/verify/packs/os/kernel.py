"""Kernel modules and settings, as the deployed system configures them.

cat /etc/modules-load.d/*.conf; systemd-analyze cat-config sysctl.d
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

import pytest

from slipway.verify.backend import NodeHost
from slipway.verify.check import CannotRun, expect, listed
from slipway.verify.packs.os import _conf

BUILT_IN = {
    "overlay": "OVERLAY_FS", "br_netfilter": "BRIDGE_NETFILTER", "nf_conntrack": "NF_CONNTRACK", "vxlan": "VXLAN",
    "geneve": "GENEVE", "wireguard": "WIREGUARD", "xt_socket": "NETFILTER_XT_MATCH_SOCKET",
    "xt_TPROXY": "NETFILTER_XT_TARGET_TPROXY", "xt_CT": "NETFILTER_XT_TARGET_CT", "xt_mark": "NETFILTER_XT_MARK",
    "ip_set": "IP_SET", "ip_set_hash_ip": "IP_SET_HASH_IP", "xt_set": "NETFILTER_XT_SET", "sch_fq": "NET_SCH_FQ",
    "sch_ingress": "NET_SCH_INGRESS", "cls_bpf": "NET_CLS_BPF",
}  # fmt: skip
"""Module to its symbol in the kernel's own configuration (Kconfig), for kernels that have it built in."""


class KernelModules:
    """The modules that the system wants, and those that the kernel has, loaded or built in.

    >>> KernelModules(host).missing
    ['br_netfilter']

    `own` tells whether the kernel is the one of the booted system. In a container it is not, and nobody inside can
    give it a module.
    """

    HAVE = """
modules=/run/booted-system/kernel-modules/lib/modules/$(uname -r)
[ ! -d "$modules" ] || echo own-kernel
ls /sys/module
cat "$modules/modules.builtin" 2>/dev/null | sed 's,.*/,,; s,[.]ko.*,,'
zcat /proc/config.gz 2>/dev/null | sed -n 's/^\\(CONFIG_[A-Z0-9_]*\\)=y$/\\1/p'
exit 0
"""

    def __init__(self, host: NodeHost) -> None:
        self.wanted = _conf.lines(host, "modules-load.d")
        have = set(host.check_output(self.HAVE).replace("-", "_").split())
        self.own = "own_kernel" in have
        self.missing = [name for name in self.wanted if not {_plain(name), f"CONFIG_{BUILT_IN.get(name)}"} & have]


@dataclass(frozen=True)
class Setting:
    """What the files say of a key. No `value`: patterns leave it alone. `may_fail`: and that is all right."""

    value: str | None
    may_fail: bool


class Sysctls:
    """The settings that systemd-sysctl makes of the system's files, and those of the kernel.

    >>> Sysctls(host).different
    {'/proc/sys/net/ipv4/ip_forward': ('1', '0')}

    Left out is what this machine may not set itself, as in a container most of what lies outside net; and, where no
    udev is there to apply them to links that come later, patterns for links.
    """

    # Read at once: these files have an end after whatever was read first, and a shell may read letter by letter.
    READ = """
cd /proc/sys
if [ -e /run/udev/control ]; then echo udev; fi
set --
for file in {paths}; do [ ! -w "$file" ] || set -- "$@" "$file"; done
[ $# = 0 ] || grep -s -H -m 1 "" "$@" || true"""

    def __init__(self, host: NodeHost) -> None:
        self.wanted = settings(_conf.lines(host, "sysctl.d"))
        if not self.wanted:
            raise CannotRun("sysctl.d asks for no setting at all, yet every node needs some")
        paths = " ".join(map(_quoted, _widest(path for path, s in self.wanted.items() if s.value is not None)))
        said = host.check_output(self.READ.format(paths=paths)).splitlines()
        self.udev = "udev" in said
        lines = [line.split(":", 1) for line in said if ":" in line]
        self.actual = {f"/proc/sys/{path}": value for path, value in lines}
        if not self.actual:
            raise CannotRun("none of the settings of sysctl.d can be set on this machine")

    @property
    def different(self) -> dict[str, tuple[str, str]]:
        """Path below /proc/sys to (wanted, actual)."""
        pairs = {path: (self._wanted(path), " ".join(value.split())) for path, value in self.actual.items()}
        return {path: (wanted, is_) for path, (wanted, is_) in pairs.items() if wanted and not _agree(wanted, is_)}

    def _wanted(self, path: str) -> str | None:
        """None where nothing is asked for: the kernel may keep what it has."""
        setting = self.wanted.get(path)
        if setting is None and (self.udev or not _LINK.match(path)):
            setting = last_of_patterns(self.wanted, path)
        return None if setting is None or setting.may_fail else setting.value


_LINK = re.compile("/proc/sys/net/[^/]+/(conf|neigh)/")


def settings(lines: Iterable[str]) -> dict[str, Setting]:
    """Path below /proc/sys, or pattern of such paths, to what the lines say of it; the order is that of applying.

    As parse_file() and sysctl_normalize() of systemd do it: the last line about a key wins and moves to the end; `-`
    before an assignment lets it fail, and before a key alone keeps patterns away from it.
    """
    found: dict[str, Setting] = {}
    for line in lines:
        key, is_assignment, value = (part.strip() for part in line.partition("="))
        may_fail = key.startswith("-")
        if not is_assignment and not may_fail:
            continue
        path = _path(key.removeprefix("-"))
        setting = Setting(" ".join(value.split()) if is_assignment else None, may_fail)
        before = found.get(path)
        if before is not None and before.value == setting.value:
            found[path] = Setting(before.value, before.may_fail or may_fail)
        else:
            found.pop(path, None)
            found[path] = setting
    return found


def last_of_patterns(wanted: Mapping[str, Setting], path: str) -> Setting | None:
    """What patterns make of a path that no line names: all that fit are applied, one after the other."""
    fitting = [s for pattern, s in wanted.items() if s.value is not None and _fits(pattern, path)]
    return fitting[-1] if fitting else None


def _fits(pattern: str, path: str) -> bool:
    """glob(7): no wildcard goes beyond a folder."""
    parts, names = pattern.split("/"), path.split("/")
    return len(parts) == len(names) and all(map(fnmatchcase, names, parts))


def _agree(wanted: str, actual: str) -> bool:
    """A file of several numbers takes the first few and keeps the rest, such as kernel.printk."""
    first, words = wanted.split(), actual.split()
    return words == first or (all(word.lstrip("-").isdigit() for word in words) and words[: len(first)] == first)


def _plain(module: str) -> str:
    return module.replace("-", "_")


def _path(key: str) -> str:
    """The file of a setting. Its first separator decides: `net.ipv4.x` with dots, `net/ipv4/eth0.1/x` with slashes."""
    slashes = re.match(r"[^./]*/", key) is not None
    return "/proc/sys/" + (key if slashes else key.translate(str.maketrans("./", "/."))).strip("/")


def _widest(paths: Iterable[str]) -> list[str]:
    """Without those that others hold: the question stays short, for a link that takes short packets only."""
    every = list(paths)
    return [path for path in every if not any(_holds(other, path) for other in every)]


def _holds(pattern: str, path: str) -> bool:
    parts, names = pattern.split("/"), path.split("/")
    same = len(parts) == len(names) and all(part in ("*", name) for part, name in zip(parts, names, strict=True))
    return same and pattern != path


def _quoted(path: str) -> str:
    """From /proc/sys, for the shell, with its wildcards still at work."""
    parts = re.split(r"(\[[\w!^-]+\]|[*?])", path.removeprefix("/proc/sys/"))
    return "".join(part if i % 2 else shlex.quote(part) for i, part in enumerate(parts) if part)


def test_modules_are_there(host: NodeHost) -> None:
    """The kernel has every module that the system wants."""
    modules = KernelModules(host)
    if modules.missing and not modules.own:
        pytest.skip(f"the kernel belongs to the machine outside, and has no {listed(modules.missing)}")
    expect(
        not modules.missing,
        expected=f"loaded or built in: {listed(modules.wanted)}",
        found=f"missing: {listed(modules.missing)}",
        fix="modprobe it and read the error; a kernel of your own may lack it",
        command="systemctl status systemd-modules-load; lsmod",
    )


def test_settings_are_in_force(host: NodeHost) -> None:
    """The kernel has the settings that the system wants."""
    wrong = Sysctls(host).different
    expect(
        not wrong,
        expected=listed(f"{path} = {wanted}" for path, (wanted, _) in wrong.items()),
        found=listed(f"{path} = {actual}" for path, (_, actual) in wrong.items()),
        fix="systemctl restart systemd-sysctl; if it comes back, something else sets it: grep it in /etc",
        command="systemd-analyze cat-config sysctl.d",
    )
