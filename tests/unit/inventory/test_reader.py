"""Reading YAML: nothing that is nested too deep reaches the recursive composer."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from yaml._yaml import CParser

from slipway.inventory.reader import MANY_BRACKETS, brackets

PIECES = st.sampled_from(
    [
        *"[]{}",
        "[",
        "{",
        ", ",
        "a",
        "a]: ",
        ": ",
        "- ",
        "\n",
        "\n  ",
        "\r",
        '"',
        "'",
        "# ",
        " #",
        "!<x]>",
        "!t ",
        "%",
        "&a ",
        "*a",
        "|\n",
        "? ",
    ]
)


def deepest(text: str) -> int:
    """The most lists and mappings in brackets open at once, as libyaml sees it, until the first mistake."""
    found = 0
    open_ones: list[bool] = []
    parser = CParser(text)
    try:
        while (event := parser.get_event()) is not None:
            if isinstance(event, yaml.CollectionStartEvent):
                open_ones.append(bool(event.flow_style))
                found = max(found, sum(open_ones))
            elif isinstance(event, yaml.CollectionEndEvent):
                open_ones.pop()
    except yaml.YAMLError:
        pass
    return found


@given(st.lists(PIECES, max_size=40).map("".join))
@example('[ "]", [ "]" ]')
@example("a]]]]: [[[[")
@example("[ !<x]> [ # ]\n [")
def test_brackets_are_never_counted_too_few(text):
    """`[a: b]` is two levels with one pair of brackets."""
    assert 2 * brackets(text, enough=0) >= deepest(text)


@pytest.mark.parametrize(
    ("text", "many"),
    [
        ("a: {b: [c, d], e: {f: g}}\n" * 10_000, False),
        ("[" * 10_000, True),
        ("[\n" * 10_000, True),
        ('a: ["]"]\n' * 10_000, True),
        ("[" * 10_000 + "]" * 10_000, True),
    ],
)
def test_what_is_closed_on_its_line_does_not_count(text, many):
    """A quote is too hard to tell in passing: then libyaml's own events are looked at."""
    assert (brackets(text, MANY_BRACKETS) > MANY_BRACKETS) == many
