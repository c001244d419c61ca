"""The only place that starts a local process.

Argument lists in, never a shell string; a finite time limit on every call; the whole process group is ended when the
limit comes or the caller is interrupted.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn, cast

from plumbum import local

from slipway.errors import Interrupted, PrerequisiteMissing
from slipway.paths import cache_dir
from slipway.result import LOCAL, CommandFailed, CommandResult, CommandTimedOut
from slipway.secret import Secret

DEFAULT_TIMEOUT = 120.0
GRACE = 5.0
"""Seconds between TERM and KILL for a process group that has to go."""

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
    progress. Raises CommandFailed for an exit code that is not in `expect` (unless `check` is off), CommandTimedOut,
    PrerequisiteMissing when the program is not there, or Interrupted after `stop`.
    """
    words = tuple(str(word) for word in argv)
    if _stopped.is_set():
        raise Interrupted(f"interrupted before {words[0]} was started")
    started = time.monotonic()
    process = _start(words, env, cwd)
    _under_way.add(process)
    payload = input.reveal() if isinstance(input, Secret) else input
    try:
        out, err = _communicate(process, payload, timeout, on_line)
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


def call(argv: Sequence[str | Path], *, cwd: Path | None = None, timeout: float = DEFAULT_TIMEOUT) -> int:
    """Run a program that talks to the user itself, on the same terminal; return its exit code.

    Raises CommandTimedOut or PrerequisiteMissing.
    """
    words = tuple(str(word) for word in argv)
    # Not a session of its own: Ctrl-C of the terminal must reach it.
    process = subprocess.Popen([str(_program(words[0])), *words[1:]], cwd=cwd)
    try:
        return process.wait(timeout)
    except subprocess.TimeoutExpired:
        process.terminate()
        process.wait(GRACE)
        raise CommandTimedOut(words, LOCAL, timeout) from None
    except KeyboardInterrupt:
        # It was interrupted as well; let it finish its own way out first.
        process.wait(GRACE)
        raise


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
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)


def _program(name: str) -> Path:
    program = find_program(name)
    if program is None:
        raise PrerequisiteMissing(f"{name}: not found on PATH", hint="slipway doctor")
    return program


def _start(words: tuple[str, ...], env: Mapping[str, str] | None, cwd: Path | None) -> subprocess.Popen[bytes]:
    command = local[str(_program(words[0]))][list(words[1:])]
    started = command.popen(
        stdin=subprocess.PIPE,
        env={**os.environ, **(env or {})},
        cwd=str(cwd) if cwd else None,
        start_new_session=True,
    )
    return cast("subprocess.Popen[bytes]", started)


def _communicate(
    process: subprocess.Popen[bytes], payload: bytes | None, timeout: float, on_line: OnLine | None
) -> tuple[str, str]:
    if on_line is None:
        out, err = process.communicate(payload, timeout=timeout)
        return out.decode(errors="replace"), err.decode(errors="replace")
    return _follow(process, payload, timeout, on_line)


def _follow(
    process: subprocess.Popen[bytes], payload: bytes | None, timeout: float, on_line: OnLine
) -> tuple[str, str]:
    """Like communicate, but hands over the lines of standard error while they come."""
    assert process.stdout and process.stderr and process.stdin
    stdin, stdout, stderr = process.stdin, process.stdout, process.stderr
    lines: list[str] = []
    outputs: list[bytes] = []

    def feed() -> None:
        # A program may end without reading all of its input; that is its business, as it is in a pipe of the shell.
        with contextlib.suppress(BrokenPipeError):
            stdin.write(payload or b"")
            stdin.close()

    def follow_errors() -> None:
        for raw in stderr:
            lines.append(raw.decode(errors="replace"))
            on_line(lines[-1].rstrip("\n"))

    threads = [
        threading.Thread(target=target, daemon=True)
        for target in (feed, follow_errors, lambda: outputs.append(stdout.read()))
    ]
    for thread in threads:
        thread.start()
    process.wait(timeout=timeout)
    for thread in threads:
        thread.join(GRACE)
    return b"".join(outputs).decode(errors="replace"), "".join(lines)


def _end(process: subprocess.Popen[bytes]) -> None:
    """TERM the group, KILL what is left after a grace."""
    for kind in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, kind)
            process.wait(GRACE)
            return
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
