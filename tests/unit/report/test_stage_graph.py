"""The picture of the stages, read back."""

import xml.etree.ElementTree as ET

from slipway.report import stage_graph
from slipway.stages.law import Breach, Edge, Place, Rule, Verdict

SVG = "{http://www.w3.org/2000/svg}"
BASE, APPS = (0, "vault"), (1, 'a <"b"> app whose name is long')
BREACH = Breach(Place("a.yaml", 1, 2), Rule.CLASS, "x", "base", "apps", Place("b.yaml", 3, 4), "vault", "b")


def verdict(*edges: Edge, breaches=()) -> Verdict:
    return Verdict(("base", "apps"), 3, (BASE, APPS, (1, "other")), tuple(breaches), edges, {})


def drawn(found: Verdict) -> ET.Element:
    return ET.fromstring(stage_graph.svg(found))


def test_every_stage_and_app_is_drawn_and_names_are_only_text():
    root = drawn(verdict())
    texts = ["".join(each.itertext()) for each in root.iter(f"{SVG}text")]
    assert "base" in texts
    assert "vault" in texts
    assert any('a <"b"> app whose name is long' in each for each in texts)
    assert "kept" in root.findtext(f"{SVG}title", "")


def test_an_arrow_says_who_leans_on_whom_and_a_breach_is_marked():
    root = drawn(verdict(Edge(APPS, BASE), Edge(BASE, APPS, breach=True), breaches=[BREACH]))
    arrows = {each.findtext(f"{SVG}title"): each.get("class") for each in root.findall(f"{SVG}path")}
    assert arrows == {
        f"{APPS[1]} leans on vault": "edge",
        f"vault must not lean on {APPS[1]}": "edge breach",
    }
    assert "broken in 1 place" in root.findtext(f"{SVG}title", "")


def test_a_breach_counts_where_there_are_other_reasons_too():
    edges = stage_graph.edges_of(verdict(Edge(BASE, APPS), Edge(BASE, APPS, breach=True), Edge(BASE, APPS)))
    assert edges == [Edge(BASE, APPS, breach=True)]


def test_nothing_comes_from_elsewhere():
    text = stage_graph.svg(verdict())
    assert "href" not in text
    assert text.count("http") == 1  # the name of the format


def test_mermaid_has_the_same_and_quotes_nothing_into_its_grammar():
    text = stage_graph.mermaid(verdict(Edge(APPS, BASE), Edge(BASE, APPS, breach=True), breaches=[BREACH]))
    assert text.startswith("flowchart RL\n")
    assert '["a <#34;b#34;> app whose name is long"]' in text
    assert text.count("==>") == 1
    assert "linkStyle 0 stroke" in text
