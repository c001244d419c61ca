"""The last stage of a lab: chosen once."""

import pytest

from slipway.errors import UsageError
from slipway.lab import state, until
from slipway.lab.settings import Lab


@pytest.fixture
def lab(tmp_path, monkeypatch):
    monkeypatch.setattr(Lab, "state", property(lambda _lab: tmp_path / "lab"))
    monkeypatch.setattr(Lab, "lock", property(lambda _lab: tmp_path / "lock"))
    return Lab(9)


def test_a_new_lab_has_the_stage_that_was_asked_for_and_else_the_first(lab):
    assert until.chosen(lab) == "bootstrap"
    assert until.settle(lab, "cluster-base-apps") == until.chosen(lab) == "cluster-base-apps"
    assert until.settle(lab) == "bootstrap", "no machine has taken any image yet"


def test_a_lab_with_machines_keeps_its_stage(lab, monkeypatch):
    until.settle(lab, "cluster-base-apps")
    monkeypatch.setattr(state, "recorded", lambda lab: lab.machines(1, 0))
    assert until.settle(lab) == until.settle(lab, "cluster-base-apps") == "cluster-base-apps"
    with pytest.raises(UsageError, match="--until bootstrap: this lab was made for cluster-base-apps") as refused:
        until.settle(lab, "bootstrap")
    assert "slipway lab down" in str(refused.value.hint)
    assert until.chosen(lab) == "cluster-base-apps"


def test_a_stage_that_no_lab_has_is_refused(lab):
    with pytest.raises(UsageError, match="--until later-apps: a lab has bootstrap, cluster-base-apps or cluster-apps"):
        until.settle(lab, "later-apps")
    assert not lab.state.exists()
