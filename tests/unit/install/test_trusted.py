"""Whose key an installer may show, against a real sshd."""

import shutil

import pytest

from slipway.install import trusted
from slipway.ssh.keys import HostKeyRefused, KnownHosts


def never(_key):
    raise AssertionError("nobody is to be asked")


@pytest.fixture
def nothing(tmp_path):
    return KnownHosts.load(tmp_path / "known_hosts")


def test_a_key_that_is_agreed_to_is_pinned_for_the_installer_alone(tmp_path, sshd, nothing):
    ours, asked = trusted.keys(tmp_path, "w1"), []

    def agree(key):
        asked.append(key)
        return True

    trusted.settle(sshd.endpoint, ours, nothing, agree, 5.0)
    assert len(asked) == 1
    assert not (tmp_path / "known_hosts").exists(), "the node will show another key at this address"
    again = trusted.keys(tmp_path, "w1")
    trusted.settle(sshd.endpoint, again, nothing, never, 5.0)


def test_what_slipway_trust_has_pinned_needs_no_question(tmp_path, sshd):
    shutil.copy(sshd.folder / "known_hosts", tmp_path / "known_hosts")
    ours = trusted.keys(tmp_path, "w1")
    trusted.settle(sshd.endpoint, ours, KnownHosts.load(tmp_path / "known_hosts"), never, 5.0)
    assert ours.of("127.0.0.1", sshd.port)


def test_a_key_that_nobody_agrees_to_is_refused(tmp_path, sshd, nothing):
    ours = trusted.keys(tmp_path, "w1")
    with pytest.raises(HostKeyRefused, match="which is not agreed to"):
        trusted.settle(sshd.endpoint, ours, nothing, lambda _key: False, 5.0)
    assert not ours.keys


def test_what_kexec_starts_is_known_at_its_own_port(tmp_path, sshd, nothing):
    ours = trusted.keys(tmp_path, "w1")
    trusted.settle(sshd.endpoint, ours, nothing, lambda _key: True, 5.0)
    trusted.at_port_22(ours, sshd.endpoint)
    assert [key.blob for key in ours.of("127.0.0.1", 22)] == [key.blob for key in ours.of("127.0.0.1", sshd.port)]
