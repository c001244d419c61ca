"""`make bench-generate`: whole processes on inventories of 1,000 and 5,000 hosts; the last line is one JSON object.

Seconds are medians of several runs, processes with all their imports; peak_mb is the largest of them.
"""

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUNS = 5
CONTROLLERS = 5
HEAD = """\
apiVersion: slipway/v1
cluster:
  name: large
  k0s: {version: 1.36.3+k0s.2}
  network: {provider: cilium, podCIDR: 10.192.0.0/10}
defaults:
  ssh:
    authorizedKeys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJBF5Ci2hsdUcOIYQVjmoPaRKAe5XBmJnYwZk7TeDx3f admin@example]
  network: {interface: eno1, prefixLength: 16, gateway: 10.0.0.1, nameservers: [10.0.0.1]}
groups:
  ssd: {labels: {example.org/disk: ssd}}
hosts:
"""


def inventory(hosts: int) -> str:
    return HEAD + "".join(map(host, range(hosts)))


def host(number: int) -> str:
    role = "controller" if number < CONTROLLERS else "worker"
    address = f"10.0.{1 + number // 250}.{1 + number % 250}"
    groups = ", groups: [ssd]" if number % 3 else ""
    labels = f'labels: {{example.org/number: "{number}"}}'
    return f"  n{number}: {{address: {address}, role: {role}, tags: [rack-{number % 7}], {labels}{groups}}}\n"


def repository(base: Path, hosts: int) -> Path:
    root = base / str(hosts)
    root.mkdir()
    (root / "inventory.yaml").write_text(inventory(hosts))
    subprocess.run(["git", "init", "--quiet", str(root)], check=True)
    return root


def seconds(root: Path, *words: str) -> float:
    began = time.monotonic()
    subprocess.run([sys.executable, "-m", "slipway.cli", *words], cwd=root, check=True, capture_output=True)
    return time.monotonic() - began


def cold(root: Path) -> float:
    """From a repository without generated files, as after a clone that has only the inventory."""
    for name in ("generated", "gitops"):
        shutil.rmtree(root / name, ignore_errors=True)
    subprocess.run(["git", "-C", str(root), "rm", "-rq", "--cached", "--ignore-unmatch", "."], check=True)
    return seconds(root, "generate")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        large, huge = repository(Path(folder), 1000), repository(Path(folder), 5000)
        figures = {
            "check_1000_s": [seconds(large, "check") for _ in range(RUNS)],
            "generate_cold_1000_s": [cold(large) for _ in range(RUNS)],
            "generate_unchanged_1000_s": [seconds(large, "generate") for _ in range(RUNS)],
            "generate_check_1000_s": [seconds(large, "generate", "--check") for _ in range(RUNS)],
        }
        peak_large = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        figures["generate_cold_5000_s"] = [cold(huge) for _ in range(3)]
    medians = {name: round(statistics.median(found), 3) for name, found in figures.items()}
    for name, value in medians.items():
        print(f"{name:28} {value:.2f}")
    result = {"bench": "generate", "cores": os.cpu_count(), "figures": {**medians, "peak_mb": round(peak_large)}}
    print(json.dumps({**result, "ratios": {}}))


if __name__ == "__main__":
    main()
