"""What `slipway install` asks, refuses and prints. Nix and the steps on the machine are fakes; sshd is real."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from slipway.cli import install as command
from slipway.cli.main import build
from slipway.errors import InvalidInput, PrerequisiteMissing, SlipwayError, Unreachable, UsageError
from slipway.install import anywhere, disks, machine, record, steps
from slipway.install.disks import HoldsACluster
from slipway.install.record import Record
from slipway.rollout.phases import Preparation
from slipway.ssh.keys import HostKeyRefused, KnownHosts
from slipway.ssh.known_hosts import fingerprint_of
from slipway.ssh.pool import Pool
from slipway.tools import nix

INVENTORY = """
apiVersion: slipway/v1
cluster:
  name: test
  k0s: {version: 1.36.3+k0s.2}
defaults:
  ssh:
    authorizedKeys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBBMF0e4Tlc2bbCEyA5LWyFv5fB6qQTfJ8cAHrtK5Yqm test]
    identity: IDENTITY
  network: {interface: eth0, prefixLength: 24}
deploy: {timeouts: {connect: 5s}}
hosts:
  cp1: {address: 198.51.100.11, role: controller}
  w1: {address: 198.51.100.21, role: worker}
"""
NVME = "/dev/disk/by-id/nvme-A_1"
USED = f"""\
disk\t{NVME}\t/dev/nvme0n1\t1000204886016\tSamsung SSD 980
part\t{NVME}\t/dev/nvme0n1p1\t1000204886016\text4\told system\t
"""


class Fakes:
    """What the fakes were asked for, and what they say."""

    def __init__(self) -> None:
        self.carried_out: list[tuple[steps.Installation, Record, str]] = []
        self.kexecs: list[str] = []
        self.devices = [NVME]
        self.disks = USED
        self.is_installer = True


@pytest.fixture
def fakes(monkeypatch, sshd):
    fakes = Fakes()

    def look(host):
        found = real_look(host)
        hardware = replace(found.hardware, platform="x86_64", is_installer=fakes.is_installer, virtualization="lxc")
        return replace(found, hardware=hardware, missing=() if fakes.is_installer else ("nixos-install",))

    def kexec(endpoint, *_rest):
        fakes.kexecs.append(endpoint.name)
        fakes.is_installer = True

    real_look = machine.look
    monkeypatch.setattr(machine, "look", look)
    monkeypatch.setattr(disks, "look", lambda _host, _devices: disks.parse(fakes.disks))
    monkeypatch.setattr(nix, "value", lambda *_, **__: fakes.devices)
    monkeypatch.setattr(nix, "output", lambda _root, host, name, **_: f"/nix/store/{host}-{name}")
    monkeypatch.setattr(Preparation, "require_generated", lambda _self: None)
    monkeypatch.setattr(Preparation, "build", lambda _self: {"w1": "/nix/store/w1-system"})
    monkeypatch.setattr(steps, "carry_out", lambda *words: fakes.carried_out.append(words))
    monkeypatch.setattr(anywhere, "require", lambda: None)
    monkeypatch.setattr(anywhere, "kexec", kexec)
    return fakes


@pytest.fixture
def repository(tmp_path, sshd):
    (tmp_path / "inventory.yaml").write_text(INVENTORY.replace("IDENTITY", str(sshd.endpoint.identity)))
    return tmp_path


@pytest.fixture
def slipway(repository, fakes, sshd):
    """`slipway(words..., input=...)`: standard output and error, and the SlipwayError that it ended with."""

    def slipway(*words: str, input: str | None = None):
        at = f"{sshd.endpoint.user}@127.0.0.1:{sshd.port}"
        argv = ["install", "w1", "--at", at, *words, "-i", str(repository / "inventory.yaml")]
        result = CliRunner().invoke(build(["install"]), argv, input=input)
        if result.exception and not isinstance(result.exception, SlipwayError | SystemExit):
            raise result.exception
        return result.stdout, result.stderr, result.exception

    return slipway


@pytest.fixture
def trusted(repository, sshd):
    shutil.copy(sshd.folder / "known_hosts", repository / "known_hosts")


@pytest.fixture
def at_a_terminal(monkeypatch):
    monkeypatch.setattr("slipway.cli.install.somebody_is_there", lambda: True)


def fingerprint(sshd) -> str:
    (key, *_) = KnownHosts.load(sshd.folder / "known_hosts").of("127.0.0.1", sshd.port)
    return key.fingerprint


def test_a_script_says_everything_beforehand(slipway, fakes, sshd):
    out, err, error = slipway("--yes", "--fingerprint", fingerprint(sshd))
    assert error is None, error
    ((work, known, _boot),) = fakes.carried_out
    assert work.scripts == steps.Scripts(
        "/nix/store/w1-system", "/nix/store/w1-diskoScript", "/nix/store/w1-mountScript"
    )
    assert (work.devices, work.born.address, work.born.port) == ((NVME,), "198.51.100.21", 22)
    assert known == Record("w1")
    assert out == ""
    assert "Installing it wipes:" in err
    assert f"  {NVME} (/dev/nvme0n1), 931.5 GiB, Samsung SSD 980\n" in err
    assert "    /dev/nvme0n1p1, 931.5 GiB: ext4, label old system\n" in err
    assert "next: slipway deploy w1" in err


def test_nobody_there_and_nothing_said_wipes_nothing(slipway, fakes, trusted):
    _, _, error = slipway()
    assert isinstance(error, UsageError)
    assert error.hint == "slipway install w1 --yes"
    assert fakes.carried_out == []


@pytest.mark.parametrize(("typed", "wiped"), [("w1\n", True), ("yes\n", False), ("\n", False), ("cp1\n", False)])
def test_a_person_types_the_name_of_what_is_wiped(slipway, fakes, trusted, at_a_terminal, typed, wiped):
    _, _, error = slipway(input=typed)
    assert bool(fakes.carried_out) is wiped
    assert (error is None) is wiped
    assert wiped or "nothing was wiped" in str(error)


def test_yes_agrees_to_no_host_key(slipway, fakes):
    """Wiping the disk that one means and trusting whoever answers are two things."""
    _, _, error = slipway("--yes")
    assert isinstance(error, UsageError)
    assert "--fingerprint SHA256:" in str(error.hint)
    assert fakes.carried_out == []


def test_another_fingerprint_is_refused(slipway, fakes):
    _, _, error = slipway("--yes", "--fingerprint", fingerprint_of(b"another"))
    assert isinstance(error, HostKeyRefused)
    assert fakes.carried_out == []


def test_a_person_compares_the_installers_key(slipway, fakes, at_a_terminal, sshd):
    _, err, error = slipway(input="y\nw1\n")
    assert error is None, error
    assert fingerprint(sshd) in err
    assert "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub" in err
    assert len(fakes.carried_out) == 1


def test_data_of_a_cluster_is_refused_whatever_is_said(slipway, fakes, trusted):
    fakes.disks = f"{USED}cluster\t/dev/nvme0n1p1\t/var/lib/k0s/pki\n"
    _, _, error = slipway("--yes")
    assert isinstance(error, HoldsACluster)
    assert fakes.carried_out == []


def test_what_an_earlier_run_formatted_is_not_asked_again(slipway, fakes, repository, trusted):
    done = Record("w1", (NVME,), "/nix/store/w1-diskoScript")
    record.save(repository, done)
    _, err, error = slipway()
    assert error is None, error
    assert "it goes on from there" in err
    assert fakes.carried_out[0][1] == done


def test_control_another_layout_since_then_is_asked(slipway, fakes, repository, trusted):
    record.save(repository, Record("w1", (NVME,), "/nix/store/of-another-layout"))
    _, _, error = slipway()
    assert isinstance(error, UsageError)
    assert fakes.carried_out == []


def test_a_node_that_is_there_already_is_left_alone(slipway, fakes, repository, monkeypatch):
    """Cut off while it waited for the reboot."""
    record.save(repository, Record("w1", (NVME,), "f", "/nix/store/w1-system", "boot"))
    monkeypatch.setattr(steps, "runs", lambda _host, system: (system == "/nix/store/w1-system", ""))
    _, err, error = slipway()
    assert error is None, error
    assert "runs what was installed" in err
    assert fakes.carried_out == []
    assert record.load(repository, "w1") == Record("w1")


def test_another_linux_gets_an_installer_first(slipway, fakes, trusted, monkeypatch):
    fakes.is_installer = False
    there = []

    def pool(endpoints, keys, **more):
        there.append(endpoints[0])
        return Pool([replace(endpoints[0], user=there[0].user, port=there[0].port)], keys, **more)

    monkeypatch.setattr("slipway.cli.install.Pool", pool)
    _, err, error = slipway("--yes")
    assert error is None, error
    assert fakes.kexecs == ["w1"]
    assert (there[1].user, there[1].port) == ("root", 22)
    assert len(fakes.carried_out) == 1
    assert "nixos-anywhere starts an installer there first, in memory" in err


def test_without_nixos_anywhere_nothing_is_asked(slipway, fakes, trusted, monkeypatch):
    fakes.is_installer = False
    missing = PrerequisiteMissing("nixos-anywhere is not here")
    monkeypatch.setattr(anywhere, "require", lambda: (_ for _ in ()).throw(missing))
    _, err, error = slipway("--yes")
    assert isinstance(error, PrerequisiteMissing)
    assert "wipes" not in err


def test_no_disks_is_told_with_what_proposes_them(slipway, fakes, trusted):
    fakes.devices = []
    _, _, error = slipway("--yes")
    assert isinstance(error, InvalidInput)
    assert "names no disks" in str(error)
    assert "slipway discover" in str(error.hint)


def test_a_password_is_a_line_of_standard_input(slipway, fakes, trusted, monkeypatch):
    given = []
    monkeypatch.setattr(command, "let_in", lambda endpoint, _known, password, keys, *_: given.append((password, keys)))
    _, _, error = slipway("--yes", "--password", input="open sesame\n")
    assert error is None, error
    ((password, keys),) = given
    assert password.reveal() == b"open sesame"
    assert keys[0].startswith("ssh-ed25519 ")


def test_a_login_that_is_refused_names_the_ways_in(slipway, repository, trusted, tmp_path):
    text = (repository / "inventory.yaml").read_text()
    (repository / "inventory.yaml").write_text(text.replace("/client", "/host_rsa"))
    _, _, error = slipway("--yes")
    assert isinstance(error, Unreachable)
    assert error.hint == "slipway install w1 --password, or an installer that knows you: nix build .#installer"


def test_json_tells_the_pinned_key_alone(slipway, fakes, trusted, repository, monkeypatch, sshd):
    def pin(work, *_rest):
        (key, *_) = KnownHosts.load(sshd.folder / "known_hosts").of("127.0.0.1", sshd.port)
        line = f"{work.born.address} {key.type} {key.blob}\n"
        (repository / "known_hosts").write_text(line)

    monkeypatch.setattr(steps, "carry_out", pin)
    out, _, error = slipway("--yes", "--json")
    assert error is None, error
    assert json.loads(out) == {
        "node": "w1", "address": "198.51.100.21", "port": 22, "hostKeys": [fingerprint(sshd)]
    }  # fmt: skip


def test_one_machine_at_a_time(repository):
    argv = ["install", "*", "-i", str(repository / "inventory.yaml")]
    result = CliRunner().invoke(build(["install"]), argv)
    assert "one is installed at a time" in str(result.exception)


def test_the_password_is_no_argument():
    """Every user of a machine can read those."""
    result = CliRunner().invoke(build(["install"]), ["install", "--help"], env={"COLUMNS": "200"})
    assert "--password " in result.stdout
    assert "--password TEXT" not in result.stdout
