"""Which folder is which stage."""

from pathlib import PurePosixPath

import pytest

from slipway.errors import InvalidInput, UsageError
from slipway.stages.law import layout


@pytest.fixture
def root(tmp_path):
    for folder in ("infra/controllers", "apps", "gitops/bootstrap", "gitops/cluster-apps", "overlays/cluster-apps"):
        (tmp_path / folder).mkdir(parents=True)
    return tmp_path


def named(found: layout.Layout) -> list[tuple[str, list[str]]]:
    return [(stage.name, [str(folder) for folder in stage.folders]) for stage in found.stages]


def test_slipways_own_folders_are_known_with_the_users_overlays(root):
    assert named(layout.of(root)) == [
        ("bootstrap", ["gitops/bootstrap"]),
        ("cluster-apps", ["gitops/cluster-apps", "overlays/cluster-apps"]),
    ]


def test_options_come_before_the_file_and_the_file_before_what_is_usual(root):
    (root / "stages.yaml").write_text("stages: [{name: first, folders: [./infra/]}, {name: second, folders: [apps]}]\n")
    assert named(layout.of(root)) == [("first", ["infra"]), ("second", ["apps"])]
    assert named(layout.of(root, ["a=apps", "b=infra,gitops"])) == [("a", ["apps"]), ("b", ["infra", "gitops"])]


def test_the_innermost_folder_decides(root):
    found = layout.of(root, ["inner=infra/controllers", "outer=infra"])
    assert found.stage_of(PurePosixPath("infra/controllers/x.yaml")) == 0
    assert found.stage_of(PurePosixPath("infra/x.yaml")) == 1
    assert found.stage_of(PurePosixPath("elsewhere/x.yaml")) is None


def test_an_app_is_the_folder_below_the_stage(root):
    found = layout.of(root, ["infra=infra", "apps=apps"])
    assert found.app_of(PurePosixPath("infra/controllers/deep/x.yaml")) == "controllers"
    assert found.app_of(PurePosixPath("apps/x.yaml")) == "apps"


@pytest.mark.parametrize("option", ["apps", "=apps", "apps="])
def test_an_option_that_says_no_folder_is_refused(root, option):
    with pytest.raises(UsageError, match="NAME=FOLDER"):
        layout.of(root, [option])


@pytest.mark.parametrize("option", ["a=missing", "a=../..", "a=/etc"])
def test_a_folder_that_is_not_in_the_repository_is_refused(root, option):
    with pytest.raises(InvalidInput, match="no such folder"):
        layout.of(root, [option])


def test_a_stage_named_twice_is_refused(root):
    with pytest.raises(InvalidInput, match="twice: a"):
        layout.of(root, ["a=apps", "a=infra"])


@pytest.mark.parametrize(
    "text",
    ["stages: x", "stages: [{name: a, folders: apps}]", "[]", "stages: [{name: a}]", "a: [", "provides: {}", "\x00"],
)
def test_a_file_that_says_no_stages_is_refused_with_an_example(root, text):
    (root / "stages.yaml").write_text(text)
    with pytest.raises(InvalidInput, match=r"stages\.yaml"):
        layout.of(root)


def test_no_stages_at_all_tells_both_ways(tmp_path):
    with pytest.raises(UsageError) as refused:
        layout.of(tmp_path)
    assert "slipway generate" in str(refused.value.hint)
    assert "stages.yaml" in str(refused.value.hint)


@pytest.mark.parametrize("each", ["a/b/c/d"])
def test_what_is_given_has_a_kind_and_a_name(root, each):
    with pytest.raises(InvalidInput, match="Kind/name"):
        layout.of(root, provides=[each])
