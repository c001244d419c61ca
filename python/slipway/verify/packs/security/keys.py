"""Private keys on the machine.

find /var/lib/k0s /etc/ssh -name '*key' -perm /007
"""

from __future__ import annotations

from slipway.verify.backend import NodeHost
from slipway.verify.check import CannotRun, expect, listed

# A first line for each key that is there, so that none at all is not taken for well kept; then those that are open.
READ = r"""
find /etc/ssh /var/lib/k0s/pki /var/lib/k0s/kubelet/pki /etc/k0s -xdev -type f \
  \( -name '*.key' -o -name 'ssh_host_*_key' -o -name '*.pem' -o -name '*.conf' -path '/var/lib/k0s/*' \) \
  -printf '%m %p\n' 2>/dev/null
find /var/lib/k0s -xdev -maxdepth 1 -type f -name '*.conf' -printf '%m %p\n' 2>/dev/null
exit 0
"""
OTHERS = 0o007
WITHOUT_KEYS = ("/var/lib/k0s/konnectivity.conf",)
"""kube-apiserver's way to konnectivity-server, which k0s lets everybody read: a path of a socket and no key."""


def test_are_kept_from_others(host: NodeHost) -> None:
    """No private key and no kubeconfig can be read or written by others."""
    rows = [line.split(" ", 1) for line in host.check_output(READ).splitlines()]
    if not rows:
        raise CannotRun("no key was found, not even sshd's")
    wide = [f"{mode} {path}" for mode, path in rows if int(mode, 8) & OTHERS and path not in WITHOUT_KEYS]
    expect(
        not wide,
        expected="no access for others",
        found=listed(wide),
        fix="chmod o-rwx on it, and take the key for known: make a new one",
        command="find /var/lib/k0s /etc/ssh -name '*key' -perm /007",
    )
