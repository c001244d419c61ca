"""A machine that plays the installer: this one behind a real sshd, with fakes for what would touch its disks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from slipway.events import Event, Events
from slipway.install.record import Record
from slipway.install.steps import Installation, Scripts
from slipway.inventory.model import Timeouts
from slipway.ssh.keys import KnownHosts
from slipway.ssh.pool import Pool

FAKE = """#!/bin/sh
# Fake of the tests: writes down how it was called, and ends as the file beside the log says.
echo "$(basename "$0") $*" >>{folder}/calls
cat >/dev/null
case "$(basename "$0") $*" in
  "mountpoint "*) test -e {folder}/mounted ;;
  *) test ! -e "{folder}/fails-$(basename "$0")" ;;
esac
"""
FAKE_DISKO = """#!/bin/sh
# Fake of the tests: what disko's scripts do, as far as anybody sees.
echo "$(basename "$0")" >>{folder}/calls
test ! -e "{folder}/fails-$(basename "$0")" && touch {folder}/mounted
"""
FAKES = (
    "mountpoint",
    "nixos-install",
    "umount",
    "swapoff",
    "sync",
    "systemctl",
    "zpool",
    "mount",
    "lsblk",
    "nix-daemon",
)


@dataclass(frozen=True)
class FakeInstaller:
    """`calls` are the programs that were started there, in order; `copied` what `nix copy` was asked for."""

    folder: Path
    copied: list[tuple[str, str]]

    @property
    def calls(self) -> list[str]:
        file = self.folder / "calls"
        return file.read_text().splitlines() if file.exists() else []

    @property
    def words(self) -> list[str]:
        """The first word of each call that changes something."""
        quiet = ("mountpoint", "mkdir")
        return [call.split()[0] for call in self.calls if call.split()[0] not in quiet]

    def fails(self, program: str) -> Path:
        marker = self.folder / f"fails-{program}"
        marker.touch()
        return marker

    def forget(self) -> None:
        (self.folder / "calls").unlink(missing_ok=True)
        self.copied.clear()


@pytest.fixture
def installer(tmp_path, sshd, monkeypatch):
    folder = tmp_path / "installer"
    folder.mkdir()
    for name in FAKES:
        _program(sshd.folder / "bin" / name, FAKE.format(folder=folder))
    for name in ("disko-format", "disko-mount"):
        _program(folder / name, FAKE_DISKO.format(folder=folder))
    fake = FakeInstaller(folder, [])
    monkeypatch.setattr("slipway.tools.nix.copy", lambda paths, store, **_: fake.copied.append((*paths, store)))
    remote = sshd.remote()
    found = remote.run(["sh", "-c", 'for name; do command -v "$name"; done', "sh", *FAKES]).stdout.split()
    remote.close()
    # Whoever runs the tests would be rebooted.
    assert found == [str(sshd.folder / "bin" / name) for name in FAKES]
    yield fake
    for name in FAKES:
        (sshd.folder / "bin" / name).unlink()


def _program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def seen() -> list[Event]:
    return []


@pytest.fixture
def work(tmp_path, sshd, installer, seen):
    """An installation of `w1`, which will answer at another port than the installer."""
    endpoint = replace(sshd.endpoint, name="w1")
    with Pool([endpoint], sshd.known_hosts) as pool:
        yield Installation(
            root=tmp_path,
            node="w1",
            pool=pool,
            born=replace(endpoint, port=1),
            nodes_keys=KnownHosts.load(tmp_path / "known_hosts"),
            scripts=Scripts(
                "/nix/store/s-system", f"{installer.folder}/disko-format", f"{installer.folder}/disko-mount"
            ),
            devices=("/dev/disk/by-id/a", "/dev/disk/by-id/b"),
            timeouts=Timeouts(connect=5.0, reboot=1.0),
            events=Events(seen.append),
            mount_point=str(tmp_path / "mnt"),
        )


@pytest.fixture
def nothing_done() -> Record:
    return Record("w1")
