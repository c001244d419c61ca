"""A lab with IPv6 alone: chosen once, and then everything in it has such addresses."""

import threading
from pathlib import Path
from urllib.request import urlopen

import pytest

from slipway.errors import PrerequisiteMissing, UsageError
from slipway.inventory import load
from slipway.lab import account, family, furnish, network, registry, repository, state
from slipway.lab.settings import Lab

PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE52Dut9WaGOK4+VLk/lxDYK45hWFantGsFEEe7b9iF9"


@pytest.fixture
def lab(tmp_path, monkeypatch):
    monkeypatch.setattr(Lab, "state", property(lambda _lab: tmp_path / "lab"))
    monkeypatch.setattr(Lab, "lock", property(lambda _lab: tmp_path / "lock"))
    return Lab(3)


@pytest.fixture
def machines(lab):
    """Those of a lab with IPv6, made as far as can be without starting them."""
    assert family.settle(lab, ipv6=True)
    made = lab.machines(3, 1)
    lab.identity.parent.mkdir(parents=True)
    lab.identity.with_suffix(".pub").write_text(f"{PUBLIC_KEY} lab\n")
    for machine in made:
        machine.folder.mkdir(parents=True)
        state.record(machine, Path("/cache/rootfs"))
        (lab.identity.parent / f"host-{machine.name}.pub").write_text(f"{PUBLIC_KEY} {machine.name}\n")
    return made


def test_a_new_lab_has_what_was_asked_for_and_else_ipv4(lab):
    assert family.settle(lab, ipv6=True)
    assert str(lab.subnet) == "fd00:10:80::/64"
    assert not family.settle(lab)
    assert str(lab.subnet) == "10.80.0.0/24"


def test_a_lab_with_machines_keeps_what_it_has(lab, machines):
    assert family.settle(lab)
    assert family.settle(lab, ipv6=True)


def test_a_lab_with_ipv4_does_not_become_another(lab, monkeypatch):
    family.settle(lab)
    monkeypatch.setattr(state, "recorded", lambda lab: lab.machines(1, 0))
    with pytest.raises(UsageError, match="--ipv6: the machines of this lab have IPv4") as refused:
        family.settle(lab, ipv6=True)
    assert "slipway lab down" in str(refused.value.hint)
    assert lab.subnet.version == 4


def test_machines_have_the_same_digits_in_both_families(lab, machines):
    assert [each.address for each in machines] == [f"fd00:10:80::{part}" for part in (11, 12, 13, 21)]
    assert state.recorded(lab) == machines, "in their order"
    last = lab.machines(1, 200)[-1]
    assert last.address == "fd00:10:80::220"


def test_a_machine_starts_with_its_address(lab, machines):
    assert "Address=fd00:10:80::11/64\n" in furnish._network(machines[0])


def test_an_address_stands_in_brackets_where_a_port_follows(lab, machines):
    assert registry.address(lab) == "oci+http://[fd00:10:80::1]:5000/charts"
    assert account.address(lab) == "s3:http://[fd00:10:80::1]:8333/backups"


def test_the_registry_listens_there(tmp_path):
    with registry.serve("::1", 0, tmp_path) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        with urlopen(f"http://[::1]:{server.server_port}/v2/", timeout=30) as answer:
            assert answer.status == 200
        server.shutdown()
        thread.join(30)


def test_the_bridge_has_the_address_at_once(lab, machines, monkeypatch):
    said: list[str] = []
    monkeypatch.setattr(network, "_ip", lambda *words: said.append(" ".join(words)))
    network.up(lab)
    assert "address replace fd00:10:80::1/64 dev slipway3 nodad" in said


@pytest.mark.parametrize(
    ("address", "taken"), [("fd00:10:80::5/64", True), ("fd00::2/64", False), ("10.80.0.5/24", False)]
)
def test_another_network_with_addresses_of_the_labs_is_named(lab, machines, monkeypatch, address, taken):
    local, length = address.split("/")
    there = f'[{{"ifname": "eth7", "addr_info": [{{"local": "{local}", "prefixlen": {length}}}]}}]'
    monkeypatch.setattr(network, "_ip", lambda *_words: there)
    if taken:
        with pytest.raises(PrerequisiteMissing, match=f"fd00:10:80::/64 is in use: eth7 has {address}"):
            network.check_free(lab)
    else:
        network.check_free(lab)


def test_its_inventory_is_one_of_ipv6_alone(lab, machines, tmp_path):
    repository.write(lab, tmp_path / "demo")
    inventory = load(tmp_path / "demo" / "inventory.yaml")
    network = inventory.cluster.network
    assert network.ipv6_only
    assert network.vip is not None
    assert network.vip.address == "fd00:10:80::10/64"
    assert [host.address for host in inventory.hosts] == [each.address for each in machines]
    assert {host.network.prefix_length for host in inventory.hosts} == {64}
    assert set(inventory.mirrors.charts.values()) == {"oci+http://[fd00:10:80::1]:5000/charts"}
