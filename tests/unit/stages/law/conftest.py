"""Repositories for the law, written from one file each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
import yaml

from slipway.stages import law
from slipway.stages.law import layout

DATA = Path(__file__).parents[3] / "data" / "law"

Judged = Callable[..., law.Verdict]


def trees(name: str) -> Mapping[str, str]:
    found: dict[str, str] = yaml.safe_load((DATA / name).read_text())
    return found


@pytest.fixture(scope="session")
def clean() -> Mapping[str, str]:
    return trees("clean.yaml")


@pytest.fixture
def judged(tmp_path: Path, clean: Mapping[str, str]) -> Judged:
    """Judge the clean repository with these files more, or another one altogether."""

    def judge(more: Mapping[str, str] = MappingProxyType({}), *, base: Mapping[str, str] = clean, **how) -> law.Verdict:
        for path, content in {**base, **more}.items():
            file = tmp_path / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
        return law.lint(layout.of(tmp_path, **how))

    return judge
