"""Kernel modules and settings, as the deployed system configures them.

cat /etc/modules-load.d/*.conf /etc/sysctl.d/*.conf
"""

from __future__ import annotations

import re
import shlex

import pytest

from slipway.verify.backend import NodeHost
from slipway.verify.check import CannotRun, expect, listed

BUILT_IN = {
    "overlay": "OVERLAY_FS", "br_netfilter": "BRIDGE_NETFILTER", "nf_conntrack": "NF_CONNTRACK",
    "ip_tables": "IP_NF_IPTABLES", "iptable_nat": "IP_NF_NAT", "iptable_mangle": "IP_NF_MANGLE",
    "iptable_raw": "IP_NF_RAW", "iptable_filter": "IP_NF_FILTER", "ip6table_nat": "IP6_NF_NAT",
    "ip6table_mangle": "IP6_NF_MANGLE", "ip6table_raw": "IP6_NF_RAW", "ip6table_filter": "IP6_NF_FILTER",
    "vxlan": "VXLAN", "xt_socket": "NETFILTER_XT_MATCH_SOCKET", "xt_TPROXY": "NETFILTER_XT_TARGET_TPROXY",
    "xt_CT": "NETFILTER_XT_TARGET_CT", "xt_mark": "NETFILTER_XT_MARK", "ip_set": "IP_SET",
    "ip_set_hash_ip": "IP_SET_HASH_IP", "xt_set": "NETFILTER_XT_SET", "sch_fq": "NET_SCH_FQ",
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
        wanted = host.check_output("cat /etc/modules-load.d/*.conf").splitlines()
        self.wanted = [line.strip() for line in wanted if line.strip() and line[0] not in "#;"]
        have = set(host.check_output(self.HAVE).replace("-", "_").split())
        self.own = "own_kernel" in have
        self.missing = [name for name in self.wanted if not {_plain(name), f"CONFIG_{BUILT_IN.get(name)}"} & have]


class Sysctls:
    """The settings that the system's files ask for, and those of the kernel.

    >>> Sysctls(host).different
    {'net.ipv4.ip_forward': ('1', '0')}

    Left out is what this machine may not set itself, as in a container most of what lies outside net.
    """

    READ = '[ ! -w "$file" ] || { read -r value <"$file"; printf "%s=%s\\n" "$file" "$value"; }'

    def __init__(self, host: NodeHost) -> None:
        self.wanted = _settings(host.check_output("cat /etc/sysctl.d/*.conf"))
        if not self.wanted:
            raise CannotRun("/etc/sysctl.d asks for no setting at all, yet every node needs some")
        paths = " ".join(_pattern(key) for key in self.wanted)
        script = f"for file in {paths}; do {self.READ}; done"
        lines = [line.split("=", 1) for line in host.check_output(script).splitlines() if "=" in line]
        self.actual = {path: " ".join(value.split()) for path, value in lines}
        if not self.actual:
            raise CannotRun("none of the settings of /etc/sysctl.d can be set on this machine")

    @property
    def different(self) -> dict[str, tuple[str, str]]:
        """Path below /proc/sys to (wanted, actual)."""
        return {
            path: (value, self.actual[path])
            for key, value in self.wanted.items()
            for path in self.actual
            if re.fullmatch(_pattern(key).replace("*", "[^/]*"), path) and self.actual[path] != value
        }


def _plain(module: str) -> str:
    return module.replace("-", "_")


def _settings(text: str) -> dict[str, str]:
    """sysctl.d(5): later lines win, `-` before a key means that a failure does not matter."""
    lines = [line.strip() for line in text.splitlines()]
    pairs = [line.split("=", 1) for line in lines if "=" in line and line[0] not in "#;-"]
    return {key.strip(): " ".join(value.split()) for key, value in pairs}


def _pattern(key: str) -> str:
    """The file of a setting. Its first separator decides: `net.ipv4.x` with dots, `net/ipv4/eth0.1/x` with slashes."""
    slashes = re.match(r"[^./]*/", key) is not None
    path = key if slashes else key.translate(str.maketrans("./", "/."))
    return "/proc/sys/" + "*".join(shlex.quote(part) for part in path.split("*") if part or "*" in path)


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
        command="cat /etc/sysctl.d/*.conf",
    )
