"""The only place that starts a local process.

Argument lists in, never a shell string; a finite time limit on every call; the whole process group is ended when the
limit comes or the caller is interrupted.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NoReturn, cast

from slipway.errors import Interrupted, PrerequisiteMissing
from slipway.paths import cache_dir
from slipway.result import LOCAL, CommandFailed, CommandResult, CommandTimedOut, TooMuchSaid
from slipway.secret import Secret

DEFAULT_TIMEOUT = 120.0
GRACE = 5.0
"""Seconds between TERM and KILL for a process group that has to go."""
LINGER = 5.0
"""Seconds for what a program left behind to let go of its output, once the program itself has ended."""
TICK = 0.05
"""Seconds between two looks at whether the program has ended or has to."""
CHUNK = 65536
MOST_OUTPUT = 64 << 20
"""Bytes of standard output; who says more is ended, since half an answer is none."""
MOST_ERRORS = 4 << 20
"""Bytes of standard error that are kept, its last ones."""

OnLine = Callable[[str], None]

_under_way: set[subprocess.Popen[bytes]] = set()
_stopped = threading.Event()


def find_program(name: str) -> Path | None:
    """`name` on PATH, else in slipway's own cache of tools, else None."""
    if "/" in name:
        return Path(name) if os.access(name, os.X_OK) else None
    cached = cache_dir() / "bin" / name
    found = shutil.which(name)
    if found:
        return Path(found)
    return cached if os.access(cached, os.X_OK) else None


def run(
    argv: Sequence[str | Path],
    *,
    input: bytes | Secret | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = DEFAULT_TIMEOUT,
    check: bool = True,
    expect: Sequence[int] = (0,),
    on_line: OnLine | None = None,
) -> CommandResult:
    """Run one local program to its end.

    `env` adds to this process's environment. `input` is written to its standard input (else it reads end of file);
    a Secret is passed the same way and never shown. `on_line` gets each line of standard error as it comes, for
    progress; what it raises ends the program and is raised here. Raises CommandFailed for an exit code that is not in
    `expect` (unless `check` is off), CommandTimedOut, TooMuchSaid, PrerequisiteMissing when the program is not there,
    or Interrupted after `stop`.
    """
    words = tuple(str(word) for word in argv)
    if _stopped.is_set():
        raise Interrupted(f"interrupted before {words[0]} was started")
    started = time.monotonic()
    process = _start(words, env, cwd)
    _under_way.add(process)
    payload = input.reveal() if isinstance(input, Secret) else input
    try:
        out, err = _communicate(words, process, payload, timeout, on_line)
    except subprocess.TimeoutExpired:
        _end(process)
        raise CommandTimedOut(words, LOCAL, timeout) from None
    except BaseException:
        _end(process)
        raise
    finally:
        _under_way.discard(process)
    result = CommandResult(words, LOCAL, process.returncode, out, err, time.monotonic() - started)
    if check and result.exit_code not in expect:
        raise CommandFailed(result)
    return result


def call(
    argv: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float | None = DEFAULT_TIMEOUT,
    aside: bool = False,
) -> int:
    """Run a program that talks to the user itself, on the same terminal; return its exit code.

    `env` adds to this process's environment; `aside` sends what it prints to standard error. `timeout` None: it ends
    when the user ends it, as a shell does. Raises CommandTimedOut or PrerequisiteMissing.
    """
    words = tuple(str(word) for word in argv)
    # Not a session of its own: Ctrl-C of the terminal must reach it.
    process = subprocess.Popen(
        [str(_program(words[0])), *words[1:]], cwd=cwd, env={**os.environ, **(env or {})},
        stdout=sys.stderr.fileno() if aside else None,
    )  # fmt: skip
    try:
        return process.wait(timeout)
    except subprocess.TimeoutExpired as late:
        process.terminate()
        _let_go(process)
        raise CommandTimedOut(words, LOCAL, late.timeout) from None
    except KeyboardInterrupt:
        # It was interrupted as well; let it finish its own way out first.
        _let_go(process)
        raise


