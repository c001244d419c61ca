"""A cluster out of its backup: on controllers that have none, with the nodes that it had.

The first controller of the inventory gets the archive, and etcd with itself as the only member, at its own address
whatever controller the backup was made on. The others join it as new members, the workers come back by the certificates
that they have; what has none joins as for the first time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from slipway.cluster import bringup, encryption, join, members, unit
from slipway.cluster.backup import CHUNK, CHUNK_TIMEOUT, RELEASE, Archive, folder
from slipway.cluster.bringup import MayNotFound, Results, SplitCluster
from slipway.cluster.encryption import Keys
from slipway.cluster.members import Membership
from slipway.errors import DeployFailed, Unreachable
from slipway.events import Events
from slipway.inventory import Inventory
from slipway.inventory.address import with_port
from slipway.inventory.releases import minor_of, newest_release
from slipway.secret import Secret
from slipway.ssh.host import Host
from slipway.ssh.pool import Pool

PHASE = "restore"

SEND = 'umask 077; mkdir -p "$1" && cat >>"$1/sent"'
# `$1` is the folder with the archive, `$2` k0s's data, `$3` this machine's k0s.yaml, which takes the place of the
# archive's: k0s gives etcd's member the address in there. What k0s may have made before it failed goes again: with it
# the machine would count as a controller.
UNPACK = """set -e
[ ! -e "$2/etcd/member/snap/db" ] || { echo 'there is data of etcd already' >&2; exit 4; }
umask 077
mkdir "$1/tmp" "$1/new"
tar -xzf "$1/sent" -C "$1/new" --anchored --exclude=images --exclude='images/*'
cat "$3" >"$1/new/k0s.yaml"
cd "$1/new"
tar -czf "$1/k0s_backup_restored.tar.gz" -- *
cd "$1"
rm -rf "$1/new" "$1/sent"
TMPDIR=$1/tmp k0s restore --config-out="$1/k0s.yaml" "$1/k0s_backup_restored.tar.gz" || {
  rm -rf "$2/etcd"
  exit 5
}
"""
DATA, CONFIG = "/var/lib/k0s", "/etc/k0s/k0s.yaml"


class StillThere(DeployFailed):
    """A controller has a cluster; a backup would put another state, or another cluster, into its place."""


@dataclass(frozen=True)
class Ground:
    """Where a backup can be restored: no controller has a cluster. `first` gets it; `silent` are workers that do not
    answer."""

    first: str
    seen: Mapping[str, Membership]
    silent: tuple[str, ...] = ()


def require_cold(inventory: Inventory, pool: Pool, archive: Archive) -> Ground:
    """Raises StillThere, MayNotFound, Unreachable or DeployFailed where restoring could take away what lives."""
    answers = pool.map(members.look, [host.name for host in inventory.hosts], limit=inventory.deploy.parallel)
    seen = {name: answer for name, answer in answers.items() if isinstance(answer, Membership)}
    controllers = [host.name for host in inventory.controllers]
    unknown = [name for name in controllers if name not in seen]
    if unknown:
        why = "; ".join(str(answers[name]) for name in unknown)
        raise Unreachable(f"{', '.join(unknown)}: may have the cluster, and cannot be asked: {why}",
                          hint="bring it back, or take it out of the inventory")  # fmt: skip
    having = [name for name in controllers if seen[name].control_plane]
    if having:
        raise _still_there(pool, having, seen, archive)
    ports = [with_port(*place) for place in bringup.api_ports(inventory) if bringup.answers(*place)]
    if ports:
        raise MayNotFound(f"a cluster answers at {', '.join(ports)}", hint="restore where no cluster is")
    _require_release(pool.host(controllers[0]), archive)
    return Ground(controllers[0], seen, tuple(name for name in answers if name not in seen))


def _still_there(pool: Pool, having: list[str], seen: Mapping[str, Membership], archive: Archive) -> StillThere:
    said = []
    for name in having:
        which = "the same cluster" if seen[name].ca == archive.about.identity else "another cluster"
        problem = join.why_not_serving(pool.host(name))
        state = f"does not serve ({problem})" if problem else "lives"
        said.append(f"{name}: {which} ({seen[name].ca[:12] or 'unknown'}) {state}")
    return StillThere("\n".join(said), hint=f"only if that is given up: slipway reset {' '.join(having)}")


def _require_release(first: Host, archive: Archive) -> None:
    """etcd's data and the objects in it are of a release; k0s goes up by one minor at most, and never down."""
    has = first.run(["k0s", "version"], check=False).stdout.partition(" ")[0].strip().removeprefix("v")
    if not RELEASE.match(has):
        raise DeployFailed(
            f"{first.name}: has no k0s yet: its system has to be there before a cluster",
            hint="slipway deploy --no-join",
        )
    was = archive.about.k0s
    if RELEASE.match(was) and not minor_of(was) <= minor_of(has) <= minor_of(was) + 1:
        right = newest_release(f"1.{minor_of(was)}.") or was
        raise DeployFailed(
            f"the backup is of k0s {was}, {first.name} has {has}: k0s goes one minor release at a time, and never back",
            hint=f"write `cluster.k0s.version: {right}`; slipway generate; slipway deploy --no-join",
        )


