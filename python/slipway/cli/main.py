"""The console script `slipway`: finds the command, runs it, turns errors into words and exit codes."""

from __future__ import annotations

import errno
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

import typer

from slipway import __version__
from slipway.errors import Interrupted, InvalidInput, SlipwayError, exit_codes


@dataclass(frozen=True)
class Entry:
    """Where a command lives: `attribute` of `module` is its function, or a Typer app for a group of commands."""

    module: str
    attribute: str
    panel: str


_DESCRIBE = "Describe your machines"
_DEPLOY = "Take them to a cluster"
_HELP = "Around it"

COMMANDS: dict[str, Entry] = {
    "init": Entry("slipway.cli.generate", "init", _DESCRIBE),
    "check": Entry("slipway.cli.inventory", "check", _DESCRIBE),
    "inventory": Entry("slipway.cli.inventory", "app", _DESCRIBE),
    "schema": Entry("slipway.cli.inventory", "schema", _DESCRIBE),
    "import": Entry("slipway.cli.inventory", "import_app", _DESCRIBE),
    "export": Entry("slipway.cli.inventory", "export_app", _DESCRIBE),
    "discover": Entry("slipway.cli.discover", "discover", _DESCRIBE),
    "trust": Entry("slipway.cli.trust", "trust", _DESCRIBE),
    "generate": Entry("slipway.cli.generate", "generate", _DEPLOY),
    "plan": Entry("slipway.cli.deploy", "plan", _DEPLOY),
    "deploy": Entry("slipway.cli.deploy", "deploy", _DEPLOY),
    "resume": Entry("slipway.cli.deploy", "resume", _DEPLOY),
    "rollback": Entry("slipway.cli.deploy", "rollback", _DEPLOY),
    "verify": Entry("slipway.cli.verify", "verify", _DEPLOY),
    "stages": Entry("slipway.cli.stages", "app", _DEPLOY),
    "gate": Entry("slipway.cli.gate", "gate", _DEPLOY),
    "handoff": Entry("slipway.cli.handoff", "handoff", _DEPLOY),
    "app": Entry("slipway.cli.apps", "app", _DEPLOY),
    "runs": Entry("slipway.cli.runs", "app", _DEPLOY),
    "kubeconfig": Entry("slipway.cli.kubeconfig", "kubeconfig", _DEPLOY),
    "status": Entry("slipway.cli.verify", "status", _DEPLOY),
    "doctor": Entry("slipway.cli.doctor", "doctor", _HELP),
    "lab": Entry("slipway.cli.lab", "app", _HELP),
}
"""Each command once. Only the module of the command that is called gets imported: start-up stays short."""

EPILOG = "Exit codes: " + ", ".join(f"{code} {meaning}" for code, meaning in exit_codes().items()) + "."


def build(names: Sequence[str]) -> typer.Typer:
    """The application with these commands on it."""
    app = typer.Typer(
        name="slipway",
        help="One host inventory to a running, self-managing Kubernetes cluster on bare-metal NixOS.",
        epilog=EPILOG,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    for name in names:
        _register(app, name, COMMANDS[name])
    return app


def _register(app: typer.Typer, name: str, entry: Entry) -> None:
    found = getattr(importlib.import_module(entry.module), entry.attribute)
    if isinstance(found, typer.Typer):
        app.add_typer(found, name=name, rich_help_panel=entry.panel)
    else:
        app.command(name, rich_help_panel=entry.panel)(found)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"slipway {__version__}")
        raise typer.Exit


def _options(
    version: bool = typer.Option(
        False, "--version", help="Print the version and leave.", is_eager=True, callback=_print_version
    ),
    debug: bool = typer.Option(False, "--debug", help="Show a traceback where slipway itself went wrong."),
) -> None:
    """What every command has; `--debug` is read by `main`, before there is a command."""


def main() -> NoReturn:
    debug = "--debug" in sys.argv[1:]
    # It may stand anywhere: somebody adds it at the end of the line that went wrong.
    sys.argv[1:] = words = [word for word in sys.argv[1:] if word != "--debug"]
    called = next((word for word in words if not word.startswith("-")), None)
    app = build([called] if called in COMMANDS else list(COMMANDS))
    sys.exit(guarded(partial(app, prog_name="slipway"), debug=debug))


def guarded(app: Callable[[], object], *, debug: bool) -> int:
    """Run the application; return the exit code after telling a person what went wrong, if anything did."""
    try:
        app()
    except SlipwayError as error:
        _tell(error)
        return error.exit_code
    except KeyboardInterrupt:
        _tell(Interrupted("interrupted"))
        return Interrupted.exit_code
    except BrokenPipeError:
        # The reader of click's own output (head, less) had enough: not an error, and nothing more can be told to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if debug:
            raise
        _tell(_of_the_system(error))
        return InvalidInput.exit_code
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    except Exception as error:
        if debug:
            raise
        _tell(
            SlipwayError(
                f"{type(error).__name__}: {error}", hint="the same command with --debug before it, for a bug report"
            )
        )
        return SlipwayError.exit_code
    return 0


_FIXES = {
    errno.EACCES: "look at its owner and mode: ls -ld",
    errno.EPERM: "look at its owner and mode: ls -ld",
    errno.EROFS: "mount it writable, or work in another folder",
    errno.ENOSPC: "df -h, and free some room",
    errno.EDQUOT: "df -h, and free some room",
    errno.EMFILE: "ulimit -n 4096, then again",
}


def _of_the_system(error: OSError) -> InvalidInput:
    """What the operating system refused, with the file and what usually helps: no fault of slipway's."""
    what = error.strerror or str(error) or type(error).__name__
    where = f"{error.filename}: " if error.filename else ""
    fix = _FIXES.get(error.errno or 0, "is it the right file or folder?")
    return InvalidInput(f"{where}{what}", hint=f"{fix} {error.filename}" if fix.endswith("ls -ld") else fix)


def _tell(error: SlipwayError) -> None:
    from slipway.cli.console import stderr

    console = stderr()
    console.print("error:", style="bold red", end=" ")
    console.print(str(error), soft_wrap=True)
    if error.hint:
        console.print(f"next:  {error.hint}", soft_wrap=True)
