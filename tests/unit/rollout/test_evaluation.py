"""Nix gets no more systems to evaluate than the memory takes."""

import pytest

from slipway.rollout import evaluation


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("MemTotal: 9 kB\nMemAvailable:   16777216 kB\n", 32),
        ("MemAvailable: 1024 kB\n", 1),
        ("MemTotal: 9 kB\n", evaluation.UNKNOWN),
        ("MemAvailable: lots\n", evaluation.UNKNOWN),
        ("MemAvailable:\n", evaluation.UNKNOWN),
    ],
)
def test_the_memory_that_is_available_says_how_many(tmp_path, said, expected):
    (tmp_path / "meminfo").write_text(said)
    assert evaluation.at_once(None, tmp_path / "meminfo") == expected


def test_a_computer_without_that_file_has_some(tmp_path):
    assert evaluation.at_once(None, tmp_path / "none") == evaluation.UNKNOWN


def test_the_inventory_has_the_last_word(tmp_path):
    (tmp_path / "meminfo").write_text("MemAvailable: 1024 kB\n")
    assert evaluation.at_once(7, tmp_path / "meminfo") == 7


def test_nobody_is_left_out_or_comes_twice():
    assert list(evaluation.goes(["a", "b", "c", "d", "e"], 2)) == [["a", "b"], ["c", "d"], ["e"]]
    assert list(evaluation.goes([], 2)) == []
