"""The writer touches its own files, those that changed, and no others."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from slipway.errors import InvalidInput
from slipway.generate import writer
from slipway.generate.templates import MARK

HEAD = f"# {MARK} 1.0 from x\n".encode()
FILES = {"generated/a.nix": HEAD + b"a\n", "generated/hosts/b/default.nix": HEAD + b"b\n"}


def write(root: Path, files: Mapping[str, bytes]) -> list[tuple[str, str]]:
    different = writer.changes(root, files)
    writer.write(root, different)
    return [(change.verb, change.path) for change in different]


def on_disk(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_first_everything_is_new(tmp_path):
    assert write(tmp_path, FILES) == [
        ("new", "generated/a.nix"), ("new", "generated/hosts/b/default.nix"), ("new", "generated/manifest"),
    ]  # fmt: skip
    assert on_disk(tmp_path) == {**FILES, "generated/manifest": b"generated/a.nix\ngenerated/hosts/b/default.nix\n"}


def test_a_second_time_nothing_is_written(tmp_path):
    write(tmp_path, FILES)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert write(tmp_path, FILES) == []
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_only_what_changed_is_written(tmp_path):
    write(tmp_path, FILES)
    assert write(tmp_path, {**FILES, "generated/a.nix": HEAD + b"c\n"}) == [("changed", "generated/a.nix")]


def test_what_is_generated_no_more_goes_with_its_folder(tmp_path):
    write(tmp_path, FILES)
    assert write(tmp_path, {"generated/a.nix": FILES["generated/a.nix"]}) == [
        ("removed", "generated/hosts/b/default.nix"), ("changed", "generated/manifest"),
    ]  # fmt: skip
    assert not (tmp_path / "generated/hosts").exists()


def test_files_of_the_user_stay(tmp_path):
    write(tmp_path, FILES)
    theirs = tmp_path / "generated/hosts/b/notes.txt"
    theirs.write_text("mine")
    write(tmp_path, {"generated/a.nix": FILES["generated/a.nix"]})
    assert theirs.read_text() == "mine"


def test_a_generated_file_that_the_user_took_over_is_not_removed(tmp_path):
    write(tmp_path, FILES)
    (tmp_path / "generated/hosts/b/default.nix").write_text("mine\n")
    write(tmp_path, {"generated/a.nix": FILES["generated/a.nix"]})
    assert (tmp_path / "generated/hosts/b/default.nix").read_text() == "mine\n"


def test_a_file_of_the_user_in_the_way_is_refused_and_nothing_written(tmp_path):
    (tmp_path / "generated").mkdir()
    (tmp_path / "generated/a.nix").write_text("mine")
    with pytest.raises(InvalidInput, match=r"did not write: generated/a\.nix"):
        writer.changes(tmp_path, FILES)
    assert on_disk(tmp_path) == {"generated/a.nix": b"mine"}


def test_an_edited_generated_file_is_drift(tmp_path):
    write(tmp_path, FILES)
    (tmp_path / "generated/a.nix").write_bytes(b"edited\n")
    (change,) = writer.changes(tmp_path, FILES)
    assert change.diff().splitlines()[:2] == ["--- generated/a.nix", "+++ generated/a.nix"]
    assert "-edited" in change.diff()


def test_own_files_are_known_again_without_the_manifest(tmp_path):
    write(tmp_path, FILES)
    (tmp_path / "generated/manifest").unlink()
    assert write(tmp_path, {**FILES, "generated/a.nix": HEAD + b"c\n"}) == [
        ("changed", "generated/a.nix"), ("new", "generated/manifest"),
    ]  # fmt: skip


@pytest.mark.parametrize("path", ["../outside", "/etc/outside", "a/../../outside"])
def test_a_mangled_manifest_reaches_nothing_outside(tmp_path, path):
    root = tmp_path / "repository"
    write(root, FILES)
    outside = tmp_path / "outside"
    outside.write_bytes(HEAD)
    (root / "generated/manifest").write_text(f"{path}\ngenerated/a.nix\n")
    write(root, FILES)
    assert outside.exists()


def test_a_new_file_shows_as_all_added(tmp_path):
    change = writer.changes(tmp_path, FILES)[0]
    assert change.diff().startswith("--- /dev/null\n+++ generated/a.nix\n")
