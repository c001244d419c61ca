"""The console script `slipway`: finds the command, runs it, turns errors into words and exit codes."""

from __future__ import annotations

import errno
import importlib
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any, NoReturn

import typer

from slipway import __version__
from slipway.cli import completion
from slipway.cli.dashes import WithCommand
from slipway.cli.summaries import summary
from slipway.errors import Interrupted, InvalidInput, SlipwayError, UsageError, exit_codes
from slipway.slips import nearest

Usage: type[Any] = typer.BadParameter.__mro__[1]
"""What Typer raises for words that it cannot take; it publishes only this one's children."""


@dataclass(frozen=True)
class Entry:
    """Where a command lives: `attribute` of `module` is its function, or a Typer app for a group of commands."""

    module: str
    attribute: str
    panel: str
    runs: bool = False
    """Whether a command for nodes follows after `--`."""


_DESCRIBE = "Describe your machines"
_DEPLOY = "Take them to a cluster"
_DAYS_AFTER = "After the first day"
_FLEET = "Work on the nodes"
_HELP = "Around it"

COMMANDS: dict[str, Entry] = {
    "init": Entry("slipway.cli.generate", "init", _DESCRIBE),
    "check": Entry("slipway.cli.inventory", "check", _DESCRIBE),
    "inventory": Entry("slipway.cli.inventory", "app", _DESCRIBE),
    "schema": Entry("slipway.cli.inventory", "schema", _DESCRIBE),
    "import": Entry("slipway.cli.inventory", "import_app", _DESCRIBE),
    "export": Entry("slipway.cli.inventory", "export_app", _DESCRIBE),
    "discover": Entry("slipway.cli.discover", "discover", _DESCRIBE),
    "hardware": Entry("slipway.cli.hardware", "hardware", _DESCRIBE),
    "trust": Entry("slipway.cli.trust", "trust", _DESCRIBE),
    "generate": Entry("slipway.cli.generate", "generate", _DEPLOY),
    "install": Entry("slipway.cli.install", "install", _DEPLOY),
    "plan": Entry("slipway.cli.deploy", "plan", _DEPLOY),
    "deploy": Entry("slipway.cli.deploy", "deploy", _DEPLOY),
    "resume": Entry("slipway.cli.deploy", "resume", _DEPLOY),
    "rollback": Entry("slipway.cli.deploy", "rollback", _DEPLOY),
    "verify": Entry("slipway.cli.verify", "verify", _DEPLOY),
    "secrets": Entry("slipway.cli.secrets", "app", _DEPLOY),
    "stages": Entry("slipway.cli.stages", "app", _DEPLOY),
    "gate": Entry("slipway.cli.gate", "gate", _DEPLOY),
    "handoff": Entry("slipway.cli.handoff", "handoff", _DEPLOY),
    "app": Entry("slipway.cli.apps", "app", _DEPLOY),
    "runs": Entry("slipway.cli.runs", "app", _DEPLOY),
    "kubeconfig": Entry("slipway.cli.kubeconfig", "kubeconfig", _DEPLOY),
    "encryption": Entry("slipway.cli.encryption", "app", _DEPLOY),
    "status": Entry("slipway.cli.verify", "status", _DEPLOY),
    "open": Entry("slipway.cli.access", "open_", _DEPLOY),
    "upgrade": Entry("slipway.cli.upgrade", "upgrade", _DAYS_AFTER),
    "backup": Entry("slipway.cli.backup", "backup", _DAYS_AFTER),
    "restore": Entry("slipway.cli.restore", "restore", _DAYS_AFTER),
    "rebuild": Entry("slipway.cli.rebuild", "rebuild", _DAYS_AFTER),
    "node": Entry("slipway.cli.node", "app", _DAYS_AFTER),
    "reset": Entry("slipway.cli.node", "reset", _DAYS_AFTER),
    "teardown": Entry("slipway.cli.teardown", "teardown", _DAYS_AFTER),
    "ssh": Entry("slipway.cli.fleet", "ssh", _FLEET, runs=True),
    "exec": Entry("slipway.cli.fleet", "exec_", _FLEET, runs=True),
    "logs": Entry("slipway.cli.fleet", "logs", _FLEET),
    "reboot": Entry("slipway.cli.deploy", "reboot", _FLEET),
    "doctor": Entry("slipway.cli.doctor", "doctor", _HELP),
    "completion": Entry("slipway.cli.shells", "completion", _HELP),
    "lab": Entry("slipway.cli.lab", "app", _HELP),
}
"""Each command once. Only the module of the command that is called gets imported: start-up stays short."""

