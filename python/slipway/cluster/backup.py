"""A copy of the control plane, as `k0s backup` makes it: etcd, authorities and keys, manifests. It holds every secret
of the cluster, and passes here through memory alone.

Bundles of images, which k0s packs as well, are left out: the machines' systems bring them, and they are most of what
would be copied (205 MB of images in a small cluster with 10 MB of data).
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import secrets
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from slipway.cluster import join, members
from slipway.cluster.cleanup import at_last
from slipway.errors import DeployFailed, InvalidInput
from slipway.events import Events
from slipway.inventory import Inventory
from slipway.result import NO_SENSE
from slipway.secret import Secret
from slipway.ssh.host import Host
from slipway.ssh.pool import Pool, first_answer
from slipway.words import in_bytes

PHASE = "backup"
ABOUT = "slipway.json"
"""In the archive, beside k0s's own files; k0s takes no notice of it."""
SNAPSHOT, AUTHORITY = "etcd-snapshot.db", "pki/ca.crt"
STATUS_TIMEOUT = 20.0
RELEASE = re.compile(r"\d+\.\d+\.\d+")
CHUNK = 4 << 20
"""Bytes that are asked for, or sent, at a time."""
CHUNK_TIMEOUT = 120.0
MOST = 512 << 20
"""Bytes of an archive; etcd itself holds 2 GiB at most, and that compresses well."""
MOST_UNPACKED = 64 << 10
"""Bytes that are read of a small file within."""

PLACE = "/var/lib/slipway"
"""On a controller; on a disk, as etcd's data there, for it may be larger than what fits into memory."""

# On the controller: `$1` is a new folder for its owner alone, standard input what we say about the archive. What a run
# that was killed has left goes with the next one. A member's own folder comes before what lies in it, without "./", as
# `k0s restore` wants it.
MAKE = f"""set -e
umask 077
find "${{1%/*}}" -maxdepth 1 -name 'backup-*' -mmin +120 -exec rm -rf {{}} + 2>/dev/null || true
mkdir -p "$1/tmp" "$1/new"
cat >"$1/new/{ABOUT}"
TMPDIR=$1/tmp k0s backup --save-path="$1" >/dev/null
for packed in "$1"/k0s_backup_*.tar.gz; do
  tar -xzf "$packed" -C "$1/new" --anchored --exclude=images --exclude='images/*'
  rm -f "$packed"
done
[ -s "$1/new/{SNAPSHOT}" ] || {{ echo 'k0s backup: the archive has no snapshot of etcd' >&2; exit 4; }}
cd "$1/new"
tar -czf "$1/archive" -- *
rm -rf "$1/new" "$1/tmp"
sha256sum <"$1/archive"
stat --format=%s "$1/archive"
"""
READ = 'tail -c +"$(($2 + 1))" "$1" | head -c "$3" | base64 --wrap=0'


@dataclass(frozen=True)
class About:
    """What an archive holds. `identity` is the digest of the cluster's CA (SHA-256 of its file), `k0s` the release that
    ran, `time` in UTC (ISO 8601), `controller` and `address` where it was made."""

    cluster: str
    identity: str
    k0s: str
    controller: str
    address: str
    time: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Archive:
    """An archive in memory. `digest` is its SHA-256."""

    about: About
    content: Secret

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.content.reveal()).hexdigest()

    @property
    def size(self) -> int:
        return len(self.content.reveal())


def make(inventory: Inventory, pool: Pool, events: Events) -> Archive:
    """Have the first healthy controller make one, and fetch it. Raises DeployFailed where none is healthy."""
    name, identity = healthy(inventory, pool)
    controller, within = pool.host(name), inventory.deploy.timeouts.backup
    events.emit(PHASE, "started", name)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    address = inventory.host(name).address
    about = About(inventory.cluster.name, identity, running_release(controller), name, address, now)
    with folder(controller) as path:
        words = ["sh", "-c", MAKE, "back up the control plane", path]
        said = controller.run(words, input=json.dumps(about.to_json()).encode(), timeout=within)
        with said.read() as text:
            digest, _, size = text.split()
            expected = int(size)
        content = _fetch(controller, f"{path}/archive", expected, events)
    archive = Archive(about, Secret(content))
    if archive.digest != digest:
        raise DeployFailed(f"{name}: the archive came with another digest than it had there", hint="slipway backup")
    events.emit(PHASE, "done", name, text=f"{in_bytes(archive.size)}, cluster {identity[:12]}, k0s {about.k0s}")
    return archive


