"""Another key for Secrets at rest, in the order in which no API server meets a Secret that it cannot read.

The order is Kubernetes' own ("Encrypting Confidential Data at Rest", rotate a decryption key): every API server reads
by the new key; then each writes with it; then every Secret is stored anew; then the old key goes. What stands between
two of these steps is asked of each controller and never taken for granted: its file, and the file that its API server
goes by, which it tells as a digest in apiserver_encryption_config_controller_last_config_info (Kubernetes 1.34, its
encryptionconfig/metrics). Before 1.34 an API server counts as going by a file that is older than its start.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slipway.cluster import encryption, unit
from slipway.cluster.encryption import MARK, WRITES, Keys
from slipway.errors import DeployFailed, SlipwayError
from slipway.generate.k0s import ENCRYPTION
from slipway.inventory import Inventory
from slipway.paths import ENCRYPTION_KEY
from slipway.ssh.host import Host
from slipway.ssh.pool import Pool

GOES_BY = "apiserver_encryption_config_controller_last_config_info"
STORED_ANEW = ENCRYPTION.removesuffix(".json") + encryption.STORED_ANEW
METRICS_TIMEOUT = 15
"""Seconds; the answer has some megabytes."""
STORE_TIMEOUT = 900.0
"""Seconds for storing every Secret of a cluster anew."""
ATTEMPTS = 3

LOOK = f"""[ -s {ENCRYPTION} ] || exit 0
if grep -qF '{WRITES}' {ENCRYPTION}; then echo writes=yes; fi
grep -o '"name": "[a-z0-9-]*", "secret": "[A-Za-z0-9+/=]*"' {ENCRYPTION} |
  while IFS='"' read -r _ _ _ name _ _ _ secret _; do
    digest=$(printf %s "$secret" | sha256sum | head -c {MARK})
    echo "key=$name:$digest"
  done
file=$(sha256sum <{ENCRYPTION})
echo "file=${{file%% *}}"
echo "written=$(stat --format=%Y {ENCRYPTION})"
started=$(systemctl show --timestamp=unix --property=ExecMainStartTimestamp --value {unit.UNIT})
echo "started=${{started#@}}"
if [ "$1" = loaded ]; then
  k0s kubectl get --raw=/metrics --request-timeout={METRICS_TIMEOUT}s 2>/dev/null |
    sed -n 's/^{GOES_BY}{{.*[,{{]hash="sha256:\\([0-9a-f]*\\)".*/goes-by=\\1/p'
fi
if [ -s {STORED_ANEW} ]; then echo "stored-anew=$(head -c 100 {STORED_ANEW})"; fi
"""

# A Secret that somebody changes or deletes in between makes `replace` fail for that one: then all are taken again.
STORE_ANEW = f"""for attempt in $(seq {ATTEMPTS}); do
  all=$(k0s kubectl get secrets --all-namespaces --output=json) || exit
  if stored=$(printf %s "$all" | k0s kubectl replace --output=name --filename=-); then
    printf '%s\\n' "$stored" | grep -c .
    exit 0
  fi
