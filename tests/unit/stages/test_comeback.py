"""What an inventory must say before its cluster comes back, and how far that has come."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from slipway.inventory import Inventory
from slipway.stages import comeback


def inventory(mode: str, *, until: str = "cluster-apps", verified: bool = False) -> Inventory:
    backup = SimpleNamespace(verified=verified)
    return cast(Inventory, SimpleNamespace(stages=SimpleNamespace(mode=mode, until=until, backup=backup)))


@pytest.mark.parametrize(
    ("mode", "more", "wanted"),
    [
        ("install", {}, {"stages.mode": "restore"}),
        ("install", {"verified": True}, {"stages.mode": "restore", "stages.backup.verified": "false"}),
        ("restore", {}, {}),
        ("restore", {"verified": True}, {"stages.backup.verified": "false"}),
        ("restore-only", {"verified": True}, {}),
        ("none", {}, {}),
        ("install", {"until": "bootstrap"}, {}),
    ],
)
def test_volumes_come_back_and_nothing_is_saved_over_them(mode, more: dict[str, Any], wanted):
    changes = comeback.settings(inventory(mode, **more))
    assert {".".join(map(str, keys)): value for keys, value in changes} == wanted


def test_what_is_not_saved_does_not_come_back():
    assert [comeback.restores(inventory(mode)) for mode in ("install", "restore", "restore-only", "none")] == [
        True, True, True, False,
    ]  # fmt: skip
    assert not comeback.restores(inventory("install", until="bootstrap"))


def test_how_far_it_has_come_outlives_the_process(tmp_path):
    assert comeback.under_way(tmp_path) is None
    begun = comeback.begun()
    comeback.note(tmp_path, comeback.note(tmp_path, begun, "machines"), "repository")
    found = comeback.under_way(tmp_path)
    assert found is not None
    assert (found.began, found.done) == (begun.began, ("machines", "repository"))
    comeback.forget(tmp_path)
    assert comeback.under_way(tmp_path) is None


@pytest.mark.parametrize("text", ["", "[]", '{"done": 5}', "{"])
def test_half_a_file_is_no_rebuild(tmp_path, text):
    comeback.note(tmp_path, comeback.begun(), "machines")
    (tmp_path / ".slipway" / comeback.FILE).write_text(text)
    assert comeback.under_way(tmp_path) is None
