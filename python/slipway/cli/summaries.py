"""What each command says of itself, read from its module's text: nothing is imported to list the commands."""

from __future__ import annotations

import ast
import inspect
import pkgutil
import re
from collections.abc import Iterator
from functools import cache


def summary(module: str, attribute: str) -> str:
    """The first paragraph of the help of a command, or of a group of commands.

    `attribute` is a function with a docstring, or a name that is given a Typer(help="..."). Raises LookupError.
    """
    found = next((text for text in map(_help_of, _statements(module, attribute)) if text), None)
    if found is None:
        raise LookupError(f"{module}.{attribute} says nothing of itself")
    return " ".join(inspect.cleandoc(found).partition("\n\n")[0].split())


def _statements(module: str, attribute: str) -> Iterator[ast.stmt]:
    """Those that define it at the module's edge. Nothing else is parsed: all of all modules would be most of what a
    list of the commands takes."""
    definition = rf"^(?:def {attribute}\(|{attribute} = ).*?(?=^[^\s)#]|\Z)"
    for found in re.finditer(definition, _text(module), re.MULTILINE | re.DOTALL):
        yield from ast.parse(found[0]).body


@cache
def _text(module: str) -> str:
    package, _, name = module.rpartition(".")
    return (pkgutil.get_data(package, f"{name}.py") or b"").decode()


def _help_of(statement: ast.stmt) -> str | None:
    if isinstance(statement, ast.FunctionDef):
        return ast.get_docstring(statement)
    call = statement.value if isinstance(statement, ast.Assign) else None
    given = {each.arg: each.value for each in call.keywords} if isinstance(call, ast.Call) else {}
    text = given.get("help")
    return text.value if isinstance(text, ast.Constant) and isinstance(text.value, str) else None
