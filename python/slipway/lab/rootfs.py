"""The root file system that every machine starts from: Debian's userland, made once and kept in the cache."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from slipway.errors import PrerequisiteMissing
from slipway.events import Events
from slipway.lab import locks
from slipway.lab.settings import WITH_US, lab_cache
from slipway.result import CommandFailed
from slipway.tools.run import OnLine, run

FALLBACK_MIRROR = "http://deb.debian.org/debian"
DEBOOTSTRAP_TIMEOUT = 1800.0
APT_TIMEOUT = 900.0


@dataclass(frozen=True)
class Recipe:
    """What goes in; its digest names the result, so that a change makes a new one beside the old."""

    suite: str = "bookworm"
    packages: tuple[str, ...] = (
        "ca-certificates", "conntrack", "containernetworking-plugins", "curl", "dbus", "ethtool", "iproute2",
        "iptables", "iputils-ping", "jq", "keepalived", "kmod", "nftables", "openssh-server", "openssl",
        "procps", "python3-minimal", "runc", "socat", "sudo", "systemd", "systemd-sysv",
    )  # fmt: skip
    afterwards: tuple[str, ...] = ("nix-bin",)
    """Packages that do not configure within debootstrap itself."""
    emptied: tuple[str, ...] = (
        "var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale", "var/log/apt",
    )  # fmt: skip
    removed: tuple[str, ...] = (
        "etc/ssh/ssh_host_ecdsa_key", "etc/ssh/ssh_host_ecdsa_key.pub", "etc/ssh/ssh_host_ed25519_key",
        "etc/ssh/ssh_host_ed25519_key.pub", "etc/ssh/ssh_host_rsa_key", "etc/ssh/ssh_host_rsa_key.pub",
        "var/lib/dbus/machine-id", "etc/resolv.conf",
    )  # fmt: skip
    """What must differ from machine to machine, or must not be taken over from the host."""

    @property
    def digest(self) -> str:
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]

    @property
    def path(self) -> Path:
        return lab_cache() / "rootfs" / f"{self.suite}-{self.digest}"


def ensure(recipe: Recipe, events: Events) -> Path:
    """The recipe's root file system; made now (a minute or three, network) if the cache does not hold it.

    Raises PrerequisiteMissing where Debian's mirror cannot be had.
    """
    target = recipe.path
    if not target.exists():
        turn = "the turn to make the machines' root file system"
        lock = target.with_name(f"{target.name}.lock")
        with locks.held(lock, deadline=DEBOOTSTRAP_TIMEOUT, describe=turn, on_wait=_progress(events)):
            if not target.exists():
                _make(recipe, target, events)
    return target


def _make(recipe: Recipe, target: Path, events: Events) -> None:
    """Under another name first, so that what has the right name is whole."""
    events.emit("rootfs", "started", text=f"Debian {recipe.suite} for the machines, once")
    making = target.with_name(f".making-{target.name}")
    shutil.rmtree(making, ignore_errors=True)
    _fill(recipe, making, events)
    _trim(recipe, making)
    making.rename(target)
    events.emit("rootfs", "done", text=str(target))


def _progress(events: Events) -> OnLine:
    return lambda line: events.emit("rootfs", "progress", text=line.removeprefix("I: "))


def _fill(recipe: Recipe, making: Path, events: Events) -> None:
    mirror = debian_mirror()
    include = f"--include={','.join(recipe.packages)}"
    debootstrap = ["debootstrap", "--variant=minbase", include, recipe.suite, str(making), mirror]
    install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *recipe.afterwards]
    try:
        # What debootstrap has to tell comes on standard output; lines are followed on the other one.
        shown = [*WITH_US, "sh", "-c", 'exec "$@" >&2', "sh", *debootstrap]
        run(shown, timeout=DEBOOTSTRAP_TIMEOUT, on_line=_progress(events))
        events.emit("rootfs", "progress", text=f"installing {' '.join(recipe.afterwards)}")
        run([*WITH_US, "chroot", making, *install], env={"DEBIAN_FRONTEND": "noninteractive"}, timeout=APT_TIMEOUT)
    except CommandFailed as error:
        said = error.result.excerpt(3)
        raise PrerequisiteMissing(
            f"the machines' root file system could not be made: {said}", hint=f"curl {mirror}"
        ) from None


def _trim(recipe: Recipe, root: Path) -> None:
    for name in recipe.emptied:
        shutil.rmtree(root / name, ignore_errors=True)
        (root / name).mkdir(parents=True)
    for name in recipe.removed:
        (root / name).unlink(missing_ok=True)
    # Empty, not absent: each machine then makes an id of its own at its first boot.
    (root / "etc/machine-id").write_text("")


def debian_mirror(etc: Path = Path("/etc")) -> str:
    """The mirror that this machine itself installs Debian from, else Debian's own."""
    release = _os_release(etc / "os-release")
    if release.get("ID") != "debian":
        return FALLBACK_MIRROR
    codename = release.get("VERSION_CODENAME", "")
    for uri, suite, components in apt_sources(etc / "apt"):
        if suite == codename and "main" in components:
            return uri.rstrip("/")
    return FALLBACK_MIRROR


def _os_release(path: Path) -> Mapping[str, str]:
    if not path.exists():
        return {}
    pairs = (line.partition("=") for line in path.read_text().splitlines())
    return {key: value.strip('"') for key, _, value in pairs if value}


def apt_sources(apt: Path) -> Iterator[tuple[str, str, frozenset[str]]]:
    """(URI, suite, components) of every binary source in a folder like /etc/apt, both formats (sources.list(5))."""
    lists = [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*.list"))]
    for path in filter(Path.exists, lists):
        yield from _one_line_sources(path.read_text().splitlines())
    for path in sorted((apt / "sources.list.d").glob("*.sources")):
        yield from _stanza_sources(path.read_text())


def _one_line_sources(lines: Iterable[str]) -> Iterator[tuple[str, str, frozenset[str]]]:
    for line in lines:
        words = re.sub(r"\[.*?\]", "", line.partition("#")[0]).split()
        if len(words) >= 3 and words[0] == "deb":
            yield words[1], words[2], frozenset(words[3:])


def _stanza_sources(text: str) -> Iterator[tuple[str, str, frozenset[str]]]:
    kept = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for stanza in re.split(r"\n\s*\n", kept):
        pairs = (line.partition(":") for line in stanza.splitlines())
        fields = {key.strip().lower(): value.split() for key, _, value in pairs}
        if "deb" not in fields.get("types", []) or fields.get("enabled") == ["no"]:
            continue
        for uri in fields.get("uris", []):
            for suite in fields.get("suites", []):
                yield uri, suite, frozenset(fields.get("components", []))
