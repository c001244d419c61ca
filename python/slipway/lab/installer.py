"""A machine of the lab that plays NixOS's installer, for `slipway install`: with a disk to install on, and stand-ins.

What runs on it is Debian's userland and the lab's own; it is called the lab's installer and nothing else.
"""

from __future__ import annotations

from pathlib import Path

from slipway.lab import reach
from slipway.lab.settings import Machine
from slipway.result import CommandResult
from slipway.ssh.host import Host
from slipway.tools.run import run

INSTALL = Path(__file__).with_name("nixos-install.sh")
CALLS = "/var/log/slipway-lab/calls"
"""On the machine: what the stand-ins were asked for, a line each."""
CUT = "/run/slipway-lab/cut-install"
"""On the machine: while it is there, the next nixos-install is cut off."""
DISK_SIZE = 2 * 2**30
"""Bytes of the disk to install on; of the host's disk it takes what is written."""
RELEASE = """\
ID=slipway-lab
NAME="slipway lab"
VARIANT_ID=installer
PRETTY_NAME="slipway lab's installer"
"""
PREPARE = """set -eu
rm -f /etc/os-release
cat >/etc/os-release
mkdir -p /run/slipway-lab /dev/disk/by-id
rm -rf /var/log/slipway-lab /boot/installed
[ -b "$1" ] || mknod "$1" b "$2" "$3"
ln -sfn "$1" "$4"
"""


def device(machine: Machine) -> str:
    """The lasting name of the disk that it has to install on."""
    return f"/dev/disk/by-id/lab-{machine.machine_name}"


def play(machine: Machine) -> None:
    """Make an installer of a machine that is up, with an empty disk. Raises Unreachable or CommandFailed."""
    host = reach.remote(machine)
    try:
        host.put("/usr/local/sbin/nixos-install", INSTALL.read_bytes(), mode=0o755)
        _prepare(machine, host)
    finally:
        host.close()


def _prepare(machine: Machine, host: Host) -> CommandResult:
    block = _attached(machine)
    major, minor = run(["lsblk", "-dno", "MAJ:MIN", block]).stdout.strip().split(":")
    arguments = [block, major, minor, device(machine)]
    return host.run(["sh", "-c", PREPARE, "prepare the installer", *arguments], input=RELEASE.encode())


def _attached(machine: Machine) -> str:
    """The loop device of the machine's disk, on the host; its file is made where it is not there."""
    image = _image(machine)
    if not image.exists():
        with image.open("wb") as stream:
            stream.truncate(DISK_SIZE)
    known = _loops(machine)
    return known[0] if known else run(["losetup", "--find", "--show", image]).stdout.strip()


def _image(machine: Machine) -> Path:
    return machine.folder / "target.img"


def _loops(machine: Machine) -> list[str]:
    said = run(["losetup", "--noheadings", "--output", "NAME", "--associated", _image(machine)]).stdout
    return said.split()


def unplug(machine: Machine) -> None:
    """Give the host's loop devices back; nothing happens where there are none."""
    if _image(machine).exists():
        for loop in _loops(machine):
            run(["losetup", "--detach", loop])
