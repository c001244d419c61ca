"""What a person sees: results on standard output, talk and progress on standard error.

All of slipway's own output passes here, so that data is printed as data: no control sequence, no markup and no emoji
code in a node's words means anything. A reader that is gone ends nothing: what was to be said to it is dropped.

Rich is imported where it is needed: commands that only talk, such as `generate`, start without it.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from typing import IO, TYPE_CHECKING, Any, TextIO, cast

from slipway.cli.board import Board
from slipway.events import BEGINNING, Event, Listener, in_the_background
from slipway.words import line as one_line
from slipway.words import plain, to_json

if TYPE_CHECKING:
    from rich.console import Console, Group
    from rich.text import Text

PIPED_WIDTH = 100
"""Columns where there is no terminal to ask."""

BETWEEN = 2
"""Blanks between two columns of a table."""

LONGEST_ROW = 100_000
"""Columns of a table that nobody looks at: as good as any number."""

READER_GONE = (errno.EPIPE, errno.EIO)
"""How a pipe and a terminal say that nobody is at their other end any more."""

STATE_WIDTH = 11
STILL_ALIVE = 20.0
"""Seconds after which a pipe, which shows only what ended, is told what is under way."""
LOOK_AROUND = 1.0
"""Seconds between two looks at whether that is so."""
DRAWN = 4
"""Times a second."""
WELL = ("ok", "done", "unchanged", "green")
"""States of a node that need nobody's eye while others are at work."""

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
    "not trusted": "red",
    "never deployed": "yellow",
    "not NixOS": "yellow",
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
    steady = cast("IO[str]", _Steady(stream))
    return Console(file=steady, highlight=False, markup=False, emoji=False, width=width, soft_wrap=False)


class _Steady:
    """A stream that takes what nobody can read any more as if somebody did."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with _whether_or_not_it_is_read(self._stream):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with _whether_or_not_it_is_read(self._stream):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 (whatever the stream has: isatty, fileno, encoding)
        return getattr(self._stream, name)


@contextmanager
def _whether_or_not_it_is_read(stream: TextIO) -> Iterator[None]:
    """A pipe whose reader ended, a terminal that was closed: from then on the stream leads to nowhere.

    Talk that cannot be written is no loss either; a result that meets a full disk is, and raises OSError.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in READER_GONE and stream is not sys.stderr:
            raise
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)


def _write(stream: TextIO, text: str) -> None:
    steady = _Steady(stream)
    steady.write(text)
    steady.flush()


def somebody_is_there() -> bool:
    """Whether a question would be answered."""
    return sys.stdin.isatty()


def print_json(value: object) -> None:
    """The machine-readable result, alone on standard output."""
    _write(sys.stdout, to_json(value, indent=2) + "\n")


def print_json_line(value: object) -> None:
    """One of several results, each on a line of standard output."""
    _write(sys.stdout, to_json(value) + "\n")


def clear() -> None:
    """An empty terminal for what is drawn anew; nothing where standard output is none."""
    stdout().clear()


def tell(text: str) -> None:
    """Lines of a result on standard output; `text` is shown as it is, but for what is no text."""
    _write(sys.stdout, plain(text) + "\n")


def write(text: str) -> None:
    """A file's text on standard output, byte for byte as far as it is text: for what is redirected into a file."""
    _write(sys.stdout, plain(text))


def say(text: str) -> None:
    """Lines of talk on standard error, shown in the same way."""
    _write(sys.stderr, plain(text) + "\n")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None) -> None:
    """A table on standard output; words that name an outcome get its colour.

    No word is cut, since somebody copies it: a terminal folds between words, and is given longer lines where that does
    not suffice, which it wraps itself; a pipe has a line for each row.
    """
    from rich.table import Column, Table

    lines = [["" if cell is None else str(cell) for cell in row] for row in rows]
    widths = [_longest_word(cells) for cells in zip(columns, *lines, strict=True)]
    table = Table(
        *(Column(plain(name), min_width=width, overflow="fold") for name, width in zip(columns, widths, strict=True)),
        title=title and plain(title),
        title_justify="left",
        box=None,
        pad_edge=False,
        header_style="bold",
    )
    for line in lines:
        table.add_row(*map(_coloured, line))
    console = stdout()
    if console.is_terminal:
        console.width = max(console.width, sum(widths) + BETWEEN * (len(widths) - 1))
        console.print(table, soft_wrap=True)
        return
    console.width = LONGEST_ROW
    with console.capture() as drawn:
        console.print(table)
    # The last column is drawn as wide as its widest word: blanks in the way of whoever copies or compares lines.
    _write(sys.stdout, "".join(f"{line.rstrip()}\n" for line in drawn.get().removesuffix("\n").split("\n")))


