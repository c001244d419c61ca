"""One shell on a node that serves many commands, so that a login shell is started once and not for every command.

The shell reads one line per command and evaluates it. What the command prints passes through as it is; an unguessable
word then ends each of the two streams, on standard output together with the exit code. Exit codes are the shell's: 127
for a program that is not there, 128+N for one that signal N ended.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import paramiko

from slipway.errors import UsageError
from slipway.secret import Secret

PATH = ":".join(
    (
        "/run/wrappers/bin",
        "/run/current-system/sw/bin",
        "/nix/var/nix/profiles/default/bin",
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    )
)
"""Where programs are on NixOS and on the Debian it may replace; what the login gave comes first."""

PROGRAM = f"""N="
"
PATH="${{PATH:+$PATH:}}{PATH}"
LC_ALL=C.UTF-8
export PATH LC_ALL
read -r A B C D GROUP E </proc/$$/stat
echo "READY $GROUP"
while IFS= read -r LINE; do eval "$LINE"; done"""
"""What the shell runs. No apostrophe and no backslash in it: any login shell can then quote it with apostrophes. READY
is replaced by an unguessable word, since start-up files of the login shell may print things of their own."""

CHUNK = 32768
"""Bytes per read and write: paramiko's largest packet."""
AT_ONCE = 64
"""Chunks that are read between two looks at the clock."""
LOOK_AROUND = 0.25
"""Seconds of silence on standard output after which standard error is looked at. It shares its window with standard
output, so a command that fills it with errors alone would stand still if nobody read them."""


SEND_AGAIN = 0.02
"""Seconds until the next try when the node takes no more input for the moment."""
MOST_OUTPUT = 16 << 20
"""Bytes of each stream of one command; who says more is ended, since half an answer is none."""
_OF_ITS_PROCESS = re.compile(r"\$\$|PPID|\$\{\$|\$\{?0")
LONGEST_TAIL = 64
"""Bytes between the ending word and its newline: an exit code or a process group, generously."""


class SessionLost(Exception):
    """The stream ended before the command did. Private to this room: Remote turns it into Unreachable."""


class NotAccepted(SessionLost):
    """sudo asked for the password once more."""

    def __init__(self) -> None:
        super().__init__("the password is not accepted")


class TooMuch(Exception):
    """The command says more than MOST_OUTPUT; the stream cannot be used any more."""


class OutOfTime(Exception):
    """The command did not end in time; the stream cannot be used any more."""


@dataclass(frozen=True)
class Answer:
    exit_code: int
    stdout: bytes
    stderr: bytes


class Stream(Protocol):
    """The part of paramiko.Channel that is needed here."""

    def settimeout(self, timeout: float | None) -> None: ...
    def recv(self, nbytes: int) -> bytes: ...
    def recv_ready(self) -> bool: ...
    def recv_stderr(self, nbytes: int) -> bytes: ...
    def recv_stderr_ready(self) -> bool: ...
    def send(self, s: bytes | bytearray) -> int: ...
    def send_ready(self) -> bool: ...
    def close(self) -> None: ...


def quote(word: str) -> str:
    """`word` as one word of a POSIX shell, on one line. The only place of slipway that quotes for a remote shell."""
    if "\0" in word:
        raise UsageError(f"an argument holds a NUL byte, which no program can be given: {word!r}")
    return "'" + word.replace("'", "'\"'\"'").replace("\n", "'\"$N\"'") + "'"


def login_command(ready: str, *, sudo: str = "") -> str:
    """The command line for the login shell, whichever it is, that becomes our shell; `sudo`, with its options, makes it
    one of root."""
    program = PROGRAM.replace("READY", ready)
    return f"exec {f'{sudo} ' if sudo else ''}sh -c '{program}'"


@dataclass(frozen=True)
class Prompt:
    """What sudo says when it wants the password, and the password. It goes by standard input, and only when sudo has
    asked for it: where sudo asks nobody, the shell would take it for a command."""

    word: str
    password: Secret

    @property
    def sudo(self) -> str:
        return f"sudo -S -p {self.word}"


def request(argv: Sequence[str], token: str, input: bytes | None) -> bytes:
    """The line for one command, and its input behind it. The command runs in a shell of its own, with its own input."""
    command = f"( {_evaluated(argv) or _started(argv)} )"
    if input is None:
        line = f"{command} </dev/null"
    else:
        # What the command leaves unread must not be taken for the next request.
        line = f"head -c {len(input)} | ( {command}; E=$?; cat >/dev/null; exit $E )"
    framed = f"{line}; echo {token} $?; echo {token} >&2\n"
    return framed.encode(errors="surrogateescape") + (input or b"")


def _started(argv: Sequence[str]) -> str:
    return f"exec {' '.join(quote(word) for word in argv)}"


def _evaluated(argv: Sequence[str]) -> str:
    """`sh -c SCRIPT [NAME ARGUMENT...]` for the shell that is there already, a copy of which runs it; empty for
    anything else.

    Starting a program is most of what a small question costs a node. A script that asks for its process or its name is
    left alone: the copy would say those of the shell that it is a copy of.
    """
    match argv:
        case ["sh", "-c", script, *rest] if not _OF_ITS_PROCESS.search(script):
            arguments = "".join(f" {quote(word)}" for word in rest[1:])
            return f"set --{arguments}; eval 'unset A B C D E GROUP LINE N; '{quote(script)}"
        case _:
            return ""


