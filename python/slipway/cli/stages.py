"""`slipway stages`: the law of the stages, held against the files."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from slipway.cli import apps
from slipway.cli.console import print_json, say, tell, write
from slipway.cli.options import JsonOption
from slipway.stages import law
from slipway.stages.law import RULES, Verdict
from slipway.stages.law import layout as layouts
from slipway.words import counted, to_json

app = typer.Typer(help="Look at the GitOps stages of a repository.", no_args_is_help=True)

RepositoryArgument = Annotated[
    Path, typer.Argument(help="The repository.", metavar="[DIR]", exists=True, file_okay=False, show_default=False)
]
StageOption = Annotated[
    list[str] | None,
    typer.Option(
        "--stage",
        help="A stage of another layout and its folders; once a stage, in their order. Else stages.yaml says it.",
        metavar="NAME=FOLDER[,FOLDER...]",
        show_default=False,
    ),
]
ProvidesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--provides",
        help="What is there before the first stage: Kind/name, Kind/namespace/name, or an API group.",
        metavar="WHAT",
        show_default=False,
    ),
]


class Format(StrEnum):
    SVG = "svg"
    MERMAID = "mermaid"


app.command()(apps.eject)


@app.command()
def lint(
    repository: RepositoryArgument = Path(),
    stage: StageOption = None,
    provides: ProvidesOption = None,
    json_output: JsonOption = False,
    sarif: Annotated[
        Path | None, typer.Option("--sarif", help="Write SARIF here too, for code hosts.", metavar="FILE")
    ] = None,
) -> None:
    """Hold a repository to the stage law: a stage may depend on earlier stages only. Nothing is contacted.

    Works on any Flux repository, given which folders are which stage.

    Example: slipway stages lint

    Example: slipway stages lint --stage infra=infrastructure --stage apps=apps/base,apps/production
    """
    verdict = _judge(repository, stage, provides)
    if sarif is not None:
        from slipway.report.sarif import render

        sarif.write_text(to_json(render(verdict), indent=2) + "\n")
    if json_output:
        print_json(verdict.to_json())
    else:
        _show(verdict)
    verdict.require()


@app.command()
def graph(
    repository: RepositoryArgument = Path(),
    stage: StageOption = None,
    provides: ProvidesOption = None,
    style: Annotated[Format, typer.Option("--format", help="Picture, or text for Markdown.")] = Format.SVG,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write here; default: standard output.", metavar="FILE")
    ] = None,
) -> None:
    """Draw stages, apps and what leans on what; breaches of the law in red.

    Example: slipway stages graph -o stages.svg
    """
    from slipway.report import stage_graph

    verdict = _judge(repository, stage, provides)
    drawn = stage_graph.svg(verdict) if style is Format.SVG else stage_graph.mermaid(verdict)
    if output is None:
        write(drawn)
        return
    output.write_text(drawn)
    say(f"wrote {output}")


def _judge(repository: Path, stages: list[str] | None, provides: list[str] | None) -> Verdict:
    return law.lint(layouts.of(repository, stages or (), provides or ()))


def _show(verdict: Verdict) -> None:
    for breach in verdict.breaches:
        tell(str(breach))
    for rule in dict.fromkeys(breach.rule for breach in verdict.breaches):
        say(f"{rule}: {RULES[rule].fix}")
    if not verdict.breaches and not verdict.unread:
        apps = len(verdict.apps)
        tell(
            f"the stage law is kept: {counted(verdict.objects, 'object')} in {counted(apps, 'app')}, "
            f"{' → '.join(verdict.stages)}"
        )
