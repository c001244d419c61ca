"""k0s.service on a node. The unit has this name for every role (nixos/modules/k0s.nix)."""

from __future__ import annotations

from slipway.ssh.host import Host

UNIT = "k0s.service"
STOP_TIMEOUT = 120.0
"""A control plane goes down in order, which takes its time; systemd itself gives up after 90 s."""
JOURNAL_LINES = 20


def restart(host: Host) -> None:
    """Start k0s, or start it again: one that failed before its token was there may be waiting for its next try.

    Returns when systemd has started it, which says nothing yet: a unit whose conditions are not met is skipped without
    an error.
    """
    # A unit that failed too often is not started before it is reset. Nothing to reset is no error.
    host.run(["systemctl", "reset-failed", UNIT], check=False)
    host.run(["systemctl", "restart", UNIT], timeout=STOP_TIMEOUT)


def stop(host: Host) -> None:
    """Stop k0s; containers go on (KillMode=process)."""
    host.run(["systemctl", "stop", UNIT], timeout=STOP_TIMEOUT)


def state(host: Host) -> str:
    """In systemd's words: active, activating, inactive, failed, ..."""
    return host.run(["systemctl", "is-active", UNIT], check=False).stdout.strip()


def journal(host: Host, lines: int = JOURNAL_LINES) -> str:
    """What k0s said last."""
    return host.run(["journalctl", "--no-pager", "--output=cat", f"--lines={lines}", f"--unit={UNIT}"]).stdout.strip()
