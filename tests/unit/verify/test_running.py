"""The gate's one question, over a real sshd."""

from pathlib import Path

import pytest
from tests.unit.verify.fakes import Canned, FakeHost

from slipway.node.places import NIXOS
from slipway.result import OddAnswer
from slipway.verify import copies, running
from slipway.verify.running import Running

BOOT = Path("/proc/sys/kernel/random/boot_id")
COMMIT = "ab" * 20
COPY = '{"green": true, "time": "2026-11-23T12:00:00+00:00"}'


@pytest.fixture
def copy(tmp_path, monkeypatch):
    path = tmp_path / "verification.json"
    monkeypatch.setattr(copies, "COPY", str(path))
    return path


def test_a_node_says_what_it_runs_and_what_its_copy_tells(remote, copy):
    found = running.ask(remote, copy=True)
    assert (found.boot_id, found.told) == (BOOT.read_text().strip(), "")
    copy.write_text(COPY)
    assert running.ask(remote, copy=True).told == "green at 2026-11-23T12:00+00:00"


def test_a_copy_is_read_only_where_somebody_wants_it(remote, copy):
    copy.write_text(COPY)
    assert running.ask(remote, copy=False).told == ""


def test_a_node_says_of_which_commit_it_has_the_system(remote, tmp_path, monkeypatch):
    system, noted = tmp_path / "system", tmp_path / "commit"
    system.mkdir()
    asked = running.ASK.replace(NIXOS.current, str(system)).replace(NIXOS.note, str(noted))
    monkeypatch.setattr(running, "ASK", asked)
    assert running.ask(remote, copy=False).commit == ""
    noted.write_text(f"{system} {COMMIT}\n")
    assert running.ask(remote, copy=False).commit == COMMIT
    noted.write_text(f"/nix/store/another {COMMIT}\n")
    assert running.ask(remote, copy=False).commit == "", "a rollback, or somebody by hand, gave it another system"
    noted.write_text("x" * 10_000)
    assert running.ask(remote, copy=False) == Running(str(system), BOOT.read_text().strip())


def test_all_of_it_is_one_question():
    host = FakeHost("w1", lambda _: Canned("", f"/nix/store/a\nboot\n/nix/store/a {COMMIT}\n{COPY}"))
    assert running.ask(host, copy=True) == Running("/nix/store/a", "boot", "green at 2026-11-23T12:00+00:00", COMMIT)
    assert len(host.asked) == 1


@pytest.mark.parametrize("said", ["", "/nix/store/a", "/nix/store/a\nboot\n"])
def test_an_answer_that_is_none_is_an_error_of_that_node(said):
    with pytest.raises(OddAnswer, match="w1"):
        running.ask(FakeHost("w1", lambda _: Canned("", said)), copy=True)
