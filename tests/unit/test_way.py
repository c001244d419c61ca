"""The picture of the README is made from what the program has, and of nothing else."""

import xml.etree.ElementTree as Tree

import pytest
from tests.unit.scripts import DOCS, loaded

from slipway.stages import steps
from slipway.verify import catalog

way = loaded(DOCS / "way.py")


def test_the_picture_is_what_the_program_has():
    assert way.PICTURE.read_text() == way.render(), "python docs/way.py writes it anew"


def test_every_pack_and_every_step_of_the_hand_off_is_on_it():
    words = {
        "".join(text.itertext()) for text in Tree.fromstring(way.render()).iter("{http://www.w3.org/2000/svg}text")
    }
    assert set(catalog.ours()) - set(catalog.ON_DEMAND) <= words
    single = (steps.PROOF, steps.BACKUPS, steps.APP_BACKUPS)
    assert {step.name for step in (*steps.BOOTSTRAP, *steps.OF_BASE_APPS, *single)} <= words


def test_nothing_is_drawn_over_the_edge():
    for box in Tree.fromstring(way.render()).iter("{http://www.w3.org/2000/svg}rect"):
        assert float(box.get("x", 0)) + float(box.get("width", 0)) <= way.WIDTH


def test_control_what_the_program_has_no_more_is_not_drawn():
    with pytest.raises(ValueError, match="has no confirm any more"):
        way.require_true(way.rows(), way.emitted() - {"confirm"})
    with pytest.raises(ValueError, match="has no launch any more"):
        way.require_true([way.Row("slipway launch", "", ())], way.emitted())
