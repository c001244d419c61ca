"""Which ports of a machine may be open, by its role and the inventory."""

from pathlib import Path

from slipway.inventory import load
from slipway.verify.packs.security.ports import allowed

TEXT = (Path(__file__).parent / "inventory.yaml").read_text()


def test_a_controller_of_a_virtual_address_has_the_balancer_behind_it(tmp_path):
    (tmp_path / "inventory.yaml").write_text(TEXT)
    shared = load(tmp_path)
    (tmp_path / "inventory.yaml").write_text(TEXT.replace("  network: {vip: {address: 10.77.0.10/24}}\n", ""))
    alone = load(tmp_path)
    assert allowed(shared.host("cp1"), shared) - allowed(alone.host("cp1"), alone) == {6444}
    assert allowed(shared.host("w1"), shared) == allowed(alone.host("w1"), alone)


def test_the_agents_of_k0s_and_kubelet_belong_to_nodes_with_pods(tmp_path):
    (tmp_path / "inventory.yaml").write_text(TEXT)
    inventory = load(tmp_path)
    assert {8093, 10250} <= allowed(inventory.host("w1"), inventory)
    assert not {8093, 10250} & allowed(inventory.host("cp1"), inventory)
