import subprocess

import paramiko
import pytest

from slipway.errors import InvalidInput
from slipway.ssh.keys import KnownHosts, known_name


@pytest.fixture
def key():
    return paramiko.ECDSAKey.generate()


def test_a_pinned_key_is_found_by_address_and_port(tmp_path, key):
    hosts = KnownHosts.load(tmp_path / "known_hosts")
    hosts.pin("10.0.0.11", 22, key)
    hosts.pin("10.0.0.11", 2222, paramiko.ECDSAKey.generate())
    hosts.pin("2001:db8::1", 22, key)
    hosts.check("cp1", "10.0.0.11", 22, key)
    hosts.check("cp1", "2001:db8::1", 22, key)
    assert [pinned.blob for pinned in hosts.of("10.0.0.11", 22)] == [key.get_base64()]
    assert hosts.of("10.0.0.12", 22) == []


def test_pinning_replaces_the_machine_s_line_and_no_other(tmp_path, key):
    path = tmp_path / "known_hosts"
    path.write_text("# our machines\n10.0.0.11 ssh-ed25519 AAAA\n10.0.0.12 ssh-ed25519 BBBB\n")
    hosts = KnownHosts.load(path)
    hosts.pin("10.0.0.11", 22, key)
    lines = path.read_text().splitlines()
    assert lines == ["# our machines", "10.0.0.12 ssh-ed25519 BBBB", f"10.0.0.11 {key.get_name()} {key.get_base64()}"]


def test_openssh_reads_what_is_pinned(tmp_path, key):
    path = tmp_path / "known_hosts"
    KnownHosts.load(path).pin("10.0.0.11", 2222, key)
    found = subprocess.run(
        ["ssh-keygen", "-F", "[10.0.0.11]:2222", "-lf", str(path)], capture_output=True, text=True, check=True
    )
    assert key.fingerprint in found.stdout


def test_hashed_lines_are_understood(tmp_path, key):
    path = tmp_path / "known_hosts"
    KnownHosts.load(path).pin("10.0.0.11", 22, key)
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(path)], check=True, capture_output=True)
    assert "10.0.0.11" not in path.read_text()
    KnownHosts.load(path).check("cp1", "10.0.0.11", 22, key)


def test_a_file_that_is_not_there_pins_nothing(tmp_path):
    assert KnownHosts.load(tmp_path / "none").keys == ()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("10.0.0.11 ssh-ed25519", "known_hosts:2: not a line of known_hosts"),
        ("10.0.0.11 ssh-ed25519 not*base64", "known_hosts:2: not a line of known_hosts"),
        ("@cert-authority *.example.org ssh-ed25519 AAAA", "known_hosts:2: @cert-authority lines are not supported"),
    ],
)
def test_a_damaged_line_is_named(tmp_path, line, message):
    path = tmp_path / "known_hosts"
    path.write_text(f"# first\n{line}\n")
    with pytest.raises(InvalidInput, match=message):
        KnownHosts.load(path)


@pytest.mark.parametrize(
    ("address", "port", "name"),
    [
        ("10.0.0.1", 22, "10.0.0.1"),
        ("10.0.0.1", 2222, "[10.0.0.1]:2222"),
        ("fe80::1", 22, "fe80::1"),
        ("fe80::1", 2222, "[fe80::1]:2222"),
    ],
)
def test_machines_are_named_as_openssh_names_them(address, port, name):
    assert known_name(address, port) == name
