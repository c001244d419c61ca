"""Commands that end in a command for nodes: `slipway exec w1 -- uptime`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

import typer.core

KEY = "slipway.command"


class WithCommand(typer.core.TyperCommand):
    """Takes what follows after `--` out before options are looked for, since `-- ls -l` has options of its own."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 (click's Context, private to Typer)
        place = args.index("--") if "--" in args else len(args)
        ctx.meta[KEY] = tuple(args[place + 1 :])
        return super().parse_args(ctx, args[:place])

    def collect_usage_pieces(self, ctx: Any) -> list[str]:  # noqa: ANN401
        return [*super().collect_usage_pieces(ctx), "-- COMMAND..."]


def command_of(ctx: typer.Context) -> tuple[str, ...]:
    """The words after `--`."""
    words: tuple[str, ...] = ctx.meta[KEY]
    return words


def as_line(words: Sequence[str]) -> list[str]:
    """What ssh is given to run: a line for the shell there as it is, or one command; nothing for a shell of its own."""
    return list(words) if len(words) < 2 else [shlex.join(words)]


def as_argv(words: tuple[str, ...]) -> tuple[str, ...]:
    """One word is a line for the shell, several are a program with its arguments, each as it is."""
    return ("sh", "-c", words[0]) if len(words) == 1 else words
