"""Mistakes between values are told although some values are wrong, and nothing that only follows from those."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.inventory.test_load import HEAD, load_text
from tests.unit.inventory.test_schema import EVERYTHING, PLACES, changed

from slipway.inventory import InvalidInventory, load
from slipway.inventory.model import Cluster, Host, Role

HOSTS = """hosts:
  cp1: {address: 10.0.0.11, role: controller}
  w1: {address: 10.0.0.21, role: worker%s}
  w2: {address: 10.0.0.31, role: worker%s}
  w3: {address: 10.0.0.31, role: worker}
"""
TWICE = "hosts.w3.address: 10.0.0.31 is already used by hosts.w2.address"


def told(folder: Path, text: str) -> list[str]:
    with pytest.raises(InvalidInventory) as refused:
        load_text(folder, text)
    return [str(problem).split(": ", 1)[1] for problem in refused.value.problems]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        (HEAD + HOSTS % (", network: {mtu: 10}", ""), "hosts.w1.network.mtu: 10 is too low"),
        (HEAD + HOSTS % (", rolle: worker", ""), "hosts.w1.rolle: unknown key 'rolle'"),
        (HEAD.replace("prefixLength: 24", "prefixLength: 24, mtu: x") + HOSTS % ("", ""), "defaults.network.mtu: 'x'"),
        (HEAD.replace("name: lab", "name: Lab") + HOSTS % ("", ""), "cluster.name: 'Lab'"),
        (HEAD.replace("k0s.2", "k0s") + HOSTS % ("", ""), "cluster.k0s.version: '1.36.3+k0s'"),
        (HEAD + "stages: {mode: x}\n" + HOSTS % ("", ""), "stages.mode: 'x'"),
        (HEAD + "deploy: {timeouts: {copy: 5}}\n" + HOSTS % ("", ""), "deploy.timeouts.copy: '5'"),
    ],
)
def test_a_wrong_value_does_not_hide_a_mistake_between_others(tmp_path: Path, text: str, first: str):
    found = told(tmp_path, text)
    assert len(found) == 2
    assert any(line.startswith(first) for line in found)
    assert any(line.startswith(TWICE) for line in found)


@pytest.mark.parametrize(
    ("hosts", "told_too"),
    [
        ('w1: {address: "fd00::21", role: worker}', "hosts.w1.address: fd00::21 is IPv6, but services are IPv4"),
        (
            'w1: {address: 10.0.0.21, role: worker, taints: ["a=b:NoSchedule"]}',
            "hosts: no host without taints runs pods, and the first Git server needs one",
        ),
    ],
)
@pytest.mark.parametrize(
    ("name", "controller", "first"),
    [
        ("Lab", "10.0.0.11", "cluster.name: 'Lab'"),
        ("lab", "10.0.0.255", "hosts.cp1.address: 10.0.0.255 is the broadcast address"),
    ],
    ids=["a wrong value", "another mistake between values"],
)
def test_what_keeps_a_cluster_from_starting_is_told_beside_the_rest(
    tmp_path: Path, hosts: str, told_too: str, name: str, controller: str, first: str
):
    text = HEAD.replace("name: lab", f"name: {name}")
    found = told(tmp_path, f"{text}hosts:\n  cp1: {{address: {controller}, role: controller}}\n  {hosts}\n")
    assert any(line.startswith(told_too) for line in found), found
    assert any(line.startswith(first) for line in found), found


@pytest.mark.parametrize(
    "text",
    [
        HEAD.replace("k0s.2}", "k0s.2, workerProfiles: [big]}")
        + "hosts: {a: {address: 10.0.0.1, role: single, k0s: {profile: big}}}\n",
        HEAD + "hosts: {a: {address: 10.0.0.1, role: master}, b: {address: 10.0.0.2, role: worker}}\n",
        HEAD.replace("prefixLength: 24", "prefixLenght: 24") + "hosts: {a: {address: 10.0.0.1, role: single}}\n",
        HEAD + "stages: {gitServer: {node: b}}\n"
        "hosts: {a: {address: 10.0.0.1, role: controller}, b: {address: 10.0.0.300, role: worker}}\n",
    ],
    ids=["profiles", "role", "prefix length", "node of the Git server"],
)
def test_what_only_follows_from_it_is_not_told(tmp_path: Path, text: str):
    assert len(told(tmp_path, text)) == 1


def test_what_hosts_share_is_right_beside_a_host_of_another_family(tmp_path: Path):
    head = HEAD.replace("k0s.2}}", "k0s.2}, network: {podCIDR: 'fd00:244::/104', serviceCIDR: 'fd00:96::/108'}}")
    head = head.replace("prefixLength: 24", "prefixLength: 64, gateway: 'fe80::1'") + "stages: {mode: x}\n"
    hosts = "hosts: {a: {address: 'fd00::1', role: controller+worker}, b: {address: 10.0.0.2, role: worker}}\n"
    found = told(tmp_path, head + hosts)
    assert [line.partition(":")[0] for line in found] == ["stages.mode", "hosts.b.address"]


def test_stages_are_looked_at_beside_a_wrong_host(tmp_path: Path):
    found = told(tmp_path, HEAD + "stages: {mode: restore}\nhosts: {a: {address: 10.0.0.300, role: single}}\n")
    assert [line.partition(":")[0] for line in found] == ["stages.mode", "hosts.a.address"]


def keys_of(dotted: str) -> list[str]:
    """The keys of a problem's path, without the numbers of items."""
    return [quoted or plain for quoted, plain in re.findall(r'"([^"]*)"|([^."\[\]]+)(?![^\[]*\])', dotted)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(path=st.sampled_from(PLACES), value=st.sampled_from([{"noSuchKey": "x"}, ["x", ["y"]]]))
def test_a_wrong_shape_is_the_only_mistake_that_is_told(tmp_path: Path, path: tuple[str | int, ...], value: Any):
    (tmp_path / "inventory.yaml").write_text(json.dumps(changed(path, value)))
    try:
        load(tmp_path)
    except InvalidInventory as refused:
        keys = [str(key) for key in path if isinstance(key, str)]
        for problem in refused.problems:
            said = keys_of(problem.path)
            assert said[: len(keys)] == keys[: len(said)], str(problem)


def test_control_everything_is_right_before(tmp_path: Path):
    (tmp_path / "inventory.yaml").write_text(json.dumps(EVERYTHING))
    load(tmp_path)


def test_what_nobody_knows_stays_in_that_document(tmp_path: Path):
    """Sections that are said nowhere are one object in all documents."""
    told(tmp_path, HEAD.replace("prefixLength: 24", "prefixLength: 24, mtu: x") + HOSTS % ("", ""))
    told(tmp_path, HEAD + "stages: {source: {kind: x, url: 5}, gitServer: {kind: y}}\n" + HOSTS % ("", ""))
    assert Host(name="a", role=Role.WORKER, address="10.0.0.1").network.mtu is None
    assert load_text(tmp_path, HEAD + HOSTS.replace("  w3", "# ") % ("", "")).stages.source.kind == "git-server"
    assert Cluster.model_validate({"name": "x", "k0s": {"version": "1.36.3+k0s.2"}}).network.vip is None
