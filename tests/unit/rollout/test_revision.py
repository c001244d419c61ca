"""No older checkout takes nodes back by mistake."""

import subprocess
from dataclasses import replace

import pytest
from tests.unit.rollout.test_engine import World, facts, outcomes

from slipway.node import facts as node_facts
from slipway.node.places import Places
from slipway.rollout import revision
from slipway.rollout.engine import Options
from slipway.rollout.revision import Older, commit_of, require_newer
from slipway.tools import git

SYSTEM = "/old"


def commit(root, *words: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    argv = ["git", "-C", str(root), *identity, "commit", "-q", "--allow-empty", "-m", "x", *words]
    subprocess.run(argv, check=True)
    head = git.head(root)
    assert head
    return head


@pytest.fixture
def repository(tmp_path):
    git.init(tmp_path)
    return tmp_path


def noted(commit: str, system: str = SYSTEM):
    return replace(facts(SYSTEM), note=f"{system} {commit}")


def test_what_is_checked_out_may_be_the_same_commit_or_a_later_one(repository):
    first = commit(repository)
    require_newer(repository, {"w1": noted(first)})
    commit(repository)
    require_newer(repository, {"w1": noted(first), "w2": facts(SYSTEM)})


def test_an_earlier_one_is_refused_with_the_nodes_and_the_way(repository):
    first, later = commit(repository), commit(repository)
    subprocess.run(["git", "-C", str(repository), "checkout", "-q", first], check=True)
    with pytest.raises(Older, match=f"w1 w2 of commit {later[:12]}") as caught:
        require_newer(repository, {"w1": noted(later), "w2": noted(later), "w3": noted(first)})
    assert "slipway deploy --older" in str(caught.value.hint)


def test_a_commit_that_this_clone_does_not_know_is_refused_too(repository):
    commit(repository)
    with pytest.raises(Older, match="w1 of commit abababababab"):
        require_newer(repository, {"w1": noted("ab" * 20)})


@pytest.mark.parametrize("note", ["", "x", f"/other {'ab' * 20}", f"{SYSTEM} HEAD", f"{SYSTEM} --all", f"{SYSTEM} "])
def test_a_note_of_another_system_or_of_no_commit_says_nothing(repository, note):
    commit(repository)
    node = replace(facts(SYSTEM), note=note)
    assert commit_of(node) is None
    require_newer(repository, {"w1": node})


def test_outside_of_a_repository_nothing_is_known(tmp_path):
    require_newer(tmp_path, {"w1": noted("ab" * 20)})


def test_a_note_is_what_the_next_deploy_reads(remote, tmp_path, monkeypatch):
    places = Places(note=str(tmp_path / "lib" / "slipway" / "commit"))
    monkeypatch.setattr(revision, "NIXOS", places)
    revision.note(remote, "/nix/store/x", "ab" * 20)
    assert node_facts.read(remote, places).note == f"/nix/store/x {'ab' * 20}"


def test_a_note_that_cannot_be_written_fails_no_node(remote, monkeypatch):
    monkeypatch.setattr(revision, "NIXOS", Places(note="/proc/nowhere/commit"))
    revision.note(remote, "/nix/store/x", "ab" * 20)


def test_a_deploy_asks_before_it_builds_and_notes_what_it_activated(inventory, monkeypatch):
    git.init(inventory.root)
    first = commit(inventory.root)
    world, written = World(inventory, monkeypatch), []
    asked: list[object] = []
    monkeypatch.setattr(revision, "note", lambda host, system, of: written.append((host.name, system, of)))
    monkeypatch.setattr(revision, "require_newer", lambda root, seen: asked.append(sorted(seen)))
    assert outcomes(world.deploy(changed=("w1",)))["w1"] == "ok"
    assert written == [("w1", "/new", first)]
    assert asked == [["cp1", "cp2", "cp3", "w1", "w2"]]
    world.deploy(changed=("w1",), options=Options(older=True))
    assert len(asked) == 1, "--older asks nobody"
