"""Jump hosts: the way to machines that cannot be reached from here, as OpenSSH's ProxyJump has it.

Machines behind the same jump host share one connection to it: three hundred logins there at once are what its
MaxStartups refuses.
"""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, field, replace

import paramiko

from slipway.errors import SlipwayError, Unreachable
from slipway.ssh.connection import CONNECT_TIMEOUT, DEAD_AFTER, Accepted, Attempt, Endpoint, connect
from slipway.ssh.keys import KnownHosts


@dataclass
class _Way:
    """The connection to the last of some jump hosts, and who may open it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    transport: paramiko.Transport | None = None
    accepted: Accepted = field(default_factory=Accepted)
    attempt: Attempt = field(default_factory=Attempt)


class Jumps:
    """Connections to jump hosts, opened on first use and kept. Safe to use from several threads."""

    def __init__(self, known_hosts: KnownHosts, timeout: float = CONNECT_TIMEOUT) -> None:
        self._known_hosts = known_hosts
        self._timeout = timeout
        self._lock = threading.Lock()
        self._ways: dict[tuple[Endpoint, ...], _Way] = {}

    def reach(self, endpoint: Endpoint, timeout: float, attempt: Attempt) -> paramiko.Channel:
        """A stream to the machine's sshd through its jump hosts. Raises Unreachable, HostKeyRefused or Interrupted."""
        jump = endpoint.jump[-1]
        transport = self._transport(endpoint)
        attempt.go_on()
        try:
            place = (endpoint.address, endpoint.port)
            return transport.open_channel("direct-tcpip", place, ("127.0.0.1", 0), timeout=timeout)
        except (paramiko.SSHException, OSError, EOFError) as error:
            why = error.text if isinstance(error, paramiko.ChannelException) else str(error)
            raise Unreachable(
                f"{endpoint.place}: the jump host {jump.name} gets no connection to it: {why or 'it is gone'}",
                hint="does it reach that address, and does its sshd have AllowTcpForwarding?",
            ) from None

    def accepted(self, way: tuple[Endpoint, ...]) -> Accepted:
        """The key of ours that the last of these jump hosts took; empty before somebody went that way."""
        return self._way(way).accepted

    def close(self) -> None:
        for way in tuple(self._ways.values()):
            _close(way)

    def shut(self) -> None:
        """End also what is being opened, because of an interruption."""
        for way in tuple(self._ways.values()):
            way.attempt.cut()
            _close(way)

    def _transport(self, endpoint: Endpoint) -> paramiko.Transport:
        way = self._way(endpoint.jump)
        with way.lock:
            if way.transport is None or not way.transport.is_active():
                way.transport = self._connect(endpoint, way)
                # The jump host's sshd, and what lies between, shall not take a silent connection for a dead one.
                way.transport.set_keepalive(DEAD_AFTER)
            return way.transport

    def _way(self, jumps: tuple[Endpoint, ...]) -> _Way:
        with self._lock:
            return self._ways.setdefault(jumps, _Way())

    def _connect(self, endpoint: Endpoint, way: _Way) -> paramiko.Transport:
        *before, last = endpoint.jump
        jump = replace(last, jump=tuple(before))
        try:
            return connect(jump, self._known_hosts, self._timeout, way.accepted, way.attempt, self.reach)
        except SlipwayError as error:
            raise type(error)(f"{endpoint.name}: through its jump host: {error}", hint=error.hint) from None


def _close(way: _Way) -> None:
    transport, way.transport = way.transport, None
    if transport is not None:
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            transport.close()
