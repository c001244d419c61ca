"""`slipway trust` against a real sshd."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.cli import two_hosts
from typer.testing import CliRunner

from slipway.cli import trust as module
from slipway.cli.main import build
from slipway.errors import Unreachable, UsageError
from slipway.ssh import pool
from slipway.ssh.connection import Endpoint
from slipway.ssh.keys import KnownHosts


@pytest.fixture
def repository(tmp_path, sshd, monkeypatch):
    """An inventory takes no loopback address; the machines are looked for there all the same."""
    monkeypatch.setattr(pool, "endpoint_of", lambda host: Endpoint(host.name, "127.0.0.1", host.ssh.port))
    two_hosts.write(tmp_path, sshd)
    return tmp_path


@pytest.fixture
def fingerprint(sshd):
    said = subprocess.run(
        ["ssh-keygen", "-lf", str(sshd.folder / "host_ed25519.pub")], capture_output=True, text=True, check=True
    )
    return said.stdout.split()[1]


def pinned(repository: Path, port: int) -> list[str]:
    return [key.fingerprint for key in KnownHosts.load(repository / "known_hosts").of("127.0.0.1", port)]


def test_the_right_fingerprint_pins_the_key(slipway, repository, sshd, fingerprint):
    result = slipway("trust", "cp1", "--fingerprint", fingerprint)
    assert result.exit_code == 0
    assert fingerprint in result.stderr
    assert pinned(repository, sshd.port) == [fingerprint]


def test_another_fingerprint_pins_nothing(slipway, repository, sshd):
    with pytest.raises(Unreachable, match="not pinned: cp1"):
        slipway("trust", "cp1", "--fingerprint", "SHA256:something")
    assert pinned(repository, sshd.port) == []


def test_a_host_that_is_left_out_is_not_asked(slipway, repository, sshd):
    said = json.loads(slipway("trust", "--yes", "--exclude", "cp1", "--json").stdout)
    assert [each["node"] for each in said] == ["w1"]
    with pytest.raises(UsageError, match="only addresses are named"):
        slipway("trust", "root@192.0.2.1", "--exclude", "cp1")


def test_yes_pins_what_is_shown_and_a_second_time_changes_nothing(slipway, repository, sshd, fingerprint):
    slipway("trust", "cp1", "--yes")
    before = (repository / "known_hosts").read_text()
    assert "pinned already" in slipway("trust", "cp1", "--yes").stderr
    assert (repository / "known_hosts").read_text() == before
    assert pinned(repository, sshd.port) == [fingerprint]


def test_with_nobody_to_ask_it_does_not_say_the_fingerprint_that_was_shown(slipway, repository, sshd, fingerprint):
    """Whoever copies that into the next command trusts whatever answered."""
    with pytest.raises(UsageError, match="read it at the machine itself: ssh-keygen -lf") as caught:
        slipway("trust")
    assert caught.value.hint == "slipway trust cp1 --fingerprint SHA256:WHAT-THE-MACHINE-SAYS"
    assert fingerprint not in str(caught.value) + caught.value.hint
    assert pinned(repository, sshd.port) == []


def test_another_fingerprint_is_an_error_where_a_key_is_pinned_already_too(slipway, repository, sshd, fingerprint):
    slipway("trust", "cp1", "--yes")
    with pytest.raises(Unreachable, match="not pinned: cp1"):
        slipway("trust", "cp1", "--fingerprint", "SHA256:something")
    assert pinned(repository, sshd.port) == [fingerprint]
    assert slipway("trust", "cp1", "--fingerprint", fingerprint).exit_code == 0


@pytest.mark.parametrize(("answer", "pins"), [("y\n", True), ("n\n", False), ("\n", False)])
def test_a_person_decides(slipway, repository, sshd, monkeypatch, answer, pins):
    monkeypatch.setattr(module, "somebody_is_there", lambda: True)
    if pins:
        slipway("trust", "cp1", input=answer)
    else:
        with pytest.raises(Unreachable):
            slipway("trust", "cp1", input=answer)
    assert bool(pinned(repository, sshd.port)) == pins


@pytest.fixture
def old(repository, sshd):
    """The fingerprint of another key that is pinned so far."""
    other = (sshd.folder / "client.pub").read_text().split()
    (repository / "known_hosts").write_text(f"[127.0.0.1]:{sshd.port} {other[0]} {other[1]}\n")
    return pinned(repository, sshd.port)[0]


@pytest.mark.parametrize("words", [["--yes"], ["--fingerprint"], []], ids=["yes", "fingerprint", "asking"])
def test_a_pinned_key_is_replaced_only_when_that_is_said(slipway, repository, sshd, fingerprint, old, words, capfd):
    words = [*words, fingerprint] if words == ["--fingerprint"] else words
    with pytest.raises(Unreachable) as caught:
        slipway("trust", "cp1", *words)
    assert caught.value.hint == "only if cp1 was installed anew: slipway trust cp1 --replace"
    assert pinned(repository, sshd.port) == [old]


@pytest.mark.parametrize("words", [["--yes"], ["--fingerprint"]], ids=["yes", "fingerprint"])
def test_a_changed_key_is_shown_beside_the_pinned_one(slipway, repository, sshd, fingerprint, old, words):
    words = [*words, fingerprint] if words == ["--fingerprint"] else words
    result = slipway("trust", "cp1", "--replace", *words)
    assert f"pinned so far: ssh-ed25519 {old} (line 1)" in result.stderr
    assert pinned(repository, sshd.port) == [fingerprint]


def test_to_replace_a_key_is_asked_for_as_well(slipway, repository, sshd, old):
    with pytest.raises(UsageError, match="nobody is there"):
        slipway("trust", "cp1", "--replace")
    assert pinned(repository, sshd.port) == [old]


def test_the_result_as_json(slipway, repository, sshd, fingerprint):
    expected = {"node": "cp1", "address": "127.0.0.1", "port": sshd.port, "keyType": "ssh-ed25519"}
    for state in ("pinned", "unchanged"):
        (told,) = json.loads(slipway("trust", "cp1", "--yes", "--json").stdout)
        assert told == {**expected, "fingerprint": fingerprint, "state": state, "reason": None}


def test_a_jump_host_is_pinned_before_the_machine_behind_it(
    slipway, repository, sshd, running_sshd, monkeypatch, tmp_path
):
    folder = tmp_path / "bastion"
    folder.mkdir()
    with running_sshd(folder) as bastion:
        (folder / "client.pub").write_text((sshd.folder / "client.pub").read_text())
        jump = Endpoint(
            f"root@127.0.0.1:{bastion.port}", "127.0.0.1", bastion.port, sshd.endpoint.user, sshd.endpoint.identity
        )
        behind = Endpoint("w1", "::1", sshd.port, sshd.endpoint.user, sshd.endpoint.identity, (jump,))
        monkeypatch.setattr(pool, "endpoint_of", lambda host: replace(behind, name=host.name))
        result = slipway("trust", "w1", "--yes", "--json")
        assert [(each["node"], each["state"]) for each in json.loads(result.stdout)] == [
            (jump.name, "pinned"),
            ("w1", "pinned"),
        ]
        assert "Accepted publickey" in bastion.log.read_text(), "the machine was looked at through its jump host"


def test_one_fingerprint_is_of_one_machine(slipway):
    with pytest.raises(UsageError, match="of one machine; 2 are chosen"):
        slipway("trust", "--fingerprint", "SHA256:x")


def test_a_machine_that_does_not_answer_keeps_no_other_from_being_pinned(slipway, repository, sshd, monkeypatch):
    text = (repository / "inventory.yaml").read_text()
    closed = text.replace("{address: 10.0.0.21, role: worker}", "{address: 10.0.0.21, role: worker, ssh: {port: 1}}")
    (repository / "inventory.yaml").write_text(closed)
    with pytest.raises(Unreachable, match="not pinned: w1"):
        slipway("trust", "--yes")
    assert len(pinned(repository, sshd.port)) == 1


def test_of_many_machines_only_what_is_new_has_a_line(slipway, repository, sshd, fingerprint, monkeypatch):
    """All but w1, which nobody answers for, are the machine behind one sshd."""
    with (repository / "inventory.yaml").open("a") as file:
        file.writelines(f"  n{number}: {{address: 10.0.0.{number + 30}, role: worker}}\n" for number in range(18))
    monkeypatch.setattr(
        pool, "endpoint_of", lambda host: Endpoint(host.name, "127.0.0.1", 1 if host.name == "w1" else host.ssh.port)
    )
    with pytest.raises(Unreachable, match="not pinned: w1"):
        slipway("trust", "--yes")
    assert pinned(repository, sshd.port) == [fingerprint]
    told = trust_output(repository)
    assert "pinned already: 19 nodes (cp1 n0 n1" in told[0]
    assert told[1].startswith("w1 (root@[127.0.0.1]:1): connection refused")
    assert len(told) == 2


def trust_output(repository: Path) -> list[str]:
    words = ["trust", "--yes", "-i", str(repository / "inventory.yaml")]
    return CliRunner().invoke(build(words[:1]), words).stderr.splitlines()
