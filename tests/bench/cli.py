"""`make bench-cli`: what somebody waits for at the keyboard: help, completion, and the status of 300 hosts.

Whole processes, as a shell starts them. The hosts are addresses of loopback that one real sshd serves. Every round runs
every case once; the figures are medians after a first round that warms caches up. The last line is one JSON object.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
from collections.abc import Sequence

from tests.bench.machines import Machines, Measured, machines, measure, require, slipway

ROUNDS = 5
HOSTS = 300
BARS = {"help_s": 0.3, "complete_s": 0.2, "status_300_s": 3.0}
"""Seconds by the clock, on two cores with nothing else to do."""
WORDS = {
    "help_s": ["--help"],
    "complete_s": ["__complete", "slipway verify w29"],
    "status_300_s": ["status", "--quick", "--json"],
}


def taken(words: Sequence[str], made: Machines) -> Measured:
    """One call. It has to say something: an error at once would be fast, too."""
    done = require(measure(slipway(*words), made.root), words)
    if not done.said:
        sys.exit(f"slipway {' '.join(words)} said nothing")
    return done


def main() -> None:
    with machines(HOSTS) as made:
        rounds = [{name: taken(words, made) for name, words in WORDS.items()} for _ in range(ROUNDS + 1)][1:]
    figures: dict[str, float] = {}
    for name, bar in BARS.items():
        took, cpu = (statistics.median(getattr(each[name], what) for each in rounds) for what in ("seconds", "cpu"))
        figures |= {name: round(took, 3), f"{name[:-2]}_cpu_s": round(cpu, 3)}
        met = "ok" if took <= bar else "MISSED"
        print(f"{name:<14}{took:6.2f} s  bar {bar:.1f} s  {met:<6}  {cpu:.2f} s of processor time")
    cores = len(os.sched_getaffinity(0))
    print(f"{cores} cores, load average {os.getloadavg()[0]:.1f}")
    print(json.dumps({"bench": "cli", "cores": cores, "figures": figures, "ratios": {}}))


if __name__ == "__main__":
    main()
