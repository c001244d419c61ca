"""What a shell offers for the word that is being typed.

A shell asks with each press of its key and waits for the answer, so nothing of a command is imported: its words come
from a table of all commands that is made once for each version of slipway and kept in the user's cache.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

from slipway import __version__, paths

ASK = "__complete"
"""`slipway __complete LINE` answers a shell: a candidate on each line, then a tab and what it is, if that is known."""

Table = Mapping[str, Mapping[str, Any]]
"""By the words of a command ("deploy", "runs show"): `commands` and `options` with a text for each, `values` with the
placeholder of what follows an option, `arguments` with those of the arguments in order."""

BASH = """\
# bash completion for slipway: eval "$(slipway completion bash)"
_slipway() {
    local line=${COMP_LINE:0:COMP_POINT} word=${COMP_WORDS[COMP_CWORD]} typed prefix each
    typed=${line##*[[:space:]]} prefix=${line##*[[:space:]]}
    prefix=${typed%"$word"}
    COMPREPLY=()
    while IFS= read -r each; do
        each=${each%%$'\\t'*}
        COMPREPLY+=("${each#"$prefix"}")
    done < <(slipway __complete "$line" 2>/dev/null)
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == */ ]] && compopt -o nospace
    return 0
}
complete -F _slipway slipway
"""
# Bash breaks words at : and @ too and replaces the last part alone: hence the prefix.

ZSH = """\
#compdef slipway
# zsh completion for slipway: source <(slipway completion zsh)
_slipway() {
    local -a said; local each
    for each in "${(@f)$(slipway __complete "${(j: :)words[1,CURRENT]}" 2>/dev/null)}"; do
        [[ -n $each ]] && said+=("${${each%%$'\\t'*}//:/\\\\:}${${each#*$'\\t'}:+:${each#*$'\\t'}}")
    done
    _describe slipway said
}
if [[ $funcstack[1] == _slipway ]]; then _slipway "$@"; else compdef _slipway slipway; fi
"""
# As a file of zsh's fpath it is the body of the function itself, called for the first answer already.

FISH = """\
# fish completion for slipway: slipway completion fish | source
complete --command slipway --no-files --arguments '(slipway __complete (commandline -cp) 2>/dev/null)'
"""

STAGES = ("bootstrap", "cluster-base-apps", "cluster-apps")
"""As slipway.stages.model has them, which imports much."""

SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


def answer(line: str, build: Callable[[], Any]) -> Iterator[str]:
    """The candidates for the last word of `line`, which begins with the program's name; `build` makes the commands."""
    words = _split(line)[1:]
    typed = words.pop() if words and not line[-1:].isspace() else ""
    for candidate, text in _candidates(words, typed, table(build)):
        if candidate.startswith(typed):
            yield f"{candidate}\t{text}" if text else candidate


def _split(line: str) -> list[str]:
    with suppress(ValueError):
        return shlex.split(line)
    return line.split()


def _candidates(words: Sequence[str], typed: str, known: Table) -> Iterator[tuple[str, str]]:
    command, rest = _command(words, known)
    entry = known[command]
    if "--" in rest:
        return
    if rest and rest[-1] in entry["values"]:
        yield from _values(entry["values"][rest[-1]], rest, typed)
    elif typed.startswith("-"):
        yield from entry["options"].items()
    elif entry["commands"]:
        yield from entry["commands"].items()
    elif entry["arguments"]:
        given = len(_arguments(rest, entry["values"]))
        several = entry["arguments"][-1].endswith("...")
        if given < len(entry["arguments"]) or several:
            yield from _values(entry["arguments"][min(given, len(entry["arguments"]) - 1)], rest, typed)


def _command(words: Sequence[str], known: Table) -> tuple[str, list[str]]:
    """The longest command that the line begins with, and the words after it."""
    command, rest = "", list(words)
    while rest and f"{command} {rest[0]}".strip() in known:
        command = f"{command} {rest.pop(0)}".strip()
    return command, rest


def _arguments(words: Sequence[str], values: Mapping[str, str]) -> list[str]:
    """The words that are neither options nor what follows one."""
    pairs = zip(("", *words), words, strict=False)
    return [word for before, word in pairs if before not in values and not word.startswith("-")]


