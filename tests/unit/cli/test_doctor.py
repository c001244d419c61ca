"""What `slipway doctor` finds, and that what it says works in the state that it is said in. Programs are fakes."""

import json
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from slipway.cli import doctor as command
from slipway.cli.main import build
from slipway.cli.prerequisites import NEEDS
from slipway.errors import PrerequisiteMissing, SlipwayError
from slipway.secrets import store
from slipway.ssh import own

SAYS = {
    "nix": "nix (Nix) 2.31.2",
    "git": "git version 2.39.5",
    "ssh": "OpenSSH_9.2p1 Debian-2+deb12u10, OpenSSL 3.0.19 27 Jan 2026",
    "sops": "sops 3.11.0",
    "age-keygen": "v1.1.1",
    "kubectl": "Client Version: v1.32.4\nKustomize Version: v5.5.0",
    "helm": "v3.18.1+gf6f8700",
}
FAKE = """#!/bin/sh
# Fake of the tests.
case "$*" in
  *"config show"*) echo "experimental-features = {features}"; exit ;;
esac
cat <<'END'
{said}
END
"""
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBBMF0e4Tlc2bbCEyA5LWyFv5fB6qQTfJ8cAHrtK5Yqm me@here"
INVENTORY = f"""
apiVersion: slipway/v1
cluster: {{name: test, k0s: {{version: 1.36.3+k0s.2}}}}
defaults:
  ssh: {{authorizedKeys: ["{KEY}"]}}
  network: {{interface: eth0, prefixLength: 24}}
hosts:
  cp1: {{address: 10.0.0.11, role: controller}}
  w1: {{address: 10.0.0.21, role: worker}}
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with nothing in it, all programs on PATH, a key in ~/.ssh and no agent."""
    monkeypatch.setattr("slipway.tools.run.cache_dir", lambda: tmp_path / "cache")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    (tmp_path / "home" / ".ssh").mkdir(parents=True)
    (tmp_path / "home" / ".ssh" / "id_ed25519.pub").write_text(f"{KEY}\n")
    (tmp_path / "bin").mkdir()
    for name in ("cat", "sh"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name, path="/usr/bin:/bin") or "")
    (tmp_path / "repository").mkdir()
    monkeypatch.chdir(tmp_path / "repository")
    for name in SAYS:
        fake(tmp_path, name)
    return tmp_path / "repository"


def fake(folder: Path, name: str, said: str = "", features: str = "nix-command flakes") -> None:
    program = folder / "bin" / name
    program.write_text(FAKE.format(said=said or SAYS[name], features=features))
    program.chmod(0o755)


@pytest.fixture
def doctor(here):
    """`doctor()`: its findings by name, what it says, and the error that it ends with."""

    def doctor():
        result = CliRunner().invoke(build(["doctor"]), ["doctor", "--json"])
        if result.exception and not isinstance(result.exception, SlipwayError):
            raise result.exception
        return {each["name"]: each for each in json.loads(result.stdout)}, result.exception

    return doctor


def test_nothing_missing_is_success(doctor):
    findings, error = doctor()
    assert error is None
    assert [name for name in findings if name in SAYS] == [need.program for need in NEEDS]
    assert {finding["state"] for finding in findings.values()} <= {"ok", "to do"}
    assert findings["ssh"]["found"].startswith("9.2, ")
    assert findings["helm"]["found"].startswith("3.18.1, ")


def test_all_that_is_missing_is_named_at_once(doctor, here):
    for name in ("helm", "sops"):
        (here.parent / "bin" / name).unlink()
    findings, error = doctor()
    assert isinstance(error, PrerequisiteMissing)
    assert str(error) == "missing: sops, helm"
    assert error.hint == "nix shell nixpkgs#sops"
    assert findings["helm"]["advice"] == "nix shell nixpkgs#kubernetes-helm"


def test_in_a_repository_its_own_shell_has_all_of_them(doctor, here):
    (here / "flake.nix").write_text("{ }")
    (here.parent / "bin" / "helm").unlink()
    assert doctor()[1].hint == "nix develop"


def test_where_flakes_are_off_the_advice_turns_them_on(doctor, here):
    fake(here.parent, "nix", features="nix-command")
    (here.parent / "bin" / "helm").unlink()
    findings, error = doctor()
    assert findings["flakes"]["state"] == "off"
    assert error.hint == "nix --extra-experimental-features 'nix-command flakes' shell nixpkgs#kubernetes-helm"
    (here / "flake.nix").write_text("{ }")
    assert doctor()[1].hint.endswith("; nix develop")
    subprocess.run(["/bin/sh", "-c", f"PATH=/usr/bin:/bin; {findings['flakes']['advice']}"], check=True)
    settings = here.parent / "home" / ".config" / "nix" / "nix.conf"
    assert settings.read_text() == "experimental-features = nix-command flakes\n"


def test_without_nix_nothing_that_needs_it_is_advised(doctor, here):
    for name in ("nix", "helm"):
        (here.parent / "bin" / name).unlink()
    (here / "flake.nix").write_text("{ }")
    findings, error = doctor()
    assert error.hint == "https://nixos.org/download"
    assert findings["helm"]["advice"] == "install Nix first: https://nixos.org/download"
    assert "flakes" not in findings


