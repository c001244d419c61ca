"""`slipway completion`: the shells that complete slipway's words."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from slipway.cli.completion import SCRIPTS
from slipway.cli.console import write


class Shell(StrEnum):
    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(shell: Annotated[Shell, typer.Argument(help="The shell to make it for.")]) -> None:
    """Print a script with which a shell completes commands, options, nodes, tags and files.

    Example: eval "$(slipway completion bash)"
    """
    write(SCRIPTS[shell.value])
