"""The journal.

journalctl -b -p crit
"""

from __future__ import annotations

from slipway.verify.check import expect
from slipway.verify.packs._reads import Answers

SHOWN = 3


def test_has_nothing_critical(answers: Answers) -> None:
    """Nothing critical was logged since the boot."""
    # Mere errors are too many on a sound machine to mean anything.
    lines = answers["journal"].said().splitlines()
    expect(
        not lines,
        expected="no message of priority crit, alert or emerg",
        found=" / ".join(lines[-SHOWN:]),
        fix="mend what it names; a message of the past goes with a reboot",
        command="journalctl -b -p crit",
    )
