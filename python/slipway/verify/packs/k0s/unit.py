"""The unit k0s.service.

systemctl show -p LoadState,ActiveState,NRestarts k0s.service
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from slipway.generate import proxy
from slipway.inventory import Host, Inventory
from slipway.verify.backend import NodeHost
from slipway.verify.check import expect, listed
from slipway.verify.packs.k0s._status import COMMAND, K0sStatus

OTHER_NAMES = ("k0scontroller.service", "k0sworker.service")
"""What `k0s install` and older NixOS modules call it; overrides under such a name silently do nothing."""
LOG = "journalctl -u k0s.service -n 50"


def test_is_active(host: NodeHost) -> None:
    """k0s.service is active."""
    # A condition that does not hold skips the unit, and `systemctl start` says nothing: the state alone tells.
    # 3: not active, 4: no such unit.
    answer = host.run_expect([0, 3, 4], "systemctl is-active k0s.service")
    state = answer.stdout.strip()
    expect(
        state == "active",
        expected="active",
        found=state,
        fix=f"{LOG}; no token and no data: slipway deploy joins the node",
    )


def test_has_no_twin(host: NodeHost) -> None:
    """k0s runs under no other unit's name."""
    lines = host.check_output(
        "systemctl list-units --all --plain --no-legend --state=loaded %s %s", *OTHER_NAMES
    ).splitlines()
    twins = [line.split()[0] for line in lines if line.strip()]
    expect(
        not twins,
        expected="k0s.service alone",
        found=listed(twins),
        fix="stop it, and take the other NixOS module of k0s out of the configuration",
    )


ENVIRONMENT = (
    "tr '\\0' '\\n' < /proc/$(systemctl show --property=MainPID --value k0s.service)/environ | grep _PROXY=; exit 0"
)


def test_has_its_proxy(host: NodeHost, node: Host, inventory: Inventory) -> None:
    """k0s, and all that it starts, has the proxy of the inventory, and reaches the cluster without it."""
    wanted = proxy.variables(inventory, node)
    if not wanted:
        pytest.skip("the inventory names no proxy for this node")
    found = dict(line.partition("=")[::2] for line in host.check_output(ENVIRONMENT).splitlines() if line)
    wrong = list(_otherwise(wanted, found))
    expect(
        not wrong,
        expected=listed(f"{name}={value}" for name, value in wanted.items()),
        found=listed(wrong),
        fix=f"slipway deploy {node.name}; does a module of yours set systemd.services.k0s.environment?",
    )


def _otherwise(wanted: Mapping[str, str], found: Mapping[str, str]) -> Iterator[str]:
    """What of the environment is another one; more may go without the proxy than has to."""
    for name, value in wanted.items():
        lost = sorted(set(value.split(",")) - set(found.get(name, "").split(",")))
        if name not in found:
            yield f"{name} unset"
        elif lost and name == "NO_PROXY":
            yield f"{name} without {listed(lost)}"
        elif lost:
            yield f"{name}={found[name]}"


def test_answers(status: K0sStatus) -> None:
    """k0s answers on its status socket."""
    expect(status.running, expected="an answer", found=status.said, fix=LOG, command=COMMAND)


def test_has_its_role(status: K0sStatus, node: Host) -> None:
    """k0s has the role of the inventory."""
    wanted = ("controller" if node.is_controller else "worker", node.runs_workloads)
    found = (status.role, status.workloads)
    expect(
        found == wanted,
        expected=_role(*wanted),
        found=_role(*found),
        fix="a node cannot change its role: drain it, k0s reset, reboot, deploy",
        command=COMMAND,
    )


def test_has_its_version(status: K0sStatus, node: Host, wanted_version: str) -> None:
    """k0s has the version of the inventory."""
    expect(
        status.version.removeprefix("v") == wanted_version,
        expected=wanted_version,
        found=status.version.removeprefix("v") or "no answer",
        fix=f"slipway deploy {node.name}; is k0s.service restarted after the upgrade?",
        command=COMMAND,
    )


def _role(role: str, workloads: bool) -> str:
    return f"{role or 'none'}, {'with' if workloads else 'without'} workloads"
