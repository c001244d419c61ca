"""A slip of a key is told once, and what stands below it is read as what was meant."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.inventory.test_partial import told

START = """\
apiVersion: slipway/v1
cluster: {name: lab, k0s: {version: 1.36.3+k0s.2}}
defaults:
  role: worker
  network: {interface: eno1, prefixLength: 24, gateway: 10.0.0.1}
hosts:
  cp1: {address: 10.0.0.11, role: controller}
  w1: {address: 10.0.0.21}
"""


@pytest.mark.parametrize("slip", ["default", "defualts", "Defaults"])
def test_a_slip_of_a_section_is_the_only_mistake(tmp_path: Path, slip: str):
    found = told(tmp_path, START.replace("defaults:", f"{slip}:"))
    assert found == [f"{slip}: unknown key {slip!r}; did you mean 'defaults'?"]


def test_two_slips_one_within_the_other(tmp_path: Path):
    found = told(tmp_path, START.replace("defaults:", "default:").replace("network:", "netwrok:"))
    assert [line.partition(";")[0] for line in found] == [
        "default: unknown key 'default'",
        "default.netwrok: unknown key 'netwrok'",
    ]
    assert found[1].endswith("did you mean 'network'?")


def test_the_word_of_another_tool_is_read_as_ours(tmp_path: Path):
    found = told(tmp_path, START + "  w2: {ip: 10.0.0.21}\n")
    assert found[0] == "hosts.w2.ip: unknown key 'ip'; did you mean 'address'?"
    assert len(found) == 2
    assert found[1].startswith("hosts.w2.address: 10.0.0.21 is already used by hosts.w1.address")


def test_hosts_under_another_word_are_looked_at(tmp_path: Path):
    found = told(tmp_path, START.replace("hosts:", "host:") + "  w2: {address: 10.0.0.21}\n")
    assert found[0].startswith("host: unknown key 'host'; did you mean 'hosts'?")
    assert len(found) == 2
    assert found[1].startswith("hosts.w2.address: 10.0.0.21 is already used by hosts.w1.address")


def test_a_version_under_another_word_hides_nothing(tmp_path: Path):
    found = told(tmp_path, START.replace("apiVersion", "apiversion") + "  w2: {address: 10.0.0.300}\n")
    assert found[0] == "apiversion: unknown key 'apiversion'; did you mean 'apiVersion'?"
    assert len(found) == 2
    assert found[1].startswith("hosts.w2.address: '10.0.0.300'")


def test_a_missing_version_hides_nothing(tmp_path: Path):
    found = told(tmp_path, START.partition("\n")[2] + "  w2: {address: 10.0.0.300}\n")
    assert found[0].startswith("apiVersion: required key 'apiVersion' is missing")
    assert len(found) == 2


def test_control_a_file_of_another_version_is_not_read_further(tmp_path: Path):
    found = told(tmp_path, START.replace("slipway/v1", "slipway/v2") + "  w2: {address: 10.0.0.300}\n")
    assert len(found) == 1


def test_a_missing_blank_is_a_slip_too(tmp_path: Path):
    found = told(tmp_path, START + "  w2: {address:10.0.0.21}\n")
    assert found[0].endswith("unknown key 'address:10.0.0.21'; did you mean `address: 10.0.0.21`?")
    assert len(found) == 2
    assert found[1].startswith("hosts.w2.address: 10.0.0.21 is already used by hosts.w1.address")


def test_a_slip_beside_what_was_meant_takes_nothing_away(tmp_path: Path):
    """Either may be what was meant, so that neither stands for the other."""
    found = told(tmp_path, START + "  w2: {address: 10.0.0.21, adress: 10.0.0.22}\n")
    assert [line.partition(":")[0] for line in found] == ["hosts.w2.adress"]


def test_a_slip_that_several_hosts_share_is_told_where_it_is_written(tmp_path: Path):
    text = START.replace("w1: {address: 10.0.0.21}", "w1: &w {address: 10.0.0.21, netwrok: {mtu: 9000}}")
    found = told(tmp_path, text + "  w2: {<<: *w, address: 10.0.0.22}\n")
    assert {line.partition(":")[0] for line in found} == {"hosts.w1.netwrok", "hosts.w2.netwrok"}


def test_a_slip_among_hundreds_of_hosts(tmp_path: Path):
    hosts = "".join(f"  n{n}: {{address: 10.0.0.{n + 100}}}\n" for n in range(1, 100))
    found = told(tmp_path, (START + hosts).replace("n7: {address", "n7: {adress").replace("10.0.0.109}", "10.0.0.107}"))
    assert [line.partition(":")[0] for line in found] == ["hosts.n7.adress", "hosts.n9.address"]
