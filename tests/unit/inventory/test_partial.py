"""Mistakes between values are told although some values are wrong, and nothing that only follows from those."""

from __future__ import annotations

import copy
import functools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.inventory.test_load import HEAD, INVALID, load_text
from tests.unit.inventory.test_schema import EVERYTHING, PLACES, changed

from slipway.inventory import InvalidInventory, load
from slipway.inventory.messages import keys_at
from slipway.inventory.model import Cluster, File, Host, Role
from slipway.inventory.source import Keys

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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            HEAD
            + HOSTS.replace("10.0.0.31", "10.0.0.32", 1) % (", colour: red, labels: {kind: x}, network: {mtu: 10}", "")
            + "  w4: {address: 10.0.0.255, role: worker, colour: red, taints: ['a=b:NoSchedule', 'a=c:NoSchedule']}\n"
            + "  w5: {address: 10.0.0.21, role: worker, colour: red}\n",
            [
                "hosts.w1.colour",
                "hosts.w1.network.mtu",
                "hosts.w4.address",
                "hosts.w4.colour",
                "hosts.w4.taints[1]",
                "hosts.w5.address",
                "hosts.w5.colour",
            ],
        ),
        (
            HEAD.replace(
                "k0s.2}", "k0s.2, colour: red, ports: {api: 9443, colour: red}}, network: {vip: {colour: red}}"
            )
            + "hosts: {a: {address: 10.0.0.1, role: single}}\n",
            [
                "cluster.k0s.colour",
                "cluster.k0s.ports.colour",
                "cluster.k0s.ports.k0sApi",
                "cluster.network.vip.address",
                "cluster.network.vip.colour",
            ],
        ),
        (
            HEAD + "stages: {colour: red, mode: restore, storage: {colour: red, provider: zfs}}\n"
            "hosts: {a: {address: 10.0.0.1, role: single}}\n",
            ["stages.colour", "stages.mode", "stages.storage.colour", "stages.storage.provider"],
        ),
        (
            HEAD + "hosts:\n  a: {address: 10.0.0.300, role: controller}\n"
            "  b: {address: 10.0.0.300, role: worker, taints: ['a=b:NoSchedule', 'a=c:NoSchedule']}\n",
            ["hosts", "hosts.a.address", "hosts.b.address", "hosts.b.taints[1]"],
        ),
        (
            HEAD + "hosts: {a: {address: 10.0.0.1, role: rooler}, b: {address: 10.0.0.1, role: worker}}\n",
            ["hosts.a.role", "hosts.b.address"],
        ),
    ],
    ids=["hosts", "cluster", "stages", "addresses", "role"],
)
def test_several_mistakes_of_one_mapping_are_told_at_once(tmp_path: Path, text: str, expected: list[str]):
    assert sorted(line.partition(":")[0] for line in told(tmp_path, text)) == expected


@pytest.mark.parametrize("key", ["prefixLength: 24", "sshKeys: [x]", "gateway4: 10.0.0.1"])
def test_a_key_that_belongs_elsewhere_is_not_missed_there(tmp_path: Path, key: str):
    """It is told where it belongs; that it lacks there only follows from it."""
    head = HEAD.replace(", prefixLength: 24", "")
    (line,) = told(tmp_path, f"{head}hosts: {{a: {{address: 10.0.0.1, role: single, {key}}}}}\n")
    assert line.startswith(f"hosts.a.{key.partition(':')[0]}: unknown key")


def test_of_more_hosts_with_mistakes_than_are_looked_at_each_mistake_is_told(tmp_path: Path):
    hosts = "".join(f"  w{n}: {{address: 10.0.0.{n}, role: worker, network: {{mtu: 10}}}}\n" for n in range(20, 60))
    found = told(tmp_path, HEAD + "hosts:\n  cp1: {address: 10.0.0.255, role: controller}\n" + hosts)
    assert len(found) == 41


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


UNKNOWN = "zzQq"
NOT_TRIED = (
    "duplicate-host", "duplicate-key", "pods-without-room", "yaml-tag", "yaml-alias-bomb", "yaml-deep-nesting",
)  # fmt: skip
"""What is right once it is nothing but texts, and what is not read any further."""


def as_text(file: Path) -> Any:
    """What a file of one mistake has, every value as its text; None where it is more than one file, no YAML, or not
    to be tried."""
    if file.stem in NOT_TRIED:
        return None
    try:
        data = yaml.load(file.read_text(), yaml.BaseLoader)
    except yaml.YAMLError:
        return None
    odd = not isinstance(data, dict) or "include" in data or data.get("apiVersion") != "slipway/v1"
    return None if odd else data


def sections(node: Any, path: Keys = ()) -> Iterator[Keys]:
    """Where a key that nobody knows can be put, and nothing else is named by a user."""
    if isinstance(node, dict):
        if keys_at(File, path):
            yield path
        for key, value in node.items():
            yield from sections(value, (*path, key))


FAULTS = [data for data in map(as_text, INVALID) if data]


def refused(folder: Path, data: Any) -> set[tuple[str, str]]:
    (folder / "inventory.yaml").write_text(json.dumps(data))
    with pytest.raises(InvalidInventory) as caught:
        load(folder, to_start=True)
    return {(problem.path, problem.message) for problem in caught.value.problems}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(data=st.sampled_from(FAULTS), choose=st.data())
def test_a_key_that_nobody_knows_hides_no_other_mistake_and_makes_none(
    tmp_path: Path, data: Any, choose: st.DataObject
):
    before, path = refused(tmp_path, data), choose.draw(st.sampled_from([*sections(data)]))
    made = copy.deepcopy(data)
    functools.reduce(lambda node, key: node[key], path, made)[UNKNOWN] = "x"
    after = refused(tmp_path, made)
    assert before <= after
    assert [message.startswith(f"unknown key '{UNKNOWN}'") for _, message in after - before] == [True]


def test_control_most_files_of_one_mistake_are_tried():
    assert len(FAULTS) > 200
    assert ("hosts", "w1") in sections(FAULTS[0])


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
