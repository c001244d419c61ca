"""git as it is."""

from pathlib import Path

from slipway.tools import git
from slipway.tools.run import run


def test_new_files_become_known_and_stay_unstaged(tmp_path):
    assert not git.is_inside_repository(tmp_path)
    git.init(tmp_path)
    assert git.is_inside_repository(tmp_path)
    (tmp_path / ".gitignore").write_text("ignored\n")
    (tmp_path / "ignored").write_text("")
    odd = Path("a *b\nc")
    (tmp_path / odd).write_text("")
    assert set(git.untracked(tmp_path)) == {Path(".gitignore"), odd}
    git.intend_to_add(tmp_path, [odd])
    assert git.untracked(tmp_path) == (Path(".gitignore"),)


def test_a_folder_is_made_known_without_what_is_ignored_and_what_is_staged_stays_so(tmp_path):
    git.init(tmp_path)
    (tmp_path / ".gitignore").write_text("ignored\n")
    (tmp_path / "folder").mkdir()
    for name in ("staged", "ignored"):
        (tmp_path / "folder" / name).write_text("first")
    run(["git", "-C", str(tmp_path), "add", "folder/staged"])
    staged = run(["git", "-C", str(tmp_path), "ls-files", "--stage"]).stdout
    (tmp_path / "folder" / "staged").write_text("second")
    (tmp_path / "folder" / "new").write_text("")
    git.intend_to_add(tmp_path, [Path("folder")])
    now = run(["git", "-C", str(tmp_path), "ls-files", "--stage"]).stdout.splitlines()
    assert [line.split("\t")[1] for line in now] == ["folder/new", "folder/staged"]
    assert now[1] == staged.strip()


def test_files_that_a_flake_would_be_built_without_are_told(tmp_path):
    for path in (
        "hosts/w1.nix",
        "hosts/old.nix",
        "hosts/w1.nix~",
        "modules/local.nix",
        "modules/notes.txt",
        "README.md",
    ):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text("{ }")
    assert git.unseen(tmp_path) == (), "without Git a flake sees the folder as it is"
    git.init(tmp_path)
    (tmp_path / ".gitignore").write_text("local.nix\n*.txt\n")
    run(["git", "-C", str(tmp_path), "add", "--intent-to-add", "hosts/old.nix"])
    assert git.unseen(tmp_path) == (Path("hosts/w1.nix"), Path("modules/local.nix"))
    assert git.ignores(tmp_path, git.unseen(tmp_path)) == {Path("modules/local.nix")}


def test_a_flake_in_a_part_of_a_repository_is_told_of_its_own_files(tmp_path):
    git.init(tmp_path)
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "another.nix").write_text("{ }")
    (tmp_path / "lab" / "hosts").mkdir(parents=True)
    (tmp_path / "lab" / "hosts" / "w1.nix").write_text("{ }")
    assert git.unseen(tmp_path / "lab") == (Path("hosts/w1.nix"),)


def test_a_folder_that_the_repository_around_it_ignores_is_in_none(tmp_path):
    git.init(tmp_path)
    (tmp_path / ".gitignore").write_text("/demo/\n")
    for name in ("demo", "kept"):
        (tmp_path / name).mkdir()
    assert not git.is_inside_repository(tmp_path / "demo")
    assert git.is_inside_repository(tmp_path / "kept")
    git.init(tmp_path / "demo")
    assert git.is_inside_repository(tmp_path / "demo")
