"""SARIF 2.1.0 of the stage law, for code hosts that show findings beside the lines."""

from __future__ import annotations

from typing import Any

from slipway import __version__
from slipway.stages.law import RULES, Breach, Place, Verdict

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def render(verdict: Verdict) -> dict[str, Any]:
    """One run with every rule and one result a breach."""
    rules = [
        {"id": rule.value, "shortDescription": {"text": meaning.text}, "help": {"text": meaning.fix}}
        for rule, meaning in RULES.items()
    ]
    driver = {"name": "slipway stages lint", "version": __version__, "rules": rules}
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": [_result(breach) for breach in verdict.breaches]}],
    }


def _result(breach: Breach) -> dict[str, Any]:
    result = {
        "ruleId": breach.rule.value,
        "level": "error",
        "message": {"text": breach.message},
        "locations": [_location(breach.place)],
    }
    return {**result, "relatedLocations": [_location(breach.leans_on)]} if breach.leans_on else result


def _location(place: Place) -> dict[str, Any]:
    region = {"startLine": place.line, "startColumn": place.column}
    return {"physicalLocation": {"artifactLocation": {"uri": place.file}, "region": region}}
