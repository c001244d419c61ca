"""OpenSSH for a person: `slipway lab ssh`. slipway itself goes by its own room ssh/."""

from __future__ import annotations

from slipway.lab.settings import Machine

CONNECT_TIMEOUT = 5
"""Seconds; the bridge is on this very host."""


def ssh_command(machine: Machine) -> list[str]:
    """OpenSSH's argument list for a shell on the machine, free of the user's own SSH configuration."""
    options = {
        "UserKnownHostsFile": machine.lab.known_hosts,
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes",
        "IdentitiesOnly": "yes",
        "BatchMode": "yes",
        "ConnectTimeout": CONNECT_TIMEOUT,
        "ControlMaster": "no",
        "ControlPath": "none",
    }
    listed = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
    return ["ssh", "-F", "none", "-i", str(machine.lab.identity), *listed, f"root@{machine.address}"]
