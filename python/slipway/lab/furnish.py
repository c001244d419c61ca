"""What makes a machine out of the common root file system: its name, keys, address and the lab's own files."""

from __future__ import annotations

from pathlib import Path

from slipway.lab import keys
from slipway.lab.settings import IMAGES, PROGRAMS, Machine

_FILES = Path(__file__).parent / "root"
_EXECUTABLE = frozenset({"usr/lib/slipway-lab/init"})

MASKED = (
    "apt-daily.timer", "apt-daily-upgrade.timer", "console-getty.service", "dpkg-db-backup.timer", "e2scrub_all.timer",
    "e2scrub_reap.service", "fstrim.timer", "getty.target", "systemd-pstore.service",
    "systemd-tmpfiles-clean.timer", "systemd-update-utmp.service", "systemd-update-utmp-runlevel.service",
)  # fmt: skip
"""Units that a machine without disks and terminals has no use for and that slow its boot."""

ENABLED = ("systemd-networkd.service", "ssh.service")
"""Enabled by hand: first-boot presets leave networkd off, and the machine would never answer."""

DISABLED = ("keepalived.service",)
"""k0s starts its own."""


def furnish(machine: Machine) -> None:
    """Write the machine's own files into its mounted root; once, when it is made: afterwards they are its systems'."""
    _copy_files(machine.root)
    _choose_units(machine.root / "etc/systemd/system")
    _write(machine.root / "etc/hostname", f"{machine.name}\n")
    _write(machine.root / "etc/hosts", "127.0.0.1 localhost\n::1 localhost\n")
    # The name of Debian's own file, so that this one replaces it (its DHCP would find nobody here).
    _write(machine.root / "etc/systemd/network/80-container-host0.network", _network(machine))
    _let_in(machine)
    _make_mount_points(machine)


def _copy_files(root: Path) -> None:
    for source in filter(Path.is_file, _FILES.rglob("*")):
        name = str(source.relative_to(_FILES))
        _write(root / name, source.read_text(), 0o755 if name in _EXECUTABLE else 0o644)


def _choose_units(units: Path) -> None:
    wanted = units / "multi-user.target.wants"
    for name in DISABLED:
        (wanted / name).unlink(missing_ok=True)
    for name in ENABLED:
        _link(wanted / name, f"/lib/systemd/system/{name}")
    for name in MASKED:
        _link(units / name, "/dev/null")


def _network(machine: Machine) -> str:
    return f"[Match]\nName=host0\n\n[Network]\nAddress={machine.address}/{machine.lab.subnet.prefixlen}\n"


def _let_in(machine: Machine) -> None:
    public = machine.lab.identity.with_suffix(".pub").read_text()
    (machine.root / "root/.ssh").mkdir(mode=0o700, exist_ok=True)
    _write(machine.root / "root/.ssh/authorized_keys", public, 0o600)
    for mode, source in zip((0o600, 0o644), keys.host_key(machine), strict=True):
        _write(machine.root / "etc/ssh" / f"ssh_host_ed25519_key{source.suffix}", source.read_text(), mode)


def _make_mount_points(machine: Machine) -> None:
    inside = (machine.root / name.lstrip("/") for name in (*machine.binds, PROGRAMS, IMAGES))
    for folder in (*machine.binds.values(), *inside):
        folder.mkdir(parents=True, exist_ok=True)
    (machine.root / "opt/cni").mkdir(parents=True, exist_ok=True)
    _link(machine.root / "opt/cni/bin", "/usr/lib/cni")


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.touch(mode=mode)
    path.chmod(mode)
    path.write_text(text)


def _link(path: Path, target: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.symlink_to(target)
