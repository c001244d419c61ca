"""The table and the findings that a person reads."""

from dataclasses import replace

from tests.unit.report.test_junit import CHECKS, FOUND, RED

from slipway.report import text
from slipway.verify.result import NodeVerification, Obstacle, Verification


def test_a_row_for_each_node_and_a_column_for_each_pack():
    assert text.columns(FOUND) == ("node", "state", "os", "k0s", "time")
    assert list(text.rows(FOUND)) == [
        ("w1", "red", "1 ok, 1 red", "2 red, 1 skipped", "1.5 s"),
        ("w2", "green", "1 ok", "", "0.5 s"),
    ]


def test_a_finding_shows_its_parts():
    lines = list(text.findings(FOUND))
    assert lines[:5] == [
        "w1: os.units.none_has_failed: not so: No unit has failed",
        "    expected this",
        "    found    that\x07 <&>",
        "    command  ask it",
        "    fix      mend it",
    ]
    assert lines[5] == "w1: k0s.unit.answers: could not be asked: k0s answers"


def test_nodes_that_share_a_finding_share_its_block():
    checks = (replace(CHECKS[1], duration=0.1),)
    nodes = tuple(NodeVerification(name, ("os",), checks=(*checks,)) for name in ("w1", "w2"))
    nodes = (nodes[0], replace(nodes[1], checks=(replace(CHECKS[1], duration=9.9),)))
    lines = list(text.findings(Verification("", nodes)))
    assert [line for line in lines if not line.startswith(" ")] == [
        "w1, w2: os.units.none_has_failed: not so: No unit has failed"
    ]


def test_the_error_of_a_node_comes_first_and_once():
    node = NodeVerification("w1", ("os", "k0s"), checks=(CHECKS[4],), error="connection lost")
    found = Verification("", (node,))
    assert list(text.findings(found)) == ["w1: connection lost"]


def test_a_node_that_was_asked_nothing_is_one_line_with_what_to_type():
    node = NodeVerification(
        "w1", ("os", "k0s"), error="runs no system", obstacle=Obstacle.NOT_NIXOS, hint="slipway deploy w1"
    )
    found = Verification("", (node,))
    assert list(text.rows(found)) == [("w1", "not NixOS", "", "", "0.0 s")]
    assert list(text.findings(found)) == ["w1: runs no system; try: slipway deploy w1"]


def test_a_node_is_named_once():
    error = "w1 (root@10.77.0.21): connection refused"
    node = NodeVerification("w1", ("os",), error=error, obstacle=Obstacle.UNREACHABLE)
    assert list(text.findings(Verification("", (node,)))) == [error]


def test_long_texts_are_cut_and_lines_stay_under_each_other():
    finding = replace(RED, found="a\nb" + "c" * 1000)
    node = NodeVerification("w1", ("os",), checks=(replace(CHECKS[1], finding=finding),))
    found = "\n".join(text.findings(Verification("", (node,))))
    assert "    found    a\n             bccc" in found
    assert "c ..." in found
    assert len(found) < 600
