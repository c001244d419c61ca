"""A port of this machine that leads through an SSH connection to one that the machine at its other end reaches."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import paramiko

from slipway.errors import UsageError

OPEN_TIMEOUT = 10.0
"""Seconds for the machine to connect to where the tunnel leads."""
CHUNK = 65536


@dataclass
class Tunnel:
    """`port` on 127.0.0.1, for as long as the tunnel is open; `trouble` is why the last connection was not made."""

    port: int
    trouble: str = ""
    _open: set[socket.socket] = field(default_factory=set)


@contextmanager
def through(transport: paramiko.Transport, address: str, port: int, *, here: int = 0) -> Iterator[Tunnel]:
    """A tunnel to ADDRESS:PORT as seen from the machine. Leaving the block closes it and all that goes through it.

    `here` is the port on this side, 0 for any that is free. Raises UsageError where it is taken.
    """
    with _listener(here) as listener:
        tunnel = Tunnel(listener.getsockname()[1])
        accepting = threading.Thread(
            target=_accept, args=(listener, transport, (address, port), tunnel), name="slipway-tunnel", daemon=True
        )
        accepting.start()
        try:
            yield tunnel
        finally:
            # A plain close leaves the thread in accept() for ever.
            _end(listener, *tunnel._open)
            accepting.join(OPEN_TIMEOUT)


def _listener(port: int) -> socket.socket:
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError as error:
        raise UsageError(f"port {port} of this machine: {error.strerror}", hint="another --port, or none") from error


def _accept(listener: socket.socket, transport: paramiko.Transport, target: tuple[str, int], tunnel: Tunnel) -> None:
    while True:
        try:
            here, caller = listener.accept()
        except OSError:
            return
        tunnel._open.add(here)
        threading.Thread(
            target=_carry, args=(here, caller, transport, target, tunnel), name="slipway-tunnel", daemon=True
        ).start()


def _carry(
    here: socket.socket,
    caller: tuple[str, int],
    transport: paramiko.Transport,
    target: tuple[str, int],
    tunnel: Tunnel,
) -> None:
    """One connection, from its beginning to its end."""
    with here:
        try:
            there = transport.open_channel("direct-tcpip", target, caller, timeout=OPEN_TIMEOUT)
        except (paramiko.SSHException, OSError, EOFError) as error:
            tunnel.trouble = f"{target[0]}:{target[1]}: {getattr(error, 'text', '') or str(error) or 'no answer'}"
        else:
            with contextlib.closing(there), contextlib.suppress(OSError, EOFError):
                _pump(here, there)
    tunnel._open.discard(here)


def _pump(here: socket.socket, there: paramiko.Channel) -> None:
    """Both ways, until the far end has said all; our end may say earlier that it has."""
    with selectors.DefaultSelector() as ready:
        ready.register(here, selectors.EVENT_READ, (here, there))
        ready.register(there, selectors.EVENT_READ, (there, here))
        while True:
            for key, _ in ready.select():
                source, sink = key.data
                data = source.recv(CHUNK)
                if data:
                    sink.sendall(data)
                elif source is there:
                    return
                else:
                    there.shutdown_write()
                    ready.unregister(here)


def _end(*sockets: socket.socket) -> None:
    for each in sockets:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
