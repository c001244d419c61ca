"""Each check is seen red on a machine of the lab, or there is a reason why not."""

from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml
from tests.lab.controls import ALONE, FAULTS, IN_TESTS, OF_SEVERAL, UNIT_ONLY
from tests.unit.verify.machines import HERE

CHECKS = {key.split()[0] for key in yaml.safe_load((HERE / "controls.yaml").read_text())}
"""All of our packs: tests/unit/verify/test_packs.py holds the file against them."""
LAB = Path(__file__).parents[2] / "lab"
FAULTY = (*FAULTS, *ALONE, *OF_SEVERAL)
BESIDE = {name.partition(": ")[2] for each in FAULTY for name in each.beside}
BROKEN = {each.check for each in FAULTY} | BESIDE


def excused(checks: Iterable[str]) -> set[str]:
    return {check for check in checks if any(check.startswith(name) for name in UNIT_ONLY)}


def test_every_check_has_a_control_in_the_lab_or_a_reason():
    without = CHECKS - BROKEN - set(IN_TESTS) - excused(CHECKS)
    assert not without, f"break a machine for it in tests/lab/controls.py, or say there why none can be: {without}"


def test_no_check_has_both():
    assert excused(BROKEN | set(IN_TESTS)) == set()


def test_no_name_of_the_tables_is_out_of_date():
    companions = {name for each in FAULTY for name in each.companions}
    assert BROKEN | set(IN_TESTS) | companions <= CHECKS
    assert [name for name in UNIT_ONLY if not any(check.startswith(name) for check in CHECKS)] == []


@pytest.mark.parametrize("check", IN_TESTS)
def test_the_test_that_sees_it_names_it(check):
    assert check in (LAB / IN_TESTS[check]).read_text()
