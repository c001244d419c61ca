"""git as it is."""

from pathlib import Path

from slipway.tools import git


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
