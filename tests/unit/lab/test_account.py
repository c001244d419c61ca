"""The lab's S3 account: its login, and what its server is told."""

import json
import subprocess

import pytest
from tests.unit.sealed import S3

from slipway.lab import account, binaries, cgroups
from slipway.lab.settings import LABS, Lab
from slipway.tools.s3 import Account
from slipway.wait import wait_until


@pytest.fixture
def lab(tmp_path, monkeypatch):
    monkeypatch.setattr(Lab, "state", property(lambda _lab: tmp_path))
    return Lab(3)


def test_the_login_is_made_once_for_nobody_else_to_read(lab):
    made = account.login(lab)
    assert account.login(lab) == made
    assert len(made["AWS_SECRET_ACCESS_KEY"].reveal()) >= 24
    assert account.home(lab).stat().st_mode & 0o077 == 0


def test_each_lab_has_an_account_at_its_own_address(lab):
    assert account.address(lab) == "s3:http://10.80.0.1:8333/backups"
    words = account._server(lab, Account.of(account.login(lab)))
    assert {"-ip=10.80.0.1", "-ip.bind=10.80.0.1"} <= set(words)
    assert str(binaries.bin_dir() / "weed") in words


def test_no_part_of_it_calls_the_account_of_another_lab(tmp_path, monkeypatch):
    """What names the sockets by which parts of one account find each other is nobody else's."""
    monkeypatch.setattr(Lab, "state", property(lambda _lab: tmp_path))

    def ports(number: int) -> set[str]:
        words = account._server(Lab(number), Account.of(S3))
        return {word.partition("=")[2] for word in words if ".port.grpc=" in word}

    every = [ports(number) for number in range(LABS)]
    assert {len(each) for each in every} == {4}
    assert len(set().union(*every)) == 4 * LABS


def test_the_secret_is_in_no_argument(lab):
    login = account.login(lab)
    secret = login["AWS_SECRET_ACCESS_KEY"].reveal().decode()
    words = account._server(lab, Account.of(login))
    assert secret not in " ".join(words)
    (who,) = json.loads((account.home(lab) / "identities.json").read_text())["identities"]
    assert who["credentials"] == [{"accessKey": "slipway-lab", "secretKey": secret}]


def test_it_ends_in_order_and_whoever_does_not_is_left_to_others(lab, tmp_path, monkeypatch):
    monkeypatch.setattr(account, "STOP_TIMEOUT", 0.5)
    script = "trap 'echo kept >kept; exit 0' TERM; touch ready; while :; do sleep 0.1; done"
    deaf = "trap '' TERM; touch deaf; while :; do sleep 0.1; done"
    with (
        subprocess.Popen(["sh", "-c", script], cwd=tmp_path) as server,
        subprocess.Popen(["sh", "-c", deaf], cwd=tmp_path) as other,
    ):
        wait_until(
            lambda: (((tmp_path / "ready").exists() and (tmp_path / "deaf").exists()) or None, ""),
            deadline=60,
            describe="both",
        )
        left = {server: server.pid, other: other.pid}
        monkeypatch.setattr(cgroups, "processes", lambda _group: {n for each, n in left.items() if each.poll() is None})
        account.down(lab)
        assert server.wait(60) == 0
        assert (tmp_path / "kept").read_text() == "kept\n"
        assert other.poll() is None
        other.kill()
