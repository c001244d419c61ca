"""The basement walk: a machine that plays the installer becomes a node, and the node a cluster.

disko and nixos-install are the lab's stand-ins; SSH, Nix's copies, the disk, its file system and the reboot are real.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from tests.lab.harness import Home, Repository

from slipway.lab import installer, reach
from slipway.lab.settings import Machine
from slipway.ssh.keys import KnownHosts
from slipway.ssh.pool import Pool
from slipway.verify.result import Verdict
from slipway.wait import wait_until

pytestmark = pytest.mark.lab

FINGERPRINT = "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub"


@pytest.fixture(scope="module")
def repository(
    made: None, machine: Machine, home: Home, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Repository]:
    """An inventory of one machine with one disk, generated. Nothing is pinned yet."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLIPWAY_LAB", str(machine.lab.number))
        repository = Repository(tmp_path_factory.mktemp("basement") / "repository", home)
        repository.slipway("lab", "init", ".").ended(0)
        _describe_the_disk(repository.root / "inventory.yaml", machine)
        (repository.root / "known_hosts").unlink()
        for words in (("check",), ("generate",)):
            repository.slipway(*words).ended(0)
        yield repository


def _describe_the_disk(file: Path, machine: Machine) -> None:
    yaml = YAML()
    document = yaml.load(file)
    host = document["hosts"][machine.name]
    host["role"] = "single"
    host["disks"] = {"system": {"device": installer.device(machine)}}
    yaml.dump(document, file)


@pytest.fixture(scope="module")
def fingerprint(machine: Machine) -> str:
    """What a person reads at the installer's console."""
    return on(machine, FINGERPRINT).split()[1]


@pytest.fixture(scope="module")
def plays(machine: Machine) -> Machine:
    installer.play(machine)
    return machine


def on(machine: Machine, script: str) -> str:
    host = reach.remote(machine)
    try:
        return host.run(["sh", "-ec", script]).stdout
    finally:
        host.close()


def calls(machine: Machine) -> list[str]:
    return [line.split()[0] for line in on(machine, f"cat {installer.CALLS} 2>/dev/null || true").splitlines()]


def test_a_disk_with_data_of_a_cluster_is_refused(repository, plays, fingerprint):
    disk = installer.device(plays)
    on(plays, f"mkfs.ext4 -qF -L old {disk}; mount {disk} /mnt; mkdir -p /mnt/var/lib/k0s/pki; umount /mnt")
    ran = repository.slipway("install", plays.name, "--yes", "--fingerprint", fingerprint).ended(3)
    assert "holds /var/lib/k0s/pki, what a member of a cluster keeps: nothing is wiped" in ran.err
    assert calls(plays) == []
    assert on(plays, f"blkid -o value -s LABEL {disk}").strip() == "old"


def test_control_and_a_way_out_that_works_as_typed(repository, plays, fingerprint):
    """The hint of the refusal, typed at the installer."""
    ran = repository.slipway("install", plays.name, "--yes").ended(3)
    hint = ran.err.partition("erase it by hand: ")[2].strip()
    assert hint.startswith("wipefs --all /dev/")
    on(plays, hint)


def test_a_disk_in_use_is_refused(repository, plays):
    disk = installer.device(plays)
    on(plays, f"mkfs.ext4 -qF -L stick {disk}; mount {disk} /srv")
    ran = repository.slipway("install", plays.name, "--yes").ended(3)
    assert "is in use there, mounted at /srv" in ran.err
    on(plays, "umount /srv")


def test_an_installation_is_killed_when_its_disk_is_formatted(repository, plays, tmp_path):
    """By SIGKILL: nothing of slipway's is left to tidy up."""
    record = repository.root / ".slipway" / "install" / f"{plays.name}.json"
    argv = [sys.executable, "-m", "slipway.cli", "install", plays.name, "--yes"]
    with (tmp_path / "said").open("w") as said:
        process = subprocess.Popen(argv, cwd=repository.root, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        wait_until(lambda: (record.exists() or None, ""), deadline=120, describe="formatted", interval=0.05)
        process.kill()
        process.wait(10)
    assert "label stick" in (tmp_path / "said").read_text(), "what is wiped is shown"
    assert calls(plays) == ["disko"]


def test_an_installation_that_is_cut_off_goes_on_and_ends_as_a_node(repository, plays):
    """It asks nothing any more: what was agreed to is done."""
    on(plays, f"touch {installer.CUT}")
    ran = repository.slipway("install", plays.name).ended(1)
    assert "cut off, as asked" in ran.err
    assert "it goes on from there" in ran.err
    assert calls(plays) == ["disko", "nixos-install"]
    before = on(plays, "cat /proc/sys/kernel/random/boot_id")

    ran = repository.slipway("install", plays.name, "--json").ended(0)
    assert ran.json["node"] == plays.name
    inventory = repository.inventory()
    with Pool.of(inventory) as pool:
        node = pool.host(plays.name)
        said = node.run(["cut", "-d", " ", "-f", "1", installer.CALLS]).stdout.split()
        assert said == ["disko", "nixos-install", "nixos-install"], "formatted once"
        assert node.run(["cat", "/proc/sys/kernel/random/boot_id"]).stdout != before
        assert node.run(["readlink", "-f", "/run/current-system"]).stdout.strip().endswith(f"-{plays.name}")
        shown = node.run(["sh", "-c", FINGERPRINT]).stdout.split()[1]
    (pinned,) = KnownHosts.load(repository.root / "known_hosts").of(plays.address, 22)
    assert ran.json["hostKeys"] == [pinned.fingerprint] == [shown]
    assert not list((repository.root / ".slipway" / "install").iterdir()), "nothing is left to go on with"


def test_the_node_becomes_a_cluster(repository, plays):
    repository.slipway("deploy").ended(0)
    assert plays.name in repository.slipway("status").out


def test_what_it_verifies_is_green_but_for_the_disk_that_a_container_does_not_start_from(repository, plays):
    """Its root stays the lab's own, and real machines are held to what these three ask."""
    said = repository.slipway("verify", "--json").ended(8).json
    (node,) = said["nodes"]
    checks = [check for pack in node["packs"].values() for check in pack["checks"]]
    red = {check["id"] for check in checks if Verdict(check["verdict"]).red}
    assert red == {"hardware.disks.are_there", "os.disk.boot_has_room", "os.mounts.disks_are_mounted"}
    assert plays.name in repository.slipway("handoff").ended(9).err