def _longest_word(cells: Iterable[str]) -> int:
    from rich.cells import cell_len

    return max((cell_len(word) for cell in cells for word in plain(cell).split()), default=0)


def _coloured(text: str) -> Text:
    """`text` as it is, in the colour of its whole: Rich reads no markup in a Text."""
    from rich.text import Text

    return Text(plain(text), STYLES.get(text.strip(), ""))


@contextmanager
def progress(*, quiet: bool = False) -> Iterator[Listener]:
    """A listener that shows events while the block runs.

    A terminal gets a table of what is under way, which is gone at the end, and a line for what concerns all or did not
    go well; a pipe gets a line for whatever ended, and now and then one for what is waited for. Nobody waits for
    either: events are shown in a thread of their own.
    """
    if quiet:
        yield lambda _event: None
        return
    console = stderr()
    shown = _Lines(partial(console.print, soft_wrap=True), on_screen=console.is_terminal)
    screen = _Screen(console, shown.board) if console.is_terminal else nullcontext()
    with screen, in_the_background(shown.listen, shown.idle, LOOK_AROUND) as listener:
        yield listener


@contextmanager
def aside() -> Iterator[None]:
    """No table is drawn while the block runs: it would go over a question, and over what somebody types."""
    screen = _SCREENS[-1] if _SCREENS else None
    if screen is not None:
        screen.stop()
    try:
        yield
    finally:
        if screen is not None:
            screen.start()


class _Screen:
    """The table, drawn anew some times a second: the seconds of one that hangs go on where nothing else happens."""

    def __init__(self, console: Console, board: Board) -> None:
        self._console = console
        self._board = board

    def __enter__(self) -> None:
        self.start()
        _SCREENS.append(self)

    def __exit__(self, *_: object) -> None:
        _SCREENS.remove(self)
        self.stop()

    def start(self) -> None:
        from rich.live import Live

        self._live = Live(console=self._console, get_renderable=self._draw, refresh_per_second=DRAWN, transient=True)
        self._live.start(refresh=True)

    def stop(self) -> None:
        self._live.stop()

    def _draw(self) -> Group:
        from rich.console import Group

        return Group(*map(_coloured, self._board.rows(self._console.width, self._console.height - 1)))


_SCREENS: list[_Screen] = []
"""Those that are drawn on now."""


class _Lines:
    """Turns events into lines. What ended quietly gets none; on a screen, what ended well is a number in the table."""

    def __init__(self, write: Callable[[Text], Any], *, on_screen: bool) -> None:
        self.board = Board()
        self._write = write
        self._on_screen = on_screen
        self._last_written = time.monotonic()

    def listen(self, event: Event) -> None:
        took = self.board.hear(event)
        if event.state in BEGINNING:
            self.idle()
        elif not event.data.get("quiet") and not (self._on_screen and event.node and event.state in WELL):
            self._put(event, took)

    def idle(self) -> None:
        """A pipe shows only what ended: it is told who is waited for."""
        if self._on_screen or time.monotonic() - self._last_written <= STILL_ALIVE:
            return
        if waited_for := self.board.waited_for():
            self._write(_coloured(f"{'waiting':<10} for {waited_for}"))
            self._last_written = time.monotonic()

    def _put(self, event: Event, seconds: float | None) -> None:
        """One line: phase, node, state, seconds since the thing began, words. Padded first, since colours count."""
        # Lines of a node's words stand apart from ours, so that they cannot be taken for another node's.
        text = event.words.rstrip().replace("\n", "\n    ")
        took = f"{seconds:6.1f} s" if seconds is not None else ""
        state = f"{event.state:<{STATE_WIDTH}}"
        line = _coloured(f"{event.phase:<10} {one_line(event.node or ''):<12} ")
        line.append(_coloured(state)).append(_coloured(f" {took:>8}  {text}"))
        line.rstrip()
        self._write(line)
        self._last_written = time.monotonic()
