"""What the machine runs now, and what it would run after a power cut.

readlink -e /run/current-system /nix/var/nix/profiles/system
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from slipway.generate.nixos import made_of
from slipway.inventory import Host, Inventory
from slipway.verify.asked import Facts
from slipway.verify.backend import NodeHost
from slipway.verify.check import expect, listed
from slipway.verify.packs._reads import Answers

LINKS = "readlink -e /run/current-system /nix/var/nix/profiles/system"


class BootDefault:
    """The toplevel that the boot loader starts by default.

    >>> BootDefault(host).toplevel
    '/nix/store/...-nixos-system-w1-26.05'

    Known are systemd-boot, GRUB and extlinux as NixOS installs them, and a plain link /boot/default.
    """

    ASK = """
for esp in /boot /efi /boot/efi; do
  entry=$(sed -n 's/^default *//p' "$esp/loader/loader.conf" 2>/dev/null | tail -n 1)
  [ -z "$entry" ] || { cat "$esp/loader/entries/$entry"; exit 0; }
done
for menu in /boot/grub/grub.cfg /boot/extlinux/extlinux.conf; do
  [ ! -e "$menu" ] || { cat "$menu"; exit 0; }
done
[ ! -L /boot/default ] || { echo "init=$(readlink -e /boot/default)/init"; exit 0; }
exit 3
"""

    def __init__(self, host: NodeHost) -> None:
        # 3: a boot loader that is none of these.
        answer = host.run_expect([0, 3], self.ASK)
        found = re.search(r"init=(/nix/store/[^/\s]+)/init", answer.stdout)
        self.known = answer.rc == 0
        self.toplevel = found[1] if found else ""


def test_runs_what_was_deployed(facts: Facts, node: Host) -> None:
    """The running system is the one of the system profile."""
    expect(
        bool(facts.system) and facts.system == facts.profile,
        expected=f"/run/current-system = {facts.profile or 'a system profile, set by a deploy'}",
        found=facts.system or "no running system of NixOS",
        fix=f"slipway deploy {node.name}: a deploy broke off, or somebody switched by hand",
        command=LINKS,
    )


def test_boots_what_it_runs(host: NodeHost, facts: Facts, node: Host) -> None:
    """The boot default is the running system."""
    default = BootDefault(host)
    if not default.known:
        pytest.skip("the boot loader is none that this check can read")
    expect(
        default.toplevel == facts.system,
        expected=f"boot default {facts.system}",
        found=default.toplevel or "a boot entry without a toplevel of Nix",
        fix=f"slipway deploy {node.name}; or on the node: /run/current-system/bin/switch-to-configuration boot",
        command="cat /boot/loader/loader.conf /boot/loader/entries/*",
    )


def test_is_what_the_inventory_wants(answers: Answers, node: Host, inventory: Inventory) -> None:
    """The running system was made from the inventory as it is now."""
    # 1: made before systems carried what they are made of.
    words = (line.split() for line in answers["made of"].said((0, 1)).splitlines())
    found = {line[0]: line[1] for line in words if len(line) == 2}
    wanted = made_of(inventory, node)
    about = {"cluster": "the cluster", "host": node.name}
    other = [about[name] for name, digest in wanted.items() if found.get(name) != digest]
    expect(
        not other,
        expected="a system made from the inventory as it is now",
        found=f"made from one that says something else of {listed(other)}" if found else "it does not say from which",
        fix=f"slipway plan {node.name} shows the difference; slipway generate; slipway deploy {node.name}",
        command="cat /etc/slipway/inventory",
    )


def test_has_its_name(facts: Facts, node: Host) -> None:
    """The host name is the one in the inventory."""
    expect(
        facts.hostname == node.name,
        expected=node.name,
        found=facts.hostname,
        fix="is its address in the inventory another machine's? Then correct it; else deploy and reboot",
        command="cat /proc/sys/kernel/hostname",
    )


def test_machine_id_is_its_own(facts: Facts, others: Mapping[str, Facts]) -> None:
    """The machine id is valid and no other node's."""
    twins = [name for name, other in others.items() if other.machine_id == facts.machine_id]
    valid = re.fullmatch("[0-9a-f]{32}", facts.machine_id) is not None
    expect(
        valid and not twins,
        expected="32 hexadecimal digits that no other node has",
        found=f"{facts.machine_id or 'none'}{', also on ' + listed(twins) if twins else ''}",
        fix="rm /etc/machine-id; systemd-machine-id-setup; reboot (was the disk cloned?)",
        command="cat /etc/machine-id",
    )
