"""`slipway init` and `slipway generate`, as a user types them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from slipway.cli.main import main

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBBMF0e4Tlc2bbCEyA5LWyFv5fB6qQTfJ8cAHrtK5Yqm me@here"
INVENTORY = Path(__file__).parents[3] / "examples" / "homelab" / "inventory.yaml"


@pytest.fixture
def repository(tmp_path, monkeypatch):
    (tmp_path / "inventory.yaml").write_bytes(INVENTORY.read_bytes())
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def slipway(monkeypatch, capfd):
    """`slipway(words...)` -> exit code, standard output, standard error."""

    def typed(*words: str):
        monkeypatch.setattr(sys, "argv", ["slipway", *words])
        with pytest.raises(SystemExit) as end:
            main()
        captured = capfd.readouterr()
        return end.value.code, captured.out, captured.err

    return typed


def known_to_git(root: Path) -> set[str]:
    listed = subprocess.run(["git", "-C", str(root), "ls-files"], check=True, capture_output=True, text=True)
    return set(listed.stdout.split())


def test_generate_writes_once_and_lets_git_know(repository, slipway):
    code, out, err = slipway("generate")
    assert (code, out) == (0, "")
    assert "new      generated/hosts/cp1/k0s.yaml" in err
    assert "git add --intent-to-add" in err
    assert {"generated/hosts.nix", "generated/hosts/w3/default.nix", "generated/manifest"} <= known_to_git(repository)
    assert "inventory.yaml" in known_to_git(repository)

    code, out, err = slipway("generate")
    assert (code, out, err) == (0, "", "nothing changed\n")


def test_check_shows_drift_and_writes_nothing(repository, slipway):
    slipway("generate")
    file = repository / "generated" / "hosts.nix"
    file.write_text(file.read_text() + "drift\n")
    code, out, err = slipway("generate", "--check")
    assert code == 4
    assert "-drift" in out
    assert "slipway generate" in err
    assert file.read_text().endswith("drift\n")


def test_check_is_content_when_nothing_drifted(repository, slipway):
    slipway("generate")
    assert slipway("generate", "--check") == (0, "", "")


def test_a_host_that_left_takes_its_files_with_it(repository, slipway):
    slipway("generate")
    inventory = repository / "inventory.yaml"
    text, count = re.subn(r"^  w3:\n(    .*\n)+", "", inventory.read_text(), flags=re.MULTILINE)
    assert count == 1
    inventory.write_text(text)
    code, _out, err = slipway("generate")
    assert code == 0
    assert "removed  generated/hosts/w3/default.nix" in err
    assert not (repository / "generated" / "hosts" / "w3").exists()


def test_outside_of_git_it_says_what_flakes_need(tmp_path, monkeypatch, slipway):
    (tmp_path / "inventory.yaml").write_bytes(INVENTORY.read_bytes())
    monkeypatch.chdir(tmp_path)
    code, _out, err = slipway("generate")
    assert code == 0
    assert "git init" in err


def test_init_begins_a_repository_and_keeps_what_is_there(tmp_path, monkeypatch, slipway):
    monkeypatch.setenv("HOME", str(tmp_path))
    # sops comes with the virtual environment.
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.delenv("SOPS_AGE_KEY_FILE", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "id_ed25519.pub").write_text(
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBBMF0e4Tlc2bbCEyA5LWyFv5fB6qQTfJ8cAHrtK5Yqm me@here\n"
    )
    root = tmp_path / "My Lab"
    code, _out, err = slipway("init", str(root))
    assert code == 0, err
    assert 'name: "my-lab"' in (root / "inventory.yaml").read_text()
    assert (
        "- ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBBMF0e4Tlc2bbCEyA5LWyFv5fB6qQTfJ8cAHrtK5Yqm me@here"
        in (root / "inventory.yaml").read_text()
    )
    assert {"flake.nix", "inventory.yaml", ".sops.yaml"} <= known_to_git(root)

    assert {"flake.nix", "inventory.yaml", "inventory.schema.json"} <= known_to_git(root)
    assert f"then: cd '{root}' && slipway check" in err
    assert f"back up now: {tmp_path}/config/sops/age/keys.txt has the age key" in err

    (root / "inventory.yaml").write_text("mine\n")
    _code, _out, err = slipway("init", str(root))
    assert (root / "inventory.yaml").read_text() == "mine\n"
    assert "back up" not in err


def test_init_refuses_a_name_that_check_would_refuse(tmp_path, slipway):
    code, _out, err = slipway("init", str(tmp_path / "lab"), "--name", "My_Lab.1")
    assert code == 2
    assert "--name: " in err
    assert "next:  slipway init DIR --name my-lab-1" in err
    assert not (tmp_path / "lab").exists()


def test_init_without_a_key_says_what_to_do(tmp_path, monkeypatch, slipway):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    code, _out, err = slipway("init", str(tmp_path / "lab"), "--example", "single", "--from", "path:/src")
    assert code == 0, err
    assert "no SSH key was found" in err
    assert '"path:/src"' in (tmp_path / "lab" / "flake.nix").read_text()
    assert "role: single" in (tmp_path / "lab" / "inventory.yaml").read_text()


def test_json_tells_the_changes_alone_on_standard_output(repository, slipway):
    code, out, _err = slipway("generate", "--json")
    assert code == 0
    assert {"path": "generated/hosts.nix", "change": "new"} in json.loads(out)
    assert slipway("generate", "--check", "--json") == (0, "[]\n", "")
    (repository / "generated" / "hosts.nix").write_text("drift\n")
    code, out, _err = slipway("generate", "--check", "--json")
    assert (code, json.loads(out)) == (4, [{"path": "generated/hosts.nix", "change": "changed"}])


def test_init_tells_as_json_what_it_wrote(tmp_path, monkeypatch, slipway):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    code, out, _err = slipway("init", str(tmp_path / "lab"), "--json")
    assert code == 0
    assert str(tmp_path / "lab" / "inventory.yaml") in json.loads(out)["written"]


def test_what_was_decrypted_beside_the_secrets_reaches_no_store(repository, slipway, nix):
    """Flakes copy what Git knows into the store, which every user of the machine can read."""
    (repository / "secrets").mkdir()
    for name in ("a.sops.yaml", "a.yaml"):
        (repository / "secrets" / name).write_text(name)
    (repository / "flake.nix").write_text('{ outputs = { self }: { x = "${self}"; }; }')
    assert slipway("generate")[0] == 0
    copied = Path(nix("nix", "eval", "--raw", f"git+file://{repository}#x").strip())
    assert sorted(path.name for path in (copied / "secrets").iterdir()) == ["a.sops.yaml"]


def test_a_plain_file_among_the_secrets_is_refused_by_check(repository, slipway):
    (repository / "secrets").mkdir()
    (repository / "secrets" / "gitea.yaml").write_text("password: hunter2")
    code, out, err = slipway("check")
    assert (code, out) == (3, "")
    assert "gitea.yaml; only secrets/*.sops.* may lie there" in err
    assert "hunter2" not in err


def test_a_symlink_of_the_repository_is_not_written_through(repository, slipway, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "authorized_keys"
    outside.write_text("precious")
    (repository / "generated" / "hosts" / "cp1").mkdir(parents=True)
    (repository / "generated" / "hosts" / "cp1" / "k0s.yaml").symlink_to(outside)
    code, _, err = slipway("generate")
    assert code == 3 and "slipway follows none in a repository" in err
    assert outside.read_text() == "precious"
    assert not (repository / "generated" / "hosts.nix").exists()
