"""The reference page of the command line, made from the commands themselves, so that it cannot differ from them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import typer.main

from slipway.cli.main import COMMANDS, build
from slipway.errors import exit_codes

HEADER = """\
# Commands

Made by `make docs` from the commands themselves. Results go to standard output, talk and progress to standard error.
`--json` prints one JSON document and nothing else. `slipway COMMAND --help` says the same in a terminal.
"""


def render() -> str:
    """The page, in Markdown."""
    parts = [HEADER, _exit_codes()]
    for words, command in every_command():
        parts.append(_section(words, command))
    return "\n".join(parts)


# Typer's commands are click's in all but name; their classes are private to it, hence Any.
def every_command() -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something, with the words that one types for it."""
    return _leaves((), typer.main.get_command(build(list(COMMANDS))))


def _leaves(words: tuple[str, ...], command: Any) -> Iterator[tuple[tuple[str, ...], Any]]:  # noqa: ANN401
    inner = getattr(command, "commands", None)
    if inner is None:
        yield words, command
        return
    for name, each in inner.items():
        yield from _leaves((*words, name), each)


def _section(words: tuple[str, ...], command: Any) -> str:  # noqa: ANN401
    text, _, example = inspect.cleandoc(command.help or "").partition("Example:")
    lines = [f"## slipway {' '.join(words)}", "", " ".join(text.split()), "", f"    {example.strip()}", ""]
    rows = [_row(each) for each in command.params if each.name != "help"]
    if rows:
        lines += ["| argument or option | what it does |", "|---|---|", *rows, ""]
    return "\n".join(lines)


def _row(parameter: Any) -> str:  # noqa: ANN401
    is_argument = parameter.param_type_name == "argument"
    shown = (
        f"`{parameter.metavar or parameter.name.upper()}`"
        if is_argument
        else ", ".join(f"`{each}`" for each in parameter.opts)
    )
    variable = f" (environment: `{parameter.envvar}`)" if getattr(parameter, "envvar", None) else ""
    text = " ".join((getattr(parameter, "help", None) or "").split()).replace("|", "\\|")
    return f"| {shown} | {text}{variable} |"


def _exit_codes() -> str:
    rows = [f"| {code} | {meaning} |" for code, meaning in exit_codes().items()]
    return "\n".join(["## Exit codes", "", "| code | meaning |", "|---|---|", *rows, ""])