done
exit 1
"""
MARK_DONE = f'umask 077; printf %s "$1" >{STORED_ANEW}'


class UnsafeKeys(DeployFailed):
    """With these keys an API server would meet Secrets that it cannot read."""


@dataclass(frozen=True)
class Holding:
    """What one controller holds: the marks of its keys in their order, whether it writes with the first, whether its
    API server goes by this very file, and the mark of the key with which all was stored anew since."""

    keys: tuple[str, ...] = ()
    writes: bool = False
    loaded: bool = False
    stored_anew: str = ""

    @property
    def writer(self) -> str:
        return self.keys[0] if self.keys and self.writes else ""

    def to_json(self) -> dict[str, Any]:
        return {
            "keys": [name_of(mark) for mark in self.keys],
            "writesWith": name_of(self.writer),
            "loaded": self.loaded,
            "storedAnewWith": name_of(self.stored_anew),
        }


Seen = Mapping[str, Holding | SlipwayError]


def stored_anew(controller: Host) -> int:
    """Have a controller read and write every Secret; how many there were."""
    with controller.run(["sh", "-c", STORE_ANEW, "store every Secret anew"], timeout=STORE_TIMEOUT).read() as said:
        return int(said)


def name_of(mark: str) -> str:
    return mark.partition(":")[0]


def look(controller: Host, *, loaded: bool = True) -> Holding:
    """Ask one controller; an empty Holding where there are no keys. `loaded`: also its API server, which says what it
    goes by among some megabytes; without, `Holding.loaded` says nothing."""
    words = ["sh", "-c", LOOK, "look at the keys for Secrets", *(["loaded"] if loaded else [])]
    with controller.run(words, timeout=2 * METRICS_TIMEOUT).read() as said:
        return _holding(said.splitlines())


def _holding(lines: list[str]) -> Holding:
    """Raises ValueError or KeyError for words that LOOK does not print."""
    words = [line.partition("=")[::2] for line in lines]
    said = dict(words)
    if not said:
        return Holding()
    # A start in the same second as the writing may have been before it.
    late = float(said["started"] or 0) > float(said["written"]) + 1
    loaded = said["goes-by"] == said["file"] if "goes-by" in said else late
    keys = tuple(value for key, value in words if key == "key")
    return Holding(keys, "writes" in said, loaded, said.get("stored-anew", ""))


def look_at(inventory: Inventory, pool: Pool, *, loaded: bool = True) -> Seen:
    return pool.map(lambda host: look(host, loaded=loaded), [host.name for host in inventory.controllers])


def check(keys: Keys, inventory: Inventory, pool: Pool) -> None:
    """Ask the controllers, and `require`; their API servers only where it depends on them."""
    seen = look_at(inventory, pool, loaded=False)
    require(keys, look_at(inventory, pool) if _writes_anew(keys, seen) else seen)


def _writes_anew(keys: Keys, seen: Seen) -> bool:
    """Whether anybody writes by another key than the first of these."""
    holding = [each for each in seen.values() if isinstance(each, Holding)]
    return any(each.writer not in ("", keys.writer.mark) for each in holding)


def require(keys: Keys, seen: Seen) -> None:
    """Before anything is changed: raise UnsafeKeys where these keys, brought to some controllers, would leave an API
    server with Secrets that it cannot read. Pure."""
    holding = {name: each for name, each in seen.items() if isinstance(each, Holding) and each.keys}
    if not any(each.writes for each in holding.values()):
        return  # nothing is encrypted yet
    for name, each in holding.items():
        _require_kept(name, each, keys)
    if _writes_anew(keys, seen):
        _require_read(keys, seen)


def _require_kept(name: str, holding: Holding, keys: Keys) -> None:
    """What Secrets are stored with must stay."""
    for mark in holding.keys:
        if mark in keys.marks or (mark != holding.writer and holding.stored_anew == keys.writer.mark):
            continue
        same = next((each for each in keys.marks if name_of(each) == name_of(mark)), "")
        lacks = f"is another one in {ENCRYPTION_KEY}" if same else f"is not in {ENCRYPTION_KEY}"
        raise UnsafeKeys(
            f"{name}: Secrets may be stored with its key {name_of(mark)}, which {lacks}: they could not be read",
            hint=f"bring that key back (git log -- {ENCRYPTION_KEY}); "
            "`slipway encryption rotate` changes keys step by step",
        )


def _require_read(keys: Keys, seen: Seen) -> None:
    """Nobody may write with a key by which another one does not read yet."""
    for name, each in seen.items():
        if isinstance(each, SlipwayError):
            raise UnsafeKeys(f"{name}: cannot be asked whether it reads by the key {keys.writer.name}: {each}")
        if each.keys and (keys.writer.mark not in each.keys or not each.loaded):
            raise UnsafeKeys(
                f"{name}: its API server does not read by the key {keys.writer.name} yet, and others would write by it",
                hint="slipway encryption status; it looks for a new file once a minute",
            )


def require_written(keys: Keys, seen: Seen) -> None:
    """Raise UnsafeKeys unless every controller writes with the first of the keys."""
    for name, each in seen.items():
        if isinstance(each, SlipwayError):
            raise UnsafeKeys(f"{name}: cannot be asked which key it writes with: {each}")
        if each.writer != keys.writer.mark or not each.loaded:
            raise UnsafeKeys(
                f"{name}: its API server does not write with the key {keys.writer.name} yet",
                hint="slipway deploy; slipway encryption status (it looks for a new file once a minute)",
            )


def store_anew(keys: Keys, inventory: Inventory, pool: Pool) -> int:
    """Have every Secret stored with the first of the keys, on one controller and without leaving it; how many there
    were. Every controller learns of it. Raises UnsafeKeys before, CommandFailed where Secrets change all the time."""
    require_written(keys, look_at(inventory, pool))
    names = [host.name for host in inventory.controllers]
    first = pool.host(names[0])
    count = stored_anew(first)
    # What began to be written before the last one had loaded the key cannot have come later than this.
    require_written(keys, look_at(inventory, pool))
    for name in names:
        pool.host(name).run(["sh", "-c", MARK_DONE, "note it", keys.writer.mark])
    return count
