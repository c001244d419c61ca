"""`make bench-deploy`: a deploy with nothing to do, on 20 nodes and on 300; memory and descriptors on 500.

Whole processes as a user starts them, over a real sshd; every node is an address of loopback. Nix is a stand-in that
answers at once, and no control plane is asked (`--no-join`): what is measured is slipway's own, with the connections.
`cpu` is slipway's processor time. The last line is one JSON object; figures are medians.
"""

from __future__ import annotations

import json
import os
import statistics
import sys

from tests.bench.machines import Machines, Measured, machines, measure, require, slipway

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
FEW, MANY, MOST = 20, 300, 500
BARS = {FEW: 1.0, MANY: 10.0}
"""Seconds. The 3 s that a deploy on 20 nodes may take have Nix in them, which has 2 of them."""
MEMORY, DESCRIPTORS = 150, 1024


def no_op(made: Machines) -> Measured:
    words = slipway("deploy", "--no-join", "--json")
    done = require(measure(words, made.root, descriptors=DESCRIPTORS), words)
    found = [node["outcome"] for node in json.loads(done.said[done.said.index("{") :])["nodes"]]
    if found != ["unchanged"] * made.count:
        sys.exit(f"not all are unchanged: {found}")
    return done


def rounds(count: int, number: int) -> list[Measured]:
    with machines(count) as made:
        words = slipway("generate")
        require(measure(words, made.root), words)
        no_op(made)  # the links that keep systems from Nix's collector are made once
        taken = []
        for each in range(number):
            taken.append(no_op(made))
            print(
                f"{count} nodes, round {each + 1} of {number}: {taken[-1].seconds:.2f} s", file=sys.stderr, flush=True
            )
        return taken


def main() -> None:
    taken = {FEW: rounds(FEW, ROUNDS), MANY: rounds(MANY, ROUNDS), MOST: rounds(MOST, 1)}
    figures: dict[str, float] = {}
    for count, runs in taken.items():
        seconds, cpu = (statistics.median(getattr(run, name) for run in runs) for name in ("seconds", "cpu"))
        figures |= {f"no_op_{count}_s": round(seconds, 3), f"no_op_{count}_cpu_s": round(cpu, 3)}
        bar = f" (bar {BARS[count]:g} s)" if count in BARS else ""
        print(f"{count} nodes, nothing to do: {seconds:.2f} s{bar}, of it {cpu:.2f} s of processor time")
    most = taken[MOST][0]
    figures |= {f"no_op_{MOST}_mb": round(most.memory), f"no_op_{MOST}_descriptors": most.descriptors}
    print(f"{MOST} nodes: {most.memory:.0f} MB (bar {MEMORY}), {most.descriptors} descriptors (bar {DESCRIPTORS})")
    cores = len(os.sched_getaffinity(0))
    print(f"{cores} cores, load average {os.getloadavg()[0]:.1f}")
    print(json.dumps({"bench": "deploy", "cores": cores, "figures": figures}))


if __name__ == "__main__":
    main()
