"""What `slipway runs` prints."""

import json

import pytest
from tests.unit.rollout.conftest import INVENTORY
from typer.testing import CliRunner

from slipway.cli.main import build
from slipway.errors import DeployFailed, SlipwayError
from slipway.outcome import NodeResult, Outcome
from slipway.rollout.run import Run


@pytest.fixture
def slipway(tmp_path):
    (tmp_path / "inventory.yaml").write_text(INVENTORY)

    def slipway(*words: str):
        result = CliRunner().invoke(build(["runs"]), ["runs", *words, "-i", str(tmp_path / "inventory.yaml")])
        if isinstance(result.exception, SlipwayError):
            raise result.exception
        return result

    return slipway


@pytest.fixture
def run(tmp_path):
    run = Run.begin(tmp_path, "deploy")
    run.finish((NodeResult("w1", Outcome.ROLLED_BACK),), DeployFailed("rolled-back: w1"))
    return run


def test_the_list_has_a_line_a_run(slipway, run, tmp_path):
    Run.begin(tmp_path, "verify")
    lines = slipway("list").stdout.splitlines()
    assert len(lines) == 3
    assert any(run.id in line and "failed" in line and "1 rolled-back" in line for line in lines)
    assert any("verify" in line and "running" in line for line in lines)
    printed = json.loads(slipway("list", "--json", "--limit", "1").stdout)
    assert len(printed) == 1
    assert "and 1 older ones" in slipway("list", "--limit", "1").stderr


@pytest.mark.parametrize("words", [(), ("--limit", "1"), ("--json",)])
def test_without_a_command_the_runs_are_listed(slipway, run, words):
    Run.begin(run.folder.parents[2], "verify")
    alone, named = slipway(*words), slipway("list", *words)
    assert (alone.exit_code, alone.stdout, alone.stderr) == (0, named.stdout, named.stderr)
    assert "deploy" in alone.stdout or "verify" in alone.stdout, "which of two that began in one second is the newest"


def test_help_tells_of_both_commands_and_of_the_list():
    result = CliRunner().invoke(build(["runs"]), ["runs", "--help"])
    assert result.exit_code == 0
    assert "show" in result.stdout and "Example: slipway runs --limit 5" in result.stdout


def test_a_misspelt_command_is_no_word_for_the_list(slipway):
    result = slipway("shwo")
    assert result.exit_code == 2 and "No such command 'shwo'" in result.stderr


def test_one_run_is_shown_with_its_nodes_and_its_error(slipway, run):
    text = slipway("show", run.id).stdout
    assert f"{run.id}: deploy, failed" in text
    assert "error: rolled-back: w1" in text and "w1    rolled-back" in text
    assert json.loads(slipway("show", run.id, "--json").stdout)["nodes"] == {"w1": "rolled-back"}


def test_where_the_logs_of_nodes_are_is_said(slipway, run):
    assert "logs" in slipway("show", run.id).stderr, "the result is an event of the node as well"


def test_a_run_that_is_not_there_is_a_mistake_of_the_caller(slipway):
    with pytest.raises(SlipwayError, match="there is none") as caught:
        slipway("show", "x")
    assert (caught.value.exit_code, caught.value.hint) == (2, "slipway runs list")
