"""What `slipway verify` says by its exit code."""

import json
import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.unit.cli import two_hosts
from tests.unit.verify.machines import HERE
from typer.testing import CliRunner

from slipway.cli import trust
from slipway.cli import verify as command
from slipway.cli.main import build
from slipway.errors import SlipwayError, Unreachable, UsageError, VerificationRed
from slipway.rollout import interruption
from slipway.ssh import pool
from slipway.verify import gate
from slipway.verify.result import Check, Finding, NodeVerification, Obstacle, Verdict, Verification
from slipway.verify.runner import NotKept

PASSED = Check("os.x.y", "os", "Something", Verdict.PASSED)
FAILED = Check("os.x.z", "os", "Something else", Verdict.FAILED, finding=Finding("that"))
GREEN = NodeVerification("w1", ("os",), checks=(PASSED,))
RED = NodeVerification("w2", ("os",), checks=(PASSED, FAILED))
AWAY = NodeVerification("w3", ("os",), error="no answer", obstacle=Obstacle.UNREACHABLE)
FRESH = NodeVerification("w4", ("os",), error="none", obstacle=Obstacle.NOT_NIXOS, hint="slipway deploy w4")
STRANGE = NodeVerification("w5", ("os",), error="key", obstacle=Obstacle.NOT_TRUSTED, hint="slipway trust w5")


def judged(*nodes: NodeVerification) -> SlipwayError:
    with pytest.raises(SlipwayError) as told:
        command._judge(Verification("", nodes))
    return told.value


def test_green_says_nothing():
    command._judge(Verification("", (GREEN,)))


def test_red_names_its_nodes_and_what_to_type():
    error = judged(GREEN, RED)
    assert isinstance(error, VerificationRed)
    assert (error.exit_code, str(error)) == (8, "1 check is red on w2")
    assert error.hint == "mend what `fix` says, then slipway verify w2"


def test_unreachable_alone_is_told_apart_from_red():
    assert isinstance(judged(GREEN, AWAY), Unreachable)
    assert isinstance(judged(RED, AWAY), VerificationRed)


def test_what_was_not_asked_is_not_counted_as_red():
    assert str(judged(RED, AWAY, FRESH)) == "1 check is red on w2; w3 unreachable, w4 not NixOS"


@pytest.mark.parametrize(
    ("nodes", "hint"),
    [((FRESH, STRANGE, AWAY), "slipway deploy w4"), ((FRESH,), "slipway deploy w4")],
)
def test_nodes_that_cannot_be_verified_name_the_command_that_helps(nodes, hint):
    error = judged(*nodes)
    assert isinstance(error, VerificationRed)
    assert error.hint == hint
    assert "cannot be verified: w4 not NixOS" in str(error)


def test_a_key_that_is_not_pinned_names_trust():
    error = judged(AWAY, STRANGE)
    assert isinstance(error, Unreachable)
    assert str(error) == "cannot be asked: w3 unreachable, w5 not trusted"
    assert error.hint == "slipway trust w5; then slipway verify w3 w5"
    both = judged(replace(STRANGE, node="w4"), STRANGE)
    assert (str(both), both.hint) == (
        "cannot be asked: w4 w5 not trusted",
        "slipway trust w4 w5; then slipway verify w4 w5",
    )


def test_the_result_shows_table_and_findings(capsys):
    command.show(Verification("", (GREEN, RED), 1.25))
    shown = capsys.readouterr()
    assert "w1" in shown.out
    assert "w2: os.x.z: not so: Something else" in shown.out
    assert "2 nodes in 1.2 s" in shown.err


def test_excluded_nodes_are_not_asked(tmp_path, monkeypatch):
    file = tmp_path / "inventory.yaml"
    file.write_text((HERE / "inventory.yaml").read_text())
    asked: list[str] = []

    def note(_inventory, nodes, *_args, **_options):
        asked.extend(node.name for node in nodes)
        return Verification("", (GREEN,))

    monkeypatch.setattr(command, "run_packs", note)
    monkeypatch.setattr(command, "_write", lambda *_: None)
    command.verify(["worker"], exclude=["w1"], inventory_file=file)
    assert asked
    assert "w1" not in asked
    assert all(name.startswith("w") for name in asked)


