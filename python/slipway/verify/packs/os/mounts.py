"""The disks that the machine mounts: now, and at its next boot.

cat /nix/var/nix/profiles/system/etc/fstab; ls -l /dev/disk/by-*; findmnt
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from slipway.inventory import Host
from slipway.verify.check import CannotRun, expect, listed
from slipway.verify.packs._reads import Answers

# A line each: device, place, file system, options as fstab says them, and the file system that is there, or `missing`.
FSTAB = r"""
fstab=/nix/var/nix/profiles/system/etc/fstab
[ -e "$fstab" ] || exit 3
while read -r device place kind options _; do
  case $device in
    LABEL=*) device=/dev/disk/by-label/${device#*=} ;;
    UUID=*) device=/dev/disk/by-uuid/${device#*=} ;;
    PARTLABEL=*) device=/dev/disk/by-partlabel/${device#*=} ;;
    PARTUUID=*) device=/dev/disk/by-partuuid/${device#*=} ;;
    /dev/*) ;;
    *) continue ;;
  esac
  found=missing
  [ ! -e "$device" ] || found=$(lsblk --nodeps --noheadings --output FSTYPE "$device" | head -n 1)
  echo "$device $place $kind $options ${found:-unknown}"
done <"$fstab"
exit 0
"""
MOUNTS = "cat /proc/self/mounts"


def test_next_boot_finds_its_disks(answers: Answers) -> None:
    """Every file system that the next boot mounts is on a device that is there, and of its kind."""
    # 3: a system without fstab, as a container has it.
    rows = [line.split() for line in answers["fstab"].said((0, 3)).splitlines()]
    if not rows:
        pytest.skip("the system mounts no disk by /etc/fstab")
    if any(len(row) != 5 for row in rows):
        raise CannotRun("a line of /etc/fstab cannot be read")
    wrong = [text for row in rows for text in _wrong(*row)]
    expect(
        not wrong,
        expected=listed(f"{place} {kind} on {device}" for device, place, kind, _, _ in rows),
        found=listed(wrong),
        fix="mend it before the next boot: disks in the inventory, e2label or sgdisk -c on the node, then deploy",
        command="cat /nix/var/nix/profiles/system/etc/fstab; lsblk -o NAME,PARTLABEL,LABEL,FSTYPE",
    )


def _wrong(device: str, place: str, kind: str, options: str, found: str) -> Iterator[str]:
    if found == "missing" and "nofail" not in options.split(","):
        yield f"{place}: no {device}"
    elif found not in ("missing", "unknown", kind) and kind not in ("auto", "none"):
        yield f"{place}: {device} is {found}, not {kind}"


def test_disks_are_mounted(answers: Answers, node: Host) -> None:
    """Every disk that the inventory formats is mounted where it says, with its file system."""
    if not node.disks:
        pytest.skip("the inventory formats no disk of this node")
    rows = [line.split() for line in answers["mounts"].said().splitlines()]
    found = {row[1]: row[2] for row in rows if len(row) > 2}
    wanted = {disk.mount_point: disk.filesystem for disk in node.disks.values()}
    wrong = [
        f"{place}: {found.get(place, 'not mounted')}" for place, kind in wanted.items() if found.get(place) != kind
    ]
    expect(
        not wrong,
        expected=listed(f"{place}: {kind}" for place, kind in wanted.items()),
        found=listed(wrong),
        fix="systemctl list-units --type=mount --failed; was the disk formatted at installation (slipway install)?",
        command="findmnt",
    )
