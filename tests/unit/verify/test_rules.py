"""What the rules of NixOS's firewall let in, and whom."""

import json
from typing import Any

import pytest
from tests.unit.verify.machines import HERE

from slipway.verify.backend import Answer, host_of
from slipway.verify.check import CannotRun
from slipway.verify.packs.network._rules import Rules

RECORDED = (HERE / "recorded/nft.json").read_text()


def rules(stdout: str = "", stderr: str = "", code: int = 0) -> Rules:
    return Rules(host_of("w1", lambda _command, _timeout: Answer(code, stdout, stderr)))


def match(left: Any, right: Any) -> dict[str, Any]:
    return {"match": {"op": "==", "left": left, "right": right}}


def field(protocol: str, name: str, right: Any) -> dict[str, Any]:
    return match({"payload": {"protocol": protocol, "field": name}}, right)


def of(*chain: list[dict[str, Any]]) -> Rules:
    entries = [{"rule": {"chain": "input-allow", "expr": rule}} for rule in chain]
    return rules(json.dumps({"nftables": [{"metainfo": {}}, *entries]}))


ACCEPT, DROP = {"accept": None}, {"drop": None}
VXLAN = field("udp", "dport", 8472)


@pytest.mark.parametrize(
    ("port", "source", "expected"),
    [
        (8472, "10.77.0.22", True),
        (8472, "10.78.0.22", False),
        (8472, "fd00:77::22", True),
        (8472, "fd00:78::22", False),
        (4789, "10.77.0.22", False),
        (30000, "192.0.2.1", True),
    ],
)
def test_rules_that_nft_listed(port, source, expected):
    assert rules(RECORDED).lets_in("udp", port, source) is expected


@pytest.mark.parametrize(
    "right",
    [
        "10.0.0.11",
        {"prefix": {"addr": "10.0.0.0", "len": 24}},
        {"range": ["10.0.0.10", "10.0.0.12"]},
        {"set": ["10.9.0.1", {"range": ["10.0.0.11", "10.0.0.12"]}]},
    ],
)
def test_sources_in_each_of_nfts_forms(right):
    found = of([field("ip", "saddr", right), VXLAN, ACCEPT])
    assert found.lets_in("udp", 8472, "10.0.0.11")
    assert not found.lets_in("udp", 8472, "10.1.0.11")


@pytest.mark.parametrize("right", [8472, {"range": [8000, 9000]}, {"set": [53, {"range": [8400, 8500]}]}])
def test_ports_in_each_of_nfts_forms(right):
    assert of([field("udp", "dport", right), ACCEPT]).lets_in("udp", 8472, "10.0.0.11")
    assert not of([field("udp", "dport", right), ACCEPT]).lets_in("tcp", 8472, "10.0.0.11")
    assert of([field("th", "dport", right), ACCEPT]).lets_in("udp", 8472, "10.0.0.11")


def test_the_first_rule_that_fits_decides():
    everything: list[dict[str, Any]] = [{"counter": {"packets": 0, "bytes": 0}}, ACCEPT]
    assert of([VXLAN, ACCEPT], [VXLAN, DROP]).lets_in("udp", 8472, "10.0.0.11")
    assert not of([VXLAN, DROP], everything).lets_in("udp", 8472, "10.0.0.11")
    assert of([field("udp", "dport", 9), DROP], everything).lets_in("udp", 8472, "10.0.0.11")


def test_a_rule_that_asks_for_more_than_address_and_port_lets_nobody_in():
    by_link = match({"meta": {"key": "iifname"}}, "eno9")
    assert not of([by_link, VXLAN, ACCEPT]).lets_in("udp", 8472, "10.0.0.11")
    not_equal = {"match": {**VXLAN["match"], "op": "!="}}
    assert not of([not_equal, ACCEPT]).lets_in("udp", 9, "10.0.0.11")


def test_a_machine_without_that_table_is_told_from_one_that_does_not_say():
    assert not rules(stderr="Error: No such file or directory\nlist table inet nixos-fw\n", code=1).there
    with pytest.raises(CannotRun, match="Operation not permitted"):
        rules(stderr="Operation not permitted (you must be root)\n", code=1)
    with pytest.raises(CannotRun, match="nft said what cannot be read"):
        rules("nonsense")
