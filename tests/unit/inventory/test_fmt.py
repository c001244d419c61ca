"""Formatting keeps comments and values, and a second run changes nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.unit.inventory.test_load import EXAMPLES, VALID

from slipway.errors import InvalidInput
from slipway.inventory import InvalidInventory, load
from slipway.inventory.fmt import files_of, format_text

UNTIDY = """\
# The head stays.

apiVersion:   slipway/v1


# A comment before a section.
cluster:
    name: lab      # a comment at the end
    k0s: {version: 1.36.3+k0s.2}
    nixos: {channel: 25.10, stateVersion: "24.05"}
hosts:
  # before a host
  w1:
      address: 10.0.0.21
      taints:
      - a=b:NoSchedule   # why
      - 'c:NoExecute'
      labels: {on: yes, "quoted": 'single', octal: 012, time: 12:30:45}
      network: {mac: 52:54:00:12:34:56}
  # the end
"""
TIDY = """\
# The head stays.

apiVersion: slipway/v1

# A comment before a section.
cluster:
  name: lab        # a comment at the end
  k0s: {version: 1.36.3+k0s.2}
  nixos: {channel: 25.10, stateVersion: "24.05"}
hosts:
  # before a host
  w1:
    address: 10.0.0.21
    taints:
      - a=b:NoSchedule   # why
      - 'c:NoExecute'
    labels: {on: yes, "quoted": 'single', octal: 012, time: 12:30:45}
    network: {mac: 52:54:00:12:34:56}
  # the end
"""


def test_layout():
    assert format_text(UNTIDY, "inventory.yaml") == TIDY


def test_second_run_changes_nothing():
    assert format_text(TIDY, "inventory.yaml") == TIDY


@pytest.mark.parametrize("path", [*VALID, *EXAMPLES.glob("*/inventory.yaml")], ids=lambda path: path.stem)
def test_comments_and_values_stay(path: Path):
    text = path.read_text()
    once = format_text(text, str(path))
    assert format_text(once, str(path)) == once
    assert re.findall(r"#.*", once) == re.findall(r"#.*", text)


@pytest.mark.parametrize("name", ["homelab", "single", "large"])
def test_examples_are_formatted(name: str):
    for file in files_of(EXAMPLES / name):
        assert format_text(file.read_text(), str(file)) == file.read_text()


def test_included_files_are_formatted_too():
    names = [file.relative_to(EXAMPLES).as_posix() for file in files_of(EXAMPLES / "large")]
    assert names == ["large/inventory.yaml", "large/racks/a.yaml", "large/racks/b.yaml"]


def test_anchors_survive(tmp_path: Path):
    source = next(path for path in VALID if path.stem == "anchors")
    (tmp_path / "inventory.yaml").write_text(format_text(source.read_text(), "x"))
    assert load(tmp_path).hosts == load(source).hosts


@pytest.mark.parametrize("text", ["a: [", "a: 1\na: 2\n", "\tb: c\n", "a: !odd b\n"])
def test_what_is_wrong_as_yaml_is_refused(text: str):
    with pytest.raises((InvalidInventory, InvalidInput)):
        format_text(text, "inventory.yaml")
