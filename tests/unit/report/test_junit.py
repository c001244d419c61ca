"""The JUnit report, read back as CI systems read it."""

import xml.etree.ElementTree as ET

from slipway.report import junit
from slipway.verify.result import Check, Finding, NodeVerification, Obstacle, Verdict, Verification

RED = Finding(found="that\x07 <&>", expected="this", command="ask it", fix="mend it")
CHECKS = (
    Check("os.clock.within_30_s", "os", "The clock is right", Verdict.PASSED, 0.25),
    Check("os.units.none_has_failed", "os", "No unit has failed", Verdict.FAILED, 0.5, RED),
    Check("k0s.unit.answers", "k0s", "k0s answers", Verdict.ERROR, 0.5, Finding("no answer")),
    Check("k0s.token.is_emptied", "k0s", "The token is gone", Verdict.SKIPPED, reason="single"),
    Check("k0s", "k0s", "All checks of the pack ran", Verdict.ERROR, finding=Finding("lost")),
)
FOUND = Verification(
    "2026-11-23T12:00:00+00:00",
    (
        NodeVerification("w1", ("os", "k0s"), "/nix/store/s", "b", CHECKS, 1.5),
        NodeVerification("w2", ("os",), "/nix/store/t", "c", CHECKS[:1], 0.5),
    ),
    2.0,
)


def report() -> ET.Element:
    return ET.fromstring(junit.render(FOUND))


def test_one_suite_a_node_with_its_counts():
    counts = [
        (suite.get("name"), *(int(suite.attrib[name]) for name in ("tests", "failures", "errors", "skipped")))
        for suite in report()
    ]
    assert counts == [("w1", 5, 1, 2, 1), ("w2", 1, 0, 0, 0)]
    assert (report().get("tests"), report().get("failures")) == ("6", "1")


def test_a_case_is_named_by_subject_and_check():
    cases = [(case.get("classname"), case.get("name")) for case in report().iter("testcase")]
    assert cases[:2] == [("os.clock", "within_30_s"), ("os.units", "none_has_failed")]
    assert cases[4] == ("k0s", "k0s")


def test_a_failure_tells_all_four_parts_whatever_characters_they_hold():
    (failure,) = report().iter("failure")
    assert failure.get("message") == "No unit has failed"
    assert failure.text == "expected: this\nfound: that\\x07 <&>\ncommand: ask it\nfix: mend it"


def test_errors_and_skips_are_no_failures():
    assert [error.text for error in report().iter("error")] == ["found: no answer", "found: lost"]
    assert [skip.get("message") for skip in report().iter("skipped")] == ["single"]


def test_no_word_of_a_node_can_end_the_report_as_xml():
    """What a node says of itself stands in attributes: its system, its boot id, the names of its checks."""
    words = "\x1b[2J\x00\x9b\ufffe]]>"
    hostile = NodeVerification("w1", ("os",), words, words, (Check(f"os.{words}", "os", words, Verdict.ERROR),))
    text = junit.render(Verification("2026-11-23T12:00:00+00:00", (hostile,), 1.0))
    assert not set("\x1b\x00\x9b") & set(text)
    properties = {each.get("name"): each.get("value") for each in ET.fromstring(text).iter("property")}
    assert properties["bootId"] == "\\x1b[2J\\x00\\x9b\\ufffe]]>"


def test_the_system_is_a_property():
    properties = {each.get("name"): each.get("value") for each in report()[0].iter("property")}
    assert properties == {"system": "/nix/store/s", "bootId": "b"}


def test_a_node_that_was_asked_nothing_is_one_error():
    away = NodeVerification("w1", ("os",), error="no answer", obstacle=Obstacle.UNREACHABLE, hint="ping it")
    suite = ET.fromstring(junit.render(Verification("", (away,))))
    assert (suite.get("tests"), suite.get("errors")) == ("1", "1")
    (error,) = suite.iter("error")
    assert (error.get("message"), error.text) == ("unreachable: no answer", "found: no answer\nfix: ping it")
