"""Who is in the cluster: as each machine sees itself, and as the API server sees its nodes."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from slipway.cluster import encryption, token, unit
from slipway.errors import Degraded, DeployFailed
from slipway.events import Events
from slipway.generate.k0s import ENCRYPTION
from slipway.node.places import NIXOS
from slipway.result import NO_SENSE, CommandFailed, CommandTimedOut, OddAnswer
from slipway.ssh.host import Host
from slipway.ssh.pool import Pool
from slipway.tools import kubectl
from slipway.tools.kubeconfig import Kubeconfig
from slipway.wait import WaitedTooLong, wait_until

KUBELET_CONF = "/var/lib/k0s/kubelet.conf"
CA = "/var/lib/k0s/pki/ca.crt"
SENTINEL = "/var/lib/slipway/allow-bootstrap"
"""While it is there, k0s.service starts a controller without a token file, and k0s founds a cluster."""
RENAME = NIXOS.allow_rename
MEMBER_LIST_TIMEOUT = 20.0
"""Seconds; on a controller that has left etcd, `k0s etcd member-list` never ends (seen with k0s 1.36)."""
LEASES = "kube-node-lease"
"""Namespace of the kubelets' heartbeats (Kubernetes: a Lease for each node, renewed every 10 s)."""

# k0s itself decides by these files whether a machine founds, joins or goes on (its code, 1.33 to 1.36): etcd's or
# kine's database on a controller, kubelet.conf on a worker. The kubelet writes the latter before it has the certificate
# that it names; a worker that is stopped in between counts as joined to k0s and never will be.
#
# k0s.service is not restarted by an activation (nixos/modules/k0s.nix, follow.nix). It carries what it is started
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
if [ -e {SENTINEL} ]; then echo sentinel; fi
if [ -e {RENAME} ]; then echo rename; fi
if [ -s {ENCRYPTION} ]; then
  if grep -qF '{encryption.WRITES}' {ENCRYPTION}; then echo encrypts; else echo decrypts; fi
fi
for issued in {token.ISSUED}*; do
  if [ -s "$issued" ]; then echo "issued=${{issued#{token.ISSUED}}}:$(head -c 300 "$issued")"; fi
done
if [ -s /etc/machine-id ]; then echo "machine-id=$(head -c 32 /etc/machine-id)"; fi
if [ -s {CA} ]; then certificate=$(sha256sum {CA}) && echo "ca=${{certificate%% *}}"; fi
since=$(systemctl show --property=ExecMainStartTimestampMonotonic --value {unit.UNIT})
if [ "${{since:-0}}" != 0 ]; then
  read -r uptime rest </proc/uptime
  echo "started=$since/$uptime/$(date +%s.%N)"
