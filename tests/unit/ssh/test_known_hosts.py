"""Our reading of known_hosts against OpenSSH's own: ssh-keygen, ssh, and the file that `nix copy` gets."""

import base64
import re
import subprocess
from pathlib import Path

import paramiko
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from slipway.errors import InvalidInput
from slipway.ssh import openssh
from slipway.ssh.keys import HostKeyRefused, KnownHosts
from slipway.ssh.known_hosts import Damaged, keys_in, read

NAMES = ("10.0.0.5", "10.0.0.50", "fd00::5", "[10.0.0.5]:2222", "node.example.org")
KEY = paramiko.ECDSAKey.generate()
OTHER = paramiko.ECDSAKey.generate()


def text_of(key: paramiko.PKey) -> str:
    return f"{key.get_name()} {key.get_base64()}"


def hashed(name: str, salt: bytes = b"s" * 20) -> str:
    return paramiko.HostKeys.hash_host(name, base64.b64encode(salt).decode())


def openssh_pins(path: Path, name: str) -> list[str]:
    """Lines that ssh-keygen finds for `name`, as `line marker?`; with -l it parses the keys as ssh does."""
    said = subprocess.run(["ssh-keygen", "-lF", name, "-f", str(path)], capture_output=True, text=True, check=False)
    return re.findall(r"found: line ([0-9]+ ?(?:REVOKED|CA)?)", said.stdout)


def ours_pin(path: Path, name: str) -> list[str]:
    marks = {"": " ", "@revoked": " REVOKED", "@cert-authority": " CA"}
    keys = [key for key in KnownHosts.load(path).keys if key.is_for(name)]
    return [f"{key.line}{marks[key.marker]}".rstrip(" ") + ("" if key.marker else " ") for key in keys]


CASES = {
    "plain": f"10.0.0.5 {text_of(KEY)}",
    "several names": f"cp1,10.0.0.5,fd00::5 {text_of(KEY)}",
    "tabs and blanks": f" \t10.0.0.5\t \t{KEY.get_name()}\t{KEY.get_base64()}\tme@here",
    "carriage return": f"10.0.0.5 {text_of(KEY)}\r",
    "upper case": f"NODE.Example.ORG {text_of(KEY)}",
    "comment with U+2028": f"# about w1\u202810.0.0.5 {text_of(KEY)}",
    "comment with U+0085": f"# about w1\u008510.0.0.5 {text_of(KEY)}",
    "comment with form feed": f"# about w1\x0c10.0.0.5 {text_of(KEY)}",
    "comment with carriage return": f"# about w1\r10.0.0.5 {text_of(KEY)}",
    "no-break space in the names": f"10.0.0.5\u00a0x {text_of(KEY)}",
    "star": f"10.0.0.* {text_of(KEY)}",
    "question mark": f"10.0.0.? {text_of(KEY)}",
    "exception": f"!10.0.0.5,10.0.0.* {text_of(KEY)}",
    "exception behind": f"10.0.0.*,!10.0.0.50 {text_of(KEY)}",
    "only exceptions": f"!10.0.0.50 {text_of(KEY)}",
    "all": f"* {text_of(KEY)}",
    "revoked": f"@revoked 10.0.0.5 {text_of(KEY)}",
    "revoked everywhere": f"@revoked * {text_of(KEY)}",
    "authority": f"@cert-authority * {text_of(KEY)}",
    "port": f"[10.0.0.5]:2222 {text_of(KEY)}",
    "port 22 in brackets": f"[10.0.0.5]:22 {text_of(KEY)}",
    "hashed": f"{hashed('10.0.0.5')} {text_of(KEY)}",
    "hashed with a port": f"{hashed('[10.0.0.5]:2222')} {text_of(KEY)}",
    "a very long pattern": f"{'x' * 1100},10.0.0.5 {text_of(KEY)}",
    "empty names between": f",,10.0.0.5 {text_of(KEY)}",
}


@pytest.mark.parametrize("line", CASES.values(), ids=CASES)
def test_a_line_pins_for_us_what_it_pins_for_openssh(tmp_path, line):
    path = tmp_path / "known_hosts"
    path.write_bytes(f"# first\n{line}\n".encode())
    for name in NAMES:
        assert ours_pin(path, name) == openssh_pins(path, name), name


def test_control_the_comparison_sees_a_difference(tmp_path):
    path = tmp_path / "known_hosts"
    path.write_text(f"10.0.0.5 {text_of(KEY)}\n")
    assert ours_pin(path, "10.0.0.5") == openssh_pins(path, "10.0.0.5") == ["1 "]
    assert openssh_pins(path, "10.0.0.50") == []


