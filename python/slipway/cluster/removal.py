"""A machine leaves its cluster: drained, out of etcd before its controller stops, without a Node, a token or a key.

`remove` is for one that goes for good, `forget` for one that is lost and will come back as a new machine of the same
name, `wipe` for the machine alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from slipway.cluster import drain, join, kubeconfig, members, token, unit
from slipway.cluster.bringup import QuorumAtRisk
from slipway.cluster.members import Membership, Nodes, NoMembers
from slipway.errors import DeployFailed, Unreachable
from slipway.events import Events
from slipway.generate.k0s import ENCRYPTION
from slipway.inventory import Host, Inventory
from slipway.result import CommandFailed
from slipway.ssh.host import Host as Machine
from slipway.ssh.pool import Pool, first_answer
from slipway.tools import kubectl
from slipway.tools.kubeconfig import Kubeconfig
from slipway.wait import wait_until

PHASE = "remove"
OBJECTS = ("controlnodes.autopilot.k0sproject.io", "etcdmembers.etcd.k0sproject.io")
"""What k0s keeps of a controller in the cluster, by the name of the node."""
NO_SUCH_KIND = "the server doesn't have a resource type"
RESET_TIMEOUT = 300.0
LEAVE_TIMEOUT = 60.0
CILIUM = "/etc/cni/net.d/05-cilium.conflist"
"""k0s takes away the files of its own providers alone (pkg/cleanup/cni_linux.go). This one sorts before theirs: in a
cluster with another network containerd would go on asking for Cilium."""
GONE_WITHIN = 60.0
"""Seconds until etcd must list a member no more that it was told to let go."""

# Whether `k0s reset` itself is content or not (on NixOS it cannot take away users, which the next activation would
# bring back), what counts is that neither data nor a key of a cluster is left.
WIPE = f"""k0s reset
ended=$?
rm -rf /var/lib/k0s/etcd /var/lib/k0s/db/state.db /var/lib/k0s/pki {members.KUBELET_CONF} /var/lib/k0s/kubelet/pki
rm -f {ENCRYPTION} {members.SENTINEL} {members.RENAME} {token.ISSUED}*
[ ! -e /etc/k0s ] || : >{token.TOKEN_FILE}
rm -f {CILIUM}
for left in /var/lib/k0s/etcd /var/lib/k0s/pki {members.KUBELET_CONF}; do
  [ ! -e "$left" ] || {{ echo "k0s reset ended with $ended, and $left is still there" >&2; exit 5; }}
