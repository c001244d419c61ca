"""What the generated Nix files say, read back by Nix itself."""

from pathlib import Path

import pytest

from slipway.generate import nixos
from slipway.generate.networks import node_networks
from slipway.inventory import Inventory


def written(inventory: Inventory, folder: Path) -> Path:
    for path, content in nixos.render(inventory).items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return folder / "generated"


@pytest.fixture
def read(nix_value, tmp_path):
    """`read(inventory, host)`: the attributes of a host's default.nix, its imports and k0s.yaml aside."""

    def value(inventory, host):
        file = written(inventory, tmp_path) / "hosts" / host / "default.nix"
        return nix_value(f"""let host = import {file}; k0s = host.slipway.k0s or {{ }}; in
            host // {{ imports = map toString host.imports;
                       slipway = host.slipway // {{ k0s = removeAttrs k0s [ "configFile" ]; }}; }}""")

    return value


@pytest.fixture
def cluster(nix_value, tmp_path):
    """`cluster(inventory)`: slipway's part of cluster.nix."""

    def value(inventory):
        file = written(inventory, tmp_path) / "cluster.nix"
        return nix_value(f"(import {file} {{ lib.mkDefault = x: x; }}).slipway")

    return value


def test_a_host_says_what_it_is(make, read):
    host = read(make({"hosts": {"w1": {"labels": {"a/b": "c"}, "taints": ["a=b:NoSchedule"]}}}), "w1")
    assert host["networking"]["hostName"] == "w1"
    assert host["nixpkgs"]["hostPlatform"] == "x86_64-linux"
    slipway = host["slipway"]
    assert (slipway["role"], slipway["address"]) == ("worker", "10.0.0.21")
    assert slipway["k0s"] == {"labels": {"a/b": "c"}, "taints": ["a=b:NoSchedule"]}
    assert slipway["network"] == {"interface": "eno1", "prefixLength": 24, "gateway": "10.0.0.1"}


def test_what_has_its_default_is_left_out(make, read):
    assert set(read(make(), "w1")["slipway"]) == {"address", "k0s", "madeOf", "network", "role", "ssh"}


FREE_TEXT = ["''", '${builtins.abort"no"}', 'say"hi"', "back\\slash", "it's"]
"""A blank would be another flag for k0s, and is refused at load."""


@pytest.mark.parametrize("text", FREE_TEXT)
def test_free_text_is_only_text(make, read, text):
    inventory = make({"hosts": {"w1": {"k0s": {"kubeletExtraArgs": {"feature": text}}}}})
    assert read(inventory, "w1")["slipway"]["k0s"]["kubeletExtraArgs"] == {"feature": text}


def test_links(make, read):
    network = {
        "interface": "bond0.7", "mtu": 9000, "ipv6": {"address": "fd00::21", "gateway": "fd00::1"},
        "bonds": {"bond0": {"interfaces": ["eno1", "eno2"]}},
        "vlans": {"bond0.7": {"id": 7, "interface": "bond0"}},
        "links": {"eno3": {"addresses": ["10.1.0.21/24"], "routes": [{"to": "10.2.0.0/16", "via": "10.1.0.1"}]}},
    }  # fmt: skip
    found = read(make({"hosts": {"w1": {"network": network}}}), "w1")["slipway"]["network"]
    assert found["bonds"] == {"bond0": {"interfaces": ["eno1", "eno2"], "mode": "802.3ad"}}
    assert found["vlans"] == {"bond0.7": {"id": 7, "interface": "bond0"}}
    assert found["links"]["eno3"]["routes"] == [{"to": "10.2.0.0/16", "via": "10.1.0.1"}]
    assert found["ipv6"] == {"address": "fd00::21", "prefixLength": 64, "gateway": "fd00::1"}


def test_one_change_touches_one_host(make):
    before = nixos.render(make())
    after = nixos.render(make({"hosts": {"w1": {"labels": {"a": "b"}}}}))
    assert [path for path in after if after[path] != before[path]] == ["generated/hosts/w1/default.nix"]


def test_a_machine_more_in_a_known_network_touches_the_index_alone(make):
    before = nixos.render(make())
    after = nixos.render(make({"hosts": {"w2": {"address": "10.0.0.22", "role": "worker"}}}))
    changed = {path for path in after if after[path] != before.get(path)}
    assert changed == {"generated/hosts.nix", "generated/hosts/w2/default.nix"}


def test_the_cluster_is_said_once(make, cluster):
    found = cluster(make({"mirrors": {"registries": {"docker.io": ["https://mirror.example.org"]}}}))
    assert found["cluster"]["controllers"] == ["10.0.0.11"]
    assert found["cluster"]["nodeNetworks"] == ["10.0.0.0/24"]
    assert found["images"] == {"registries": {"docker.io": ["https://mirror.example.org"]}}
    assert found["k0s"] == {"version": "1.36.3+k0s.2"}


def test_node_networks_lie_in_no_other(make):
    hosts = {
        "w2": {"address": "10.0.0.200", "role": "worker", "network": {"prefixLength": 25, "gateway": "10.0.0.129"}},
        "w3": {"address": "10.0.1.3", "role": "worker", "network": {"gateway": "10.0.1.1"}},
        "w4": {
            "address": "10.0.2.4", "role": "worker",
            "network": {"gateway": "10.0.2.1", "ipv6": {"address": "fd00::4"}},
        },
    }  # fmt: skip
    assert node_networks(make({"hosts": hosts})) == ["10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24", "fd00::/64"]


def test_an_index_names_every_host(make, nix_value, tmp_path):
    folder = written(make(), tmp_path)
    assert nix_value(f"builtins.attrNames (import {folder / 'hosts.nix'})") == ["cp1", "w1"]


def test_programs_that_read_metal_are_left_out_with_their_pack(make, cluster):
    assert "hardware" not in cluster(make())
    assert cluster(make({"verify": {"packs": ["os"]}}))["hardware"] == {"tools": False}


def test_files_of_the_api_server_are_told_once(make, cluster):
    ca = (Path(__file__).parents[2] / "inventories/valid/everything.yaml").read_text()
    ca = "\n".join(line.strip() for line in ca[ca.index("-----BEGIN") : ca.index("audit:")].splitlines()).strip()
    oidc = {"issuerURL": "https://id.example.org", "clientID": "k8s", "ca": ca}
    found = cluster(make({"cluster": {"k0s": {"apiServer": {"oidc": oidc, "audit": {"level": "Request"}}}}}))
    assert found["apiServer"] == {"auditLevel": "Request", "oidcCa": ca + "\n"}
    assert "apiServer" not in cluster(make())


def test_storage_of_others(make, read):
    host = read(make({"hosts": {"w1": {"storage": {"iscsi": "true", "rbd": "false"}}}}), "w1")
    assert host["slipway"]["storage"] == {"iscsi": True}
