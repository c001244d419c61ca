"""`slipway trust --from FILE`: what comes of a list of keys, and that no machine is asked."""

import io
import json
import subprocess
from types import SimpleNamespace

import pytest
from tests.unit.cli.two_hosts import INVENTORY

from slipway.cli import listed, trust
from slipway.errors import InvalidInput, UsageError
from slipway.ssh.keys import KnownHosts


@pytest.fixture
def repository(tmp_path, monkeypatch):
    (tmp_path / "inventory.yaml").write_text(INVENTORY.format(user="root", port=22))
    monkeypatch.setattr(trust, "shown_key", None)
    return tmp_path


@pytest.fixture(scope="module")
def keys(tmp_path_factory) -> list[str]:
    folder = tmp_path_factory.mktemp("keys")
    for name in "abc":
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    return [" ".join((folder / f"{name}.pub").read_text().split()[:2]) for name in "abc"]


@pytest.fixture
def scan(repository, keys):
    """cp1 and w1, and a machine that nobody here knows."""
    file = repository / "scan.txt"
    file.write_text(f"# scanned\n10.0.0.11 {keys[0]}\n10.0.0.21 {keys[1]}\n10.0.0.99 {keys[2]}\n")
    return file


def pinned(repository, address: str) -> list[str]:
    return [f"{key.type} {key.blob}" for key in KnownHosts.load(repository / "known_hosts").of(address, 22)]


def test_each_node_gets_its_key_and_what_is_about_nobody_is_told(slipway, repository, scan, keys):
    result = slipway("trust", "--from", str(scan))
    assert [pinned(repository, f"10.0.0.{number}") for number in (11, 21)] == [[keys[0]], [keys[1]]]
    rows = [line.split() for line in result.stdout.splitlines()]
    fingerprint = KnownHosts.load(scan).of("10.0.0.21", 22)[0].fingerprint
    assert rows[2] == ["w1", "10.0.0.21", "pinned", "ssh-ed25519", fingerprint, "(line", "3)"]
    assert "2 keys pinned in " in result.stderr
    assert "about no machine of the inventory: line 4 (10.0.0.99)" in result.stderr


def test_a_second_time_changes_nothing(slipway, repository, scan):
    slipway("trust", "--from", str(scan))
    before = (repository / "known_hosts").stat()
    result = slipway("trust", "--from", str(scan), "--replace")
    assert (repository / "known_hosts").stat().st_mtime_ns == before.st_mtime_ns
    assert result.stdout.count("unchanged") == 2


def test_another_pinned_key_stays_until_it_is_said_otherwise(slipway, repository, scan, keys):
    (repository / "known_hosts").write_text(f"# ours\n10.0.0.11 {keys[2]}\n")
    with pytest.raises(InvalidInput, match="not pinned: cp1") as caught:
        slipway("trust", "--from", str(scan))
    assert caught.value.hint == f"slipway trust cp1 --from {scan} --replace, if they were installed anew"
    assert (pinned(repository, "10.0.0.11"), pinned(repository, "10.0.0.21")) == ([keys[2]], [keys[1]])
    slipway("trust", "cp1", "--from", str(scan), "--replace")
    assert pinned(repository, "10.0.0.11") == [keys[0]]
    assert (repository / "known_hosts").read_text().startswith("# ours\n")


def test_only_the_nodes_that_are_named_get_a_key_and_others_are_not_nobody(slipway, repository, scan):
    said = json.loads(slipway("trust", "w1", "--from", str(scan), "--json").stdout)
    assert [(each["node"], each["state"], each["line"]) for each in said["nodes"]] == [("w1", "pinned", 3)]
    assert [each["line"] for each in said["aboutNobody"]] == [4]
    assert pinned(repository, "10.0.0.11") == []


def test_a_line_of_an_authority_is_taken_as_it_is(slipway, repository, keys):
    file = repository / "ca"
    file.write_text(f"@cert-authority 10.0.0.* {keys[0]} the site's\n")
    for state in ("pinned", "unchanged"):
        said = json.loads(slipway("trust", "--from", str(file), "--json").stdout)
        assert [(each["names"], each["state"]) for each in said["authorities"]] == [("10.0.0.*", state)]
        assert {each["state"] for each in said["nodes"]} == {"not listed"}
    assert (repository / "known_hosts").read_text() == f"@cert-authority 10.0.0.* {keys[0]}\n"
    assert "not listed" not in slipway("trust", "--from", str(file)).stderr


def test_who_is_not_listed_is_told_with_the_command_that_asks_them(slipway, repository, keys, monkeypatch):
    lines = io.BytesIO(f"10.0.0.11 {keys[0]}\n".encode())
    monkeypatch.setattr(listed, "sys", SimpleNamespace(stdin=SimpleNamespace(buffer=lines)))
    assert "not listed: w1: slipway trust w1" in slipway("trust", "--from", "-").stderr
    assert pinned(repository, "10.0.0.11") == [keys[0]]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "no line is about a machine of the inventory"),
        ("10.0.0.11 ssh-ed25519 nonsense\n", r"list:1: not a line of known_hosts: the key is not of the type"),
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBBMF0e4Tlc2bbCEyA5LWyFv5fB6qQTfJ8cAHrtK5Yqm ca\n", "list:1: not a line"),
    ],
    ids=["empty", "damaged", "a bare key"],
)
def test_what_is_no_list_pins_nothing(slipway, repository, content, said):
    (repository / "list").write_text(content)
    with pytest.raises(InvalidInput, match=said):
        slipway("trust", "--from", str(repository / "list"))
    assert not (repository / "known_hosts").exists()


def test_one_line_that_is_wrong_keeps_all_of_it_out(slipway, repository, scan):
    scan.write_text(scan.read_text() + "10.0.0.12 ssh-ed25519\n")
    with pytest.raises(InvalidInput, match=r"scan.txt:5: "):
        slipway("trust", "--from", str(scan))
    assert not (repository / "known_hosts").exists()


def test_a_file_and_a_fingerprint_are_two_words_for_one_thing(slipway, repository, scan):
    with pytest.raises(UsageError, match="both"):
        slipway("trust", "w1", "--from", str(scan), "--fingerprint", "SHA256:x")


def test_many_nodes_that_are_known_are_told_once(slipway, repository, keys):
    lines = [f"  n{number}: {{address: 10.0.0.{number}, role: worker}}\n" for number in range(30, 60)]
    with (repository / "inventory.yaml").open("a") as file:
        file.writelines(lines)
    scan = repository / "scan"
    scan.write_text("".join(f"10.0.0.{number} {keys[0]}\n" for number in (11, 21, *range(30, 60))))
    assert slipway("trust", "--from", str(scan)).stdout.count("SHA256:") == 32
    (row,) = slipway("trust", "--from", str(scan)).stdout.splitlines()[1:]
    assert row.split("  ")[0] == "cp1 and 31 more like it"
