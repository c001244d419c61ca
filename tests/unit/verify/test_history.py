"""Verifications of before, found again."""

from pathlib import Path

import pytest
from tests.unit.report.test_junit import FOUND

from slipway.errors import InvalidInput, UsageError
from slipway.verify import history
from slipway.verify.result import Check, NodeVerification, Obstacle, Verdict, Verification, Way


def kept(root: Path, *names: str, found: Verification = FOUND) -> None:
    for name in names:
        folder = root / ".slipway" / "runs" / name
        folder.mkdir(parents=True)
        history.keep(root, folder, found)


def test_what_was_kept_comes_back_whole(tmp_path):
    way = Way("w2", 6443, "silent", amiss=True)
    reached = NodeVerification(
        "w1", ("os", "k0s"), "/nix/store/s", "b", (Check("os.a.b", "os", "A", Verdict.PASSED, ways=(way,)),), 1.0
    )
    gone = NodeVerification("w2", ("os",), error="no answer", obstacle=Obstacle.UNREACHABLE, hint="ping it")
    lost = NodeVerification("w3", ("os",), "/nix/store/s", "b", error="the connection was lost")
    found = Verification(FOUND.time, (reached, gone, lost, *FOUND.nodes), 2.0)
    kept(tmp_path, "20261123T120000Z-aaaa", found=found)
    again = history.find(tmp_path, "last").found
    # JSON keeps what is plain: the bell of a node's words is gone from what a terminal shows, not from the data.
    assert again == found


def test_runs_are_named_by_id_by_its_beginning_and_from_the_end(tmp_path):
    kept(tmp_path, "20261123T120000Z-aaaa", "20261124T120000Z-bbbb")
    assert history.find(tmp_path, "20261123").run == "20261123T120000Z-aaaa"
    assert history.find(tmp_path, "20261124T120000Z-bbbb").run == "20261124T120000Z-bbbb"
    assert history.find(tmp_path, "last").run == "20261124T120000Z-bbbb"
    assert history.find(tmp_path, "last~1").run == "20261123T120000Z-aaaa"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("2026", "2 runs begin so"),
        ("2027", "no run 2027 verified anything here; there are 2, the newest 20261124T120000Z-bbbb"),
        ("last~2", "there are 2"),
        ("last~x", "there are 2"),
    ],
)
def test_a_run_that_is_not_there_is_a_mistake_in_the_call(tmp_path, name, said):
    kept(tmp_path, "20261123T120000Z-aaaa", "20261124T120000Z-bbbb")
    with pytest.raises(UsageError, match=said):
        history.find(tmp_path, name)


def test_a_repository_without_runs_says_so(tmp_path):
    with pytest.raises(UsageError, match="there is none yet"):
        history.find(tmp_path, "last")


def test_a_file_that_is_no_verification_is_named(tmp_path):
    kept(tmp_path, "20261123T120000Z-aaaa", "20261124T120000Z-bbbb")
    (tmp_path / ".slipway/runs/20261124T120000Z-bbbb/verification.json").write_text("{}")
    with pytest.raises(InvalidInput, match="not a verification"):
        history.find(tmp_path, "last")
    assert [each.run for each in history.newest(tmp_path, 9)] == ["20261123T120000Z-aaaa"]


def test_the_oldest_are_let_go(tmp_path, monkeypatch):
    monkeypatch.setattr(history, "KEPT", 2)
    kept(tmp_path, *(f"2026112{day}T120000Z-aaaa" for day in range(4)))
    assert history.runs(tmp_path) == ("20261122T120000Z-aaaa", "20261123T120000Z-aaaa")
    assert (tmp_path / ".slipway/runs/20261120T120000Z-aaaa").is_dir()
