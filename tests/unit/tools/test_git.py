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


def test_a_folder_that_the_repository_around_it_ignores_is_in_none(tmp_path):
    git.init(tmp_path)
    (tmp_path / ".gitignore").write_text("/demo/\n")
    for name in ("demo", "kept"):
        (tmp_path / name).mkdir()
    assert not git.is_inside_repository(tmp_path / "demo")
    assert git.is_inside_repository(tmp_path / "kept")
    git.init(tmp_path / "demo")
    assert git.is_inside_repository(tmp_path / "demo")
