"""Machines as probe.sh saw them, one of a kind; the names are those of the files in probes/."""

from pathlib import Path

from slipway.hardware import probe
from slipway.hardware.facts import Hardware
from slipway.ssh.connection import Endpoint

PROBES = Path(__file__).parent / "probes"
ENDPOINTS = {
    "server": Endpoint("storage", "10.20.0.7"),
    "vm": Endpoint("nixos@192.168.122.50", "192.168.122.50", user="nixos"),
    "board": Endpoint("root@pi.local:2222", "pi.local", 2222),
    "container": Endpoint("w1", "10.77.0.21"),
    "cloud": Endpoint("root@203.0.113.9", "203.0.113.9"),
}
"""How each was reached: by its address, by a name, through somebody's NAT."""


def said_by(name: str) -> str:
    return (PROBES / f"{name}.txt").read_text()


def machine(name: str) -> Hardware:
    return probe.parse(said_by(name))
