"""Freezing a group and limiting its memory, in both versions of the hierarchy."""

import pytest

from slipway.lab import cgroups
from slipway.lab.cgroups import Hierarchy

V1 = {"freezer.state": "THAWED\n", "memory.limit_in_bytes": "9223372036854771712\n"}
V2 = {"cgroup.freeze": "0\n", "cgroup.events": "populated 1\nfrozen 0\n", "memory.max": "max\n"}


@pytest.fixture
def group(tmp_path, monkeypatch):
    def make(version: int, files: dict[str, str]):
        tree = Hierarchy(tmp_path, version, frozenset({"freezer", "memory"} if version == 1 else set()))
        monkeypatch.setattr(cgroups, "hierarchies", lambda: (tree,))
        monkeypatch.setattr(cgroups, "END_TIMEOUT", 0.1)
        (tmp_path / "lab").mkdir()
        for name, text in files.items():
            (tmp_path / "lab" / name).write_text(text)
        return tmp_path / "lab"

    return make


def test_a_v1_group_is_frozen_and_thawed(group):
    folder = group(1, V1)
    cgroups.freeze("lab")
    assert (folder / "freezer.state").read_text() == "FROZEN"
    assert cgroups.frozen("lab")
    cgroups.thaw("lab")
    assert not cgroups.frozen("lab")


def test_a_v2_group_counts_as_frozen_when_the_kernel_says_so(group):
    folder = group(2, V2)
    with pytest.raises(Exception, match="some still run"):
        cgroups.freeze("lab")
    assert (folder / "cgroup.freeze").read_text() == "1"
    (folder / "cgroup.events").write_text("populated 1\nfrozen 1\n")
    assert cgroups.frozen("lab")
    cgroups.thaw("lab")
    assert (folder / "cgroup.freeze").read_text() == "0"


@pytest.mark.parametrize(("version", "files", "none"), [(1, V1, "-1"), (2, V2, "max")])
def test_memory_is_limited_and_given_back(group, version, files, none):
    folder = group(version, files)
    assert not cgroups.memory_limited("lab")
    cgroups.limit_memory("lab", 2**20)
    assert cgroups.memory_limited("lab")
    cgroups.limit_memory("lab", None)
    (limit,) = (folder / name for name in ("memory.limit_in_bytes", "memory.max") if name in files)
    assert limit.read_text() == none


def test_nothing_is_said_of_a_group_that_is_not_there(group):
    group(1, V1)
    assert not cgroups.frozen("other")
    assert not cgroups.memory_limited("other")
    cgroups.thaw("other")
