"""The HTML report as a program reads it; tests/browser has it read by a browser."""

import html.parser
import re
from dataclasses import replace

import pytest
from tests.unit.report.test_junit import FOUND

from slipway.report import html as report
from slipway.verify.history import Kept
from slipway.verify.result import Check, Finding, NodeVerification, Obstacle, Verdict, Verification, Way

AWAY = NodeVerification("w3", ("os",), error="no answer at 10.0.0.3", obstacle=Obstacle.UNREACHABLE, hint="ping")
EVIL = "<script>alert(1)</script><img src=x onerror=\"alert(1)\">\x1b[2J\u202e{{ 7 * 7 }}' onfocus='x"


class Reader(html.parser.HTMLParser):
    """All tags with their attributes, and the text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.text += " "

    def handle_data(self, data: str) -> None:
        self.text += data


def read(found: Verification = FOUND, *history: Kept) -> Reader:
    return Reader(report.render(found, history, cluster="homelab"))


def test_each_red_check_says_expected_found_command_and_remedy():
    text = re.sub(r"\s+", " ", read().text)
    assert (
        "No unit has failed os.units.none_has_failed Expected this Found that\\x07 <&> Command ask it Remedy mend it"
        in text
    )
    assert "k0s.unit.answers could not be asked" in text


def test_each_red_cell_leads_to_a_place_that_is_there():
    page = read()
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    links = {attributes["href"] for tag, attributes in page.tags if tag == "a"}
    assert len(ids) == len(set(ids))
    assert links <= {f"#{place}" for place in ids}
    assert {"#n0-os", "#n0-k0s"} <= links


def test_a_node_that_could_not_be_asked_is_told_once():
    text = read(replace(FOUND, nodes=(*FOUND.nodes, AWAY))).text
    assert text.count("no answer at 10.0.0.3") == 1
    assert "Try: ping" in re.sub(r"\s+", " ", text)


def test_words_of_nodes_are_text_wherever_they_stand():
    finding = Finding(EVIL, EVIL, EVIL, EVIL)
    red = Check(EVIL, EVIL, EVIL, Verdict.FAILED, finding=finding, ways=(Way(EVIL, 1, "open"),))
    skipped = Check(EVIL, EVIL, EVIL, Verdict.SKIPPED, reason=EVIL)
    node = NodeVerification(EVIL, (EVIL,), EVIL, EVIL, (red, skipped), error=EVIL)
    away = NodeVerification(EVIL, (EVIL,), error=EVIL, obstacle=Obstacle.UNREACHABLE, hint=EVIL)
    found = Verification("2026-11-23T12:00:00+00:00", (node, away))
    page = Reader(report.render(found, [Kept(EVIL, found)], cluster=EVIL))
    assert not {"script", "img"} & {tag for tag, _ in page.tags}
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert "\x1b" not in page.text
    assert "\u202e" not in page.text
    assert "<script>alert(1)</script>" in page.text


def test_nothing_comes_from_elsewhere_and_no_script_may_run():
    page = read()
    assert not [value for _, attributes in page.tags for name, value in attributes.items() if name in ("src", "srcset")]
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "link", "iframe", "object"})
    assert "url(" not in report.render(FOUND)
    (policy,) = (a["content"] for t, a in page.tags if t == "meta" and a.get("http-equiv") == "Content-Security-Policy")
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"


def test_ports_are_drawn_from_node_to_node_and_red_where_the_check_is():
    ways = (Way("w2", 6443, "open"), Way("w2", 10250, "silent", amiss=True), Way("w3", 10250, "silent"))
    red = Check("network.p.a", "network", "A", Verdict.FAILED, finding=Finding("x"), ways=ways)
    again = Check("network.p.b", "network", "B", Verdict.PASSED, ways=(Way("w2", 10250, "refused"),))
    drawn = report.ports(Verification("", (NodeVerification("w1", ("network",), checks=(red, again)),)))
    assert [(p.number, p.state, p.red) for p in drawn["w1"]["w2"]] == [(6443, "open", False), (10250, "silent", True)]
    assert [(p.number, p.red) for p in drawn["w1"]["w3"]] == [(10250, False)]


@pytest.mark.parametrize("number", [0, 3, 99])
def test_history_draws_the_newest_runs(number):
    runs = [Kept(f"run{n}", replace(FOUND, time=f"2026-11-{n % 28 + 1:02}T12:00:00+00:00")) for n in range(number)]
    page = report.render(FOUND, runs)
    assert page.count('<th scope="col" title=') == min(number, report.RUNS)
    assert ('id="history"' in page) == bool(number)
