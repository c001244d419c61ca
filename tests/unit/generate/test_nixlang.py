"""Nix itself reads back what we write for it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.generate.nixlang import Raw, quoted, to_nix

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
PIECES = st.lists(st.sampled_from(["''", "${", "$${", '"', "\\", "\n", "\r", "\t", "$", "{", "}", "a", "''${"])).map(
    "".join
)
NUMBERS = st.integers(min_value=-(2**63) + 1, max_value=2**63 - 1)
LEAVES = st.none() | st.booleans() | NUMBERS | TEXT | PIECES
DATA = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(TEXT | PIECES, inner), max_leaves=60)


@settings(max_examples=40, deadline=None)
@given(value=DATA)
def test_nix_reads_back_what_was_written(nix_value, value):
    assert nix_value(to_nix(value)) == value


@pytest.mark.parametrize(
    "text",
    [
        "''",
        "${HOME}",
        "$${x}",
        "''${x}",
        '"',
        "\\",
        "\\${x}",
        "a\nb",
        "a\r\nb",
        "\t",
        "$",
        "ünïcödé ☃",
        "'",
        "`",
        "#",
        "",
    ],
)
def test_a_string_comes_back_as_it_was(nix_value, text):
    assert nix_value(quoted(text)) == text


def test_nul_is_refused():
    with pytest.raises(ValueError, match="NUL"):
        quoted("a\0b")


@pytest.mark.parametrize("key", ["if", "or", "a b", "1a", "a.b", "", "${x}", '"'])
def test_a_name_that_is_no_identifier_is_quoted(nix_value, key):
    assert nix_value(to_nix({key: 1})) == {key: 1}


def test_plain_names_stay_plain():
    assert to_nix({"a-b'_1": Raw("./x")}) == "{\n  a-b'_1 = ./x;\n}"


def test_each_item_of_a_list_has_its_line():
    assert to_nix({"one": ["x"], "two": ["x", "y"], "none": []}) == (
        '{\n  one = [ "x" ];\n  two = [\n    "x"\n    "y"\n  ];\n  none = [ ];\n}'
    )
