"""SARIF of the stage law."""

from slipway.report import sarif
from slipway.stages.law import RULES, Breach, Place, Rule, Verdict

BREACH = Breach(
    Place("gitops/a.yaml", 4, 26), Rule.CLASS, "x names y", "base", "apps", Place("gitops/b.yaml", 3, 4), "a", "b"
)


def test_each_breach_is_a_result_with_both_places():
    run = sarif.render(Verdict(("base", "apps"), 2, (), (BREACH,), (), {}))["runs"][0]
    (result,) = run["results"]
    assert result["ruleId"] == "class"
    where = result["locations"][0]["physicalLocation"]
    assert where["artifactLocation"] == {"uri": "gitops/a.yaml"}
    assert where["region"] == {"startLine": 4, "startColumn": 26}
    assert result["relatedLocations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "gitops/b.yaml"


def test_every_rule_is_described_and_every_rule_has_a_meaning():
    run = sarif.render(Verdict((), 0, (), (), (), {}))["runs"][0]
    assert {rule["id"] for rule in run["tool"]["driver"]["rules"]} == {rule.value for rule in Rule}
    assert set(RULES) == set(Rule)
