"""What the authors of packs write with: one way to say what was expected, and marks for the roles a check is for.

from slipway.verify.check import expect, workers

@workers
def test_swap_is_off(host):
    \"\"\"No swap is in use.\"\"\"
    found = host.check_output("cat /proc/swaps").splitlines()[1:]
    expect(not found, expected="no swap device", found="\\n".join(found), fix="swapoff -a; swapDevices = [ ];")
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from slipway.verify.result import Finding

controllers = pytest.mark.controllers
"""Only on nodes that run the control plane."""
workers = pytest.mark.workers
"""Only on nodes that do not run the control plane."""
workloads = pytest.mark.workloads
"""Only on nodes that run a kubelet: workers, controller+worker and single."""


class Red(AssertionError):
    """A check that found something else than it expected."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(f"expected {finding.expected}; found {finding.found}")
        self.finding = finding


class CannotRun(Exception):
    """The question itself failed, so that nothing is known: an error, never a pass and never a finding."""


def expect(holds: bool, *, expected: str, found: object, fix: str, command: str = "") -> None:
    """Make the check red unless `holds`.

    `expected` and `found` are for people, `fix` is the likely next step. `command` is what a person types on the node
    to see the same; if left out it is the last command that the check ran.
    """
    __tracebackhide__ = True
    if not holds:
        raise Red(Finding(found=str(found) or "nothing", expected=expected, command=command, fix=fix))


def listed(things: Iterable[object], none: str = "none") -> str:
    """`a, b, c` for a finding, `none` where there is nothing."""
    return ", ".join(str(thing) for thing in things) or none
