"""The HTML report in Chromium: a silent console, both looks, the keyboard, and what a screen reader is told."""

from dataclasses import replace

import pytest
from tests.unit.report import chromium
from tests.unit.report.test_html import AWAY
from tests.unit.report.test_junit import FOUND

from slipway.report import html
from slipway.verify.history import Kept
from slipway.verify.result import Check, Finding, NodeVerification, Verdict, Verification, Way

WAYS = Check("network.p.a", "os", "Ports", Verdict.PASSED, ways=(Way("w2", 6443, "open"), Way("w2", 1, "silent")))
NODES = (replace(FOUND.nodes[0], checks=(*FOUND.nodes[0].checks, WAYS)), *FOUND.nodes[1:], AWAY)
REPORT = replace(FOUND, nodes=NODES)
NAMED = {"link", "region", "table", "navigation", "columnheader", "rowheader", "heading", "DisclosureTriangle"}
"""Roles that a screen reader tells by their name."""

CONTRAST = """
(() => {
  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => {
    const [r, g, b] = parts(colour).slice(0, 3).map((v) => v / 255).map(
      (v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (parts(colour)[3] !== 0) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const found = [];
  for (const node of document.querySelectorAll("body *")) {
    if (![...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim())) continue;
    const [a, b] = [light(getComputedStyle(node).color), light(behind(node))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) found.push(`${node.tagName} ${node.textContent.slice(0, 40)}`);
  }
  return found;
})()
"""
"""Elements whose text stands out less than 4.5 to 1 (WCAG 2.2, 1.4.3)."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium.page(tmp_path_factory.mktemp("chromium")) as page:
        yield page


@pytest.fixture
def opened(browser, tmp_path):
    file = tmp_path / "report.html"
    file.write_text(html.render(REPORT, [Kept("before", FOUND), Kept("now", REPORT)], cluster="homelab"))
    browser.events.clear()
    browser.open(file)
    return browser


def test_the_console_is_silent_and_no_network_is_asked(opened):
    assert opened.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out(opened, scheme):
    opened.look(scheme)
    assert opened.ask(CONTRAST) == []


def test_light_and_dark_are_two_looks(opened):
    looks = []
    for scheme in ("light", "dark"):
        opened.look(scheme)
        looks.append(opened.ask("getComputedStyle(document.body).backgroundColor"))
    assert looks[0] != looks[1]


def test_keys_alone_lead_from_a_red_cell_to_its_reasons_and_back(opened):
    opened.press("Tab")
    assert opened.ask("document.activeElement.textContent") == "To the nodes"
    for _ in range(20):
        opened.press("Tab")
        if opened.ask("document.activeElement.closest('td.red') !== null"):
            break
    assert opened.ask("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    opened.press("Enter")
    assert opened.ask("location.hash") == "#n0-os"
    assert opened.ask("document.activeElement.id") == "n0-os"
    assert opened.ask("document.activeElement.getBoundingClientRect().top < innerHeight")
    opened.press("Tab")
    opened.press("Enter")
    assert opened.ask("location.hash") == "#matrix"


def test_everything_that_a_screen_reader_names_has_a_name(opened):
    assert unnamed(opened) == []
    names = [name for role, name in told(opened) if role == "link"]
    assert "w1, os: 1 red, to the reasons" in names
    assert len(names) == len(set(names))


def test_the_ways_between_nodes_are_drawn_and_told(opened):
    (label,) = [name for role, name in told(opened) if role in ("image", "img")]
    assert label == "3 nodes, 1 ways tried, 0 amiss"
    assert opened.ask("[...document.querySelectorAll('.pairs rect title')].map((each) => each.textContent)") == [
        "w1 to w2: 1 silent, 6443 open"
    ]
    fill = "getComputedStyle(document.querySelector('.pairs rect')).fill"
    assert opened.ask(fill) != "rgb(0, 0, 0)"


def test_a_large_fleet_is_drawn_whole_and_spelled_out_where_it_is_amiss(browser, tmp_path):
    names = [f"w{number}" for number in range(60)]
    silent = Way("w7", 10250, "silent", amiss=True)
    nodes = tuple(
        NodeVerification(name, ("network",), checks=(_tried(names, silent if name == "w3" else None),))
        for name in names
    )
    file = tmp_path / "large.html"
    file.write_text(html.render(Verification("", nodes), cluster="large"))
    browser.open(file)
    assert browser.ask("document.querySelectorAll('.pairs rect').length") == 60 * 60
    assert browser.ask("document.querySelectorAll('.pairs rect.red').length") == 1
    assert browser.ask("document.querySelectorAll('#ports ~ .wide th[scope=col]').length") == 3
    assert "w3 to w7: 10250 silent" in browser.ask("document.querySelector('figcaption').textContent")


def _tried(names: list[str], amiss: Way | None) -> Check:
    ways = [amiss if amiss and amiss.to == name else Way(name, 10250, "open") for name in names]
    return Check(
        "network.p.a",
        "network",
        "A",
        Verdict.FAILED if amiss else Verdict.PASSED,
        finding=Finding("x"),
        ways=tuple(ways),
    )


def test_nothing_is_wider_than_a_telephone_but_what_scrolls_by_itself(opened):
    opened("Emulation.setDeviceMetricsOverride", width=360, height=740, deviceScaleFactor=1, mobile=False)
    try:
        assert opened.ask("document.documentElement.scrollWidth") <= 360
    finally:
        opened("Emulation.clearDeviceMetricsOverride")


def test_control_what_is_wrong_with_a_page_is_seen(browser, tmp_path):
    file = tmp_path / "wrong.html"
    file.write_text(
        "<!doctype html><title>wrong</title><p style='color: #bbb'>pale</p><a href='#x'></a>"
        "<img src='http://127.0.0.1:9/x'><script>nothing.of.that.name</script>"
    )
    browser.events.clear()
    browser.look("light")
    browser.open(file)
    assert any("127.0.0.1:9" in each for each in browser.complaints)
    assert any("nothing is not defined" in each for each in browser.complaints)
    assert browser.ask(CONTRAST) == ["P pale"]
    assert "link" in unnamed(browser)


def told(page: chromium.Page) -> list[tuple[str, str]]:
    """(role, name) of all that a screen reader is told."""
    nodes = page("Accessibility.getFullAXTree")["nodes"]
    return [(n["role"]["value"], n.get("name", {}).get("value", "").strip()) for n in nodes if not n["ignored"]]


def unnamed(page: chromium.Page) -> list[str]:
    return [role for role, name in told(page) if role in NAMED and not name]
