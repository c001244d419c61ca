"""The record's copy on a node, over a real sshd."""

import json

import pytest
from tests.unit.verify.fakes import FakeHost
from tests.unit.verify.test_record import result

from slipway.errors import Unreachable
from slipway.verify import copies, record
from slipway.verify.result import Verification


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(copies, "FOLDER", str(tmp_path / "node"))
    monkeypatch.setattr(copies, "COPY", str(tmp_path / "node" / "verification.json"))
    return tmp_path / "node" / "verification.json"


def shown(remote) -> str:
    return str(remote.run(["sh", "-c", copies.show()]).stdout)


def test_a_node_has_the_record_as_it_was_sealed(tmp_path, place, remote):
    written = record.keep(tmp_path, Verification("2026-11-23T12:00:00+00:00", (result("os"),)))
    assert copies.leave(written, lambda _: remote) == {}
    assert place.read_bytes() == (tmp_path / ".slipway/records/w1.json").read_bytes()
    assert place.stat().st_mode & 0o777 == 0o644
    assert copies.told(shown(remote)) == "green at 2026-11-23T12:00+00:00"


def test_what_cannot_be_left_is_that_nodes_alone(place, remote):
    class Away(FakeHost):
        def run(self, argv, **_):
            raise Unreachable("gone")

    hosts = {"w1": remote, "w2": Away("w2", lambda _: None)}  # type: ignore[arg-type, return-value]
    assert list(copies.leave({"w1": b"{}", "w2": b"{}"}, hosts.__getitem__)) == ["w2"]
    assert place.exists()


@pytest.mark.parametrize(
    "content", ["", "nonsense", "[]", json.dumps({"green": True}), json.dumps({"green": True, "time": "\x1b[2J"})]
)
def test_a_copy_that_says_nothing_is_none(place, remote, content):
    place.parent.mkdir()
    place.write_text(content)
    assert copies.told(shown(remote)) == ""


def test_no_copy_says_nothing(place, remote):
    assert copies.told(shown(remote)) == ""