EPILOG = "Exit codes: " + ", ".join(f"{code} {meaning}" for code, meaning in exit_codes().items()) + "."


def build(names: Sequence[str], *, listed: Sequence[str] = ()) -> typer.Typer:
    """The application with the commands `names` on it, and those of `listed` that help and completion only name."""
    app = typer.Typer(
        name="slipway",
        help="One host inventory to a running, self-managing Kubernetes cluster on bare-metal NixOS.",
        epilog=EPILOG,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        suggest_commands=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    for name, entry in COMMANDS.items():
        if name in names:
            _register(app, name, entry)
        elif name in listed:
            app.command(name, help=summary(entry.module, entry.attribute), rich_help_panel=entry.panel)(_only_named)
    return app


def _register(app: typer.Typer, name: str, entry: Entry) -> None:
    found = getattr(importlib.import_module(entry.module), entry.attribute)
    if isinstance(found, typer.Typer):
        app.add_typer(found, name=name, rich_help_panel=entry.panel)
    else:
        kind = WithCommand if entry.runs else None
        app.command(name, cls=kind, rich_help_panel=entry.panel)(found)


def _only_named() -> None:
    """Stands for a command in lists; who calls a command has it built."""
    raise NotImplementedError


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
    sys.exit(run(sys.argv[1:]))


def run(words: Sequence[str], begins: Callable[[], object] = lambda: None) -> int:
    """The whole program for these words; returns its exit code. `begins` is called when all is imported."""
    left, debug = _without_debug(words)
    return guarded(partial(_carry_out, left, begins), debug=debug, called=_called(left))


def _carry_out(words: Sequence[str], begins: Callable[[], object]) -> object:
    if words[:1] == [completion.ASK]:
        _complete(" ".join(words[1:]))
        return None
    called = _called(words)
    if called is None or _asks_for_help(words):
        _load_help()
    command = typer.main.get_command(build([called]) if called else build([], listed=list(COMMANDS)))
    _show_no_type_of_flags(command)
    _let_text_flow(command)
    begins()
    ended = command(args=list(words), prog_name="slipway", standalone_mode=False)
    sys.stdout.flush()  # here an error of it is told
    return ended


def _asks_for_help(words: Sequence[str]) -> bool:
    ours = words[: words.index("--")] if "--" in words else words
    return "--help" in ours or "-h" in ours


def _load_help() -> None:
    """Import what shows help, without what it brings for Markdown and for tracebacks in colours: nobody here writes
    the one or shows the other, and importing them is a third of what `--help` takes."""
    left_out = {"rich.markdown": "Markdown", "rich.traceback": "Traceback"}
    stand_ins = [name for name in left_out if name not in sys.modules]
    for name in stand_ins:
        sys.modules[name] = module = ModuleType(name)
        setattr(module, left_out[name], type(left_out[name], (), {}))
    try:
        importlib.import_module("typer.rich_utils")
    finally:
        for name in stand_ins:
            del sys.modules[name]


def _without_debug(words: Sequence[str]) -> tuple[list[str], bool]:
    """`--debug` may stand anywhere before a `--`: somebody adds it at the end of the line that went wrong."""
    end = words.index("--") if "--" in words else len(words)
    ours = [word for word in words[:end] if word != "--debug"]
    return [*ours, *words[end:]], len(ours) < end


def _complete(line: str) -> None:
    for each in completion.answer(line, lambda: typer.main.get_command(build(list(COMMANDS)))):
        typer.echo(each)


def _called(words: Sequence[str]) -> str | None:
    word = next((word for word in words if not word.startswith("-")), None)
    return word if word in COMMANDS else None


def _show_no_type_of_flags(command: Any) -> None:  # noqa: ANN401 (Typer's classes are private to it)
    """A flag takes no value: help names none."""
    for parameter in command.params:
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""
    command.get_help_option = partial(_without_type, command.get_help_option)
    for each in getattr(command, "commands", {}).values():
        _show_no_type_of_flags(each)


def _let_text_flow(command: Any) -> None:  # noqa: ANN401 (Typer's classes are private to it)
    """Help keeps the ends of lines that its source has, and a terminal that is narrower breaks each line once more."""
    if command.help:
        paragraphs = command.help.split("\n\n")
        command.help = "\n\n".join(each if "\n " in each else " ".join(each.split()) for each in paragraphs)
    for each in getattr(command, "commands", {}).values():
        _let_text_flow(each)


def _without_type(get: Callable[[Any], Any], context: Any) -> Any:  # noqa: ANN401
    option = get(context)
    option.metavar = ""
    return option


def guarded(app: Callable[[], object], *, debug: bool, called: str | None = None) -> int:
    """Run the application; return the exit code after telling a person what went wrong, if anything did.

    An error that knows no next command of its own names the help of the command `called`.
    """
    try:
        ended = app()
    except SlipwayError as error:
        _tell(error, f"slipway {called} --help" if called else "slipway --help")
        return error.exit_code
    except Usage as error:
        if error.format_message():  # nothing is said beside the help that a call without words shows
            _tell(_wrong_usage(error, called))
        return UsageError.exit_code
    except (KeyboardInterrupt, typer.Abort):
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
        _tell(SlipwayError(f"{type(error).__name__}: {error}", hint="the same command with --debug, for a bug report"))
        return SlipwayError.exit_code
    return ended if isinstance(ended, int) else 0


def _wrong_usage(error: Any, called: str | None) -> UsageError:  # noqa: ANN401 (private to Typer)
    """What the parser of options refuses, with the command whose help says how it is used: of an option without its
    value the parser does not say which that is."""
    context = error.ctx
    unknown = context is not None and re.fullmatch(r"No such command '(.*)'\.", error.format_message())
    if unknown:
        near = _meant(unknown[1], context)
        if near:
            return UsageError(f"there is no command {unknown[1]!r}", hint=f"{context.command_path} {near}")
    path = context.command_path if context else f"slipway {called or ''}".rstrip()
    return UsageError(error.format_message(), hint=f"{path} --help")


_NEVER_MEANT = ("lab", "node")
"""Groups whose commands nobody means who leaves the group out: another world, and what takes nodes away."""


def _meant(word: str, context: Any) -> str | None:  # noqa: ANN401 (private to Typer)
    """The command that `word` is a slip of, or that is called so within a group: `slipway fmt` is `inventory fmt`.

    No longer and no shorter word, since some commands take away what others make: `build` is not `rebuild`.
    """
    near = nearest(word, context.command.commands)
    if near is not None and abs(len(near) - len(word)) <= 1:
        return near
    if context.parent is not None:
        return None
    from slipway.cli.reference import every_command

    inner = [words for words, _ in every_command() if len(words) > 1 and words[0] not in _NEVER_MEANT]
    found = [" ".join(words) for words in inner if words[-1] == word]
    return found[0] if len(found) == 1 else None


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


def _tell(error: SlipwayError, otherwise: str | None = None) -> None:
    from slipway.cli.console import stderr

    console = stderr()
    console.print("error:", style="bold red", end=" ")
    console.print(str(error), soft_wrap=True)
    if error.hint or otherwise:
        console.print(f"next:  {error.hint or otherwise}", soft_wrap=True)
