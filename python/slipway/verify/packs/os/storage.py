"""What the machine has to use storage that others serve.

systemctl is-active iscsid.service multipathd.service; ls -d /sys/module/rbd
"""

from __future__ import annotations

import pytest

from slipway.inventory import Host
from slipway.verify.check import expect, listed
from slipway.verify.packs._reads import Answers

READ = """
for unit in iscsid multipathd; do [ "$(systemctl is-active $unit.service)" != active ] || echo "$unit.service"; done
command -v mount.nfs >/dev/null && echo mount.nfs
for name in iscsi_tcp rbd; do [ ! -d /sys/module/$name ] || echo "module $name"; done
[ -d "/run/booted-system/kernel-modules/lib/modules/$(uname -r)" ] || echo "kernel of another machine"
exit 0
"""
NEEDED = {
    "iscsi": ("iscsid.service", "module iscsi_tcp"),
    "nfs": ("mount.nfs",),
    "rbd": ("module rbd",),
    "multipath": ("multipathd.service",),
}
"""Key of `storage` to what has to be there for it."""


def test_of_others_can_be_used(answers: Answers, node: Host) -> None:
    """The machine can use the kinds of storage that the inventory names."""
    kinds = [kind for kind, wanted in node.storage.model_dump().items() if wanted]
    if not kinds:
        pytest.skip("the inventory names no storage of others for this node")
    there = answers["storage"].said().splitlines()
    needed = [thing for kind in kinds for thing in NEEDED[kind]]
    missing = [thing for thing in needed if thing not in there]
    if missing and "kernel of another machine" in there and all(thing.startswith("module ") for thing in missing):
        pytest.skip(f"the kernel belongs to the machine outside, and has no {listed(missing)}")
    expect(
        not missing,
        expected=f"for {listed(kinds)}: {listed(needed)}",
        found=f"without {listed(missing)}",
        fix=f"slipway deploy {node.name}; systemctl status UNIT, modprobe MODULE tell why it is not there",
        command="systemctl is-active iscsid.service multipathd.service; lsmod",
    )
