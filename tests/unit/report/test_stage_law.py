"""The reference page of the stage law."""

from pathlib import Path

from slipway.report import stage_law
from slipway.stages.law import Rule

PAGE = Path(__file__).parents[3] / "docs/reference/stage-law.md"


def test_the_page_is_what_the_rules_say():
    assert PAGE.read_text() == stage_law.render(), "python docs/generate.py"


def test_every_rule_is_on_the_page():
    for rule in Rule:
        assert f"| `{rule.value}` |" in stage_law.render()
