"""No symlink of a repository leads us out of it."""

import pytest

from slipway import inside
from slipway.errors import InvalidInput


@pytest.fixture
def outside(tmp_path):
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "precious").write_text("precious")
    return folder


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "repository"
    folder.mkdir()
    return folder


def test_a_file_is_written_whole_and_nothing_is_left_beside_it(root):
    inside.write(root, "a/b/c", b"one")
    inside.write(root, "a/b/c", b"two")
    assert (root / "a/b/c").read_bytes() == b"two"
    assert [path.name for path in (root / "a/b").iterdir()] == ["c"]


@pytest.mark.parametrize("name", ["link", "link/file", "a/link/file", "a/link"])
def test_no_symlink_is_followed_to_write(root, outside, name):
    (root / "a").mkdir()
    before, _, _ = name.partition("link")
    (root / before / "link").symlink_to(outside)
    with pytest.raises(InvalidInput, match="slipway follows none in a repository"):
        inside.write(root, name, b"mine")
    assert [path.name for path in outside.iterdir()] == ["precious"]


def test_a_link_to_a_file_is_not_written_through(root, outside):
    (root / "lock").symlink_to(outside / "precious")
    with pytest.raises(InvalidInput, match="a symlink to") as refused:
        inside.place(root, "lock")
    assert refused.value.hint == f"rm {root / 'lock'}"


def test_a_link_under_a_temporary_name_of_before_is_in_nobodys_way(root, outside):
    """Such a name could be known to whoever wrote the repository."""
    (root / ".k0s.yaml.new").symlink_to(outside / "precious")
    inside.write(root, "k0s.yaml", b"new")
    assert (outside / "precious").read_text() == "precious"
    assert (root / "k0s.yaml").read_bytes() == b"new"


def test_state_is_its_owners_alone_and_is_mended(root):
    assert inside.state(root, "runs").is_dir()
    assert (root / ".slipway").stat().st_mode & 0o777 == 0o700
    (root / ".slipway").chmod(0o755)
    inside.state(root)
    assert (root / ".slipway").stat().st_mode & 0o777 == 0o700


def test_state_is_not_looked_for_elsewhere(root, outside):
    (root / ".slipway").symlink_to(outside)
    with pytest.raises(InvalidInput, match="follows none"):
        inside.state(root, "runs")
