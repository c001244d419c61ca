"""The units of systemd.

systemctl list-units --failed
"""

from __future__ import annotations

from slipway.verify.backend import NodeHost
from slipway.verify.check import expect, listed


def test_none_has_failed(host: NodeHost) -> None:
    """No unit has failed."""
    lines = host.check_output("systemctl list-units --state=failed --plain --no-legend --full --all").splitlines()
    failed = [line.split()[0] for line in lines if line.strip()]
    expect(
        not failed,
        expected="no failed unit",
        found=listed(failed),
        fix=f"journalctl -u {failed[0] if failed else 'UNIT'}; when mended: systemctl reset-failed",
    )
