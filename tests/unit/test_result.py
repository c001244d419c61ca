"""How a command is told to people."""

import pytest

from slipway.result import CommandFailed, CommandResult, CommandTimedOut, OddAnswer, spoken

SCRIPT = "umask 077\ntemporary=$1\n"


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["k0s", "kubeconfig", "admin"], "k0s kubeconfig admin"),
        (["sh", "-c", SCRIPT, "put", "/etc/k0s/k0stoken", "a b"], "put /etc/k0s/k0stoken 'a b'"),
        (["sh", "-c", SCRIPT, "look at k0s"], "look at k0s"),
        (["sh", "-c", SCRIPT], "a script"),
        (["sh", "-c", "test -e /x"], "sh -c 'test -e /x'"),
        (["echo", "one\ntwo"], "echo 'one ..."),
        (["echo", "a" * 300], "echo " + "a" * 195 + " ..."),
    ],
)
def test_a_command_is_one_line_and_no_script(argv, told):
    assert spoken(argv) == told


def test_no_error_shows_a_script():
    argv = ("sh", "-c", SCRIPT, "put", "/x")
    assert str(CommandFailed(CommandResult(argv, "w1", 1, "", "", 0.0))) == "w1: put /x: exit code 1"
    assert str(CommandTimedOut(argv, "w1", 5)) == "w1: put /x: no end after 5 s"


def test_what_a_command_said_is_set_apart():
    text = str(CommandResult(("true",), "w1", 3, "", "one\nnext: two\n", 0.1))
    assert text.splitlines() == ["w1: true: exit code 3", "    one", "    next: two"]


@pytest.mark.parametrize("error", [ValueError, KeyError, TypeError, AttributeError, ZeroDivisionError, RecursionError])
def test_whatever_does_not_fit_in_an_answer_is_an_odd_answer(error):
    result = CommandResult(("df",), "w1", 0, "lots", "", 0.1)
    with pytest.raises(OddAnswer, match=r"w1: df: the answer makes no sense \(.*\): 'lots'"), result.read():
        raise error("x")


def test_other_errors_pass_through_a_reading():
    with pytest.raises(CommandTimedOut), CommandResult(("df",), "w1", 0, "", "", 0.1).read():
        raise CommandTimedOut(["df"], "w1", 1)
