"""Files that Git does not know, against a real Git and, for what a build sees, a real Nix."""

import json
import shlex
import subprocess

import pytest

from slipway.errors import InvalidInput
from slipway.rollout import sources
from slipway.tools import git

FLAKE = """{
  outputs = { self }: { sees = builtins.pathExists ./hosts/w1.nix; };
}
"""


@pytest.fixture
def repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    git.init(tmp_path)
    (tmp_path / "flake.nix").write_text(FLAKE)
    (tmp_path / "hosts").mkdir()
    (tmp_path / "hosts" / "w1.nix").write_text("{ }")
    return tmp_path


def typed(command: str) -> None:
    subprocess.run(shlex.split(command), check=True)


def test_the_command_that_is_told_is_enough(repository):
    with pytest.raises(InvalidInput, match=r"hosts/w1\.nix is unknown to Git, so no build sees it") as caught:
        sources.require_seen(repository)
    assert caught.value.hint == "git add flake.nix hosts/w1.nix"
    typed(caught.value.hint)
    sources.require_seen(repository)


def test_what_git_ignores_wants_a_word_more_and_a_folder_elsewhere_its_name(repository, monkeypatch):
    (repository / ".gitignore").write_text("w1.nix\n")
    typed("git add flake.nix")
    monkeypatch.chdir("/")
    (advice,) = sources.unseen(repository).values()
    assert advice.endswith(f"git -C {repository} add --force hosts/w1.nix")
    typed(advice.partition("sees it: ")[2])
    assert sources.unseen(repository) == {}


def test_many_are_counted(repository):
    for number in range(30):
        (repository / "hosts" / f"n{number:02}.nix").write_text("{ }")
    with pytest.raises(InvalidInput, match=r"\.\.\. and 12 more"):
        sources.require_seen(repository)


def test_control_nix_leaves_out_what_is_told_here_and_nothing_else(repository, nix):
    """The fact that all of this stands on."""
    typed("git add flake.nix")
    flake = f"git+file://{repository}#sees"
    assert json.loads(nix("nix", "eval", "--json", flake)) is False
    typed("git add --intent-to-add hosts/w1.nix")
    assert json.loads(nix("nix", "eval", "--json", flake)) is True
    assert sources.unseen(repository) == {}
