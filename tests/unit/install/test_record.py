"""The record of what is done: what a kill leaves must be read, and nothing else believed."""

import stat

import pytest

from slipway.install import record
from slipway.install.record import Record


def test_what_is_done_is_known_to_the_next_run(tmp_path):
    first = record.save(tmp_path, Record("w1"), format="/nix/store/f", devices=("/dev/a",))
    assert record.load(tmp_path, "w1") == first
    assert first.formatted("/nix/store/f", ["/dev/a"])
    assert not first.formatted("/nix/store/other", ["/dev/a"])
    assert not first.formatted("/nix/store/f", ["/dev/b"])
    file = tmp_path / ".slipway" / "install" / "w1.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    record.forget(tmp_path, "w1")
    assert record.load(tmp_path, "w1") == Record("w1")
    assert not file.exists()


@pytest.mark.parametrize(
    "text", ["", "{}", "[1]", '{"devices": 1, "format": "", "system": "", "boot": ""}', "\x00\xff"]
)
def test_a_broken_record_is_none(tmp_path, text):
    (record.folder(tmp_path) / "w1.json").write_text(text, encoding="latin-1")
    assert record.load(tmp_path, "w1") == Record("w1")


def test_control_nothing_done_is_not_formatted():
    assert not Record("w1").formatted("", ["/dev/a"])
