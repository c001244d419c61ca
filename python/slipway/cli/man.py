"""The manual page slipway(1), made from the commands themselves as the reference page is."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from slipway import __version__
from slipway.cli.reference import every_command
from slipway.errors import exit_codes

HEAD = """\
.TH SLIPWAY 1 "" "slipway {version}" "slipway"
.SH NAME
slipway \\- one inventory to a running, self\\-managing Kubernetes cluster on bare\\-metal NixOS
.SH SYNOPSIS
.B slipway
.I COMMAND
[\\fIOPTION\\fR]... [\\fIARGUMENT\\fR]...
.SH DESCRIPTION
Results go to standard output, talk and progress to standard error. \\fB\\-\\-json\\fR prints one JSON document and
nothing else. \\fBslipway COMMAND \\-\\-help\\fR says what stands here of one command.
.SH COMMANDS
"""


def render() -> str:
    """The page as roff, with the macros of man(7)."""
    commands = every_command()
    parts = [line for words, command in commands for line in _section(words, command)]
    codes = [line for code, meaning in exit_codes().items() for line in (".TP", str(code), _text(meaning))]
    return HEAD.format(version=__version__) + "\n".join([*parts, ".SH EXIT STATUS", *codes, ""])


def _section(words: tuple[str, ...], command: Any) -> Iterator[str]:  # noqa: ANN401 (Typer's classes are private to it)
    text, *examples = inspect.cleandoc(command.help or "").split("Example:")
    yield f'.SS "slipway {" ".join(words)}"'
    for paragraph in text.strip().split("\n\n"):
        yield from (".PP", _text(" ".join(paragraph.split())))
    for example in examples:
        yield from (".PP", ".EX", _text(f"    {example.strip()}"), ".EE")
    for parameter in (each for each in command.params if each.name != "help"):
        yield from (".TP", _named(parameter), _text(_explained(parameter)))


def _named(parameter: Any) -> str:  # noqa: ANN401
    metavar = parameter.metavar or (parameter.name or "").upper()
    if parameter.param_type_name == "argument":
        return f"\\fI{_text(metavar)}\\fR"
    names = ", ".join(f"\\fB{_text(each)}\\fR" for each in parameter.opts)
    return names if getattr(parameter, "is_flag", False) else f"{names} \\fI{_text(metavar)}\\fR"


def _explained(parameter: Any) -> str:  # noqa: ANN401
    variable = f" (environment: {parameter.envvar})" if getattr(parameter, "envvar", None) else ""
    return " ".join((getattr(parameter, "help", None) or "").split()) + variable


def _text(words: str) -> str:
    """`words` as nothing but text: no macro at the start of a line, no escape, and hyphens that can be copied."""
    plain = words.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{plain}" if plain.startswith((".", "'")) else plain
