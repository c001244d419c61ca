"""The rooms of python/slipway/ and who may look into which."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "python" / "slipway"
ROOMS = [
    "inventory", "generate", "tools", "ssh", "hardware", "node", "install", "cluster", "verify", "rollout", "secrets",
    "stages", "report", "lab", "cli",
]  # fmt: skip
"""A room imports only rooms that stand before it."""


def imports_of(source: str) -> Iterator[str]:
    """The rooms that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] == "slipway" and len(parts) > 1 and parts[1] in ROOMS:
                yield parts[1]


def broken(room: str, source: str) -> set[str]:
    """The rooms that `source`, a module of `room`, imports and must not."""
    allowed = set(ROOMS[: ROOMS.index(room) + 1])
    return set(imports_of(source)) - allowed


MODULES = sorted(PACKAGE.glob("*/**/*.py"))


def room_of(module: Path) -> str:
    return module.relative_to(PACKAGE).parts[0]


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_imports_only_rooms_before_it(module):
    assert broken(room_of(module), module.read_text()) == set()


def test_base_modules_import_no_room():
    for module in PACKAGE.glob("*.py"):
        assert set(imports_of(module.read_text())) == set(), module.name


def test_every_folder_is_a_known_room():
    folders = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    assert folders == set(ROOMS)


def test_control_a_forbidden_import_is_seen():
    assert broken("inventory", "from slipway.ssh.host import Host") == {"ssh"}
    assert broken("stages", "def f():\n    import slipway.lab.machines") == {"lab"}
    assert broken("cli", "from slipway.lab import machines") == set()
