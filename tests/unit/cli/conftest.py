"""The repository with secrets, for the commands that work on one, and a call of slipway in whichever `repository`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.unit.sealed import made_once, repository
from typer.testing import CliRunner

from slipway.cli.main import build
from slipway.errors import SlipwayError

__all__ = ["made_once", "repository"]


@pytest.fixture
def slipway(repository: Path) -> Callable[..., Any]:
    """Run a command in the repository; return its exit code and what it printed, or raise its SlipwayError."""

    def slipway(*words: str, input: str | None = None) -> Any:
        result = CliRunner().invoke(build(words[:1]), [*words, "-i", str(repository / "inventory.yaml")], input=input)
        if isinstance(result.exception, SlipwayError):
            raise result.exception
        return result

    return slipway
