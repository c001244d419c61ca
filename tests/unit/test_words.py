import json
import xml.etree.ElementTree as ET

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from slipway.words import counted, first_of, in_bytes, line, plain, plain_data, to_json

ANYTHING = st.text(st.characters(), max_size=200)
"""Half characters included."""


def harmless(text: str) -> bool:
    """Our own judgement, not the module's: what a terminal, XML 1.0 and a reader's eye take as they are."""
    return all(
        letter in "\t\n" or (ord(letter) >= 0x20 and not 0x7F <= ord(letter) <= 0x9F and letter not in TURNS)
        for letter in text
    )


TURNS = {chr(code) for code in (0x61C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A))}


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("plain, ünï—🚀 fd00:ab::11", "plain, ünï—🚀 fd00:ab::11"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("from DOS\r\n", "from DOS\n"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("refused\rgate: open", "refused\\x0dgate: open"),
        ("\x1b]52;c;Y3VybA==\x07", "\\x1b]52;c;Y3VybA==\\x07"),
        ("\x9b2J", "\\x9b2J"),
        ("a\u202eb\u2028c", "a\\u202eb\\u2028c"),
        ("half \udcff", "half \\udcff"),
    ],
)
def test_what_does_more_than_being_read_becomes_visible(said, shown):
    assert plain(said) == shown


@given(ANYTHING)
def test_whatever_is_said_is_harmless_afterwards(said):
    shown = plain(said)
    assert harmless(shown)
    shown.encode("utf-8")
    assert ET.fromstring(f"<a>{shown.replace('&', '&amp;').replace('<', '&lt;')}</a>") is not None


def test_control_what_is_harmful_is_seen():
    assert not harmless("\x1b[2J")
    assert not harmless("\u202e")


@given(ANYTHING)
def test_one_line_is_one_line(said):
    assert len(line(said).splitlines()) <= 1


@given(st.recursive(ANYTHING, lambda inner: st.lists(inner) | st.dictionaries(ANYTHING, inner), max_leaves=5))
def test_json_loses_nothing_and_shows_no_control(value):
    text = to_json(value)
    assert harmless(text)
    assert json.loads(text) == json.loads(json.dumps(value))


def test_data_is_made_plain_in_every_depth():
    assert plain_data({"a\x1b": ["b\x07", {"c": ("\x9b", 1, None)}]}) == {
        "a\\x1b": ["b\\x07", {"c": ["\\x9b", 1, None]}]
    }


DATA = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers() | st.booleans(), inner),
)


@given(DATA)
def test_indented_json_is_json_as_the_library_indents_it(value):
    """Characters that are not plain are escaped afterwards, the same in both."""
    assume(plain_data(value) == value)
    assert to_json(value, indent=2) == json.dumps(value, indent=2, ensure_ascii=False)


def test_one_of_a_thing_has_no_s():
    assert [counted(number, "node") for number in (0, 1, 2)] == ["0 nodes", "1 node", "2 nodes"]


def test_of_many_the_first_are_told_and_how_many_more():
    assert first_of(["a", "b", "c"], 3) == "a, b, c"
    assert first_of(("a", "b", "c", "d"), 2, " ") == "a b and 2 more"
    assert first_of([], 3) == ""


@pytest.mark.parametrize(
    ("count", "told"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (5 << 20, "5.0 MiB"),
        (3 << 29, "1.5 GiB"),
        (2 << 40, "2048.0 GiB"),
    ],
)
def test_bytes_are_told_in_a_unit_for_people(count, told):
    assert in_bytes(count) == told