def test_what_cannot_be_written_is_shown_all_the_same(tmp_path, monkeypatch, capsys):
    file = tmp_path / "inventory.yaml"
    file.write_text((HERE / "inventory.yaml").read_text())

    def full(*_args, **_options):
        raise NotKept(Verification("", (RED,)), OSError("No space left on device"))

    monkeypatch.setattr(command, "run_packs", full)
    with pytest.raises(NotKept, match="No space left") as told:
        command.verify(["w2"], inventory_file=file)
    assert told.value.hint
    assert "w2: os.x.z: not so: Something else" in capsys.readouterr().out


@pytest.mark.parametrize(("packs", "asked"), [(None, ["burnin"]), (["os"], ["os", "burnin"])])
def test_a_burn_in_is_a_pack_with_its_time(tmp_path, monkeypatch, packs, asked):
    file = tmp_path / "inventory.yaml"
    file.write_text((HERE / "inventory.yaml").read_text())
    seen: dict[str, Any] = {}

    def note(*_args, **options):
        seen.update(options)
        return Verification("", (GREEN,))

    monkeypatch.setattr(command, "run_packs", note)
    command.verify(["w1"], pack=packs, burn_in="10m", inventory_file=file)
    assert seen["packs"] == asked
    assert seen["limits"].burn_in == 600


def test_a_burn_in_without_a_time_says_what_to_type(tmp_path):
    file = tmp_path / "inventory.yaml"
    file.write_text((HERE / "inventory.yaml").read_text())
    with pytest.raises(UsageError, match="10 minutes") as told:
        command.verify(["w1"], burn_in="10 minutes", inventory_file=file)
    assert told.value.hint == "slipway verify --burn-in 10m"


@pytest.fixture
def fleet(tmp_path, sshd, monkeypatch):
    """An inventory of twenty hosts that are all the machine behind `sshd`, its key pinned."""
    monkeypatch.setattr(pool, "endpoint_of", lambda host: replace(sshd.endpoint, name=host.name))
    two_hosts.write(tmp_path, sshd)
    with (tmp_path / "inventory.yaml").open("a") as file:
        file.writelines(f"  n{number}: {{address: 10.0.0.{number + 30}, role: worker}}\n" for number in range(18))
    (tmp_path / "known_hosts").write_text((sshd.folder / "known_hosts").read_text())
    return tmp_path


def status(folder: Path, *words: str) -> list[str]:
    asked = ["status", "--quick", *words, "-i", str(folder / "inventory.yaml")]
    result = CliRunner().invoke(build(asked[:1]), asked)
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


def test_the_status_of_many_is_a_line_and_a_few_rows(fleet):
    summary, _head, *rows = status(fleet)
    assert summary == "nodes 0/20, gate shut"
    assert [row.split("  ")[0] for row in rows] == ["cp1", "w1 and 18 more like it"]
    assert rows[1].rstrip().endswith("slipway deploy")


def test_rows_are_for_who_asks_for_them(fleet):
    assert len(status(fleet, "--all")) == 22
    summary, _head, *rows = status(fleet, "w1", "n3")
    assert summary == "nodes 0/2"
    assert [row.split()[0] for row in rows] == ["w1", "n3"]
    assert len(json.loads("\n".join(status(fleet, "--json")))["nodes"]) == 20


def test_reasons_beyond_a_screen_are_counted(capsys):
    command._say_reasons([f"reason {number}" for number in range(20)], 8)
    told = capsys.readouterr().err.splitlines()
    assert told[7:] == ["gate: reason 7", "gate: and 12 more reasons: slipway status --failing"]
    command._say_reasons(["one"], None)
    assert capsys.readouterr().err == "gate: one\n"


@pytest.mark.parametrize(
    ("words", "module", "waits"),
    [
        (["status", "--quick"], gate, "look"),
        (["verify"], command, "run_packs"),
        (["trust", "--yes"], trust, "shown_key"),
    ],
    ids=["status", "verify", "trust"],
)
def test_ctrl_c_is_answered_as_by_a_deploy(fleet, monkeypatch, words, module, waits):
    def interrupt(*_args, **_options):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)

    monkeypatch.setattr(interruption, "run", SimpleNamespace(stop=lambda: None))
    monkeypatch.setattr(module, waits, interrupt)
    result = CliRunner().invoke(build(words[:1]), [*words, "-i", str(fleet / "inventory.yaml")])
    assert result.exit_code != 0
    assert "interrupted: what is under way is ended" in result.stderr
