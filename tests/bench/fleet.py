"""An inventory of any size, as a data centre would write it: the same hosts for the same seed, to the byte."""

from __future__ import annotations

import random
from collections.abc import Iterator

RACK = 40
"""Machines in a rack; each rack is a group."""
CONTROLLERS = 3
SEED = 4

HEAD = """\
# A fleet of {hosts} machines, made by tests/bench/fleet.py.
apiVersion: slipway/v1

cluster:
  name: fleet
  k0s:
    version: 1.36.3+k0s.2
    workerProfiles:
      dense: {{maxPods: 200}}
  network:
    provider: cilium
    podCIDR: 10.128.0.0/10
    serviceCIDR: 172.20.0.0/16
    vip: {{address: 10.20.0.10/16}}

defaults:
  role: worker
  ssh:
    user: root
    authorizedKeys:
      - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJBF5Ci2hsdUcOIYQVjmoPaRKAe5XBmJnYwZk7TeDx3f admin@example
  network:
    interface: nodes
    prefixLength: 16
    gateway: 10.20.0.1
    nameservers: [10.20.0.1, 10.20.0.2]
    mtu: 9000
    bonds:
      bond0: {{interfaces: [eno1, eno2], mode: 802.3ad}}
    vlans:
      nodes: {{id: 20, interface: bond0}}
      storage: {{id: 30, interface: bond0}}
  disks:
    system: {{filesystem: ext4}}
  hardware: {{cpu: amd, cores: 64, memory: 256Gi}}
  firewall:
    sshFrom: [10.20.0.0/16, 10.10.0.0/24]

groups:
  dense: # machines that take more pods than usual
    k0s: {{profile: dense}}
  storage: # machines with disks for the storage network
    labels: {{example.org/storage: "true"}}
    taints: ["example.org/storage=true:NoSchedule"]
"""


def inventory(hosts: int, seed: int = SEED) -> str:
    """The text of an inventory.yaml with so many hosts: three controllers, the others workers."""
    chance = random.Random(seed)
    racks = range(1, (hosts - 1) // RACK + 2)
    lines = [HEAD.format(hosts=hosts)]
    lines += [f"  rack-{rack}:\n    labels: {{topology.kubernetes.io/zone: rack-{rack}}}\n" for rack in racks]
    lines += ["\nhosts:\n", *(_host(number, chance) for number in range(hosts))]
    return "".join(lines)


def _host(number: int, chance: random.Random) -> str:
    is_controller = number < CONTROLLERS
    name = f"cp{number + 1}" if is_controller else f"node-{number:05}"
    return f"  {name}:\n" + "".join(f"    {line}\n" for line in _settings(number, is_controller, chance))


def _settings(number: int, is_controller: bool, chance: random.Random) -> Iterator[str]:
    rack = number // RACK + 1
    place = f"{16 + number // 250}.{number % 250 + 1}"
    yield f"address: 10.20.{place}"
    if is_controller:
        yield "role: controller"
    kind = "" if is_controller else chance.choices(("", "dense", "storage"), (7, 2, 1))[0]
    yield f"groups: [rack-{rack}, {kind}]" if kind else f"groups: [rack-{rack}]"
    yield f"tags: [batch-{chance.randint(1, 9)}]"
    yield f"labels: {{example.org/unit: u{number % RACK + 1}, example.org/serial: {_serial(chance)}}}"
    if kind == "storage":
        yield f"network: {{links: {{storage: {{addresses: [10.30.{place}/16], mtu: 9000}}}}}}"
    yield f"hardware: {{macs: [{_mac(2 * number)}, {_mac(2 * number + 1)}]}}"
    yield "disks:"
    yield f"  system: {{device: /dev/disk/by-id/nvme-Micron_7450_{_serial(chance)}}}"
    if kind == "storage":
        device = f"/dev/disk/by-id/nvme-Micron_9300_{_serial(chance)}"
        yield f"  data: {{device: {device}, mountPoint: /data, filesystem: xfs}}"


def _mac(number: int) -> str:
    return f"52:54:00:{number >> 16:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"


def _serial(chance: random.Random) -> str:
    return f"{chance.getrandbits(48):012X}"
