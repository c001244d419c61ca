"""Groups with a command that is meant where none is named: `slipway runs` is `slipway runs list`."""

from __future__ import annotations

from typing import Any

import typer.core


class WithDefault(typer.core.TyperGroup):
    """Takes words that begin with no command for those of `default`; a word that is misspelt stays a command's."""

    default = "list"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 (click's Context, private to Typer)
        first = args[0] if args else "-"
        alone = first.startswith("-") and first not in ctx.help_option_names
        return super().parse_args(ctx, [self.default, *args] if alone else args)
