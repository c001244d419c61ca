"""The steps against a real sshd; disko, nixos-install and the reboot are fakes that write down what they got."""

from __future__ import annotations

import fcntl
import stat
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from slipway.errors import DeployFailed
from slipway.install import hostkey, record, steps
from slipway.node import facts
from slipway.node.facts import Facts
from slipway.result import CommandFailed

BOOT = "boot-1"
ALL = ["disko-format", "nixos-install", "sync", "umount", "swapoff", "zpool", "systemctl"]


@pytest.fixture
def comes_back(monkeypatch, work):
    """The node answers with its new system; `steps.arrive` is tried by itself below."""
    monkeypatch.setattr(steps, "arrive", lambda _work: None)


def test_an_installer_becomes_a_node(work, nothing_done, installer, comes_back, seen):
    steps.carry_out(work, nothing_done, BOOT)
    assert installer.words == ALL
    assert installer.calls[-1] == "systemctl reboot"
    install = next(call for call in installer.calls if call.startswith("nixos-install"))
    assert install == (
        f"nixos-install --root {work.mount_point} --system /nix/store/s-system --no-root-passwd --no-channel-copy"
    )
    user = work.pool.endpoints["w1"].user
    into_mnt = f"remote-store=local%3Froot%3D{work.mount_point.replace('/', '%2F')}"
    assert installer.copied[0] == (work.scripts.format, f"ssh-ng://{user}@w1")
    assert installer.copied[1] == (work.scripts.system, f"ssh-ng://{user}@w1?{into_mnt}")
    assert [event.phase for event in seen if event.state == "done"] == [
        "format", "host key", "copy", "install", "reboot"
    ]  # fmt: skip


def test_the_host_key_is_pinned_before_the_node_is_there_and_lies_on_its_disk(work, nothing_done, comes_back):
    steps.carry_out(work, nothing_done, BOOT)
    private = Path(work.mount_point + hostkey.PLACE)
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    derived = subprocess.run(["ssh-keygen", "-y", "-f", private], capture_output=True, text=True, check=True).stdout
    (pinned,) = work.nodes_keys.of(work.born.address, work.born.port)
    assert derived.split()[:2] == [pinned.type, pinned.blob]
    assert Path(f"{private}.pub").read_text().split()[:2] == [pinned.type, pinned.blob]
    assert pinned.blob in (work.root / "known_hosts").read_text()


def test_the_private_key_is_in_no_file_here_and_in_no_event(work, nothing_done, comes_back, seen, tmp_path):
    steps.carry_out(work, nothing_done, BOOT)
    private = Path(work.mount_point + hostkey.PLACE).read_text().splitlines()[1]
    here = [path for path in tmp_path.rglob("*") if path.is_file() and not path.is_relative_to(work.mount_point)]
    assert here
    assert not [path for path in here if private.encode() in path.read_bytes()]
    assert private not in str(seen)


def test_a_step_that_fails_is_told_by_its_own_name(work, nothing_done, installer):
    installer.fails("nixos-install")
    with pytest.raises(
        CommandFailed, match=f"w1: nixos-install --root {work.mount_point} --system /nix/store/s-system"
    ):
        steps.carry_out(work, nothing_done, BOOT)


@pytest.mark.parametrize("killed_in", ["disko-format", "nixos-install"])
def test_what_was_cut_off_goes_on_where_it_was(work, nothing_done, installer, comes_back, killed_in):
    marker = installer.fails(killed_in)
    with pytest.raises(CommandFailed):
        steps.carry_out(work, nothing_done, BOOT)
    marker.unlink()
    pinned = work.nodes_keys.of(work.born.address, work.born.port)
    installer.forget()
    steps.carry_out(work, record.load(work.root, "w1"), BOOT)
    assert ("disko-format" in installer.words) is (killed_in == "disko-format"), "disks are formatted once"
    assert installer.words.count("nixos-install") == 1
    if killed_in == "nixos-install":
        assert work.nodes_keys.of(work.born.address, work.born.port) == pinned, "the key that lies there stays"


def test_an_installer_that_was_restarted_mounts_its_disks_and_installs_again(work, nothing_done, installer, comes_back):
    steps.carry_out(work, nothing_done, BOOT)
    (installer.folder / "mounted").unlink()
    installer.forget()
    steps.carry_out(work, record.load(work.root, "w1"), "boot-2")
    assert installer.words == ["disko-mount", *ALL[1:]]


def test_nothing_is_done_twice_in_one_boot(work, nothing_done, installer, comes_back):
    steps.carry_out(work, nothing_done, BOOT)
    installer.forget()
    steps.carry_out(work, record.load(work.root, "w1"), BOOT)
    assert installer.words == ALL[2:]


def test_disks_of_another_layout_are_formatted_anew(work, nothing_done, installer, comes_back):
    steps.carry_out(work, nothing_done, BOOT)
    installer.forget()
    other = replace(work, devices=("/dev/disk/by-id/c",))
    steps.carry_out(other, record.load(work.root, "w1"), BOOT)
    assert installer.words == ALL


def test_a_script_that_mounts_nothing_is_no_success(work, nothing_done, installer):
    (installer.folder / "disko-format").write_text("#!/bin/sh\n")
    with pytest.raises(DeployFailed, match=r"nothing is mounted at .*mnt"):
        steps.carry_out(work, nothing_done, BOOT)
    assert record.load(work.root, "w1").format == ""


def test_a_second_run_waits_for_what_a_killed_one_left_behind(
    work, nothing_done, installer, comes_back, monkeypatch, tmp_path
):
    """Both would format the same disk at the same time."""
    monkeypatch.setattr(steps, "LOCKED", steps.LOCKED.replace(steps.LOCK, str(tmp_path / "lock")))
    monkeypatch.setattr(steps, "FORMAT", 1)
    with (tmp_path / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(CommandFailed):
            steps.carry_out(work, nothing_done, BOOT)
        assert "disko-format" not in installer.words
    steps.carry_out(work, nothing_done, BOOT)
    assert installer.words == ALL


def node_with(system: str) -> Facts:
    return Facts("w1", "b", system, system, system, False, True, True, 5000)


def test_the_node_has_arrived_when_it_answers_with_the_pinned_key_and_its_system(work, sshd, monkeypatch):
    here = replace(work, born=replace(work.born, port=sshd.port), nodes_keys=sshd.known_hosts)
    monkeypatch.setattr(facts, "read", lambda host: host.run(["true"]) and node_with(work.scripts.system))
    steps.arrive(here)


@pytest.mark.parametrize(
    ("port", "keys", "system", "said"),
    [
        (1, True, "", "connection refused"),
        (0, False, "", "no host key is pinned"),
        (0, True, "/nix/store/o-other", "it runs /nix/store/o-other"),
    ],
)
def test_control_a_node_that_is_not_there_has_not_arrived(work, sshd, monkeypatch, port, keys, system, said):
    pinned = sshd.known_hosts if keys else work.nodes_keys
    here = replace(work, born=replace(work.born, port=port or sshd.port), nodes_keys=pinned)
    monkeypatch.setattr(steps, "KNOCK", 0.3)
    monkeypatch.setattr(facts, "read", lambda host: host.run(["true"]) and node_with(system))
    with pytest.raises(DeployFailed, match=said) as caught:
        steps.arrive(here)
    assert "slipway install w1 goes on" in str(caught.value.hint)
