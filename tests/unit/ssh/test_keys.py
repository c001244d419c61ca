import subprocess

import paramiko
import pytest

from slipway.errors import InvalidInput
from slipway.ssh.keys import HostKeyRefused, KnownHosts, known_name
from slipway.ssh.pool import for_each


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
    old = line_of(paramiko.ECDSAKey.generate())
    path.write_text(f"# our machines\n10.0.0.11 {old}\n10.0.0.12 {old}\n")
    hosts = KnownHosts.load(path)
    hosts.pin("10.0.0.11", 22, key)
    lines = path.read_text().splitlines()
    assert lines == ["# our machines", f"10.0.0.12 {old}", f"10.0.0.11 {line_of(key)}"]


def test_machines_that_are_installed_side_by_side_lose_no_key(tmp_path, key):
    """Each process has read the file for itself, and writes it as a whole."""
    each = [KnownHosts.load(tmp_path / "known_hosts") for _ in range(20)]
    for_each(lambda number: each[int(number)].pin(f"10.0.0.{number}", 22, key), map(str, range(20)), limit=20)
    found = KnownHosts.load(tmp_path / "known_hosts")
    assert [number for number in range(20) if not found.of(f"10.0.0.{number}", 22)] == []


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


def test_pinning_changes_no_other_byte(tmp_path, key):
    """A comment that holds U+2028 became a line of its own, and so a pin, when another machine was pinned."""
    path = tmp_path / "known_hosts"
    pin = line_of(key)
    others = f"# rack a\u202810.0.0.5 {pin}\n\n  10.0.0.12\t{pin}  me\r\n@revoked 10.0.0.9 {pin}\n"
    path.write_bytes(others.encode())
    KnownHosts.load(path).pin("10.0.0.11", 22, key)
    assert path.read_bytes() == others.encode() + f"10.0.0.11 {line_of(key)}\n".encode()
    assert [entry.name for entry in tmp_path.iterdir()] == ["known_hosts"]


def line_of(key: paramiko.PKey) -> str:
    return f"{key.get_name()} {key.get_base64()}"


def test_pinning_takes_one_name_from_a_line_of_several(tmp_path, key):
    path = tmp_path / "known_hosts"
    other = paramiko.ECDSAKey.generate()
    path.write_text(f"10.0.0.10,10.0.0.11,10.0.0.12 {line_of(other)} rack a\n")
    hosts = KnownHosts.load(path)
    hosts.pin("10.0.0.11", 22, key)
    assert path.read_text() == f"10.0.0.10,10.0.0.12 {line_of(other)} rack a\n10.0.0.11 {line_of(key)}\n"
    hosts.check("w2", "10.0.0.12", 22, other)


def test_a_pattern_that_is_for_the_machine_too_is_for_people_to_mend(tmp_path, key):
    path = tmp_path / "known_hosts"
    before = f"10.0.0.* {line_of(paramiko.ECDSAKey.generate())}\n"
    path.write_text(before)
    with pytest.raises(InvalidInput, match=r"known_hosts:1: 10\.0\.0\.\* is for 10\.0\.0\.11 too"):
        KnownHosts.load(path).pin("10.0.0.11", 22, key)
    assert path.read_text() == before


def test_a_revoked_key_is_neither_accepted_nor_pinned(tmp_path, key):
    path = tmp_path / "known_hosts"
    path.write_text(f"@revoked * {line_of(key)}\n10.0.0.11 {line_of(key)}\n")
    hosts = KnownHosts.load(path)
    with pytest.raises(HostKeyRefused, match=r"a key that .*known_hosts revokes"):
        hosts.check("cp1", "10.0.0.11", 22, key)
    with pytest.raises(InvalidInput, match="revokes the key"):
        hosts.pin("10.0.0.11", 22, key)


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