class Service:
    """A program that `serving` keeps."""

    def __init__(self, process: subprocess.Popen[bytes], log: int) -> None:
        self._process = process
        self._log = log

    def ended(self) -> int | None:
        """Its exit code, once it has one."""
        return self._process.poll()

    def said(self, most: int = CHUNK) -> str:
        """The end of what it said, on both of its streams."""
        size = os.fstat(self._log).st_size
        return os.pread(self._log, most, max(0, size - most)).decode(errors="replace")


@contextlib.contextmanager
def serving(argv: Sequence[str | Path], *, env: Mapping[str, str], cwd: Path | None = None) -> Iterator[Service]:
    """Have a program run for as long as the block lasts, with this environment and no other; then its group is ended.

    What it says stays in memory. Raises PrerequisiteMissing.
    """
    words = tuple(str(word) for word in argv)
    # It must not outlive us, whatever ends us.
    bounds = ["setpriv", "--pdeathsig", "TERM"] if find_program("setpriv") else []
    command = [*bounds, str(_program(words[0])), *words[1:]]
    log = os.memfd_create("slipway-log")
    process = subprocess.Popen(
        [str(_program(command[0])), *command[1:]],
        stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=dict(env), cwd=cwd, start_new_session=True,
    )  # fmt: skip
    _under_way.add(process)
    try:
        yield Service(process, log)
    finally:
        _end(process)
        _under_way.discard(process)
        os.close(log)


def _let_go(process: subprocess.Popen[bytes]) -> None:
    """A grace for its own way out, then KILL."""
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(GRACE)


def replace(argv: Sequence[str | Path]) -> NoReturn:
    """Become another program, on the same terminal and with its exit code; nothing comes back.

    Raises PrerequisiteMissing.
    """
    words = [str(word) for word in argv]
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(_program(words[0]), words)  # noqa: S606 (no shell is the point)


def stop() -> None:
    """End what `run` has under way in any thread, and let it start nothing more: for an interruption of the program.

    The calls under way fail with the signal as exit code (-15), later ones raise Interrupted.
    """
    _stopped.set()
    for process in list(_under_way):
        _signal(process, signal.SIGTERM)


def _program(name: str) -> Path:
    program = find_program(name)
    if program is None:
        raise PrerequisiteMissing(f"{name}: not found on PATH", hint="slipway doctor")
    return program


def _start(words: tuple[str, ...], env: Mapping[str, str] | None, cwd: Path | None) -> subprocess.Popen[bytes]:
    from plumbum import local  # here: a command that starts no program needs none of it

    command = local[str(_program(words[0]))][list(words[1:])]
    started = command.popen(
        stdin=subprocess.PIPE,
        env={**os.environ, **(env or {})},
        cwd=str(cwd) if cwd else None,
        start_new_session=True,
    )
    return cast("subprocess.Popen[bytes]", started)


def _communicate(
    words: Sequence[str],
    process: subprocess.Popen[bytes],
    payload: bytes | None,
    timeout: float,
    on_line: OnLine | None,
) -> tuple[str, str]:
    """Feed and read the program until it has ended and said all; raises subprocess.TimeoutExpired or TooMuchSaid."""
    talk = _Talk(words, process, payload or b"", on_line)
    with talk:
        talk.until(time.monotonic() + timeout)
    return talk.stdout.decode(errors="replace"), talk.stderr.decode(errors="replace")


