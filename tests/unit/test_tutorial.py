"""The tutorial is a run in the lab that somebody can read: page, record and picture are one and the same."""

import re
from dataclasses import replace

import pytest
from tests.unit.scripts import DOCS, loaded

from slipway.stages import steps

tutorial = loaded(DOCS / "tutorial.py")
Said = tutorial.Said
PAGE = tutorial.PAGE.read_text(encoding="utf-8")
RECORD = tutorial.read(tutorial.RECORD.read_text(encoding="utf-8"))
AGAIN = "run python docs/tutorial.py in the lab"


def test_the_page_shows_what_the_commands_of_its_run_said():
    assert tutorial.shown(PAGE) == RECORD, AGAIN
    assert tutorial.filled(PAGE, RECORD) == PAGE


def test_control_a_word_of_the_page_that_nobody_said_is_seen():
    changed = [replace(RECORD[0], output="3 machines, at once"), *RECORD[1:]]
    assert tutorial.shown(tutorial.filled(PAGE, changed)) != RECORD
    assert tutorial.shown(PAGE.replace("$ slipway check\n", "$ slipway check --json\n")) != RECORD


def test_the_road_is_the_whole_one():
    typed = [said.typed for said in RECORD]
    road = ["lab up", "check", "generate", "plan", "deploy", "verify", "gate", "handoff", "status"]
    assert [each for each in road if f"slipway {each}" not in typed] == []
    assert typed[-1] == "slipway lab down"


def test_the_hand_off_of_the_record_has_the_steps_that_there_are():
    first = next(said for said in RECORD if said.typed == "slipway handoff")
    rows = [line.split()[0] for line in first.output.splitlines() if re.search(r" (ok|unchanged) +… s ", line)]
    assert rows == [*(step.name for step in steps.BOOTSTRAP), "bootstrap", steps.PROOF.name], AGAIN


def test_the_app_answers():
    (said,) = [said for said in RECORD if "wget" in said.typed]
    page = (DOCS.parent / "examples" / "lab" / "hello" / "app" / "hello.yaml").read_text()
    assert said.output in page
    assert said.output


def test_the_picture_is_of_this_run_and_asks_nobody():
    found = tutorial.PICTURE.read_text(encoding="utf-8")
    assert found == tutorial.picture(RECORD), AGAIN
    assert re.findall(r"(?:href|src)=|@import|@font-face|url\((?!#)", found) == [], "no font, no file of anybody's"
    assert "lab" in found
    assert "docs/tutorial.svg" in (DOCS.parent / "README.md").read_text(encoding="utf-8")


def test_nothing_of_one_run_is_left():
    for said in RECORD:
        assert tutorial.normalised(said.output) == said.output
        assert "/tmp/" not in said.output


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("ok  15.6 s  cgx91mim slipway-lab-system-cp1", "ok     … s  xxxxxxxx slipway-lab-system-cp1"),
        ("https://10.80.0.11:6443, pods in 10.244.0.0/16", "https://10.77.0.11:6443, pods in 10.244.0.0/16"),
        ("at 3555c40a8a70, 2026-11-26T04:33:09+00:00", "at 0123456789ab, 2026-01-01T00:00:00+00:00"),
        ("run 20261126T053035Z-885f: /tmp/x/demo/.slipway", "run 20260101T000000Z-0000: ~/demo/.slipway"),
        ("w1   Ready    <none>   12m   v1.36.3", "w1   Ready    <none>     …   v1.36.3"),
        ("ninety-nine of 3 nodes, version 1.36.3", "ninety-nine of 3 nodes, version 1.36.3"),
    ],
)  # fmt: skip
def test_what_differs_from_run_to_run_is_taken_out(said, shown):
    assert tutorial.normalised(said, "/tmp/x") == shown


def test_a_command_says_how_it_may_end():
    assert Said("slipway plan  # exit code 4: something is pending", "").expected == 4
    assert Said("slipway plan  # exit code 4: something is pending", "").typed == "slipway plan"
    assert Said("slipway check", "").expected == 0