def healthy(inventory: Inventory, pool: Pool) -> tuple[str, str]:
    """The first controller that has the cluster and whose API is ready, and the cluster's identity."""

    def of(name: str) -> tuple[str, str]:
        seen = members.look(pool.host(name))
        problem = join.api_problem(pool.host(name)) if seen.control_plane else "it has no cluster"
        if problem:
            raise DeployFailed(f"{name}: {problem}")
        return name, seen.ca

    names = [host.name for host in inventory.controllers]
    return first_answer(of, names, "no controller can be backed up:", hint="slipway status")


def running_release(controller: Host) -> str:
    """The release of k0s that runs there, such as 1.36.3+k0s.2."""
    with controller.run(["k0s", "status", "-o", "json"], timeout=STATUS_TIMEOUT).read() as said:
        release = str(json.loads(said)["Version"]).removeprefix("v")
        if not RELEASE.match(release):
            raise ValueError(release)
        return release


@contextmanager
def folder(controller: Host) -> Iterator[str]:
    """Path of a new folder on the controller; it is gone after the block, however that ends."""
    made = f"{PLACE}/backup-{secrets.token_hex(6)}"
    try:
        yield made
    finally:
        at_last(controller, lambda host: host.run(["rm", "-rf", made]))


def _fetch(controller: Host, path: str, size: int, events: Events) -> bytes:
    if size > MOST:
        raise DeployFailed(
            f"{controller.name}: the archive has {in_bytes(size)}; at most {in_bytes(MOST)} are fetched",
            hint=f"on {controller.name}: k0s backup --save-path=DIR",
        )
    content = bytearray()
    while len(content) < size:
        words = ["sh", "-c", READ, "read the archive", path, str(len(content)), str(CHUNK)]
        content += _part(controller.name, controller.run(words, timeout=CHUNK_TIMEOUT).stdout)
        text = f"{in_bytes(len(content))} of {in_bytes(size)}"
        events.emit(PHASE, "progress", controller.name, text=text)
    return bytes(content)


def _part(name: str, said: str) -> bytes:
    """Nothing of it is quoted where it makes no sense: it is a secret."""
    try:
        part = base64.b64decode(said, validate=True)
    except ValueError:
        part = b""
    if not part:
        raise DeployFailed(f"{name}: the archive does not come whole", hint="slipway backup")
    return part


def read(content: Secret) -> Archive:
    """An archive of ours, or one of `k0s backup` itself, of which less is known. Raises InvalidInput for anything else.

    The cluster's identity is that of the authority within, whatever the archive says of itself.
    """
    try:
        found = _small_files(content)
        said = json.loads(found.get(ABOUT, b"{}"))
        text = {key: str(said.get(key, ""))[:200] for key in ("cluster", "k0s", "controller", "address", "time")}
        return Archive(About(identity=hashlib.sha256(found[AUTHORITY]).hexdigest(), **text), content)
    except (tarfile.TarError, OSError, EOFError, zlib.error, *NO_SENSE):
        # Without the cause, which may quote what is inside.
        raise InvalidInput(
            f"no archive of `k0s backup`: it is no tar.gz with {SNAPSHOT} and {AUTHORITY}", hint="slipway backup --list"
        ) from None


def _small_files(content: Secret) -> dict[str, bytes]:
    found, snapshot = {}, False
    with tarfile.open(fileobj=io.BytesIO(content.reveal()), mode="r:gz") as archive:
        for member in archive:
            snapshot = snapshot or member.name == SNAPSHOT
            reader = archive.extractfile(member) if member.name in (ABOUT, AUTHORITY) else None
            if reader is not None:
                found[member.name] = reader.read(MOST_UNPACKED)
    if not snapshot:
        raise ValueError(SNAPSHOT)
    return found