@pytest.mark.parametrize(
    ("name", "said", "state"),
    [
        ("nix", "nix (Nix) 2.3.16", "old"),
        ("nix", "nix (Nix) 2.8.0", "ok"),
        ("sops", "sops 3.7.3 (latest)", "old"),
        ("sops", "sops 3.10.2", "ok"),
        ("git", "git version 2.20.1", "old"),
        ("helm", "who knows", "ok"),
    ],
)
def test_versions_are_judged(doctor, here, name, said, state):
    fake(here.parent, name, said)
    findings, error = doctor()
    assert findings[name]["state"] == state
    assert (error is None) is (state == "ok")
    assert state == "ok" or f"old: {name}" in str(error)


def test_a_user_without_a_key_is_told_to_make_one(doctor, here):
    (here.parent / "home" / ".ssh" / "id_ed25519.pub").unlink()
    findings, error = doctor()
    assert findings["SSH key"]["state"] == "missing"
    assert shlex.split(error.hint) == ["ssh-keygen", "-t", "ed25519"]


def test_keys_that_the_inventory_names_are_enough(doctor, here):
    (here.parent / "home" / ".ssh" / "id_ed25519.pub").unlink()
    (here / "inventory.yaml").write_text(INVENTORY.replace("ssh: {", "ssh: {identity: /keys/lab, "))
    findings, error = doctor()
    assert error is None
    assert findings["SSH key"]["found"] == "ssh.identity of the inventory"


def test_a_repository_is_judged_by_its_inventory(doctor, here):
    (here / "inventory.yaml").write_text(INVENTORY)
    findings, error = doctor()
    assert error is None
    assert findings["ssh.authorizedKeys"]["state"] == "ok"
    assert findings["host keys"]["found"] == "not pinned: cp1, w1"
    assert findings["host keys"]["advice"] == "slipway trust cp1 w1"
    (here / "known_hosts").write_text("".join(f"10.0.0.{n} {KEY}\n" for n in (11, 21)))
    assert doctor()[0]["host keys"]["state"] == "ok"


def test_a_key_that_the_machines_would_not_take_is_told(doctor, here):
    (here / "inventory.yaml").write_text(INVENTORY.replace("AAAAIBBMF0", "AAAAIBBMF1"))
    finding = doctor()[0]["ssh.authorizedKeys"]
    assert finding["state"] == "to do"
    assert "none of yours on cp1, w1: a deploy would lock you out" in finding["found"]


def test_an_inventory_that_is_wrong_is_for_check(doctor, here):
    (here / "inventory.yaml").write_text("hosts: 1\n")
    assert doctor()[0]["inventory"]["advice"] == "slipway check"


def test_a_repository_whose_age_key_is_elsewhere(doctor, here, monkeypatch):
    (here / ".sops.yaml").write_text("creation_rules: []\n")
    missing = PrerequisiteMissing("the key is not here", hint="bring it")
    monkeypatch.setattr(store, "own_key", lambda _root: (_ for _ in ()).throw(missing))
    findings, error = doctor()
    assert (findings["age key"]["state"], findings["age key"]["advice"]) == ("missing", "bring it")
    assert "age key" in str(error)
    monkeypatch.setattr(store, "own_key", lambda _root: None)
    assert "keep a copy elsewhere" in doctor()[0]["age key"]["found"]


def test_little_room_is_told(doctor, monkeypatch):
    monkeypatch.setattr(command, "ROOM", 1 << 60)
    assert doctor()[0]["disk"]["state"] == "to do"


def test_a_person_reads_a_table_and_what_to_type(here):
    (here.parent / "bin" / "helm").unlink()
    result = CliRunner().invoke(build(["doctor"]), ["doctor"])
    assert "helm: nix shell nixpkgs#kubernetes-helm" in result.stderr
    assert "what" in result.stdout.splitlines()[0]


def test_keys_of_tokens_and_agents_count(here, monkeypatch):
    folder = here.parent / "home" / ".ssh"
    (folder / "id_ed25519_sk.pub").write_text("sk-ssh-ed25519@openssh.com AAAAGnNr token\n")
    (folder / "id_rsa.pub").write_text("ssh-rsa broken\n")
    (folder / "id_ed25519-cert.pub").write_text("ssh-ed25519-cert-v01@openssh.com AAAA me\n")
    assert own.public_keys() == (KEY, "sk-ssh-ed25519@openssh.com AAAAGnNr token")


NO_S3 = """#!/bin/sh
# Fake of the tests: a Nix like Debian's.
case "$*" in
  *"config show"*) echo "experimental-features = nix-command flakes";;
  *describe-stores*) echo '{"Local Store": {}}';;
  *) echo "nix (Nix) 2.18.0";;
esac
"""


@pytest.mark.parametrize(("address", "state"), [("s3://nix-cache", "missing"), ("https://cache.example.org", "ok")])
def test_a_bucket_wants_a_nix_that_was_built_with_s3(doctor, here, address, state):
    (here.parent / "bin" / "nix").write_text(NO_S3)
    nix = f"  nix: {{substituters: [https://cache.example.org], trustedPublicKeys: ['c-1:{'A' * 43}=']}}\n"
    text = INVENTORY.replace("hosts:", f"{nix}deploy: {{cache: '{address}'}}\nhosts:")
    (here / "inventory.yaml").write_text(text)
    (here / "flake.nix").write_text("{ }")
    findings, error = doctor()
    assert findings["binary cache"]["state"] == state
    if state == "missing":
        assert "built without S3" in findings["binary cache"]["found"]
        assert "nix shell nixpkgs#nix -c slipway deploy" in error.hint
