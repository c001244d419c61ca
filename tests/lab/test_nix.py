"""Nix itself: what it says to us, and what it brings to a machine."""

from pathlib import Path

import pytest

from slipway.errors import InvalidInput
from slipway.lab.reach import remote
from slipway.result import CommandFailed
from slipway.ssh import openssh
from slipway.tools import nix
from slipway.tools.nix import BuildFailed, EvaluationFailed
from slipway.tools.run import run

pytestmark = pytest.mark.lab

OFFLINE = {"substituters": "", "sandbox": "false"}
FLAKE = """{
  outputs = _: let
    make = name: script: {
      config.system.build.toplevel = derivation {
        name = "system-${name}"; system = builtins.currentSystem or "x86_64-linux"; builder = "/bin/sh";
        args = [ "-c" "/bin/mkdir -p $out/etc; echo ${name} > $out/etc/hostname; ${script}" ];
      };
    };
    worker = import ./hosts/w1.nix;
  in {
    nixosConfigurations = {
      w2 = make "w2" "";
      cp1 = make "cp1" "";
      w1 = make "w1" worker.script;
      other = make "surprise" "";
    };
  };
}
"""


@pytest.fixture
def flake(tmp_path):
    (tmp_path / "hosts").mkdir()
    (tmp_path / "flake.nix").write_text(FLAKE)
    (tmp_path / "hosts" / "w1.nix").write_text('{ script = ""; }\n')
    run(["git", "init", "--quiet", tmp_path])
    run(["git", "-C", tmp_path, "add", "."])
    return tmp_path


def build(flake: Path, *hosts: str) -> dict[str, str]:
    return nix.build(flake, hosts, options=OFFLINE, timeout=300)


def test_each_host_gets_its_own_system(flake):
    systems = build(flake, "w2", "cp1", "w1")
    assert {name: (Path(path) / "etc" / "hostname").read_text().strip() for name, path in systems.items()} == {
        name: name for name in ("w2", "cp1", "w1")
    }


def roots_of(system: str) -> list[str]:
    return [line.split(" -> ")[0] for line in run(["nix-store", "--query", "--roots", system]).stdout.splitlines()]


def test_built_systems_are_kept_until_their_host_has_another(flake, tmp_path):
    folder, systems = tmp_path / "kept", build(flake, "cp1", "w1", "w2")
    for _ in range(2):
        nix.keep(systems, folder, options=OFFLINE)
    for name, system in systems.items():
        assert (folder / name).readlink() == Path(system)
        assert len([root for root in roots_of(system) if root.startswith(f"{folder}/")]) == 1
    (flake / "hosts" / "w1.nix").write_text('{ script = "echo other > $out/other"; }\n')
    newer = build(flake, "w1")
    nix.keep(newer, folder, options=OFFLINE)
    assert not roots_of(systems["w1"])
    for system in (newer["w1"], systems["cp1"], systems["w2"]):
        assert len([root for root in roots_of(system) if root.startswith(f"{folder}/")]) == 1


def test_a_mistake_in_a_host_s_file_is_told_with_its_place(flake):
    (flake / "hosts" / "w1.nix").write_text("{\n  script = nonsense;\n}\n")
    with pytest.raises(EvaluationFailed) as caught:
        build(flake, "cp1", "w1")
    assert "undefined variable 'nonsense'" in str(caught.value)
    assert f"{flake}/hosts/w1.nix:2:12" in str(caught.value)
    assert caught.value.exit_code == 3


def test_a_failed_build_tells_its_last_words(flake):
    (flake / "hosts" / "w1.nix").write_text('{ script = "echo out of luck >&2; exit 3"; }\n')
    with pytest.raises(BuildFailed) as caught:
        build(flake, "cp1", "w1")
    assert "system-w1" in str(caught.value)
    assert "out of luck" in str(caught.value)
    assert caught.value.exit_code == 6


def test_a_host_that_the_flake_lacks_is_named(flake):
    with pytest.raises(EvaluationFailed, match="has no system for w9"):
        build(flake, "w9")


def test_a_system_with_another_name_is_refused(flake):
    with pytest.raises(InvalidInput, match=r"the system of other calls itself otherwise \(surprise\)"):
        build(flake, "other")


@pytest.fixture
def target(machine):
    host = remote(machine)
    yield host
    host.close()


def copy(target, system: str, known_hosts: Path) -> None:
    ssh = openssh.options(target.endpoint, known_hosts, 5)
    nix.copy([system], openssh.store(target.endpoint), ssh=ssh, options=OFFLINE, timeout=120)


def test_a_closure_arrives_on_a_machine(flake, machine, target):
    system = build(flake, "w1")["w1"]
    assert not target.run(["test", "-e", system], check=False).ok
    copy(target, system, machine.lab.known_hosts)
    target.run(["nix-store", "--check-validity", system])
    assert target.run(["cat", f"{system}/etc/hostname"]).stdout == "w1\n"


def test_a_machine_that_is_not_pinned_gets_nothing(flake, target, tmp_path):
    (tmp_path / "known_hosts").touch()
    with pytest.raises(CommandFailed, match="Host key verification failed"):
        copy(target, build(flake, "cp1")["cp1"], tmp_path / "known_hosts")
