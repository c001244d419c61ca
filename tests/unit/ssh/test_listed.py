"""What a list of keys means for machines."""

import subprocess
from pathlib import Path

import pytest

from slipway.ssh.keys import KnownHosts, from_line
from slipway.ssh.listed import Machine, about_nobody, authorities, find

PLACE = Path("scan.txt")
W1 = Machine("w1", "10.0.0.21", 22, ("10.0.0.21", "w1"))
W2 = Machine("w2", "10.0.0.22", 2222)


@pytest.fixture(scope="module")
def keys(tmp_path_factory) -> dict[str, str]:
    """`type base64` of keys by name: a, b (ed25519), ecdsa, rsa."""
    folder = tmp_path_factory.mktemp("keys")
    kinds = {"a": "ed25519", "b": "ed25519", "ecdsa": "ecdsa", "rsa": "rsa"}
    for name, kind in kinds.items():
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(folder / name)], check=True)
    return {name: " ".join((folder / f"{name}.pub").read_text().split()[:2]) for name in kinds}


def listed(*lines: str) -> KnownHosts:
    return KnownHosts.parse(PLACE, "".join(f"{line}\n" for line in lines).encode())


NOTHING = listed()


def test_of_the_keys_that_a_scan_found_the_one_is_pinned_that_we_ask_for(keys):
    scan = listed("# 10.0.0.21:22 SSH-2.0-OpenSSH_10.0", f"10.0.0.21 {keys['rsa']}", f"10.0.0.21 {keys['ecdsa']}",
                  f"10.0.0.21 {keys['a']}")  # fmt: skip
    found = find(W1, scan, NOTHING, replace=False)
    assert (found.state, found.line) == ("pinned", 4)
    assert found.to_pin == from_line(keys["a"])
    assert find(W1, listed(f"10.0.0.21 {keys['rsa']}"), NOTHING, replace=False).to_pin == from_line(keys["rsa"])


def test_a_port_is_part_of_a_machines_name(keys):
    assert find(W2, listed(f"10.0.0.22 {keys['a']}"), NOTHING, replace=False).state == "not listed"
    assert find(W2, listed(f"[10.0.0.22]:2222 {keys['a']}"), NOTHING, replace=False).state == "pinned"


def test_the_address_comes_before_the_name(keys):
    both = listed(f"w1 {keys['b']}", f"10.0.0.21 {keys['a']}")
    assert find(W1, both, NOTHING, replace=False).line == 2
    assert find(W1, listed(f"w1 {keys['b']}"), NOTHING, replace=False).line == 1


def test_what_is_pinned_already_is_no_conflict_and_another_key_is_one(keys):
    known = listed(f"10.0.0.21 {keys['ecdsa']}")
    assert find(W1, listed(f"10.0.0.21 {keys['a']}", f"10.0.0.21 {keys['ecdsa']}"), known, replace=False).state == (
        "unchanged"
    )
    other = find(W1, listed(f"10.0.0.21 {keys['a']}"), known, replace=False)
    assert (other.state, other.is_conflict) == ("refused", True)
    assert "another key is pinned: ecdsa-sha2-nistp256 SHA256:" in other.reason
    assert find(W1, listed(f"10.0.0.21 {keys['a']}"), known, replace=True).state == "pinned"


@pytest.mark.parametrize("replace", [False, True])
def test_what_is_no_answer_is_refused_whatever_is_said(keys, replace):
    def reason(*lines: str, known: KnownHosts = NOTHING) -> str:
        found = find(W1, listed(*lines), known, replace=replace)
        assert (found.state, found.is_conflict) == ("refused", False)
        return found.reason

    two = reason(f"10.0.0.21 {keys['a']}", f"w9,10.0.0.21 {keys['b']}")
    assert two == "lines 1 and 2 name different keys of the type ssh-ed25519"
    assert reason(f"@revoked 10.0.0.21 {keys['a']}", f"10.0.0.21 {keys['a']}") == "line 1 revokes its key"
    revoked = listed(f"@revoked * {keys['a']}")
    assert reason(f"10.0.0.21 {keys['a']}", known=revoked) == "scan.txt revokes the key of line 1"
    assert reason("10.0.0.21 ssh-dss AAAAB3NzaC1kc3MA") == "line 1: ssh-dss is no type of key that is used here"
    assert reason("10.0.0.21 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA").startswith("line 1: no key of the type ssh-ed25519")


def test_an_authority_is_for_the_machines_of_its_pattern(keys):
    lines = listed(f"@cert-authority 10.0.0.* {keys['a']}", f"@cert-authority *.example.org {keys['b']}")
    assert [(key.line, new) for key, new in authorities(lines, NOTHING, [W1, W2])] == [(1, True)]
    assert [(key.line, new) for key, new in authorities(lines, lines, [W1])] == [(1, False)]
    assert [key.line for key in about_nobody(lines, [W1, W2])] == [2]


def test_lines_about_nobody_are_those_that_no_machine_has(keys):
    lines = listed(
        f"10.0.0.99 {keys['a']}", f"w1 {keys['a']}", f"@revoked 10.0.0.22 {keys['b']}", f"[10.0.0.22]:2222 {keys['b']}"
    )
    assert [key.line for key in about_nobody(lines, [W1, W2])] == [1, 3]
