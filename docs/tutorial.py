"""Runs the tutorial in the lab and writes down what came: `python docs/tutorial.py`, as root ($SLIPWAY_LAB: which lab).

Commands stand in tutorial.md alone, behind `$ ` in its console blocks. They are typed here in their order; what each
said goes into tutorial.record.json, from there back into the page, and into the picture of the README. What differs
from run to run is taken out in one place (`normalised`).
"""

from __future__ import annotations

import io
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text

from slipway.tools.run import run as run_program

DOCS = Path(__file__).parent
ROOT = DOCS.parent
PAGE, RECORD, PICTURE = DOCS / "tutorial.md", DOCS / "tutorial.record.json", DOCS / "tutorial.svg"
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.S | re.M)
PROMPT = "$ "
LONGEST = 3600.0
"""Seconds for one command: the first `lab up` of a machine builds Kubernetes."""
SHOWN = (
    "slipway check",
    "slipway deploy",
    "slipway verify",
    "slipway handoff",
    "kubectl --context lab --namespace hello exec",
    "slipway status",
)
"""How the commands of the picture begin; each is there once."""
WIDTH = 110
"""Columns of the picture; what is longer is cut there, and whole in the page."""


@dataclass(frozen=True)
class Said:
    """A command as the page has it, and what it said, normalised."""

    command: str
    output: str

    @property
    def typed(self) -> str:
        return self.command.partition("  # ")[0]

    @property
    def expected(self) -> int:
        """The exit code that the comment behind the command names."""
        named = re.search(r"  # .*exit code (\d+)", self.command)
        return int(named[1]) if named else 0


def commands(page: str) -> list[str]:
    return [said.command for said in shown(page)]


def shown(page: str) -> list[Said]:
    """What the page shows, in its order."""
    return [said for block in BLOCK.findall(page) for said in _in_block(block)]


def _in_block(block: str) -> Iterator[Said]:
    for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
        command, _, output = part.partition("\n")
        yield Said(command, output.rstrip("\n"))


def filled(page: str, record: Sequence[Said]) -> str:
    """The page with the outputs of the record."""
    left = iter(record)

    def fill(block: re.Match[str]) -> str:
        text = ""
        for _ in _in_block(block[1]):
            said = next(left)
            text += f"{PROMPT}{said.command}\n" + (f"{said.output}\n" if said.output else "")
        return f"```console\n{text}```"

    return BLOCK.sub(fill, page)


_PROGRESS = re.compile(r"^\S+ +(\S+ +)?(ok|done|unchanged|skipped|green|looked|taken)( |$)|^waiting +for ")
"""Lines of progress, on standard error: which ones come, and in which order, is a matter of speed."""
_DIFFERENT: tuple[tuple[str, str], ...] = (
    (r"\b10\.(?:7[7-9]|8\d)\.0\.(\d+)\b", r"10.77.0.\1"),
    (r"\b[0-9a-z]{8}( slipway-lab-system)", r"xxxxxxxx\1"),
    (r"/slipway-lab-\d+/", "/slipway-lab/"),
    (r"\bAAAA[0-9A-Za-z+/]{40,}", "AAAA..."),
    (r"\bage1[0-9a-z]{50,}", "age1xxxxxxxx"),
    (r"\d{8}T\d{6}Z-[0-9a-f]{4}", "20260101T000000Z-0000"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", "2026-01-01T00:00:00+00:00"),
    (r"\b(?=[0-9a-f]*[0-9])[0-9a-f]{12}\b", "0123456789ab"),
    (r"\b[0-9a-f]{16}\b", "0123456789abcdef"),
)
_TIMES = re.compile(r"\b(\d+(?:\.\d+)?)( s| min| h)\b|(?<=  )(\d+[smh](?:\d+[smh])?)(?= |$)", re.M)


def normalised(text: str, home: str = "") -> str:
    """The same for every run: no seconds, no hashes, the addresses of the lab with the number 0, no place."""
    text = text.replace(home, "~") if home else text
    for pattern, put in _DIFFERENT:
        text = re.sub(pattern, put, text)
    text = _TIMES.sub(lambda found: "…".rjust(len(found[1] or found[3])) + (found[2] or ""), text)
    return "\n".join(line.rstrip() for line in text.splitlines()).rstrip("\n")


def run(page: str, home: Path) -> Iterator[Said]:
    """Type every command of the page; each one's words as it ends. Ends where one ends otherwise than the page says."""
    place = home
    for command in commands(page):
        said, place = _typed(Said(command, ""), place, home)
        yield said


def _typed(asked: Said, place: Path, home: Path) -> tuple[Said, Path]:
    """`cd` and what else a shell keeps goes on to the next command by its folder alone."""
    print(f"{PROMPT}{asked.command}", file=sys.stderr, flush=True)
    with tempfile.NamedTemporaryFile("r") as where:
        script = f"{asked.typed}\ncode=$?; pwd >{where.name}; exit $code"
        argv = ["bash", "-c", script]
        ended = run_program(argv, cwd=place, env=_environment(home), timeout=LONGEST, check=False)
        left = Path(where.read().strip() or place)
    if ended.exit_code != asked.expected:
        sys.exit(f"exit code {ended.exit_code}, not {asked.expected}\n{ended.stdout}{ended.stderr}")
    talk = "\n".join(line for line in ended.stderr.splitlines() if not _PROGRESS.match(line))
    return Said(asked.command, normalised(f"{ended.stdout}{talk}", str(home))), left


def _environment(home: Path) -> dict[str, str]:
    """Of somebody new: no age key, no kubeconfig, a name for commits."""
    names = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER")
             for what, value in (("NAME", "You"), ("EMAIL", "you@example.org"))}  # fmt: skip
    programs = Path(sys.executable).parent
    own = {"HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config"), "KUBECONFIG": str(home / ".kube/config")}
    path = os.pathsep.join((str(programs), os.environ["PATH"]))
    # The cache of builds stays where it is: a new one takes half an hour to fill.
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return {**os.environ, **names, **own, "PATH": path, "XDG_CACHE_HOME": cache, "SLIPWAY": str(ROOT)}


def read(text: str) -> list[Said]:
    return [Said(**each) for each in json.loads(text)]


def written(record: Sequence[Said]) -> str:
    return json.dumps([asdict(said) for said in record], indent=2, ensure_ascii=False) + "\n"


FRAME = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">
<title>A terminal with a run of slipway in the lab</title>
<style>
.{unique_id}-matrix {{
  font: {char_height}px/{line_height}px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
}}
.{unique_id}-title {{ font: bold 18px ui-sans-serif, Helvetica, Arial, sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g></g></svg>
"""


def picture(record: Sequence[Said]) -> str:
    """The run as a terminal shows it. No font and nothing else is asked of a network."""
    console = Console(
        record=True,
        width=WIDTH,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
        _environ={},  # whatever terminal this is typed at
    )
    for said in (next(each for each in record if each.typed.startswith(begins)) for begins in SHOWN):
        text = Text(said.output)
        text.highlight_regex(r"\b(ok|green|Ready|done)\b", "green")
        console.print(Text(f"{PROMPT}{said.command}", "bold bright_white"))
        console.print(text, no_wrap=True, overflow="ellipsis", crop=True)
        console.print()
    return console.export_svg(title="slipway in the lab", code_format=FRAME, unique_id="slipway")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        page = PAGE.read_text()
        record = [*run(page, Path(folder))]
    RECORD.write_text(written(record))
    PAGE.write_text(filled(page, record))
    PICTURE.write_text(picture(record))


if __name__ == "__main__":
    main()
