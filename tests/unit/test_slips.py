import pytest

from slipway.slips import nearest

COMMANDS = ("deploy", "resume", "verify", "status", "stages", "reset", "restore", "init", "app", "rebuild", "reboot")


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("deplyo", "deploy"),
        ("Deploy", "deploy"),
        ("verfy", "verify"),
        ("staus", "status"),
        ("destroy", None),
        ("delete", None),
        ("remove", None),
        ("restart", None),
        ("lint", None),
        ("apply", None),
        ("rebot", "reboot"),
        ("", None),
    ],
)
def test_a_slip_is_told_from_another_word(word, meant):
    assert nearest(word, COMMANDS) == meant


def test_words_that_are_joined_otherwise_are_the_same():
    assert nearest("pod_cidr", ["provider", "podCIDR"]) == "podCIDR"
    assert nearest("max-failures", ["maxFailures"]) == "maxFailures"
    assert nearest("pc1", ["w1", "cp1"]) == "cp1", "two letters in the other order"
