"""What slipway asks of restic and makes of its answers; the real one is in the lab's drill."""

import json
import os
from datetime import UTC, datetime

import pytest

from slipway.errors import SlipwayError
from slipway.secret import Secret
from slipway.tools import restic
from slipway.tools.restic import AccountRefused, ForeignRepository, NoRepository, Repository
from slipway.tools.s3 import S3Refused

ACCOUNT = {"AWS_ACCESS_KEY_ID": Secret("key"), "AWS_SECRET_ACCESS_KEY": Secret("account")}
OWN = Repository("s3:https://s3.example.org/b/x", Secret("pass-word"), ACCOUNT)

FAKE = """#!/bin/sh
# A fake of restic: writes down how it was called, and answers what the test put there.
{ echo "$*"; env; cat "$RESTIC_PASSWORD_FILE"; } >"$0.called"
cat "$0.answer" 2>/dev/null
exit "$(cat "$0.code" 2>/dev/null || echo 0)"
"""


@pytest.fixture
def fake(tmp_path, monkeypatch):
    program = tmp_path / "restic"
    program.write_text(FAKE)
    program.chmod(0o755)
    monkeypatch.setattr("slipway.tools.s3.read", lambda _place, _account: b"")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def test_the_password_is_in_no_argument_and_in_no_variable(fake):
    (fake / "restic.answer").write_text("[]")
    assert restic.newest(OWN) is None
    arguments, *rest = (fake / "restic.called").read_text().splitlines()
    assert arguments == "--no-cache snapshots --json --no-lock"
    *environment, last = rest
    assert last == "pass-word"
    assert not any("pass-word" in line for line in environment)
    assert "RESTIC_REPOSITORY=s3:https://s3.example.org/b/x" in environment
    assert "account" not in arguments


def test_the_callers_own_password_does_not_count(fake, monkeypatch):
    monkeypatch.setenv("RESTIC_PASSWORD", "of another")
    (fake / "restic.answer").write_text("[]")
    restic.newest(OWN)
    assert "RESTIC_PASSWORD=\n" in (fake / "restic.called").read_text()


def test_the_newest_is_by_time_whatever_the_order_and_the_zone(fake):
    times = {"a": "2026-11-26T02:00:00.123456789Z", "b": "2026-11-26T04:30:00.5+02:00", "c": "2026-11-25T00:00:00Z"}
    (fake / "restic.answer").write_text(json.dumps([{"id": name, "time": time} for name, time in times.items()]))
    found = restic.newest(OWN)
    assert found is not None
    assert (found.id, found.time) == ("b", datetime(2026, 11, 26, 2, 30, 0, 500000, tzinfo=UTC))


@pytest.mark.parametrize(("code", "kind"), [("10", NoRepository), ("12", ForeignRepository)])
def test_what_restic_ends_with_has_a_name(fake, code, kind):
    (fake / "restic.code").write_text(code)
    with pytest.raises(kind, match=r"s3:https://s3\.example\.org/b/x"):
        restic.newest(OWN)


def test_whether_there_is_a_repository(fake):
    assert restic.exists(OWN)
    (fake / "restic.code").write_text("10")
    assert not restic.exists(OWN)


def test_a_password_that_opens_nothing_is_gone_already(fake):
    (fake / "restic.code").write_text("12")
    restic.remove_password(OWN, Secret("old"))


def test_an_answer_that_is_no_list_is_told(fake):
    (fake / "restic.answer").write_text("{")
    with pytest.raises(SlipwayError, match="is no list"):
        restic.newest(OWN)


@pytest.mark.parametrize(
    ("status", "kind", "says"),
    [(404, NoRepository, "there is no repository"), (403, AccountRefused, "the S3 account key is not let in"),
     (0, S3Refused, "does not answer")],
)  # fmt: skip
def test_what_s3_itself_refuses_is_told_at_once(fake, monkeypatch, status, kind, says):
    """restic would ask for minutes."""

    def refused(place, _account):
        assert str(place) == "s3:https://s3.example.org/b/x/config"
        raise S3Refused("does not answer", status)

    monkeypatch.setattr("slipway.tools.s3.read", refused)
    with pytest.raises(kind, match=says):
        restic.newest(OWN)
    assert not (fake / "restic.called").exists()
    if status == 404:
        assert not restic.exists(OWN)


@pytest.mark.parametrize("status", [301, 400, 503])
def test_what_s3_answers_otherwise_is_left_to_restic(fake, monkeypatch, status):
    def refused(_place, _account):
        raise S3Refused("another region", status)

    monkeypatch.setattr("slipway.tools.s3.read", refused)
    (fake / "restic.answer").write_text("[]")
    assert restic.newest(OWN) is None
    assert (fake / "restic.called").exists()


def test_an_address_in_another_form_is_left_to_restic(fake):
    assert restic.exists(Repository("rest:https://backup.example.org/", Secret("x"), {}))
