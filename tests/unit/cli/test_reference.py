from pathlib import Path

from slipway.cli.reference import render

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "cli.md"


def test_the_published_page_is_what_the_commands_say():
    assert PAGE.read_text() == render(), "run: make docs"


def test_every_option_is_explained():
    for line in render().splitlines():
        if line.startswith("| `"):
            assert line.split("|")[2].strip(), line
