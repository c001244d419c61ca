"""A node as an activation sees one: systems, a profile, stand-ins for systemd-run and nix-env, behind a real sshd."""

import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest

from slipway.node.places import Places

FAKE_SYSTEMD_RUN = """#!/bin/sh
# Fake: starts the command in a session of its own, as systemd-run starts a unit; one at a time by its name.
while [ "$1" != -- ]; do
  case "$1" in
    --setenv=*) export "${{1#--setenv=}}" ;;
    --unit=*) pidfile={folder}/units/${{1#--unit=}} ;;
  esac
  shift
done
shift 2
if [ -e "$pidfile" ] && kill -0 "$(cat "$pidfile")" 2>/dev/null; then
  echo "Failed to start transient service unit: Unit ${{pidfile##*/}}.service already exists." >&2
  exit 1
fi
setsid {shell} "$@" >/dev/null 2>&1 </dev/null &
echo $! >"$pidfile"
"""
FAKE_NIX_ENV = """#!/bin/sh
# Fake: nix-env -p PROFILE --set SYSTEM
[ ! -e "$4/refuses-set" ] || exit 1
ln -sfn "$4" "$2"
"""
SWITCH = """#!/bin/sh
# Fake: a system's switch-to-configuration. Behaves as the files beside it say.
system={system}
echo "$(basename $system) $1" >>{folder}/calls
echo "activating $(basename $system): $1" >&2
if [ "$1" = boot ]; then
  echo "$NIXOS_INSTALL_BOOTLOADER" >>{folder}/installs
  [ ! -e $system/before-boot ] || . $system/before-boot
  exit "$(cat $system/boot-code)"
fi
[ ! -e $system/before ] || . $system/before
[ "$(cat $system/code)" = 1 ] || [ "$(cat $system/code)" = 100 ] || ln -sfn $system {folder}/current
exit "$(cat $system/code)"
"""


@dataclass(frozen=True)
class FakeNode:
    folder: Path
    places: Places

    def system(
        self, name: str, *, code: int = 0, boot_code: int = 0, before: str = "", before_boot: str = "", loader: str = ""
    ) -> str:
        """A system whose activation ends with `code` after running the shell text `before`; `loader` is a line of its
        switch-to-configuration."""
        system = self.folder / name
        (system / "bin").mkdir(parents=True)
        (system / "nixos-version").touch()
        (system / "code").write_text(str(code))
        (system / "boot-code").write_text(str(boot_code))
        for when, text in (("before", before), ("before-boot", before_boot)):
            if text:
                (system / when).write_text(text)
        switch = system / "bin" / "switch-to-configuration"
        switch.write_text(SWITCH.format(system=system, folder=self.folder) + loader)
        switch.chmod(0o755)
        return str(system)

    @property
    def current(self) -> str:
        return str(Path(self.places.current).readlink())

    @property
    def profile(self) -> str:
        return str(Path(self.places.profile).readlink())

    @property
    def calls(self) -> list[str]:
        path = self.folder / "calls"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def unit(self) -> int:
        return int((self.folder / "units" / "slipway-activate").read_text())

    @property
    def unit_runs(self) -> bool:
        return Path(f"/proc/{self.unit}").exists()

    def install(self, server_folder: Path, shell: str = "sh") -> None:
        """Put the stand-ins on the server's PATH."""
        for name, text in (("systemd-run", FAKE_SYSTEMD_RUN), ("nix-env", FAKE_NIX_ENV)):
            program = server_folder / "bin" / name
            program.write_text(text.format(folder=self.folder, shell=shell))
            program.chmod(0o755)


@pytest.fixture
def node(tmp_path, sshd):
    """Runs the system `old`, which is also its default."""
    places = Places(
        run=str(tmp_path / "run"),
        current=str(tmp_path / "current"),
        booted=str(tmp_path / "booted"),
        profile=str(tmp_path / "profile"),
    )
    fake = FakeNode(tmp_path, places)
    old = fake.system("old")
    (tmp_path / "units").mkdir()
    for link in (places.current, places.booted, places.profile):
        Path(link).symlink_to(old)
    fake.install(sshd.folder)
    yield fake
    for pidfile in (tmp_path / "units").iterdir():
        with contextlib.suppress(ProcessLookupError):
            os.killpg(int(pidfile.read_text()), signal.SIGKILL)
