import pytest

from slipway.wait import WaitedTooLong, wait_until


def test_returns_what_the_check_found():
    answers = iter([(None, "starting"), (None, "starting"), ("up", "")])
    seen: list[str] = []
    found = wait_until(
        lambda: next(answers), deadline=5, describe="node w1 is up", interval=0.001, on_progress=seen.append
    )
    assert found == "up"
    assert seen == ["starting"], "the same sight is told once"


def test_the_end_names_what_was_waited_for_and_seen_last():
    with pytest.raises(WaitedTooLong, match=r"node w1 is up: not so after 0.01 s; last seen: 2 of 3 pods"):
        wait_until(lambda: (None, "2 of 3 pods"), deadline=0.01, describe="node w1 is up", interval=0.005)


def test_a_value_that_is_false_counts_as_found():
    assert wait_until(lambda: (0, ""), deadline=1, describe="zero") == 0