DAMAGED = {
    "no key": "10.0.0.5 ssh-ed25519",
    "no base64": "10.0.0.5 ssh-ed25519 not*base64",
    "another type": f"10.0.0.5 ssh-ed25519 {KEY.get_base64()}",
    "unknown marker": f"@trusted 10.0.0.5 {text_of(KEY)}",
    "two markers": f"@revoked @cert-authority 10.0.0.5 {text_of(KEY)}",
    "no hash": f"|1|x {text_of(KEY)}",
    "a short hash": f"|1|a|b {text_of(KEY)}",
    "another kind of hash": f"|2|{'A' * 27}=|{'A' * 27}= {text_of(KEY)}",
}


@pytest.mark.parametrize("line", DAMAGED.values(), ids=DAMAGED)
def test_what_openssh_skips_is_told_with_its_line(tmp_path, line):
    path = tmp_path / "known_hosts"
    path.write_text(f"# first\n{line}\n")
    assert openssh_pins(path, "10.0.0.5") == []
    with pytest.raises(InvalidInput, match="known_hosts:2: not a line of known_hosts"):
        KnownHosts.load(path)


PARTS = st.sampled_from(["10.0.0.5", "10.0.0.*", "10.?.0.5", "*", "!10.0.0.5", "!*.9", "cp1", "A", "[10.0.0.5]:22", ""])
LISTS = st.lists(PARTS, min_size=1, max_size=4).map(",".join).filter(lambda text: text.strip(",") != "")
LINES = st.builds(
    lambda marker, names, key, end: f"{marker}{names} {text_of(key)}{end}",
    st.sampled_from(["", "", "", "@revoked ", "@cert-authority "]),
    st.one_of(LISTS, st.just(hashed("10.0.0.5"))),
    st.sampled_from([KEY, OTHER]),
    st.sampled_from(["", " comment", "\r", "\t#"]),
)


@given(st.lists(LINES, min_size=1, max_size=4))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_file_pins_for_us_what_it_pins_for_openssh(tmp_path, lines):
    path = tmp_path / "known_hosts"
    path.write_bytes("".join(f"{line}\n" for line in lines).encode())
    for name in ("10.0.0.5", "a"):
        assert ours_pin(path, name) == openssh_pins(path, name)


@example(b"\x01 \x01 \x80")  # a key in letters that base64 does not know
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_told(content):
    try:
        list(keys_in(content))
    except Damaged as damaged:
        assert damaged.args[0] >= 1


def test_no_pattern_makes_us_slow():
    key = read(f"{'*a' * 500} {text_of(KEY)}")
    assert key is not None
    assert not key.is_for("a" * 900 + "b")


def real_key(sshd) -> str:
    kind, blob = (sshd.folder / "host_ed25519.pub").read_text().split()[:2]
    return f"{kind} {blob}"


def real_rsa(sshd) -> str:
    kind, blob = (sshd.folder / "host_rsa.pub").read_text().split()[:2]
    return f"{kind} {blob}"


def let_in_by_us(sshd, path: Path) -> bool:
    host = sshd.remote(known_hosts=KnownHosts.load(path))
    try:
        return bool(host.run(["echo", "in"]).ok)
    except HostKeyRefused:
        return False
    finally:
        host.close()


def let_in_by_openssh(sshd, path: Path) -> bool:
    """As `nix copy` is: with the file that is made for it."""
    endpoint = sshd.endpoint
    with KnownHosts.load(path).only((endpoint.address, endpoint.port)) as only:
        words = openssh.options(endpoint, only, 5)
        login = f"{endpoint.user}@{endpoint.name}"
        said = subprocess.run(["ssh", *words, login, "echo in"], capture_output=True, text=True, check=False)
    assert said.returncode == 0 or "Host key verification failed" in said.stderr, said.stderr
    return said.stdout == "in\n"


@pytest.mark.parametrize(
    ("template", "let_in"),
    [
        ("{name} {key}", True),
        ("{name} {rsa}", True),
        ("{name} {rsa}\n{name} {key}", True),
        ("{name} {other}", False),
        ("{name} {other}\n{name} {key}", True),
        ("127.0.0.1 {key}", False),
        ("# rack a\u2028{name} {key}", False),
        ("* {key}", True),
        ("!{name},* {key}", False),
        ("@revoked * {key}\n{name} {key}", False),
        ("@revoked {name} {other}\n{name} {key}", True),
        ("@cert-authority * {key}", False),
        ("{name} {key}\r", True),
    ],
)
def test_both_ways_to_a_machine_accept_the_same_keys(sshd, tmp_path, template, let_in):
    path = tmp_path / "known_hosts"
    name = f"[127.0.0.1]:{sshd.port}"
    text = template.format(name=name, key=real_key(sshd), rsa=real_rsa(sshd), other=text_of(OTHER))
    path.write_bytes(f"{text}\n".encode())
    assert (let_in_by_us(sshd, path), let_in_by_openssh(sshd, path)) == (let_in, let_in)