class _Talk:
    """The three streams of one program, in one thread: none of them can stand still because of another."""

    def __init__(
        self, words: Sequence[str], process: subprocess.Popen[bytes], payload: bytes, on_line: OnLine | None
    ) -> None:
        self._words = words
        assert process.stdin and process.stdout and process.stderr
        self._process = process
        self._stdin, self._out, self._err = process.stdin, process.stdout, process.stderr
        self._unsent = memoryview(payload)
        self._on_line = on_line
        self._line = bytearray()
        self._stopped_at: float | None = None
        self.stdout, self.stderr = bytearray(), bytearray()

    def __enter__(self) -> None:
        self._selector = selectors.DefaultSelector()
        for stream, event in (
            (self._stdin, selectors.EVENT_WRITE),
            (self._out, selectors.EVENT_READ),
            (self._err, selectors.EVENT_READ),
        ):
            os.set_blocking(stream.fileno(), False)
            self._selector.register(stream, event)

    def __exit__(self, *_error: object) -> None:
        self._selector.close()
        for stream in (self._stdin, self._out, self._err):
            with contextlib.suppress(OSError):
                stream.close()

    def until(self, deadline: float) -> None:
        """Returns when the program has ended and its streams too; what it left behind holds them for LINGER at most."""
        ended: float | None = None
        while self._is_open(self._out, self._err) or ended is None:
            now = time.monotonic()
            if ended is None and self._process.poll() is not None:
                ended = now
            if ended is not None and now > ended + LINGER:
                return
            if ended is None and now > deadline:
                raise subprocess.TimeoutExpired(self._process.args, deadline)
            if _stopped.is_set() and self._stopped_at is None:
                self._stopped_at = now
            if self._stopped_at is not None and now > self._stopped_at + GRACE:
                _signal(self._process, signal.SIGKILL)
            self._turn(min(TICK, max(0.0, deadline - now)))

    def _is_open(self, *streams: object) -> bool:
        return any(key.fileobj in streams for key in self._selector.get_map().values())

    def _turn(self, seconds: float) -> None:
        if not self._is_open(self._out, self._err):
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
            seconds = 0.0
        for key, _ in self._selector.select(seconds):
            if key.fileobj is self._stdin:
                self._send()
            else:
                self._receive(key.fileobj is self._out)

    def _send(self) -> None:
        # A program may end without reading all of its input; that is its business, as it is in a pipe of the shell.
        with contextlib.suppress(BrokenPipeError):
            if self._unsent:
                self._unsent = self._unsent[os.write(self._stdin.fileno(), self._unsent[:CHUNK]) :]
                return
        self._selector.unregister(self._stdin)
        with contextlib.suppress(BrokenPipeError):
            self._stdin.close()

    def _receive(self, is_out: bool) -> None:
        stream = self._out if is_out else self._err
        chunk = os.read(stream.fileno(), CHUNK)
        if not chunk:
            self._selector.unregister(stream)
        if is_out:
            self.stdout += chunk
            if len(self.stdout) > MOST_OUTPUT:
                raise TooMuchSaid(self._words, LOCAL, MOST_OUTPUT)
        else:
            self._hear(chunk)

    def _hear(self, chunk: bytes) -> None:
        """Of standard error the end is kept: the reason for a failure stands there."""
        self.stderr += chunk
        if len(self.stderr) > 2 * MOST_ERRORS:
            cut = len(self.stderr) - MOST_ERRORS
            self.stderr[:cut] = f"[{cut} bytes before this are left out]\n".encode()
        if self._on_line is None:
            return
        *lines, rest = (bytes(self._line) + chunk).split(b"\n")
        if not chunk and rest:
            lines, rest = [rest], b""
        self._line = bytearray(rest[-MOST_ERRORS:])
        for line in lines:
            self._on_line(line.decode(errors="replace"))


def _end(process: subprocess.Popen[bytes]) -> None:
    """TERM the group; after a grace KILL whoever of it is left, also where its leader went at once."""
    _signal(process, signal.SIGTERM)
    deadline = time.monotonic() + GRACE
    while _is_there(process) and time.monotonic() < deadline:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(TICK)
        time.sleep(TICK if process.returncode is not None else 0)
    _signal(process, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(GRACE)


def _is_there(process: subprocess.Popen[bytes]) -> bool:
    """Whether anybody of the group is; the dead whom nobody buried do not count."""
    if process.poll() is None:
        return True
    return _signal(process, 0) and any(_lives_in(stat, process.pid) for stat in Path("/proc").glob("[0-9]*/stat"))


def _lives_in(stat: Path, group: int) -> bool:
    try:
        state, _parent, of = stat.read_text(errors="replace").rpartition(")")[2].split()[:3]
    except (OSError, ValueError):
        return False
    return state != "Z" and int(of) == group


def _signal(process: subprocess.Popen[bytes], number: int) -> bool:
    """To the whole group; false where nobody is left of it."""
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True
