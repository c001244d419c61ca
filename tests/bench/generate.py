"""`make bench-generate`: `slipway check` and `generate` on fleets of 1,000 to 10,000 hosts, as a user runs them.

Whole processes with all their imports and Git's work, in a Git repository as users have one. Every round runs every
case once, so that what else the machine does meets all of them alike; the figures are medians over the rounds after a
first one that warms caches up. Beside the seconds of the clock stand those of the processors (user + system), which
other work on the machine disturbs least. The last line is one JSON object.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench import fleet
from tests.bench.machines import with_bytecode

ROUNDS = 5
PLACE = Path(__file__).parents[2] / "build"
"""Where repositories are, beside this one; a /tmp that others are busy in costs many times as much a new file."""
SLIPWAY = [sys.executable, "-m", "slipway.cli"]


@dataclass(frozen=True)
class Case:
    """One command on one fleet, and what makes the repository ready for it. `bar` is in seconds, if there is one."""

    name: str
    hosts: int
    command: str
    prepare: Callable[[Path, int], None]
    bar: float | None = None


@dataclass(frozen=True)
class Sample:
    """Seconds by the clock, seconds of the processors, peak memory in MB (10^6 bytes)."""

    wall: float
    cpu: float
    peak: float


def as_it_is(_root: Path, _round: int) -> None:
    """The repository is up to date."""


def emptied(root: Path, number: int) -> None:
    """Nothing is generated yet, and Git knows nothing.

    What was there is put aside and not deleted: for minutes ext4 looks at each inode that was just freed, and passes
    over it, for every new file. That would be most of what is measured.
    """
    aside = root.parent / f"{root.name}-before-{number}"
    aside.mkdir()
    for name in ("generated", "gitops", ".git/index"):
        if (root / name).exists():
            (root / name).rename(aside / Path(name).name)


def one_edited(root: Path, number: int) -> None:
    """A tag does not reach the generated files, a label does: the last host gets another one in every round."""
    file = root / "inventory.yaml"
    head, mark, tail = file.read_text().rpartition("example.org/unit: ")
    file.write_text(f"{head}{mark}r{number}{tail[tail.index(',') :]}")


CASES = (
    Case("check_1000", 1000, "check", as_it_is, bar=1.0),
    Case("generate_cold_1000", 1000, "generate", emptied, bar=2.0),
    Case("generate_unchanged_1000", 1000, "generate", as_it_is, bar=1.0),
    Case("one_changed_1000", 1000, "generate", one_edited),
    Case("check_5000", 5000, "check", as_it_is),
    Case("generate_cold_5000", 5000, "generate", emptied),
    Case("generate_unchanged_5000", 5000, "generate", as_it_is),
    Case("check_10000", 10_000, "check", as_it_is, bar=2.0),
    Case("generate_cold_10000", 10_000, "generate", emptied, bar=9.0),
    Case("generate_unchanged_10000", 10_000, "generate", as_it_is, bar=3.5),
)
PEAK_BAR = 200
"""MB, for 1,000 hosts."""


def repository(base: Path, hosts: int) -> Path:
    root = base / str(hosts)
    root.mkdir()
    (root / "inventory.yaml").write_text(fleet.inventory(hosts))
    subprocess.run(["git", "init", "--quiet", str(root)], check=True)
    return root


def measure(words: Sequence[str], root: Path) -> Sample:
    began = time.perf_counter()
    env = {**os.environ, **with_bytecode(root.parent)}
    process = subprocess.Popen([*SLIPWAY, *words], cwd=root, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    said = process.stderr.read().decode()
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    if status != 0:
        sys.exit(f"slipway {' '.join(words)} failed in {root}:\n{said}")
    return Sample(wall, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 / 1e6)


def run(base: Path) -> dict[str, list[Sample]]:
    roots = {hosts: repository(base, hosts) for hosts in {case.hosts for case in CASES}}
    samples: dict[str, list[Sample]] = {case.name: [] for case in CASES}
    for number in range(ROUNDS + 1):
        print(f"round {number} of {ROUNDS}{' (warm-up)' if number == 0 else ''}", file=sys.stderr, flush=True)
        for case in CASES:
            case.prepare(roots[case.hosts], number)
            sample = measure([case.command], roots[case.hosts])
            if number > 0:
                samples[case.name].append(sample)
    return samples


def wall(samples: Sequence[Sample]) -> float:
    return round(statistics.median(sample.wall for sample in samples), 3)


def cpu(samples: Sequence[Sample]) -> float:
    return round(statistics.median(sample.cpu for sample in samples), 3)


def figures(samples: dict[str, list[Sample]]) -> Iterator[tuple[str, float]]:
    for name, taken in samples.items():
        yield f"{name}_s", wall(taken)
    for name, taken in samples.items():
        yield f"{name}_cpu_s", cpu(taken)
    for hosts, name in ((1000, "peak_mb"), (5000, "peak_5000_mb"), (10_000, "peak_10000_mb")):
        used = [sample.peak for case in CASES if case.hosts == hosts for sample in samples[case.name]]
        yield name, round(max(used))
    for kind in ("check", "generate_cold", "generate_unchanged"):
        growth = cpu(samples[f"{kind}_5000"]) / cpu(samples[f"{kind}_1000"])
        yield f"{kind}_growth", round(growth, 2)


def table(samples: dict[str, list[Sample]]) -> Iterator[str]:
    yield f"{'':<26}{'clock s':>9}{'processor s':>13}{'bar s':>7}{'peak MB':>9}"
    for case in CASES:
        taken = samples[case.name]
        bar = "" if case.bar is None else f"{case.bar:g}"
        peak = max(sample.peak for sample in taken)
        yield f"{case.name:<26}{wall(taken):>9.2f}{cpu(taken):>13.2f}{bar:>7}{peak:>9.0f}"


def main() -> None:
    PLACE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=PLACE) as folder:
        samples = run(Path(folder))
    print("\n".join(table(samples)))
    cores = len(os.sched_getaffinity(0))
    print(f"peak bar {PEAK_BAR} MB for 1,000 hosts; {cores} cores, load average {os.getloadavg()[0]:.1f}")
    print(json.dumps({"bench": "generate", "cores": cores, "figures": dict(figures(samples)), "ratios": {}}))


if __name__ == "__main__":
    main()
