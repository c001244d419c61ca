"""Options that all tests share."""

import os

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--lab",
        choices=("auto", "required"),
        default="auto",
        help="tests on the lab's machines: skip them where the lab cannot run (auto), or fail then (required)",
    )
    parser.addoption("--update-golden", action="store_true", help="write the golden trees anew")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without root there is no lab: skipped in sight, or an error where the lab is promised."""
    if os.geteuid() == 0:
        return
    if config.getoption("--lab") == "required" and any(item.get_closest_marker("lab") for item in items):
        pytest.exit("the lab needs root: sudo make test", returncode=12)
    for item in items:
        if item.get_closest_marker("lab"):
            item.add_marker(pytest.mark.skip(reason="the lab needs root"))
