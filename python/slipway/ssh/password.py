"""The one login by password: an installer that knows no key of ours yet is told them, and keys do from then on."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import paramiko

from slipway.errors import Unreachable
from slipway.secret import Secret
from slipway.ssh.connection import CONNECT_TIMEOUT, Attempt, Endpoint, Reach, _handshake
from slipway.ssh.keys import KnownHosts

ADD_TIMEOUT = 30.0
ADD = "umask 077; mkdir -p ~/.ssh && cat >>~/.ssh/authorized_keys"


def let_in(
    endpoint: Endpoint,
    known_hosts: KnownHosts,
    password: Secret,
    public_keys: Sequence[str],
    timeout: float = CONNECT_TIMEOUT,
    reach: Reach | None = None,
) -> None:
    """Log in with the account's password and have it accept `public_keys`. The password is kept nowhere; `reach` gets
    through jump hosts.

    It is sent only to a machine that shows its pinned key. Raises Unreachable.
    """
    transport = _handshake(endpoint, known_hosts, timeout, Attempt(), reach)
    with contextlib.closing(transport):
        known_hosts.check(endpoint.name, endpoint.address, endpoint.port, transport.get_remote_server_key())
        try:
            transport.auth_password(endpoint.user, password.reveal().decode())
            _add(transport, "".join(f"{key}\n" for key in public_keys).encode())
        except (paramiko.SSHException, OSError, EOFError, UnicodeError) as error:
            raise Unreachable(
                f"{endpoint.place}: the password is not accepted: {str(error).rstrip('.') or type(error).__name__}",
                hint="set one at the installer's console: passwd (for root: sudo passwd)",
            ) from None


def _add(transport: paramiko.Transport, lines: bytes) -> None:
    channel = transport.open_session(timeout=ADD_TIMEOUT)
    channel.settimeout(ADD_TIMEOUT)
    channel.exec_command(ADD)
    channel.sendall(lines)
    channel.shutdown_write()
    said = channel.makefile_stderr("r").read().decode(errors="replace").strip()
    if channel.recv_exit_status() != 0:
        raise OSError(f"~/.ssh/authorized_keys cannot be written: {said}")
