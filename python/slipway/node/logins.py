"""The passwords of registry mirrors on a machine: in a file of root's that no store and no argument ever has.

nixos/modules/registries.sh puts them into what containerd reads (hosts.toml, `header`, of containerd 1.7 and 2 alike:
docs/hosts.md), when the machine starts and when they change; containerd reads that at every pull, so nothing restarts.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass

from slipway.secret import Secret
from slipway.ssh.host import Host

LOGINS = "/var/lib/slipway/registry-logins"
"""Kept over a boot: a machine must pull images without anybody who deploys."""
COMPOSED = "/run/slipway/registries"
UNIT = "slipway-registries.service"

PLACE = """umask 077
mkdir -p "${1%/*}"
temporary=$1.slipway-$$
trap 'rm -f "$temporary"' EXIT
cat >"$temporary" || exit
if [ -s "$1" ] && [ "$(sha256sum <"$temporary")" = "$(sha256sum <"$1")" ]; then exit; fi
mv -f "$temporary" "$1" || exit
echo changed
# One that the coming system brings is started with it.
if systemctl cat "$2" >/dev/null 2>&1; then systemctl restart "$2"; fi
"""
LACKS = """[ -s "$1" ] && [ "$(sha256sum)" = "$(sha256sum <"$1")" ]"""
REMOVE = """rm -f "$1"; rm -rf "$2"; echo changed"""


@dataclass(frozen=True)
class Login:
    """What a mirror wants to hear of its user."""

    username: Secret
    password: Secret

    @property
    def header(self) -> bytes:
        """The value of `Authorization`, of the scheme Basic (RFC 7617)."""
        pair = self.username.reveal() + b":" + self.password.reveal()
        return b"Basic " + base64.b64encode(pair)


def content(logins: Mapping[str, Login]) -> Secret:
    """The file: a line for each mirror, by its host or host:port."""
    lines = (host.encode() + b" " + login.header + b"\n" for host, login in sorted(logins.items()))
    return Secret(b"".join(lines))


def place(machine: Host, logins: Mapping[str, Login]) -> bool:
    """Give a machine the passwords and have containerd's files made of them; tell whether any of them is new there."""
    argv = ["sh", "-c", PLACE, "place passwords of mirrors", LOGINS, UNIT]
    return machine.run(argv, input=content(logins)).stdout.strip() == "changed"


def lacks(machine: Host, logins: Mapping[str, Login]) -> bool:
    """Whether a machine has other passwords, or none. Nothing is changed there."""
    argv = ["sh", "-c", LACKS, "compare passwords of mirrors", LOGINS]
    return not machine.run(argv, input=content(logins), expect=(0, 1)).ok


def remove(machine: Host) -> None:
    """Take away what no mirror asks for any more."""
    machine.run(["sh", "-c", REMOVE, "remove passwords of mirrors", LOGINS, COMPOSED])
