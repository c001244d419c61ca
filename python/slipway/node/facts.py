"""What a node is and runs, read with one command."""

from __future__ import annotations

from dataclasses import dataclass

from slipway.node.logins import LOGINS
from slipway.node.note import LONGEST
from slipway.node.places import NIXOS, Places
from slipway.ssh.host import Host

LEAST_FREE = 256
"""MiB in the store below which no closure is worth trying to copy."""

RENAME = f"install -D /dev/null {NIXOS.allow_rename}"
"""Lets the next deploy rename the machine, which takes the permission back (cluster/join.py)."""

# Starting programs is most of what this costs a node, so the shell does what it can. `/` names itself: between two
# links it tells them apart, where one leads nowhere and readlink says nothing of it.
READ = """say() { printf '%s=%s\\n' "$1" "$2"; }
say hostname "$(cat /proc/sys/kernel/hostname)"
read -r boot </proc/sys/kernel/random/boot_id
say boot_id "$boot"
number=1
readlink -f "$1" / "$2" / "$3" | while IFS= read -r path; do
  if [ "$path" = / ]; then number=$((number + 1)); else say "system$number" "$path"; fi
done
if [ -e "$4" ]; then say rename 1; fi
if [ -e "$6" ]; then say logins 1; fi
# Every system of ours has k0s's unit, every member of a cluster has its certificates. nixos/modules/guard.nix looks for
# both, too.
for path in /etc/systemd/system/k0s.service /var/lib/k0s/pki /var/lib/k0s/kubelet.conf; do
  if [ -e "$path" ]; then say member 1; fi
done
if [ -r /etc/os-release ]; then
  (. /etc/os-release; say os "${PRETTY_NAME-${ID-}}"; say variant "${VARIANT_ID-}")
fi
if [ -d /run/systemd/system ]; then say systemd 1; fi
if { command -v nix-daemon && command -v nix-env; } >/dev/null; then say nix 1; fi
failed() { systemctl list-units --failed --plain --no-legend 2>/dev/null; }
say failed "$(failed | while read -r unit rest; do printf '%s ' "$unit"; done)"
if [ -r "$5" ]; then IFS= read -r note <"$5"; printf "note=%.${7}s\\n" "$note"; fi
df -Pm /nix/store 2>/dev/null | { read -r head; read -r device blocks used free rest; say free "$free"; }
"""


@dataclass(frozen=True)
class Facts:
    """Systems are store paths, None where there is none; `free` is MiB in the Nix store; units have systemd's names.
    `os` is what its system calls itself; `is_member`: it ran a system of slipway's, or is a member of a cluster."""

    hostname: str
    boot_id: str
    current: str | None
    booted: str | None
    profile: str | None
    may_be_renamed: bool
    has_systemd: bool
    has_nix: bool
    free: int
    failed_units: tuple[str, ...] = ()
    os: str = ""
    is_installer: bool = False
    is_member: bool = True
    note: str = ""
    """A store path and a commit, as they lie there: rollout/revision.py reads them."""
    has_logins: bool = False
    """Whether it was given passwords of registry mirrors."""

    def runs(self, system: str) -> bool:
        """Whether `system` is what runs now and what the next boot takes."""
        return self.current == system and self.profile == system

    def obstacles(self, name: str) -> list[str]:
        """Why no system can be activated here for the host `name`; empty if one can."""
        if self.is_installer:
            return [f"an installer runs there ({self.os}); the next command: slipway install {name}"]
        if self.current is None:
            return [f"it runs {self.os or 'an unknown system'}, not NixOS; to make it a node: slipway install {name}"]
        found = []
        if self.hostname != name and self.is_member and not self.may_be_renamed:
            found.append(
                f"this machine is called {self.hostname}, the inventory calls it {name}: is its address right? If it "
                f"shall be renamed: slipway exec {name} -- {RENAME}"
            )
        if not self.has_systemd:
            found.append("systemd does not run there")
        if not self.has_nix:
            found.append("Nix is not installed there (nix-env, nix-daemon on root's PATH)")
        elif self.free < LEAST_FREE:
            found.append(f"only {self.free} MiB are free in its Nix store; {LEAST_FREE} are needed at least")
        return found


def read(host: Host, places: Places = NIXOS) -> Facts:
    """Raises Unreachable, OddAnswer, or whatever else keeps us from asking."""
    paths = (places.current, places.booted, places.profile, places.allow_rename, places.note, LOGINS)
    result = host.run(["sh", "-c", READ, "facts", *paths, str(LONGEST)])
    with result.read() as said:
        facts = dict(line.split("=", 1) for line in said.split("\n") if "=" in line)
        return Facts(
            hostname=facts["hostname"],
            boot_id=facts["boot_id"],
            current=_system(facts, "system1", places.current),
            booted=_system(facts, "system2", places.booted),
            profile=_system(facts, "system3", places.profile),
            may_be_renamed="rename" in facts,
            has_systemd="systemd" in facts,
            has_nix="nix" in facts,
            free=int(facts["free"] or 0),
            failed_units=tuple(facts["failed"].split()),
            note=facts.get("note", ""),
            os=facts.get("os", ""),
            is_installer=facts.get("variant") == "installer",
            is_member="member" in facts,
            has_logins="logins" in facts,
        )


def _system(facts: dict[str, str], name: str, link: str) -> str | None:
    """`readlink -f` prints the link itself where it does not exist."""
    return facts[name] if facts.get(name, "") not in ("", link) else None
