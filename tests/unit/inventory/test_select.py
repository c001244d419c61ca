"""Selection: what each kind of word means, and how they combine."""

from __future__ import annotations

import pytest
from tests.unit.inventory.test_load import HEAD

from slipway.errors import UsageError
from slipway.inventory import Inventory, load
from slipway.inventory.select import select

HOSTS = """\
groups:
  rack-a: {tags: [east]}
  rack-b: {tags: [west]}
hosts:
  cp1: {address: 10.0.0.11, role: controller, groups: [rack-a]}
  cp2: {address: 10.0.0.12, role: controller, groups: [rack-b]}
  cp3: {address: 10.0.0.13, role: controller+worker, groups: [rack-b]}
  w1: {address: 10.0.0.21, role: worker, groups: [rack-a]}
  w2: {address: 10.0.0.22, role: worker, groups: [rack-b]}
  spare: {address: 10.0.0.23, role: worker, tags: [new]}
"""


@pytest.fixture(scope="module")
def inventory(tmp_path_factory: pytest.TempPathFactory) -> Inventory:
    file = tmp_path_factory.mktemp("select") / "inventory.yaml"
    file.write_text(HEAD + HOSTS)
    return load(file)


@pytest.mark.parametrize(
    ("patterns", "exclude", "names"),
    [
        ([], [], "cp1 cp2 cp3 w1 w2 spare"),
        (["w1"], [], "w1"),
        (["w2", "w1"], [], "w1 w2"),
        (["w2,w1"], [], "w1 w2"),
        (["w?"], [], "w1 w2"),
        (["[cs]p*"], [], "cp1 cp2 cp3 spare"),
        (["controller"], [], "cp1 cp2 cp3"),
        (["controller+worker"], [], "cp3"),
        (["worker"], [], "w1 w2 spare"),
        (["@rack-a"], [], "cp1 w1"),
        (["@east"], [], "cp1 w1"),
        (["@rack-*"], [], "cp1 cp2 cp3 w1 w2"),
        (["worker+@rack-b"], [], "w2"),
        (["@rack-b+worker"], [], "w2"),
        (["@rack-b+controller+worker"], [], "cp3"),
        (["@rack-b+controller"], [], "cp2 cp3"),
        (["worker+@rack-a,cp1"], [], "cp1 w1"),
        (["w*+@rack-*", "@new"], [], "w1 w2 spare"),
        ([], ["worker"], "cp1 cp2 cp3"),
        (["worker"], ["spare", "@rack-a"], "w2"),
        (["worker"], ["single"], "w1 w2 spare"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_selection(inventory: Inventory, patterns: list[str], exclude: list[str], names: str):
    assert [host.name for host in select(inventory, patterns, exclude)] == names.split()


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        (["w11"], "'w11' names no host; did you mean 'w1'?"),
        (["@rack-c"], "'@rack-c' names no host; did you mean '@rack-"),
        (["rack-a"], "'rack-a' names no host; did you mean '@rack-a'?"),
        (["wroker"], "'wroker' names no host; did you mean 'worker'?"),
        (["master"], "'master' names no host; did you mean 'controller'?"),
        (["x*"], "'x*' names no host"),
        (["w1,"], "an empty word in the selection"),
        (["+w1"], "an empty word in the selection"),
        (["w1+w2"], "no host is left of w1+w2"),
        (["single"], "no host is left of single"),
    ],
)
def test_words_that_mean_nothing_are_refused(inventory: Inventory, patterns: list[str], message: str):
    with pytest.raises(UsageError) as refused:
        select(inventory, patterns)
    assert str(refused.value).startswith(message)


def test_a_slip_in_exclude_does_not_widen_the_selection(inventory: Inventory):
    with pytest.raises(UsageError, match="'sparr' names no host; did you mean 'spare'"):
        select(inventory, (), ["sparr"])


def test_nothing_left_is_an_error(inventory: Inventory):
    with pytest.raises(UsageError, match="no host is left of w1 without @rack-a"):
        select(inventory, ["w1"], ["@rack-a"])
