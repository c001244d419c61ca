"""What a person sees: results on standard output, talk and progress on standard error.

Rich is imported where it is needed: commands that only talk, such as `generate`, start without it.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from slipway.events import Event, Listener

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status

PIPED_WIDTH = 100
"""Columns where there is no terminal to ask."""

STATE_WIDTH = 11
STILL_ALIVE = 20.0
"""Seconds after which a pipe, which shows only what ended, is told what is under way."""

STYLES = {
    "ok": "green",
    "done": "green",
    "unchanged": "dim",
    "skipped": "dim",
    "progress": "dim",
    "started": "dim",
    "degraded": "yellow",
    "reboot-required": "yellow",
    "blocked": "yellow",
    "failed": "red",
    "activation-failed": "red",
    "rolled-back": "red",
    "unreachable": "red",
    "red": "red",
    "green": "green",
}


def stdout() -> Console:
    return _console(stderr=False)


def stderr() -> Console:
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else PIPED_WIDTH
    return Console(stderr=stderr, highlight=False, width=width, soft_wrap=False)


def print_json(value: object) -> None:
    """The machine-readable result, alone on standard output."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def say(text: str) -> None:
    """One line of talk; `text` is shown as it is."""
    sys.stderr.write(text + "\n")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None) -> None:
    """A table on standard output; words that name an outcome get its colour."""
    from rich.table import Table

    table = Table(*columns, title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(_coloured("" if cell is None else str(cell)) for cell in row))
    stdout().print(table)


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def _coloured(text: str) -> str:
    style = STYLES.get(text)
    return f"[{style}]{_escape(text)}[/]" if style else _escape(text)


@contextmanager
def progress(*, quiet: bool = False) -> Iterator[Listener]:
    """A listener that shows events while the block runs.

    A terminal gets a line for whatever ended and a moving line for what is under way; a pipe gets the lines alone.
    """
    if quiet:
        yield lambda _event: None
        return
    console = stderr()
    write = partial(console.print, soft_wrap=True)
    if not console.is_terminal:
        yield _Lines(write).listen
        return
    with console.status("", spinner="dots") as status:
        yield _Lines(write, status).listen


class _Lines:
    """Turns events into lines; remembers when each thing started to say how long it took."""

    def __init__(self, write: Callable[[str], Any], status: Status | None = None) -> None:
        self._write = write
        self._status = status
        self._started: dict[tuple[str, str | None], float] = {}
        self._doing: dict[tuple[str, str | None], str] = {}
        self._last_written = time.monotonic()

    def listen(self, event: Event) -> None:
        key = (event.phase, event.node)
        text = str(event.data.get("text") or event.data.get("reason") or "")
        if event.state in ("started", "progress"):
            self._started.setdefault(key, time.monotonic())
            self._doing[key] = text
            if self._status is None and time.monotonic() - self._last_written > STILL_ALIVE:
                self._put(event, text)
        else:
            self._doing.pop(key, None)
            self._put(event, text)
            self._started.pop(key, None)
        self._show_doing()

    def _put(self, event: Event, text: str) -> None:
        """One line: phase, node, state, seconds since the thing began, words. Padded first, since colours count."""
        began = self._started.get((event.phase, event.node))
        took = f"{time.monotonic() - began:6.1f} s" if began is not None else ""
        state = f"{event.state:<{STATE_WIDTH}}"
        style = STYLES.get(event.state, "default")
        node = _escape(f"{event.node or '':<12}")
        line = f"{event.phase:<10} {node} [{style}]{state}[/] {took:>8}  {_escape(text)}"
        self._write(line.rstrip())
        self._last_written = time.monotonic()

    def _show_doing(self) -> None:
        if self._status is None:
            return
        under_way = [" ".join(filter(None, (phase, node, text))) for (phase, node), text in self._doing.items()]
        line = ", ".join(under_way)
        self._status.update(_escape(line[: self._status.console.width - 4]))
