"""A machine that takes commands: over SSH (Remote) or this one (Local).

Three things can go wrong and are three classes: it cannot be spoken to (Unreachable), the command did not end in time
(CommandTimedOut), the command ended with a code that nobody expected (CommandFailed).
"""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NoReturn, Protocol

import paramiko
from paramiko.common import cMSG_CHANNEL_REQUEST

from slipway.errors import Interrupted, PrerequisiteMissing, SlipwayError, Unreachable
from slipway.result import LOCAL, CommandFailed, CommandResult, CommandTimedOut, TooMuchSaid, spoken
from slipway.secret import Secret
from slipway.ssh.channel import (
    MOST_OUTPUT,
    Answer,
    NotAccepted,
    OutOfTime,
    Prompt,
    SessionLost,
    Shell,
    TooMuch,
    login_command,
)
from slipway.ssh.connection import CONNECT_TIMEOUT, Accepted, Attempt, Endpoint, connect
from slipway.ssh.jump import Jumps
from slipway.ssh.keys import KnownHosts
from slipway.tools import run as local

DEFAULT_TIMEOUT = 60.0
SHELL_TIMEOUT = 30.0
"""Seconds for the login shell to start: on a loaded machine that takes some."""
KILL_TIMEOUT = 10.0
"""Seconds for a second shell beside one that does not answer, and again for what it ends there."""

PUT = """umask 077
temporary=$1.slipway-$$
trap 'rm -f "$temporary"' EXIT
cat >"$temporary" && chmod "$2" "$temporary" && mv -f "$temporary" "$1"
"""
KILL = """kill -s TERM -- "-$1" 2>/dev/null
for tenth in 1 2 3 4 5 6 7 8 9 10; do kill -s 0 -- "-$1" 2>/dev/null || exit 0; sleep 0.1; done
kill -s KILL -- "-$1" 2>/dev/null
exit 0
"""


class Host(Protocol):
    """What slipway can do on a machine, wherever it is. Safe to use from several threads; commands take turns."""

    name: str

    def run(
        self,
        argv: Sequence[str],
        *,
        input: bytes | Secret | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        check: bool = True,
        expect: Sequence[int] = (0,),
    ) -> CommandResult:
        """Run one program to its end, as root. `input` is its standard input, which else is empty."""
        ...

    def put(self, path: str, content: bytes | Secret, *, mode: int = 0o600) -> None:
        """Write a file as a whole: under a temporary name beside it, then renamed."""
        ...

    def fresh(self, *, cut: bool = False) -> AbstractContextManager[Host]:
        """The same machine over a new connection of its own: what it answers proves that it can be reached now.

        An interruption leaves it alone, for what has to be cleared up afterwards, unless it is one to be `cut`.
        """
        ...

    def close(self) -> None:
        """Let go of the connection; the next command opens it again."""
        ...