done
"""


class LastController(DeployFailed):
    """Without it there would be no cluster any more."""


class StillMember(DeployFailed):
    """It is a member of a cluster that lives, and would be missed there."""


@dataclass(frozen=True)
class Standing:
    """Where a host stands before it leaves. `by` is a controller that stays and serves; `machine` is None where it
    cannot be asked, `why` then says why; `etcd` is its address there, empty for no member; `node`: it has a Node."""

    host: Host
    by: str
    machine: Membership | None
    why: str
    etcd: str
    node: bool
    members: Mapping[str, str]
    api: Kubeconfig


def look(inventory: Inventory, pool: Pool, name: str) -> Standing:
    """Raises LastController or QuorumAtRisk where the others could not go on without it, DeployFailed where no other
    controller serves."""
    host = inventory.host(name)
    seen, why = _asked(pool, name)
    by = _another(inventory, pool, name)
    # Whatever its role is now: one that became a worker in the inventory is a member still.
    listed = members.etcd_members(pool.host(by))
    url = listed.get(name, "")
    if url:
        _require_quorum(inventory, pool, name, listed)
    api = kubeconfig.fetch(pool.host(by), inventory)
    node = name in Nodes(api).all()
    return Standing(host, by, seen, why, url.rpartition("://")[2].rpartition(":")[0].strip("[]"), node, listed, api)


def _asked(pool: Pool, name: str) -> tuple[Membership | None, str]:
    try:
        return members.look(pool.host(name)), ""
    except Unreachable as error:
        return None, str(error)


def _another(inventory: Inventory, pool: Pool, name: str) -> str:
    """A controller beside this one that serves the API."""
    others = [host.name for host in inventory.controllers if host.name != name]
    if not others:
        raise LastController(f"{name}: is the only controller: without it there is no cluster",
                             hint=f"to give the cluster up: slipway reset {name}")  # fmt: skip

    def serving(other: str) -> str:
        problem = join.api_problem(pool.host(other))
        if problem:
            raise DeployFailed(f"{other}: {problem}")
        return other

    return first_answer(serving, others, f"{name}: no other controller serves:", hint="slipway status")


def _require_quorum(inventory: Inventory, pool: Pool, name: str, listed: Mapping[str, str]) -> None:
    """What stays must have its majority among those that serve now."""
    others, known = [each for each in listed if each != name], {host.name for host in inventory.controllers}
    ill = [each for each in others if each not in known or join.why_not_serving(pool.host(each))]
    if len(others) - len(ill) < len(others) // 2 + 1:
        raise QuorumAtRisk(
            f"{name}: etcd would have {len(others)} members without it, and {', '.join(ill)} does not serve: no quorum",
            hint=f"bring {', '.join(ill)} back first",
        )


def remove(inventory: Inventory, pool: Pool, events: Events, standing: Standing, *, drains: bool) -> None:
    """Take it out of the cluster, and the cluster off the machine as far as that can be reached.

    Raises DrainStuck, with the node let back, or what keeps a step from being done; called again it goes on.
    """
    name = standing.host.name
    if standing.node and standing.machine is not None and standing.machine.active and drains:
        drain.empty(standing.api, name, inventory.deploy.drain, events, command="slipway node remove")
    forget(inventory, pool, events, standing, before=lambda: _stop(pool, standing))
    if standing.machine is not None:
        wipe(pool.host(name))
        events.emit(PHASE, "done", name, text="k0s has nothing left on the machine")


def _stop(pool: Pool, standing: Standing) -> None:
    """Before its Node goes: a kubelet that runs on would make a new one."""
    if standing.machine is not None:
        unit.stop(pool.host(standing.host.name))


def forget(
    inventory: Inventory,
    pool: Pool,
    events: Events,
    standing: Standing,
    *,
    before: Callable[[], None] = lambda: None,
) -> None:
    """Take it out of etcd, then `before`, then its Node, what k0s keeps of it, and the tokens that are out for it."""
    name, by = standing.host.name, pool.host(standing.by)
    if standing.etcd:
        leave_etcd(by, name, standing.etcd)
        events.emit(PHASE, "done", name, text=f"out of etcd, which has {len(standing.members) - 1} members")
    before()
    for kind in ("node", *(OBJECTS if standing.host.is_controller or standing.etcd else ())):
        _delete(standing.api, kind, name)
    events.emit(PHASE, "done", name, text="no Node of that name")
    _take_back_tokens(inventory, pool, name)


def leave_etcd(by: Machine, name: str, address: str) -> None:
    """Have another controller remove the member, and wait until it is listed no more."""
    by.run(["k0s", "etcd", "leave", f"--peer-address={address}"], timeout=LEAVE_TIMEOUT)

    def check() -> tuple[bool | None, str]:
        try:
            known = members.etcd_members(by)
        except (NoMembers, CommandFailed) as error:
            return None, str(error).partition("\n")[0]
        return (None if name in known else True), f"members are {', '.join(known)}"

    wait_until(check, deadline=GONE_WITHIN, describe=f"{name}: out of etcd")


def _delete(secret: Kubeconfig, kind: str, name: str) -> None:
    try:
        kubectl.kubectl(secret, "delete", kind, name, "--ignore-not-found", "--wait=false")
    except CommandFailed as failed:
        if NO_SUCH_KIND not in failed.result.stderr:
            raise


def _take_back_tokens(inventory: Inventory, pool: Pool, name: str) -> None:
    for controller, seen in pool.map(members.look, [host.name for host in inventory.controllers]).items():
        for token_id, node in seen.issued if isinstance(seen, Membership) and controller != name else ():
            if node == name:
                token.take_back(pool.host(controller), token_id)


def require_gone(standing: Standing) -> None:
    """Raises StillMember for a machine that has a part in a cluster: it is no new one."""
    machine = standing.machine
    if machine is not None and (machine.control_plane or machine.kubelet):
        raise StillMember(
            f"{standing.host.name}: this machine has its part in a cluster, it is not a new one",
            hint=f"slipway node remove {standing.host.name}, then slipway deploy {standing.host.name}",
        )


def require_forgotten(inventory: Inventory, pool: Pool, names: Collection[str]) -> None:
    """Before machines are wiped: raise StillMember for one that a cluster would miss which goes on without these.

    Where none of the other controllers serves there is nobody to miss it.
    """
    others = [host.name for host in inventory.controllers if host.name not in names]
    by = next((name for name in others if not join.why_not_serving(pool.host(name))), None)
    if by is None:
        return
    nodes = Nodes(kubeconfig.fetch(pool.host(by), inventory)).all()
    known = {*members.etcd_members(pool.host(by)), *nodes} if len(inventory.controllers) > 1 else {*nodes}
    missed = [name for name in names if name in known]
    if missed:
        raise StillMember(f"{', '.join(missed)}: a member of the cluster that {by} serves",
                          hint=f"slipway node remove {missed[0]}")  # fmt: skip


def wipe(machine: Machine) -> None:
    """Stop k0s and take its data, keys and tokens off the machine; a reboot takes away what runs on.

    Raises CommandFailed where something is left.
    """
    unit.stop(machine)
    # One that was let go by etcd may have ended by itself before.
    machine.run(["systemctl", "reset-failed", unit.UNIT], check=False)
    machine.run(["sh", "-c", WIPE, "reset k0s"], timeout=RESET_TIMEOUT)
