"""Reboots, with a fake systemctl behind a real sshd; the boot id is what a file says."""

from dataclasses import replace
from pathlib import Path

import pytest

from slipway.errors import Unreachable
from slipway.node import facts, reboot


@pytest.fixture
def boot(node, remote, sshd, monkeypatch):
    """What a boot does to the node is in `node.folder / "boot"`, a script; a new boot id comes with it."""
    monkeypatch.setattr(reboot, "KNOCK", 0.05)
    systemctl = sshd.folder / "bin" / "systemctl"
    systemctl.write_text(f'#!/bin/sh\n[ "$1" != reboot ] || . {node.folder}/boot\n')
    systemctl.chmod(0o755)
    (node.folder / "boot-id").write_text("first")
    read = facts.read
    monkeypatch.setattr(
        facts, "read", lambda *args: replace(read(*args), boot_id=(node.folder / "boot-id").read_text().strip())
    )
    yield lambda script: (node.folder / "boot").write_text(f"echo second >{node.folder}/boot-id\n{script}\n")
    systemctl.unlink()


def kernels(system: str, **parts: str) -> None:
    for name, target in parts.items():
        (Path(system) / name.replace("_", "-")).symlink_to(target)


def test_kernel_initrd_and_modules_are_compared_with_what_was_booted(node, remote):
    kernels(str(node.folder / "old"), kernel="/a", initrd="/b", kernel_modules="/c")
    new = node.system("new")
    kernels(new, kernel="/a", initrd="/other", kernel_modules="/c")
    assert reboot.parts(remote, new, node.places) == ("initrd",)
    assert reboot.parts(remote, str(node.folder / "old"), node.places) == ()
    assert reboot.parts(remote, node.system("third"), node.places) == ("kernel", "initrd", "kernel-modules")


def test_a_node_is_back_with_another_boot_and_its_new_system(node, remote, boot):
    new = node.system("new")
    boot(f"ln -sfn {new} {node.places.current}")
    now = reboot.reboot(remote, new, within=60, places=node.places)
    assert (now.boot_id, now.current) == ("second", new)


def test_a_node_that_boots_something_else_is_not_back(node, remote, boot):
    boot("true")
    with pytest.raises(reboot.NotBack, match=r"came back from its reboot with .*old, not /new"):
        reboot.reboot(remote, "/new", within=60, places=node.places)


def test_a_node_that_does_not_go_down_is_not_waited_for_without_end(node, remote, boot):
    boot(f"echo first >{node.folder}/boot-id")
    with pytest.raises(reboot.NotBack, match=r"after 0\.3 s: it did not go down"):
        reboot.reboot(remote, "/new", within=0.3, places=node.places)


def test_a_node_that_cannot_be_reached_says_so_in_the_end(node, remote, boot, monkeypatch):
    read, calls = facts.read, []

    def once(*args):
        calls.append(1)
        if len(calls) > 1:
            raise Unreachable("w1: no route to host")
        return read(*args)

    monkeypatch.setattr(facts, "read", once)
    boot("true")
    with pytest.raises(reboot.NotBack, match="no route to host"):
        reboot.reboot(remote, "/new", within=0.3, places=node.places)


def test_whoever_gives_up_is_not_kept_waiting(node, remote, boot):
    boot(f"echo first >{node.folder}/boot-id")
    with pytest.raises(reboot.NotBack):
        reboot.reboot(remote, "/new", within=600, given_up=lambda: True, places=node.places)
