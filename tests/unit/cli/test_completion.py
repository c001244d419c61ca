"""What shells offer; bash itself is asked too, since it breaks words where nobody expects it."""

import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from slipway.cli import completion
from slipway.cli.main import COMMANDS, build
from slipway.stages.model import Stage

INVENTORY = """\
groups:
  rack-a: {}
hosts:
  cp1: {role: controller}
  w1: {role: worker, tags: [ssd], groups: [rack-a]}
  w2:
"""


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def offered(monkeypatch, tmp_path, cache):
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.chdir(tmp_path)
    Path("inventory.yaml").write_text(INVENTORY)

    def ask(line: str) -> list[str]:
        return [each.partition("\t")[0] for each in completion.answer(line, commands)]

    return ask


def commands():
    return typer.main.get_command(build(list(COMMANDS)))


def test_commands_of_the_whole_and_of_a_group(offered):
    assert offered("slipway dep") == ["deploy"]
    assert set(COMMANDS) <= set(offered("slipway "))
    assert offered("slipway lab f") == ["fault"]


def test_what_is_offered_says_what_it_is(offered):
    (said,) = completion.answer("slipway exp", commands)
    assert said == "export\tWrite the inventory in the words of other tools"


def test_options_of_a_command_and_of_no_other(offered):
    assert "--exclude" in offered("slipway verify --")
    assert offered("slipway doctor --exc") == []


def test_options_of_the_command_that_a_group_means_where_none_is_named(offered):
    assert {"--limit", "--json", "--help"} <= set(offered("slipway runs --"))
    assert offered("slipway runs ") == ["list", "show"]
    assert offered("slipway encryption --") == ["--help"]


@pytest.mark.parametrize(
    "line", ["slipway verify ", "slipway verify cp1 ", "slipway deploy --exclude ", "slipway plan -x "]
)
def test_nodes_groups_tags_and_roles_where_nodes_are_taken(offered, line):
    assert offered(line) == ["cp1", "w1", "w2", "@rack-a", "@ssd", "controller", "worker"]


def test_stages_where_one_is_taken(offered):
    assert offered("slipway handoff --until ") == [stage.value for stage in Stage]


def test_nodes_of_the_inventory_that_is_named_and_of_a_folder_above(offered, tmp_path, monkeypatch):
    Path("other.yaml").write_text("hosts: {n9: {}}")
    assert offered("slipway verify -i other.yaml n") == ["n9"]
    monkeypatch.setenv("SLIPWAY_INVENTORY", "other.yaml")
    assert offered("slipway verify n") == ["n9"]
    monkeypatch.delenv("SLIPWAY_INVENTORY")
    (tmp_path / "hosts").mkdir()
    monkeypatch.chdir(tmp_path / "hosts")
    assert offered("slipway verify cp") == ["cp1"]


@pytest.mark.parametrize("text", ["hosts: [", "", "hosts: 3", "hosts: {w1: 7}", "- a"])
def test_a_half_written_inventory_offers_nothing_and_fails_nothing(offered, text):
    Path("inventory.yaml").write_text(text)
    assert offered("slipway verify @") == []


def test_packs_choices_files_and_runs(offered):
    assert offered("slipway verify --pack n") == ["network"]
    assert offered("slipway completion ") == ["bash", "zsh", "fish"]
    Path("old").mkdir()
    Path("old/k0sctl.yaml").touch()
    assert offered("slipway import k0sctl o") == ["old/"]
    assert offered("slipway import k0sctl old/") == ["old/k0sctl.yaml"]
    Path(".slipway/runs/20261126T020000-deploy").mkdir(parents=True)
    assert offered("slipway runs show 2") == ["20261126T020000-deploy"]


def test_nothing_of_a_command_is_imported_for_the_second_answer(offered):
    assert offered("slipway dep") == ["deploy"]

    def build_again():
        raise AssertionError("built again")

    assert list(completion.answer("slipway deploy --exc", build_again)) == ["--exclude\tLeave these out"]


def test_a_cache_that_cannot_be_written_costs_time_alone(offered, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert offered("slipway dep") == ["deploy"]


def in_bash(line: str, tmp_path: Path) -> list[str]:
    """What bash itself fills in at the end of `line`, with a `slipway` of this test on PATH."""
    program = tmp_path / "bin" / "slipway"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m slipway.cli "$@"\n')
    program.chmod(0o755)
    script = f"""{completion.BASH}
        PATH={program.parent}:$PATH
        COMP_LINE={line!r} COMP_POINT=${{#COMP_LINE}}
        COMP_WORDS=({" ".join(map(repr, broken(line)))}) COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
        compopt() {{ true; }}
        _slipway; printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout.split()


def broken(line: str) -> list[str]:
    """The words as bash breaks them: at blanks, and at @ as a word of its own."""
    words = line.replace("@", " @ ").split()
    return words if not line.endswith(" ") else [*words, ""]


def test_bash_gets_the_part_that_it_replaces(offered, tmp_path):
    assert in_bash("slipway verify cp", tmp_path) == ["cp1"]
    assert in_bash("slipway verify @ra", tmp_path) == ["rack-a"], "bash keeps the @ that stands before the broken word"
