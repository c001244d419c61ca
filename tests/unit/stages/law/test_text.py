"""Words of YAML and where they stand."""

from pathlib import Path
from typing import Any

import pytest

from slipway.errors import InvalidInput
from slipway.stages.law import text


def read(tmp_path: Path, content: str) -> tuple[Any, ...]:
    (tmp_path / "a.yaml").write_text(content)
    return text.read(tmp_path / "a.yaml", "a.yaml")


def test_every_scalar_knows_its_place(tmp_path):
    (body,) = read(tmp_path, "a: 1\nb:\n  - x: 'word here'\n")
    assert text.word(body, "a") == "1"
    found = text.items(body, "b")[0]["x"]
    assert (found.line, found.column) == (3, 8)
    assert found.at(5) == (3, 14)


def test_a_block_has_its_lines_below(tmp_path):
    (body,) = read(tmp_path, "a: |\n  one\n  two\n")
    assert body["a"].at(body["a"].index("two"))[0] == 3


def test_merge_keys_give_way_to_own_ones(tmp_path):
    (body,) = read(tmp_path, "<<: &base {a: 1, b: 2}\nb: 3\n")
    assert {str(key): str(value) for key, value in body.items()} == {"a": "1", "b": "3"}


def test_yaml_inside_a_text_counts_on(tmp_path):
    (body,) = read(tmp_path, "patch: |\n  a:\n    b: here\n")
    found = text.parse(body["patch"])["a"]["b"]
    assert (found, found.line) == ("here", 3)


def test_only_mappings_are_documents(tmp_path):
    assert len(read(tmp_path, "a: 1\n---\n- b\n---\n---\nc: 2\n")) == 2


@pytest.mark.parametrize("content", ["a: [", "a: b: c", "\t- x"])
def test_what_is_no_yaml_is_told_with_its_place(tmp_path, content):
    with pytest.raises(InvalidInput, match=r"a\.yaml(:\d+:\d+)?: not YAML"):
        read(tmp_path, content)


def test_what_is_no_text_is_told(tmp_path):
    (tmp_path / "a.yaml").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(InvalidInput, match=r"a\.yaml: not YAML in UTF-8"):
        text.read(tmp_path / "a.yaml", "a.yaml")


def test_deep_nesting_ends_in_words(tmp_path):
    with pytest.raises(InvalidInput, match=r"a\.yaml"):
        read(tmp_path, "[" * 3000)
