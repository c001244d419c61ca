"""The reference of packs, docs/reference/packs.md, made from the packs' own docstrings."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from slipway.verify import catalog
from slipway.verify.roles import MARKS

INTRODUCTION = """\
# Packs

`slipway verify` asks every node the checks below and keeps the answers for the gate before the hand-off. A check is
*green*, *red* (the node is otherwise than it should be; the report says what was expected, what was found, the command
that shows it and the likely fix), an *error* (the question itself failed, so nothing is known), or *skipped* with its
reason. Red and error both keep the gate shut.

    slipway verify                          # every node, the packs of `verify.packs` and your own
    slipway verify w1 --pack os             # one node, one pack
    slipway verify --junit verify.xml       # a report for CI, a test suite per node
    slipway verify --html verify.html       # a report to read in a browser: what is red and why, ports, history
    slipway verify --watch                  # again and again; a pipe is told what changes
    slipway verify --burn-in 10m            # load network, disk and memory; for machines that do not work yet
    slipway verify diff last~1 last         # what turned red, green, new or gone between two runs
    slipway verify --json | jq '.nodes[] | select(.green | not) | .node'

## Checks of your own

Every `*.py` in the folder `verify/` beside `inventory.yaml` is part of the pack `user`. It is an ordinary
[pytest-testinfra](https://testinfra.readthedocs.io) file; files that begin with `_`, and `conftest.py`, only serve the
others.

```python
from slipway.verify.check import expect, workers


@workers
def test_longhorn_can_mount(host):
    \"\"\"The iSCSI initiator runs.\"\"\"
    expect(
        host.service("iscsid").is_running,
        expected="iscsid.service active",
        found="not active",
        fix="services.openiscsi.enable = true; in hosts/NAME.nix or modules/",
    )
```

Fixtures: `host` (testinfra's, over slipway's own connection), `node` (the host of the inventory), `inventory`, `facts`
(system, profile, boot id, machine id, host name and clock of the node), `others` (the facts of the other nodes). Marks
of `slipway.verify.check`: `@controllers`, `@workers` (no control plane), `@workloads` (a kubelet). A plain `assert`
works as well; `expect` says more. List `user` in `verify.packs` to let the gate insist on it.

Files that were written for testinfra elsewhere work as they are: its modules (`host.package` looks into the closure of
the running system), parameters, fixtures, classes, unittest, skips, subtests. `testinfra_hosts = ["w1", "ssh://10.0.0.21"]`
in a file means these nodes; one that the inventory does not know is an error.

A command that ends with an exit code other than expected (`host.run_expect`, `host.check_output`) is an error, as is a
lost connection: neither can be read as an answer.
"""


@dataclass(frozen=True)
class Described:
    """One check as its file describes it. `roles` are marks of slipway.verify.check, none for every node."""

    id: str
    title: str
    roles: tuple[str, ...]


def render() -> str:
    """The whole page."""
    parts = [INTRODUCTION]
    for name, folder in catalog.ours().items():
        parts.append(f"## Pack `{name}`\n\n{_docstring(folder / '__init__.py').partition(': ')[2]}\n")
        parts += [_subject(name, file) for file in files(folder)]
    return "\n".join(parts)


def checks(pack: str, file: Path) -> Iterator[Described]:
    """The checks of one file, in its order."""
    module = ast.parse(file.read_text(encoding="utf-8"))
    everywhere = {mark for node in module.body if isinstance(node, ast.Assign) for mark in _marks([node.value])}
    for node in module.body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            roles = tuple(sorted(everywhere | set(_marks(node.decorator_list))))
            title = (ast.get_docstring(node) or "").splitlines()[0].rstrip(".")
            yield Described(f"{pack}.{file.stem}.{node.name.removeprefix('test_')}", title, roles)


def _subject(pack: str, file: Path) -> str:
    what, _, example = _docstring(file).rpartition("\n\n")
    table = ["| check | holds when | asked of |", "|---|---|---|"]
    for each in checks(pack, file):
        table.append(f"| `{each.id}` | {each.title} | {', '.join(each.roles) or 'every node'} |")
    return "\n\n".join([f"### {pack}.{file.stem}", what, textwrap.indent(example, "    "), "\n".join([*table, ""])])


def _docstring(file: Path) -> str:
    return ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""


def files(folder: Path) -> list[Path]:
    """The files of a pack that hold checks."""
    return [file for file in sorted(folder.glob("*.py")) if catalog.holds_checks(file)]


def _marks(nodes: list[ast.expr]) -> Iterator[str]:
    yield from (node.id for node in nodes if isinstance(node, ast.Name) and node.id in MARKS)
