"""What `slipway verify` says by its exit code."""

import pytest

from slipway.cli import verify as command
from slipway.errors import SlipwayError, Unreachable, VerificationRed
from slipway.verify.result import Check, Finding, NodeVerification, Verdict, Verification

PASSED = Check("os.x.y", "os", "Something", Verdict.PASSED)
FAILED = Check("os.x.z", "os", "Something else", Verdict.FAILED, finding=Finding("that"))
GREEN = NodeVerification("w1", ("os",), checks=(PASSED,))
RED = NodeVerification("w2", ("os",), checks=(PASSED, FAILED))
AWAY = NodeVerification("w3", ("os",), checks=(FAILED,), error="no answer", unreachable=True)


def judged(*nodes: NodeVerification) -> SlipwayError:
    with pytest.raises(SlipwayError) as told:
        command._judge(Verification("", nodes))
    return told.value


def test_green_says_nothing():
    command._judge(Verification("", (GREEN,)))


def test_red_names_its_nodes_and_what_to_type():
    error = judged(GREEN, RED)
    assert isinstance(error, VerificationRed)
    assert (error.exit_code, str(error)) == (8, "1 check is red on w2")
    assert error.hint == "mend what `fix` says, then slipway verify w2"


def test_unreachable_alone_is_told_apart_from_red():
    assert isinstance(judged(GREEN, AWAY), Unreachable)
    assert isinstance(judged(RED, AWAY), VerificationRed)


def test_the_result_shows_table_and_findings(capsys):
    command._show(Verification("", (GREEN, RED), 1.25))
    shown = capsys.readouterr()
    assert "w1" in shown.out
    assert "w2: os.x.z: not so: Something else" in shown.out
    assert "2 nodes in 1.2 s" in shown.err