def _values(placeholder: str, words: Sequence[str], typed: str) -> Iterator[tuple[str, str]]:
    kind = placeholder.strip("[].").removesuffix("...")
    if kind in ("NODE", "HOST"):
        yield from _nodes(_inventory_file(words))
    elif kind in ("FILE", "file", "path", "DIR", "directory"):
        yield from ((each, "") for each in _files(typed, folders_only=kind in ("DIR", "directory")))
    elif kind == "RUN":
        folder = paths.state_dir(_inventory_file(words).parent) / "runs"
        yield from ((each.name, "") for each in sorted(folder.glob("*/"), reverse=True))
    elif kind == "STAGE":
        yield from ((each, "") for each in STAGES)
    elif kind == "PACK":
        packs = Path(__file__).parents[1] / "verify" / "packs"
        yield from ((each.parent.name, "") for each in sorted(packs.glob("*/__init__.py")))
    elif "|" in kind:
        yield from ((each, "") for each in kind.split("|"))


def _files(typed: str, *, folders_only: bool) -> Iterator[str]:
    with suppress(OSError):
        for each in sorted(Path(typed).parent.glob("*") if not typed.endswith("/") else Path(typed).glob("*")):
            if each.is_dir():
                yield f"{each}/"
            elif not folders_only:
                yield str(each)


def _inventory_file(words: Sequence[str]) -> Path:
    from slipway.cli.options import INVENTORY_VARIABLE, find_inventory

    named = [after for before, after in pairwise(words) if before in ("-i", "--inventory")]
    elsewhere = named[-1] if named else os.environ.get(INVENTORY_VARIABLE)
    return Path(elsewhere) if elsewhere else find_inventory()


def _nodes(file: Path) -> Iterator[tuple[str, str]]:
    """What a selection may name in an inventory that need not be right: it may be half written."""
    import yaml

    with suppress(OSError, ValueError, yaml.YAMLError, RecursionError):
        data = yaml.load(file.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
        hosts = {str(name): _mapping(entry) for name, entry in _mapping(_mapping(data).get("hosts")).items()}
        yield from ((name, str(entry.get("role", ""))) for name, entry in hosts.items())
        yield from ((f"@{mark}", "group") for mark in _mapping(_mapping(data).get("groups")))
        listed = [entry.get("tags") for entry in hosts.values()]
        tags = {str(tag) for each in listed if isinstance(each, list) for tag in each}
        yield from ((f"@{tag}", "tag") for tag in sorted(tags))
        yield from ((role, "role") for role in ("controller", "worker") if hosts)


def _mapping(value: object) -> Mapping[Any, Any]:
    return value if isinstance(value, dict) else {}


def table(build: Callable[[], Any]) -> Table:
    """All commands as they are now; kept in the user's cache where it can be written."""
    file = paths.cache_dir() / f"completion-{_edition()}.json"
    with suppress(OSError, ValueError):
        return dict(json.loads(file.read_text(encoding="utf-8")))
    made = dict(_entries("", build()))
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        for old in file.parent.glob("completion-*.json"):
            old.unlink(missing_ok=True)
        file.write_text(json.dumps(made), encoding="utf-8")
    return made


def _edition() -> str:
    """Another one for each change of the commands' modules."""
    modules = sorted(Path(__file__).parent.glob("*.py"))
    stated = [(each.name, each.stat().st_mtime_ns, each.stat().st_size) for each in modules]
    return hashlib.sha256(repr((__version__, str(Path(__file__).parent), stated)).encode()).hexdigest()[:16]


def _entries(words: str, command: Any) -> Iterator[tuple[str, dict[str, Any]]]:  # noqa: ANN401 (private to Typer)
    inner: Mapping[str, Any] = getattr(command, "commands", {})
    meant = inner.get(getattr(command, "default", ""))
    options = [each for each in (meant or command).params if each.param_type_name == "option" and not each.hidden]
    yield (
        words,
        {
            "commands": {name: _short(each.help) for name, each in inner.items()},
            "options": {opt: _short(each.help) for each in options for opt in (*each.opts, *each.secondary_opts)}
            | {"--help": "Show the help and leave."},
            "values": {opt: _placeholder(each) for each in options if not each.is_flag for opt in each.opts},
            "arguments": [_placeholder(each) for each in command.params if each.param_type_name == "argument"],
        },
    )
    for name, each in inner.items():
        yield from _entries(f"{words} {name}".strip(), each)


def _short(text: str | None) -> str:
    return " ".join((text or "").partition("\n\n")[0].split()).partition(". ")[0].rstrip(".")


def _placeholder(parameter: Any) -> str:  # noqa: ANN401 (private to Typer)
    """The metavar; of an enumeration its choices, as help shows them: `<bash|zsh|fish>`."""
    return (
        str(parameter.metavar or parameter.display_type(None) or "")
        .removeprefix("<")
        .removeprefix("list[")
        .strip("<]>")
    )
