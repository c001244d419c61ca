"""What changed between two verifications."""

import pytest

from slipway.verify.comparison import Change, compare
from slipway.verify.result import Check, Finding, NodeVerification, Obstacle, Verdict, Verification


def check(name: str, verdict: Verdict = Verdict.PASSED, found: str = "") -> Check:
    return Check(f"os.x.{name}", "os", name, verdict, finding=Finding(found) if found else None)


def red(name: str, found: str = "that") -> Check:
    return check(name, Verdict.FAILED, found)


def node(*checks: Check, name: str = "w1") -> NodeVerification:
    return NodeVerification(name, ("os",), "/nix/store/s", "b", checks)


def away(name: str = "w1") -> NodeVerification:
    return NodeVerification(name, ("os",), error="no answer", obstacle=Obstacle.UNREACHABLE)


def changes(before: NodeVerification, after: NodeVerification) -> list[tuple[str, str]]:
    found = compare(Verification("", (before,)), Verification("", (after,)))
    return [(each.check.removeprefix("os.x."), each.change.value) for each in found]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ([check("a")], [red("a")], [("a", "red")]),
        ([red("a")], [check("a")], [("a", "green")]),
        ([], [check("a")], [("a", "new")]),
        ([check("a")], [], [("a", "gone")]),
        ([check("a"), red("b")], [check("a"), red("b", "in other words")], []),
        ([check("a")], [check("a", Verdict.ERROR, "no end")], [("a", "red")]),
        ([check("a", Verdict.SKIPPED)], [red("a")], [("a", "red")]),
    ],
)
def test_a_check_that_is_not_as_it_was(before, after, told):
    assert changes(node(*before), node(*after)) == told


def test_a_node_that_goes_away_is_told_once_and_not_as_all_its_checks():
    assert changes(node(check("a"), check("b")), away()) == [("node", "red")]


def test_a_node_that_comes_back_brings_what_is_red_with_it():
    assert changes(away(), node(check("a"), red("b"))) == [("node", "green"), ("b", "new")]


def test_a_node_that_stays_away_is_no_change():
    assert changes(away(), away()) == []


def test_words_say_what_it_was_and_what_it_is():
    (change,) = compare(Verification("", (node(check("a")),)), Verification("", (node(red("a", "closed\nmore")),)))
    assert str(change) == "w1: os.x.a: turned red: closed"
    assert change.to_json() == {
        "node": "w1", "check": "os.x.a", "change": "red", "before": "passed", "after": "closed",
    }  # fmt: skip
    assert change.change is Change.RED


def test_nodes_of_one_side_alone_are_new_or_gone():
    found = compare(Verification("", (node(check("a"), name="w1"),)), Verification("", (node(check("a"), name="w2"),)))
    assert [(each.node, each.change.value) for each in found] == [("w2", "new"), ("w1", "gone")]
