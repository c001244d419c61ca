"""Who is in the cluster: as each machine sees itself, and as the API server sees its nodes."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slipway.cluster import token, unit
from slipway.errors import Degraded
from slipway.events import Events
from slipway.result import CommandFailed, CommandTimedOut
from slipway.secret import Secret
from slipway.ssh.host import Host
from slipway.tools import kubectl
from slipway.wait import WaitedTooLong, wait_until

KUBELET_CONF = "/var/lib/k0s/kubelet.conf"

# k0s itself decides by these files whether a machine founds, joins or goes on (its code, 1.33 to 1.36): etcd's or
# kine's database on a controller, kubelet.conf on a worker. The kubelet writes the latter before it has the certificate
# that it names; a worker that is stopped in between counts as joined to k0s and never will be.
#
# k0s.service of a controller is not restarted by an activation (nixos/modules/k0s.nix). It carries what it is started
# with in a variable: where the running process has another one than the unit, it runs on an earlier configuration.
STARTED_WITH = "SLIPWAY_STARTED_WITH"
LOOK = f"""
if [ -e /var/lib/k0s/etcd/member/snap/db ] || [ -e /var/lib/k0s/db/state.db ]; then echo control-plane; fi
if [ -e {KUBELET_CONF} ]; then
  certificate=$(sed -n 's/^ *client-certificate: //p' {KUBELET_CONF})
  if [ -s "${{certificate:-{KUBELET_CONF}}}" ]; then echo kubelet; else echo half-joined; fi
fi
if systemctl is-active --quiet {unit.UNIT}; then
  echo active
  started_with() {{ tr ' \\0' '\\n\\n' | sed -n 's/^{STARTED_WITH}=//p'; }}
  has=$(started_with <"/proc/$(systemctl show --property=MainPID --value {unit.UNIT})/environ")
  should=$(systemctl show --property=Environment --value {unit.UNIT} | started_with)
  if [ "$has" != "$should" ]; then echo outdated; fi
fi
if [ -s {token.TOKEN_FILE} ]; then echo token; fi
"""


@dataclass(frozen=True)
class Membership:
    """What a machine holds of a cluster, whether its k0s runs (on an earlier configuration, where it is outdated), and
    whether a join token lies on it."""

    control_plane: bool = False
    kubelet: bool = False
    half_joined: bool = False
    active: bool = False
    outdated: bool = False
    token: bool = False


def look(machine: Host) -> Membership:
    """Ask one machine."""
    with machine.run(["sh", "-c", LOOK]).read() as said:
        return Membership(**{word.replace("-", "_"): True for word in said.split()})


def etcd_members(controller: Host) -> Mapping[str, str]:
    """Members of etcd as a running controller lists them: name to peer URL."""
    with controller.run(["k0s", "etcd", "member-list"]).read() as said:
        return {str(name): str(url) for name, url in json.loads(said)["members"].items()}


@dataclass(frozen=True)
class Node:
    """A node as the API server has it. `reason` is the kubelet's own words where it is not Ready."""

    name: str
    ready: bool
    reason: str


class Nodes:
    """The nodes of a cluster. Many threads that wait for one node each share what one request has brought."""

    MAX_AGE = 0.5
    """Seconds for which an answer is good enough."""

    def __init__(self, kubeconfig: Secret) -> None:
        self._kubeconfig = kubeconfig
        self._lock = threading.Lock()
        self._found: Mapping[str, Node] = {}
        self._at = float("-inf")

    def all(self) -> Mapping[str, Node]:
        """Every node by name, at most MAX_AGE old. Raises CommandFailed or CommandTimedOut without the API server."""
        with self._lock:
            if time.monotonic() - self._at > self.MAX_AGE:
                items = kubectl.get(self._kubeconfig, "nodes").get("items", [])
                self._found = {node.name: node for node in map(_node, items)}
                self._at = time.monotonic()
            return self._found

    def registered(self, name: str) -> tuple[Node | None, str]:
        """In the form that wait_until asks for."""
        try:
            node = self.all().get(name)
        except (CommandFailed, CommandTimedOut) as error:
            return None, last_line(error)
        return node, "" if node else "not registered yet"

    def not_ready(self, names: tuple[str, ...]) -> Mapping[str, str]:
        """Which of these nodes are not Ready, and why."""
        try:
            found = self.all()
        except (CommandFailed, CommandTimedOut) as error:
            return dict.fromkeys(names, last_line(error))
        seen = {name: found.get(name, Node(name, False, "not registered")) for name in names}
        return {name: node.reason for name, node in seen.items() if not node.ready}


def _node(item: Mapping[str, Any]) -> Node:
    name = item["metadata"]["name"]
    for condition in item["status"].get("conditions", ()):
        if condition["type"] == "Ready":
            return Node(name, condition["status"] == "True", condition.get("message", ""))
    return Node(name, False, "the kubelet has not reported yet")


def last_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1].strip()


def wait_ready(nodes: Nodes, names: tuple[str, ...], events: Events, *, deadline: float) -> None:
    """Wait until all these nodes are Ready, at most `deadline` seconds. Raises Degraded, naming those that are not."""

    def check() -> tuple[bool | None, str]:
        waiting = nodes.not_ready(names)
        for name in set(names) - set(waiting) - told:
            told.add(name)
            events.emit("ready", "done", node=name)
        return (None if waiting else True), ", ".join(waiting)

    told: set[str] = set()
    try:
        wait_until(check, deadline=deadline, describe="nodes Ready", on_progress=lambda seen: _say(events, seen))
    except WaitedTooLong:
        waiting = nodes.not_ready(names)
        reasons = "; ".join(f"{name}: {reason}" for name, reason in waiting.items())
        raise Degraded(f"not Ready after {deadline:g} s: {reasons}", hint="slipway verify") from None


def _say(events: Events, seen: str) -> None:
    events.emit("ready", "progress", text=f"waiting for {seen}")
