"""The stage law: a stage may depend on earlier stages only. Read from the files; no cluster is asked.

`slipway stages lint` holds any Flux repository to it, given which folders are which stage.
"""

from slipway.stages.law.breach import RULES, Breach, Place, Rule
from slipway.stages.law.layout import Layout
from slipway.stages.law.lint import Edge, Verdict, lint

__all__ = ["RULES", "Breach", "Edge", "Layout", "Place", "Rule", "Verdict", "lint"]