class Shell:
    """The framed shell on an open channel. One command at a time; the caller holds the lock."""

    def __init__(self, stream: Stream, ready: str, timeout: float, prompt: Prompt | None = None) -> None:
        self._stream = stream
        out, err = _Collector(ready.encode()), _Prompted(prompt, self._send) if prompt else _Collector(b"")
        try:
            self._exchange(b"", out, err, time.monotonic() + timeout)
        except NotAccepted:
            raise
        except SessionLost as loss:
            raise SessionLost(err.text(out) or str(loss)) from None
        except TooMuch:
            raise SessionLost("its login says more than anybody reads") from None
        if not out.tail.isdigit() or int(out.tail) < 2:
            raise SessionLost(f"its shell said no process group: {out.tail!r}")
        self.group = int(out.tail)
        """Process group of the shell and of everything it starts, on the node."""

    def run(self, argv: Sequence[str], input: bytes | None, timeout: float, most: int | None = None) -> Answer:
        """Raises OutOfTime, TooMuch (`most` bytes) or SessionLost, after which this shell is of no more use."""
        token = secrets.token_hex(16)
        out, err = _Collector(token.encode(), most), _Collector(token.encode(), most)
        self._exchange(request(argv, token, input), out, err, time.monotonic() + timeout)
        if not out.tail.isdigit():
            raise SessionLost(f"its shell said no exit code: {out.tail!r}")
        return Answer(int(out.tail), bytes(out.body), bytes(err.body))

    def close(self) -> None:
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            self._stream.close()

    def _exchange(self, pending: bytes, out: _Collector, err: _Collector, deadline: float) -> None:
        """Send `pending` and read both streams until both have ended."""
        unsent = memoryview(pending)
        while unsent or not (out.ended and err.ended):
            left = deadline - time.monotonic()
            if left <= 0:
                raise OutOfTime
            if unsent and self._stream.send_ready():
                unsent = unsent[self._send(unsent[:CHUNK]) :]
                self._drain(out, err)
            else:
                self._wait(out, err, min(left, SEND_AGAIN if unsent else LOOK_AROUND))

    def _send(self, part: memoryview) -> int:
        try:
            sent = self._stream.send(bytes(part))
        except (OSError, EOFError, paramiko.SSHException) as error:
            raise SessionLost(str(error)) from None
        if sent == 0:
            raise SessionLost("the channel was closed")
        return sent

    def _drain(self, out: _Collector, err: _Collector) -> None:
        """What is there; some of it, where more comes than can be read: the deadline has to be looked at as well."""
        for _ in range(AT_ONCE):
            if not self._stream.recv_ready():
                break
            out.add(self._stream.recv(CHUNK))
        for _ in range(AT_ONCE):
            if not self._stream.recv_stderr_ready():
                break
            err.add(self._stream.recv_stderr(CHUNK))

    def _wait(self, out: _Collector, err: _Collector, seconds: float) -> None:
        """Sleep until there is something to read, at most `seconds`."""
        self._stream.settimeout(seconds)
        read, collector = (self._stream.recv_stderr, err) if out.ended else (self._stream.recv, out)
        with contextlib.suppress(TimeoutError):
            chunk = read(CHUNK)
            if not chunk:
                self._drain(out, err)
                raise SessionLost("the session ended")
            collector.add(chunk)
        self._drain(out, err)


class _Collector:
    """Gathers one stream up to the line that starts with the ending word; an empty word: nothing is waited for."""

    def __init__(self, ending: bytes, most: int | None = None) -> None:
        self._ending = ending
        self._most = most or MOST_OUTPUT
        self.body = bytearray()
        self.tail = b""
        self.ended = not ending

    def add(self, chunk: bytes) -> None:
        """Whatever comes after the end is of a process that a command left behind, and belongs to nobody."""
        if self.ended and self._ending:
            return
        known = len(self.body)
        self.body += chunk
        if self._ending:
            self._look_for_end(max(0, known - len(self._ending) - LONGEST_TAIL))
        if len(self.body) > self._most:
            raise TooMuch

    def _look_for_end(self, start: int) -> None:
        found = self.body.find(self._ending, start)
        newline = self.body.find(b"\n", found) if found >= 0 else -1
        if newline >= 0:
            self.tail = bytes(self.body[found + len(self._ending) : newline]).strip()
            del self.body[found:]
            self.ended = True

    def text(self, other: _Collector) -> str:
        return (bytes(self.body) or bytes(other.body)).decode(errors="replace").strip()


class _Prompted(_Collector):
    """Standard error of a shell that is about to start: answers sudo once. Asked again, the answer was wrong."""

    def __init__(self, prompt: Prompt, send: Callable[[memoryview], int]) -> None:
        super().__init__(b"")
        self._prompt, self._send, self._answered = prompt, send, 0

    def add(self, chunk: bytes) -> None:
        super().add(chunk)
        asked = self.body.count(self._prompt.word.encode())
        if asked > 1:
            raise NotAccepted
        if asked > self._answered:
            self._answered = asked
            self._send(memoryview(self._prompt.password.reveal() + b"\n"))