fi
"""


@dataclass(frozen=True)
class Membership:
    """What a machine holds of a cluster, and whether its k0s runs (on an earlier configuration, where it is outdated).

    `token`, `sentinel`, `rename` and `issued` are there where a run did not end: a join token, the permissions to
    found a cluster and to be renamed, and tokens that it made: pairs of id and node. `encrypts` and `decrypts`: it has
    the key for Secrets, to write with or only to read by. `started` is the time at which k0s was started, in seconds of
    the machine's own clock; `ca` the digest of a controller's CA.
    """

    control_plane: bool = False
    kubelet: bool = False
    half_joined: bool = False
    active: bool = False
    outdated: bool = False
    token: bool = False
    sentinel: bool = False
    rename: bool = False
    issued: tuple[tuple[str, str], ...] = ()
    encrypts: bool = False
    decrypts: bool = False
    machine_id: str = ""
    ca: str = ""
    started: float = 0.0


def look(machine: Host) -> Membership:
    """Ask one machine."""
    with machine.run(["sh", "-c", LOOK, "look at k0s"]).read() as said:
        return _membership(said.split())


def _membership(words: Sequence[str]) -> Membership:
    """Raises TypeError or ValueError for words that LOOK does not print."""
    values = [word.partition("=")[::2] for word in words if "=" in word]
    issued = tuple(_issued(value) for key, value in values if key == "issued")
    found: dict[str, Any] = {key.replace("-", "_"): value for key, value in values if key != "issued"}
    found |= {word.replace("-", "_"): True for word in words if "=" not in word}
    if "started" in found:
        since, uptime, clock = (float(number) for number in found["started"].split("/"))
        found["started"] = clock - uptime + since / 1e6
    return Membership(**found, issued=issued)


def _issued(value: str) -> tuple[str, str]:
    name, _, node = value.partition(":")
    if not token.ID.fullmatch(name):
        raise ValueError(name)
    return name, node


def started(pool: Pool, names: Collection[str]) -> Mapping[str, float]:
    """When k0s was started on each of these machines, as far as they can be asked."""
    answers = pool.map(look, names)
    return {name: seen.started for name, seen in answers.items() if isinstance(seen, Membership)}


def etcd_members(controller: Host) -> Mapping[str, str]:
    """Members of etcd as a running controller lists them: name to peer URL."""
    try:
        result = controller.run(["k0s", "etcd", "member-list"], timeout=MEMBER_LIST_TIMEOUT)
    except CommandTimedOut as error:
        raise NoMembers(
            f"{error}; so it is on a controller that has left etcd", hint=f"`k0s status` on {controller.name}"
        ) from None
    with result.read() as said:
        return {str(name): str(url) for name, url in json.loads(said)["members"].items()}


class NoMembers(DeployFailed):
    """A controller does not come to an end with listing the members of etcd."""


@dataclass(frozen=True)
class Node:
    """A node as the API server has it. `reason` is the kubelet's own words where it is not Ready.

    `heartbeat` is when its kubelet reported last, in seconds of the machine's own clock; `machine_id` the machine that
    it runs on.
    """

    name: str
    ready: bool
    reason: str
    heartbeat: float = 0.0
    machine_id: str = ""


NOBODY = Membership()
UNLEASED = "its kubelet has not renewed its lease yet"
SILENT = "its kubelet has not reported since k0s was started"


class Nodes:
    """The nodes of a cluster. Many threads that wait for one node each share what one request has brought."""

    MAX_AGE = 0.5
    """Seconds for which an answer is good enough."""

    def __init__(self, kubeconfig: Kubeconfig) -> None:
        self._kubeconfig = kubeconfig
        self._lock = threading.Lock()
        self._found: Mapping[str, Node] = {}
        self._at = float("-inf")

    def all(self) -> Mapping[str, Node]:
        """Every node by name, at most MAX_AGE old. Raises CommandFailed or CommandTimedOut without the API server."""
        with self._lock:
            if time.monotonic() - self._at > self.MAX_AGE:
                self._found = self._ask()
                self._at = time.monotonic()
            return self._found

    def _ask(self) -> Mapping[str, Node]:
        items = kubectl.get(self._kubeconfig, "nodes").get("items", [])
        leases = kubectl.get(self._kubeconfig, "leases", namespace=LEASES).get("items", [])
        try:
            renewed = {each["metadata"]["name"]: _seconds(each["spec"].get("renewTime")) for each in leases}
            return {node.name: node for node in (_node(item, renewed) for item in items)}
        except NO_SENSE as error:
            why = f"{type(error).__name__}: {error}"
            raise OddAnswer("the API server", "kubectl get nodes", str(items), why) from error

    def registered(self, name: str, machine: Membership = NOBODY) -> tuple[Node | None, str]:
        """The node of this name if it is this machine's and its kubelet has reported since k0s was started there, in
        the form that wait_until asks for."""
        try:
            node = self.all().get(name)
        except (CommandFailed, CommandTimedOut) as error:
            return None, last_line(error)
        if node is None:
            return None, "not registered yet"
        if machine.machine_id and node.machine_id and machine.machine_id != node.machine_id:
            return None, f"the node of this name is another machine's (machine-id {node.machine_id})"
        if node.heartbeat < machine.started:
            return None, f"registered, but {SILENT}"
        return node, ""

    def not_ready(self, names: Collection[str], since: Mapping[str, float] | None = None) -> Mapping[str, str]:
        """Which of these nodes are not Ready, and why. One whose kubelet has not reported since then is not."""
        try:
            found = self.all()
        except (CommandFailed, CommandTimedOut) as error:
            return dict.fromkeys(names, last_line(error))
        seen = {name: found.get(name, Node(name, False, "not registered")) for name in names}
        silent = {name for name, node in seen.items() if node.ready and node.heartbeat < (since or {}).get(name, 0.0)}
        return {
            name: SILENT if name in silent else node.reason
            for name, node in seen.items()
            if name in silent or not node.ready
        }


def _node(item: Mapping[str, Any], renewed: Mapping[str, float]) -> Node:
    name = str(item["metadata"]["name"])
    machine_id = str(item["status"].get("nodeInfo", {}).get("machineID", ""))
    for condition in item["status"].get("conditions", ()):
        if condition["type"] == "Ready":
            heartbeat = max(renewed.get(name, 0.0), _seconds(condition.get("lastHeartbeatTime")))
            ready, reason = condition["status"] == "True", str(condition.get("message", ""))
            if ready and name not in renewed:
                # It registers first; the first lease comes some seconds later, and what asks for it would find none.
                ready, reason = False, UNLEASED
            return Node(name, ready, reason, heartbeat, machine_id)
    return Node(name, False, "the kubelet has not reported yet", renewed.get(name, 0.0), machine_id)


def _seconds(time: str | None) -> float:
    """Of a time as Kubernetes writes it (RFC 3339); 0 for none."""
    return datetime.fromisoformat(time).timestamp() if time else 0.0


def last_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1].strip()


def wait_ready(
    nodes: Nodes,
    names: tuple[str, ...],
    events: Events,
    *,
    deadline: float,
    since: Mapping[str, float] | None = None,
) -> None:
    """Wait until all these nodes are Ready, at most `deadline` seconds. Raises Degraded, naming those that are not.

    `since`, by name: Ready counts from a kubelet that has reported after that. The API server goes on calling a node
    Ready for some 40 s after its kubelet has died.
    """

    def check() -> tuple[bool | None, str]:
        waiting = nodes.not_ready(names, since)
        for name in set(names) - set(waiting) - told:
            told.add(name)
            events.emit("ready", "done", node=name)
        return (None if waiting else True), ", ".join(waiting)

    told: set[str] = set()
    try:
        wait_until(check, deadline=deadline, describe="nodes Ready", on_progress=lambda seen: _say(events, seen))
    except WaitedTooLong:
        waiting = nodes.not_ready(names, since)
        reasons = "; ".join(f"{name}: {reason}" for name, reason in waiting.items())
        raise Degraded(f"not Ready after {deadline:g} s: {reasons}", hint="slipway verify") from None


def _say(events: Events, seen: str) -> None:
    events.emit("ready", "progress", text=f"waiting for {seen}")
