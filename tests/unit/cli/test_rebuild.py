"""`slipway rebuild`: which commands it types, in which order, and when it asks. Machines are a real sshd on loopback;
commands that it types are recorded, and some done by a fake."""

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.cli.two_hosts import INVENTORY
from typer.testing import CliRunner, Result

from slipway.cli import rebuild as command
from slipway.cli import typed
from slipway.cli.main import build
from slipway.cluster.members import Membership
from slipway.errors import LockedByAnother, SlipwayError, Unreachable, UsageError
from slipway.inventory import load
from slipway.rollout import lock
from slipway.ssh import pool
from slipway.ssh.keys import KNOWN_HOSTS
from slipway.stages import comeback
from slipway.tools import git

STAGES = """
stages:
  # what happens with volumes
  mode: install
  backup: {repository: "s3:https://s3.example.org/backups"}
"""
TO_THE_END = ["secrets init", "generate", "git add", "git commit", "deploy", "verify", "handoff", "status"]
EMPTY, CONTROLLER = Membership(), Membership(control_plane=True, ca="ab" * 32)


@pytest.fixture
def repository(tmp_path, sshd, monkeypatch):
    root = tmp_path / "homelab"
    root.mkdir()
    monkeypatch.setattr(pool, "endpoint_of", lambda host: replace(sshd.endpoint, name=host.name))
    monkeypatch.setattr(command, "find_program", lambda _name: None)
    shutil.copy(sshd.folder / "known_hosts", root / KNOWN_HOSTS)
    text = INVENTORY.format(user=sshd.endpoint.user, port=sshd.port) + STAGES
    (root / "inventory.yaml").write_text(text)
    (root / ".gitignore").write_text(".slipway/\n")
    git.init(root)
    typed_by_hand(root, "add", "--all")
    typed_by_hand(root, "-c", "user.name=x", "-c", "user.email=x@localhost", "commit", "--quiet", "--message=first")
    return root