def restore(
    inventory: Inventory, pool: Pool, events: Events, archive: Archive, ground: Ground, keys: Keys | None
) -> Results:
    """Bring the cluster back; one result for each machine of the inventory. `keys` are those for Secrets at rest.

    Raises DeployFailed where the first controller does not take the archive: it has no cluster then, as before.
    """
    first = pool.host(ground.first)
    events.emit(PHASE, "started", ground.first)
    unit.stop(first)
    _unpack(first, archive, inventory.deploy.timeouts.backup, events)
    if keys is not None:
        encryption.place(first, keys, writes=True)
    events.emit(PHASE, "done", ground.first, text=f"cluster {archive.about.identity[:12]}, of {archive.about.time}")
    controllers = [host.name for host in inventory.controllers]
    results = bringup.bring_up(inventory, pool, events, controllers, keys)
    if results[ground.first].outcome.good:
        _require_identity(first, archive)
        results[ground.first] = replace(results[ground.first], reason="has the cluster of the backup")
    if not all(result.outcome.good for result in results.values()):
        return results
    workers = [host.name for host in inventory.workers if host.name not in ground.silent]
    pool.map(_start_anew, [name for name in workers if ground.seen[name].kubelet], limit=inventory.deploy.parallel)
    return results | bringup.bring_up(inventory, pool, events, [host.name for host in inventory.workers], keys)


def _unpack(first: Host, archive: Archive, within: float, events: Events) -> None:
    content, sent = archive.content.reveal(), 0
    with folder(first) as path:
        while sent < len(content):
            part = Secret(content[sent : sent + CHUNK])
            first.run(["sh", "-c", SEND, "send the archive", path], input=part, timeout=CHUNK_TIMEOUT)
            sent += CHUNK
            text = f"sent {min(sent, len(content)) >> 20} of {len(content) >> 20} MiB"
            events.emit(PHASE, "progress", first.name, text=text)
        first.run(["sh", "-c", UNPACK, "restore the control plane", path, DATA, CONFIG], timeout=within)


def _require_identity(first: Host, archive: Archive) -> None:
    found = members.look(first).ca
    if found != archive.about.identity:
        raise SplitCluster(f"{first.name}: has another cluster ({found[:12] or 'unknown'}) than the backup "
                           f"({archive.about.identity[:12]})", hint="slipway status")  # fmt: skip


def _start_anew(worker: Host) -> None:
    """A kubelet that goes on would wait for versions of objects that the restored cluster has not come to yet."""
    unit.restart(worker)
