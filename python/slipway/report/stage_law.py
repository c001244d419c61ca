"""The reference page of the stage law: every rule, and what is there before the first stage."""

from __future__ import annotations

from slipway.stages.law import RULES
from slipway.stages.law.layout import bring_up

INTRODUCTION = """\
# The stage law

<!-- made by `make docs` from python/slipway/stages/law -->

A stage may depend on earlier stages only. `slipway stages lint` reads the files and tells every breach with its place,
its rule and the other party; `slipway stages graph` draws them. No cluster is asked.

What is looked at: every file in the folders of the stages, also overlays and modes that are not chosen now; components
and bases from wherever they are included; the namespace that kustomize gives; variables of `postBuild`, put in first;
values of charts. A reference is a breach where everything that could provide it belongs to a later stage. What nobody
in the repository provides is no breach: it may come from elsewhere.

## Other layouts

Any Flux repository can be judged. In `stages.yaml` at its root, or by `--stage` and `--provides`:

    stages:
      - {name: controllers, folders: [infrastructure/controllers]}
      - {name: configs, folders: [infrastructure/configs]}
      - {name: apps, folders: [apps/base, apps/production]}
    provides:                                   # what is there before the first stage
      objects: [StorageClass/standard, Secret/flux-system/cluster-vars]
      apiGroups: [external-secrets.io]          # whose CRDs are installed otherwise

## Rules

| rule | what it forbids | what usually helps |
|---|---|---|
"""

LIMITS = """\

`order` compares apps of one stage, and only what Flux would not simply try again.

## What is there before the first stage

What k0s and slipway's own bring-up install is never missing: {objects}; and the API groups {groups}.

## What the law cannot see

Names that are put together while a program runs; what a chart's templates do beyond its values (well-known charts and
their CRDs are known by name, in charts.yaml); files of other repositories.
"""


def render() -> str:
    rows = [f"| `{rule}` | {meaning.text} | {meaning.fix} |" for rule, meaning in RULES.items()]
    given = bring_up()
    objects = ", ".join(f"`{each}`" for each in sorted(given.objects))
    groups = ", ".join(f"`{each}`" for each in sorted(given.groups))
    return INTRODUCTION + "\n".join(rows) + "\n" + LIMITS.format(objects=objects, groups=groups)