class Remote:
    """A machine over SSH. Connects with the first command; after a loss, again with the next one.

    A command is never sent twice: where the connection is lost while it runs, Unreachable says so and what the command
    did is unknown.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        known_hosts: KnownHosts,
        *,
        connect_timeout: float = CONNECT_TIMEOUT,
        jumps: Jumps | None = None,
        password: Secret | None = None,
    ) -> None:
        """`jumps`: connections to jump hosts that others use as well; without, this machine opens its own. `password`
        is for sudo, where it asks."""
        self.name = endpoint.name
        self.endpoint = endpoint
        self.accepted = Accepted()
        """The key of ours that the machine took, once it has."""
        self._known_hosts = known_hosts
        self._connect_timeout = connect_timeout
        self._lock = threading.RLock()
        self._transport: paramiko.Transport | None = None
        self._shell: Shell | None = None
        self._shut = threading.Event()
        self._attempt = Attempt()
        self._fresh: set[Remote] = set()
        self._jumps = jumps or Jumps(known_hosts, connect_timeout)
        self._owns_jumps = jumps is None
        self._password = password

    def run(
        self,
        argv: Sequence[str],
        *,
        input: bytes | Secret | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        check: bool = True,
        expect: Sequence[int] = (0,),
        most: int | None = None,
    ) -> CommandResult:
        """As Host.run; who says more than `most` bytes (default: MOST_OUTPUT) is ended: TooMuchSaid."""
        payload = input.reveal() if isinstance(input, Secret) else input
        with self._lock:
            shell = self._open_shell()
            started = time.monotonic()
            answer = self._exchange(shell, argv, payload, timeout, most or MOST_OUTPUT)
        result = CommandResult(
            argv=tuple(argv),
            host=self.name,
            exit_code=answer.exit_code,
            stdout=answer.stdout.decode(errors="replace"),
            stderr=answer.stderr.decode(errors="replace"),
            duration=time.monotonic() - started,
        )
        if check and result.exit_code not in expect:
            raise CommandFailed(result)
        return result

    def put(self, path: str, content: bytes | Secret, *, mode: int = 0o600) -> None:
        self.run(["sh", "-c", PUT, "put", path, f"{mode:04o}"], input=content)

    @contextmanager
    def fresh(self, *, cut: bool = False) -> Iterator[Host]:
        other = Remote(self.endpoint, self._known_hosts, connect_timeout=self._connect_timeout, password=self._password)
        other.accepted = self.accepted
        if cut:
            self._fresh.add(other)
            if self._shut.is_set():
                other.shut()
        try:
            yield other
        finally:
            self._fresh.discard(other)
            other.close()

    def shut(self) -> None:
        """Close for good, because of an interruption: whoever still uses this machine gets Interrupted."""
        self._shut.set()
        self._attempt.cut()
        if self._owns_jumps:
            self._jumps.shut()
        self.close()
        for other in tuple(self._fresh):
            other.shut()

    def close(self) -> None:
        """Also ends what another thread has under way here: that thread gets Unreachable."""
        transport, self._transport, self._shell = self._transport, None, None
        if transport is not None:
            with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
                transport.close()
        if self._owns_jumps:
            self._jumps.close()

    def _exchange(self, shell: Shell, argv: Sequence[str], payload: bytes | None, timeout: float, most: int) -> Answer:
        try:
            return shell.run(argv, payload, timeout, most)
        except OutOfTime:
            self._kill(shell)
            raise CommandTimedOut(argv, self.name, timeout) from None
        except TooMuch:
            self._kill(shell)
            raise TooMuchSaid(argv, self.name, most) from None
        except SessionLost as loss:
            self._lost(f"while it ran {spoken(argv)}", loss)
        except BaseException:
            self._kill(shell)
            raise

    def _open_shell(self) -> Shell:
        if self._shut.is_set():
            raise Interrupted(f"{self.endpoint.place}: interrupted")
        if self._shell is not None and self._transport is not None and self._transport.is_active():
            return self._shell
        self.close()
        self._transport = transport = self._connect()
        shell = self._start_shell(transport)
        # Whoever shuts this machine while it connects finds no connection to close; the one who connects closes it.
        if self._shut.is_set():
            self.close()
            raise Interrupted(f"{self.endpoint.place}: interrupted while it was connected")
        self._shell = shell
        return shell

    def _connect(self) -> paramiko.Transport:
        try:
            return connect(
                self.endpoint,
                self._known_hosts,
                self._connect_timeout,
                self.accepted,
                self._attempt,
                self._jumps.reach,
            )
        except SlipwayError:
            if self._shut.is_set():
                raise Interrupted(f"{self.endpoint.place}: interrupted while it was connected") from None
            raise

    def _start_shell(self, transport: paramiko.Transport) -> Shell:
        try:
            return self._new_shell(transport, SHELL_TIMEOUT)
        except SessionLost as loss:
            if self._sudo and transport.is_active():
                self.close()
                raise self._no_root(loss) from None
            self._lost("while its shell started", loss)
        except OutOfTime:
            self._lost("while its shell started", TimeoutError(f"no shell within {SHELL_TIMEOUT:g} s"))
        except (OSError, EOFError, paramiko.SSHException) as error:
            self._lost("while its shell started", error)

    def _new_shell(self, transport: paramiko.Transport, timeout: float) -> Shell:
        """`timeout` is for all three steps together. Raises OutOfTime, SessionLost, or what paramiko raises."""
        deadline = time.monotonic() + timeout
        ready, prompt = secrets.token_hex(16), self._prompt()
        sudo = prompt.sudo if prompt else "sudo -n" if self._sudo else ""
        channel = transport.open_session(timeout=timeout)
        _request(transport, channel, login_command(ready, sudo=sudo))
        return Shell(channel, ready, deadline - time.monotonic(), prompt)

    def _prompt(self) -> Prompt | None:
        """Another word each time: nobody can have it said before sudo does."""
        asked = self._sudo and self._password is not None
        return Prompt(secrets.token_hex(16), self._password) if asked and self._password else None

    @property
    def _sudo(self) -> bool:
        return self.endpoint.user != "root"

    def _no_root(self, said: SessionLost) -> PrerequisiteMissing:
        return PrerequisiteMissing(
            f"{self.endpoint.place}: cannot become root: {said}",
            hint=f"try again with the right one; slipway ssh {self.name} -- sudo -v"
            if isinstance(said, NotAccepted)
            else f"set `ssh.sudoPassword: true` if sudo asks {self.endpoint.user} for a password, or `ssh.user: root`",
        )

    def _kill(self, shell: Shell) -> None:
        """End the shell and all that it started, from a shell beside it, which takes its place."""
        transport, self._shell = self._transport, None
        if transport is None:
            return
        try:
            self._shell = self._new_shell(transport, KILL_TIMEOUT)
            self._shell.run(["sh", "-c", KILL, "kill", str(shell.group)], None, KILL_TIMEOUT)
        except (SessionLost, OutOfTime, TooMuch, OSError, EOFError, paramiko.SSHException):
            self.close()
        shell.close()

    def _lost(self, when: str, cause: Exception) -> NoReturn:
        self.close()
        if self._shut.is_set():
            raise Interrupted(f"{self.endpoint.place}: interrupted {when}") from None
        raise Unreachable(
            f"{self.endpoint.place}: connection lost {when}" + (f": {cause}" if str(cause) else ""),
            hint="the same command again, when the machine answers",
        ) from None


def _request(transport: paramiko.Transport, channel: paramiko.Channel, command: str) -> None:
    """Ask for a program to be started; what it says first is the answer. Where the server refuses, the channel ends.

    paramiko's own way waits for ever where a server that hangs in PAM or on a disk says nothing, and a timer beside it
    is a thread for each machine.
    """
    message = paramiko.Message()
    message.add_byte(cMSG_CHANNEL_REQUEST)
    message.add_int(channel.remote_chanid)
    message.add_string("exec")
    message.add_boolean(True)
    message.add_string(command)
    transport._send_user_message(message)  # type: ignore[attr-defined]  # (its types leave it out)


class Local:
    """This machine, as the user who runs slipway."""

    name = LOCAL

    def run(
        self,
        argv: Sequence[str],
        *,
        input: bytes | Secret | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        check: bool = True,
        expect: Sequence[int] = (0,),
    ) -> CommandResult:
        return local.run(argv, input=input, timeout=timeout, check=check, expect=expect)

    def put(self, path: str, content: bytes | Secret, *, mode: int = 0o600) -> None:
        temporary = Path(f"{path}.slipway-{os.getpid()}-{threading.get_ident()}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content.reveal() if isinstance(content, Secret) else content)
            temporary.chmod(mode)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    @contextmanager
    def fresh(self, *, cut: bool = False) -> Iterator[Host]:  # noqa: ARG002 (there is no connection to cut)
        yield self

    def close(self) -> None:
        """There is nothing to let go of."""
