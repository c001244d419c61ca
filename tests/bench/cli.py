"""`make bench-cli`: what somebody waits for at the keyboard: help, completion, and the status of 300 hosts.

Whole processes, as a shell starts them. The hosts are addresses of loopback that one real sshd serves. Every round runs
every case once; the figures are medians after a first round that warms caches up. The last line is one JSON object.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench.machines import machines

ROUNDS = 5
HOSTS = 300
BARS = {"help_s": 0.3, "complete_s": 0.2, "status_300_s": 3.0}
"""Seconds by the clock, on two cores with nothing else to do."""
WORDS = {
    "help_s": ["--help"],
    "complete_s": ["__complete", "slipway verify w29"],
    "status_300_s": ["status", "--quick", "--json"],
}


def seconds(words: Sequence[str], root: Path) -> float:
    """How long one call takes. It has to say something: an error at once would be fast, too."""
    began = time.monotonic()
    argv = [sys.executable, "-m", "slipway.cli", *words]
    said = subprocess.run(argv, cwd=root, capture_output=True, timeout=120, check=False)
    took = time.monotonic() - began
    if not said.stdout:
        sys.exit(f"slipway {' '.join(words)} said nothing:\n{said.stderr.decode()}")
    return took


def main() -> None:
    with machines(HOSTS) as made:
        rounds = [{name: seconds(words, made.root) for name, words in WORDS.items()} for _ in range(ROUNDS + 1)]
    medians = {name: statistics.median(each[name] for each in rounds[1:]) for name in WORDS}
    for name, took in medians.items():
        print(f"{name:<14}{took:6.2f} s  bar {BARS[name]:.1f} s  {'ok' if took <= BARS[name] else 'MISSED'}")
    print(json.dumps({"bench": "cli", **{k: round(v, 3) for k, v in medians.items()}, "load": os.getloadavg()[0]}))


if __name__ == "__main__":
    main()
