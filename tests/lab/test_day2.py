"""A cluster of three controllers after its first day: its control plane is lost and comes back, machines leave and are
replaced.

The tests run in order, on the cluster that test_ha.py leaves.
"""

import json
from pathlib import Path

import pytest
from tests.lab.ha import CONTROLLERS, Ha
from tests.lab.harness import outcomes

pytestmark = [pytest.mark.lab, pytest.mark.nightly]

SECRET = "kubectl get secret precious --output=jsonpath={.data.word} --ignore-not-found"
LOSE = "systemctl stop k0s.service; k0s reset; test ! -e /var/lib/k0s/etcd/member/snap/db"


@pytest.fixture(scope="module")
def backup(ha):
    """The file of a backup with a Secret in it, and the cluster's identity in it."""
    ha.kubectl("cp1", "create secret generic precious --from-literal=word=ok")
    before = kept(ha)
    said = ha.repository.slipway("backup", "--json").ended(0).json
    assert kept(ha) == before
    ha.kubectl("cp1", "create secret generic later --from-literal=word=ok")
    return said


def kept(ha: Ha) -> list[str]:
    """What the controllers keep for slipway, name by name."""
    return [ha.sh(name, "ls -R /var/lib/slipway") for name in CONTROLLERS]


def identity(ha: Ha, name: str) -> str:
    return ha.sh(name, "sha256sum </var/lib/k0s/pki/ca.crt").split()[0]


def test_a_backup_is_the_clusters_and_nobody_reads_it(ha, backup):
    assert backup["identity"] == identity(ha, "cp1")
    with Path(backup["file"]).open("rb") as stream:
        assert stream.read(20) == b"age-encryption.org/v"


def test_a_cluster_that_lives_is_not_overwritten(ha, backup):
    ran = ha.repository.slipway("restore", backup["file"], "--yes").ended(6)
    assert "cp1: the same cluster" in ran.err and "slipway reset cp1 cp2 cp3" in ran.err
    assert ha.kubectl("cp1", "get secret later --output=name") == "secret/later"


def test_a_lost_control_plane_comes_back_with_its_nodes_and_secrets(ha, backup):
    before = identity(ha, "cp1")
    node = ha.kubectl("cp1", "get node w1 --output=jsonpath={.metadata.uid}")
    for name in CONTROLLERS:
        ha.sh(name, LOSE, timeout=120)
    ran = ha.repository.slipway("restore", backup["file"], "--yes", "--json").ended(0)
    assert outcomes(ran) == {"cp1": "ok", "cp2": "ok", "cp3": "ok", "w1": "unchanged"}
    assert [identity(ha, name) for name in CONTROLLERS] == [before] * 3
    assert set(json.loads(ha.sh("cp3", "k0s etcd member-list"))["members"]) == set(CONTROLLERS)
    assert ha.kubectl("cp2", "get node w1 --output=jsonpath={.metadata.uid}") == node
    assert ha.sh("cp1", f"k0s {SECRET} | base64 -d") == "ok"
    assert ha.kubectl("cp1", "get secret later --output=name --ignore-not-found") == ""
    assert set(outcomes(ha.repository.slipway("deploy", "--json").ended(0)).values()) == {"unchanged"}


def test_a_controller_is_removed_and_comes_back_by_a_deploy(ha):
    ran = ha.repository.slipway("node", "remove", "cp3", "--yes", "--json").ended(0)
    assert "delete cp3 from the inventory: inventory.yaml:" in ran.json["next"][0]
    assert set(json.loads(ha.sh("cp1", "k0s etcd member-list"))["members"]) == {"cp1", "cp2"}
    assert ha.sh("cp3", "find /var/lib/k0s -name '*.key' -o -name '*.conf'; cat /etc/k0s/k0stoken") == ""
    assert outcomes(ha.repository.slipway("deploy", "--json").ended(0))["cp3"] == "ok"
    assert set(json.loads(ha.sh("cp1", "k0s etcd member-list"))["members"]) == set(CONTROLLERS)


def test_a_lost_controller_makes_room_for_the_new_machine_of_its_name(ha):
    ha.sh("cp2", LOSE, timeout=120)
    refused = ha.repository.slipway("deploy", "--json")
    assert outcomes(refused)["cp2"] not in ("ok", "unchanged"), refused.out
    ha.repository.slipway("node", "replace", "cp2", "--yes").ended(0)
    assert set(json.loads(ha.sh("cp1", "k0s etcd member-list"))["members"]) == {"cp1", "cp3"}
    assert outcomes(ha.repository.slipway("deploy", "cp2", "--json").ended(0)) == {"cp2": "ok"}
    assert set(json.loads(ha.sh("cp1", "k0s etcd member-list"))["members"]) == set(CONTROLLERS)


def test_a_member_is_not_reset_behind_its_clusters_back(ha):
    ran = ha.repository.slipway("reset", "w1", "--yes").ended(6)
    assert "slipway node remove w1" in ran.err
    assert "w1" in ha.kubectl("cp1", "get nodes --output=name")
