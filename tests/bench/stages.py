"""`make bench-stages`: the stage law over 2,000 manifests, and writing all stages of the homelab example.

Whole processes, as a user runs them; medians over rounds after a first one that warms caches up. The last line is one
JSON object.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.bench.generate import PLACE, ROUNDS, Sample, cpu, emptied, measure, wall

LINT_BAR, GENERATE_BAR = 3.0, 1.0
"""Seconds."""
APPS = 400
"""In a repository for the law; each has five manifests."""
EXAMPLE = Path(__file__).parents[2] / "examples" / "homelab"

KUSTOMIZATION = """\
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {{name: {name}, namespace: flux-system}}
spec:
  path: ./gitops/{stage}/{name}/app
  dependsOn: [{before}]
  sourceRef: {{kind: GitRepository, name: flux-system}}
"""
APP = """\
apiVersion: v1
kind: Namespace
metadata: {{name: {name}}}
---
apiVersion: source.toolkit.fluxcd.io/v1
kind: OCIRepository
metadata: {{name: {name}, namespace: {name}}}
spec: {{url: oci://charts.example.org/{name}, ref: {{tag: 1.2.3}}}}
---
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {{name: {name}, namespace: {name}}}
spec:
  chartRef: {{kind: OCIRepository, name: {name}}}
  values:
    image: {{repository: images.example.org/{name}, tag: 1.2.3}}
    env: {{DATABASE: "postgres://{before}.{before}.svc.cluster.local:5432/app", URL: "https://{name}.example.org"}}
    persistence: {{enabled: true, storageClass: local}}
    resources: {{requests: {{cpu: 10m, memory: 64Mi}}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: {name}-script, namespace: {name}}}
data:
  run.sh: |
    #!/bin/sh
    until curl --fail http://{before}.{before}.svc:8080/healthz; do sleep 1; done
"""


def law_repository(base: Path) -> Path:
    root = base / "law"
    stages = ("bootstrap", "cluster-base-apps", "cluster-apps")
    for number in range(APPS):
        stage, name = stages[number * len(stages) // APPS], f"app{number}"
        before = f"app{number - 1}" if number else "app0"
        folder = root / "gitops" / stage / name
        (folder / "app").mkdir(parents=True)
        depends = f"{{name: {before}}}" if number else ""
        (folder / "ks.yaml").write_text(KUSTOMIZATION.format(name=name, stage=stage, before=depends))
        (folder / "app" / "app.yaml").write_text(APP.format(name=name, before=before))
    return root


def stages_repository(base: Path) -> Path:
    root = base / "homelab"
    shutil.copytree(EXAMPLE, root)
    subprocess.run(["git", "init", "--quiet", str(root)], check=True)
    return root


def main() -> None:
    PLACE.mkdir(exist_ok=True)
    taken: dict[str, list[Sample]] = {"lint_2000": [], "generate": []}
    with tempfile.TemporaryDirectory(prefix="bench-", dir=PLACE) as folder:
        law, stages = law_repository(Path(folder)), stages_repository(Path(folder))
        for number in range(ROUNDS + 1):
            print(f"round {number} of {ROUNDS}{' (warm-up)' if number == 0 else ''}", file=sys.stderr, flush=True)
            taken["lint_2000"].append(measure(["stages", "lint"], law))
            emptied(stages, number)
            taken["generate"].append(measure(["generate"], stages))
    taken = {name: samples[1:] for name, samples in taken.items()}
    for name, bar in (("lint_2000", LINT_BAR), ("generate", GENERATE_BAR)):
        clock, processors = wall(taken[name]), cpu(taken[name])
        print(f"{name:<12}{clock:>7.2f} s by the clock{processors:>7.2f} s of processors, bar {bar:g} s")
    figures = {f"{name}_s": wall(samples) for name, samples in taken.items()}
    figures |= {f"{name}_cpu_s": cpu(samples) for name, samples in taken.items()}
    print(json.dumps({"bench": "stages", "cores": len(os.sched_getaffinity(0)), "figures": figures, "ratios": {}}))


if __name__ == "__main__":
    main()