def typed_by_hand(root: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", str(root), *words], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def held(monkeypatch):
    """What machines hold; a test puts in what it wants."""
    found = {"cp1": EMPTY, "w1": EMPTY}
    monkeypatch.setattr(command, "seen_of", lambda _pool, names: {name: found[name] for name in names})
    return found


class Typist:
    """Records what is typed, does git's part for real, and fails at the command that it is told to."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.environments: list[dict[str, str]] = []
        self.fails = ""

    def __call__(self, argv, *, cwd, env, **_):
        words = argv[3:] if "slipway.cli" in argv else argv
        if argv[0] == "git":
            self.lines.append(f"git {next(word for word in argv[1:] if word in ('add', 'commit'))}")
            typed_by_hand(cwd, *argv[1:])
            return 0
        self.lines.append(" ".join(words))
        self.environments.append(dict(env))
        return 6 if self.lines[-1] == self.fails else 0


@pytest.fixture
def typist(monkeypatch):
    typist = Typist()
    monkeypatch.setattr(typed, "call", typist)
    return typist


def rebuild(*words: str, root: Path | None = None) -> Result:
    named = ["-i", str(root / "inventory.yaml")] if root else []
    return CliRunner().invoke(build(["rebuild"]), ["rebuild", *words, *named])


def test_machines_that_lost_everything_come_back_without_a_question(repository, held, typist):
    result = rebuild(root=repository)
    assert result.exit_code == 0, result.output
    assert typist.lines == ["secrets check", *TO_THE_END]
    inventory = load(repository / "inventory.yaml")
    assert inventory.stages.mode == "restore"
    assert "# what happens with volumes" in (repository / "inventory.yaml").read_text()
    assert git.uncommitted(repository, ".") == ()
    assert command.MESSAGE in typed_by_hand(repository, "log", "-1", "--format=%s")
    assert "stages.backup.verified: true" in result.stderr
    assert comeback.under_way(repository) is None


@pytest.mark.parametrize("words", [(), ("--yes", "another")])
def test_where_a_machine_holds_a_cluster_it_says_what_is_lost_and_needs_the_clusters_name(
    repository, held, typist, words
):
    held["cp1"] = CONTROLLER
    result = rebuild(*words, root=repository)
    assert isinstance(result.exception, UsageError)
    assert "nothing was changed" in str(result.exception)
    assert result.exception.hint == "slipway rebuild --yes test"
    assert "is lost: cp1: the control plane's data and keys there (cluster abababababab)" in result.stderr
    assert typist.lines == ["secrets check"]
    assert load(repository / "inventory.yaml").stages.mode == "install"


def test_with_the_name_those_machines_are_reset_and_no_others(repository, held, typist):
    held["cp1"] = CONTROLLER
    assert rebuild("--yes", "test", root=repository).exit_code == 0
    assert typist.lines == ["secrets check", "reset cp1 --yes", "reboot cp1 --no-drain", *TO_THE_END]


def test_it_goes_on_where_it_stopped_and_resets_nothing_of_the_new_cluster(repository, held, typist):
    held["cp1"] = CONTROLLER
    typist.fails = "verify"
    failed = rebuild("--yes", "test", root=repository)
    assert isinstance(failed.exception, SlipwayError)
    assert failed.exception.exit_code == 6
    typist.fails, typist.lines = "", []
    again = rebuild(root=repository)
    assert again.exit_code == 0, again.output
    assert "going on with the rebuild that began" in again.stderr
    assert typist.lines == ["deploy", "verify", "handoff", "status"]


def test_one_that_was_stopped_before_its_machines_were_reset_asks_again(repository, held, typist):
    held["cp1"] = CONTROLLER
    typist.fails = "reset cp1 --yes"
    rebuild("--yes", "test", root=repository)
    typist.fails, typist.lines = "", []
    assert isinstance(rebuild(root=repository).exception, UsageError)
    assert not [line for line in typist.lines if line.startswith("reset")]


def test_anew_it_begins_with_the_question(repository, held, typist):
    typist.fails = "handoff"
    rebuild(root=repository)
    held["cp1"] = CONTROLLER
    assert isinstance(rebuild("--anew", root=repository).exception, UsageError)


def test_a_second_rebuild_at_the_same_time_is_refused_and_changes_nothing(repository, held, typist):
    """Between two commands of the first, which hold the lock of the repository one by one."""
    typist.fails = "deploy"
    rebuild(root=repository)
    typist.lines.clear()
    with lock.hold(repository, command.LOCK):
        for words in ((), ("--anew",)):
            result = rebuild(*words, root=repository)
            assert isinstance(result.exception, LockedByAnother)
        assert rebuild("--dry-run", root=repository).exit_code == 0
    assert typist.lines == []
    assert comeback.under_way(repository) is not None, "what the first has done is remembered"


def test_what_is_not_committed_is_nothing_to_go_by(repository, held, typist):
    (repository / "notes").write_text("mine")
    result = rebuild(root=repository)
    assert isinstance(result.exception, UsageError)
    assert "1 file not committed, such as notes" in str(result.exception)
    assert typist.lines == []


def test_a_rehearsal_tells_and_changes_nothing(repository, held, typist):
    held["cp1"] = CONTROLLER
    result = rebuild("--dry-run", "--json", root=repository)
    lines = json.loads(result.stdout)["wouldDo"]
    assert lines[0].startswith("lose cp1: the control plane's data")
    assert [line for line in lines if "stages.mode becomes restore" in line]
    assert lines[-1] == "deploy, verify and hand over test"
    assert typist.lines == []
    assert git.uncommitted(repository, ".") == ()
    assert not (repository / ".slipway" / "runs").exists()


def test_the_result_for_programs_has_every_command_with_its_time(repository, held, typist):
    result = rebuild("--json", root=repository)
    told = json.loads(result.stdout)
    assert (told["kind"], told["cluster"], told["resumed"], told["reset"]) == ("Rebuild", "test", False, [])
    assert [each["command"].removeprefix("slipway ") for each in told["steps"]][-4:] == TO_THE_END[-4:]


def test_a_drill_comes_before_anything_is_lost_where_its_programs_are_here(repository, held, typist, monkeypatch):
    monkeypatch.setattr(command, "find_program", Path)
    rebuild(root=repository)
    assert typist.lines[:2] == ["secrets check", "secrets drill"]


def test_a_cluster_that_saved_nothing_is_deployed_and_handed_over_alone(repository, held, typist):
    text = (repository / "inventory.yaml").read_text()
    (repository / "inventory.yaml").write_text(text[: text.index("stages:")])
    typed_by_hand(repository, "-c", "user.name=x", "-c", "user.email=x@localhost", "commit", "-qam", "no stages")
    result = rebuild(root=repository)
    assert "verified" not in result.stderr
    assert typist.lines == ["secrets check", "secrets init", "generate", "deploy", "verify", "handoff", "status"]


def test_a_machine_that_does_not_answer_is_named_before_anything_is_typed(repository, typist, monkeypatch):
    def nobody(_pool: object, names: list[str]) -> dict[str, Membership]:
        raise Unreachable(f"{names[1]}: connection refused")

    monkeypatch.setattr(command, "seen_of", nobody)
    result = rebuild(root=repository)
    assert isinstance(result.exception, Unreachable)
    assert "slipway install NODE" in str(result.exception.hint)
    assert typist.lines == []


def test_from_a_bundle_and_a_key_it_works_in_a_clone_of_its_own(repository, held, typist, tmp_path, monkeypatch):
    git.bundle(repository, tmp_path / "lost.bundle")
    (tmp_path / "key.txt").write_text("AGE-SECRET-KEY-")
    monkeypatch.chdir(tmp_path)
    result = rebuild("--from", "lost.bundle", "--age-key", "key.txt")
    assert result.exit_code == 0, result.output
    assert load(tmp_path / "lost" / "inventory.yaml").stages.mode == "restore"
    assert load(repository / "inventory.yaml").stages.mode == "install"
    assert {each["SOPS_AGE_KEY_FILE"] for each in typist.environments} == {str(tmp_path / "key.txt")}


def test_a_folder_that_is_there_is_not_written_over(repository, typist, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = rebuild("--from", "elsewhere/homelab.git")
    assert isinstance(result.exception, UsageError)
    assert result.exception.hint == "cd homelab; slipway rebuild, which goes on there"
    assert typist.lines == []
