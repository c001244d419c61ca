"""What several checks of this pack ask once."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(scope="session")
def found(known: dict[str, Any] | None) -> dict[str, Any]:
    """The node as the API has it; without one, what it should have is missing in it."""
    return known or {"metadata": {}, "spec": {}, "status": {}}
