"""Opening an SSH connection: a bounded TCP connect, the pinned host key, then public keys. Nothing here asks anybody
anything, because it runs in threads: a key with a passphrase has to be in the agent."""

from __future__ import annotations

import errno
import logging
import re
import socket
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import paramiko

from slipway.errors import PrerequisiteMissing, Unreachable, UsageError
from slipway.inventory.address import address_of
from slipway.ssh.keys import KEY_TYPES, KnownHosts, known_name

CONNECT_TIMEOUT = 10.0
"""Seconds for the TCP connection, and again for the SSH handshake and for each key that is offered."""
DEAD_AFTER = 30
"""Seconds without an acknowledgement after which the kernel gives a connection up."""
DEFAULT_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")

# Its threads log what we raise as errors anyway; without a handler Python prints that to standard error.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


@dataclass(frozen=True)
class Endpoint:
    """Where and as whom to log in. `identity` is a private key file; without it the agent's and the default ones."""

    name: str
    address: str
    port: int = 22
    user: str = "root"
    identity: Path | None = None

    @property
    def place(self) -> str:
        """For messages: name, user and address; a machine that is named by its address is told once."""
        where = f"{self.user}@{known_name(self.address, self.port)}"
        return self.name if self.address in self.name else f"{self.name} ({where})"

    @classmethod
    def parse(cls, text: str, identity: Path | None = None) -> Endpoint | None:
        """`user@address[:port]` of a machine that has no name with us, or its bare IP address; None for other words.

        IPv6 addresses stand in brackets where a port follows. Raises UsageError for a port that cannot be one.
        """
        found = _WHERE.fullmatch(text)
        address = (found["bare"] or found["bracketed"] or found["address"]) if found else ""
        if found is None or not (found["user"] or _is_ip_address(address)):
            return None
        port = int(found["port"] or 22)
        if not 1 <= port <= 65535:
            raise UsageError(f"{text}: {port} is not a port (1 to 65535)")
        return cls(text, address, port, found["user"] or "root", identity)


_WHERE = re.compile(
    r"((?P<user>[a-z_][a-z0-9_-]*)@)?"
    r"((?P<bare>[0-9a-f]*(:[0-9a-f.]*){2,})|(\[(?P<bracketed>[0-9a-f:.]+)\]|(?P<address>[a-z0-9.-]+))(:(?P<port>[0-9]{1,6}))?)",
    re.IGNORECASE,
)


def _is_ip_address(text: str) -> bool:
    try:
        address_of(text)
    except ValueError:
        return False
    return True


def connect(endpoint: Endpoint, known_hosts: KnownHosts, timeout: float = CONNECT_TIMEOUT) -> paramiko.Transport:
    """A connection of its own, authenticated. Raises Unreachable with what is wrong and what may help."""
    transport = _handshake(endpoint, known_hosts, timeout)
    try:
        known_hosts.check(endpoint.name, endpoint.address, endpoint.port, transport.get_remote_server_key())
        _authenticate(transport, endpoint)
    except BaseException:
        transport.close()
        raise
    return transport


def shown_key(endpoint: Endpoint, timeout: float = CONNECT_TIMEOUT) -> paramiko.PKey:
    """The host key that answers at this address, unchecked: for a person to compare."""
    transport = _handshake(endpoint, None, timeout)
    try:
        return transport.get_remote_server_key()
    finally:
        transport.close()


def _handshake(endpoint: Endpoint, known_hosts: KnownHosts | None, timeout: float) -> paramiko.Transport:
    transport = paramiko.Transport(_socket(endpoint, timeout))
    transport.banner_timeout = transport.auth_timeout = timeout
    types = _pinned_types(known_hosts, endpoint) if known_hosts else ()
    transport.get_security_options().key_types = types + tuple(name for name in KEY_TYPES if name not in types)
    try:
        transport.start_client(timeout=timeout)
        transport.get_remote_server_key()
    except (paramiko.SSHException, OSError, EOFError) as error:
        transport.close()
        raise Unreachable(
            f"{endpoint.place}: no SSH handshake within {timeout:g} s: {_words(error)}",
            hint="is it sshd that listens there?",
        ) from None
    return transport


def _pinned_types(known_hosts: KnownHosts, endpoint: Endpoint) -> tuple[str, ...]:
    """Ask for the type of key that is pinned, or a machine with several types would show one that we do not know."""
    pinned = {key.type for key in known_hosts.of(endpoint.address, endpoint.port)}
    names = {"rsa-sha2-512" if name == "ssh-rsa" else name for name in pinned}
    return tuple(name for name in KEY_TYPES if name in names)


def _socket(endpoint: Endpoint, timeout: float) -> socket.socket:
    try:
        opened = socket.create_connection((endpoint.address, endpoint.port), timeout)
    except TimeoutError:
        raise Unreachable(
            f"{endpoint.place}: no answer within {timeout:g} s", hint="is the machine on, and its address right?"
        ) from None
    except ConnectionRefusedError:
        raise Unreachable(f"{endpoint.place}: connection refused", hint="is sshd running there?") from None
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            raise no_descriptors(endpoint.place) from None
        raise Unreachable(f"{endpoint.place}: {_words(error)}", hint="is the address right?") from None
    _watch(opened)
    return opened


def no_descriptors(place: str) -> PrerequisiteMissing:
    """It is this computer that lacks something, not the machine."""
    return PrerequisiteMissing(
        f"{place}: no file descriptor is left on this computer for a connection", hint="ulimit -n 4096, or fewer nodes"
    )


def _watch(opened: socket.socket) -> None:
    """Let the kernel notice a peer that is gone: probes on a silent connection, and a bound on unanswered data."""
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, DEAD_AFTER // 3)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, DEAD_AFTER // 6)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_AFTER * 1000)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _authenticate(transport: paramiko.Transport, endpoint: Endpoint) -> None:
    refused: list[str] = []
    with closing(_private_keys(endpoint, refused)) as keys:
        for source, key in keys:
            if _accepted(transport, endpoint, source, key, refused):
                return
            if not transport.is_active():
                break
    tried = "; ".join(refused) or "there is no key: no agent, and none of " + ", ".join(DEFAULT_KEYS) + " in ~/.ssh"
    raise Unreachable(
        f"{endpoint.place}: login refused: {tried}", hint="set `ssh.identity` in inventory.yaml, or ssh-add"
    )


def _accepted(
    transport: paramiko.Transport, endpoint: Endpoint, source: str, key: paramiko.PKey, refused: list[str]
) -> bool:
    """Offer one key; where it is not taken, the reason is in `refused`."""
    try:
        transport.auth_publickey(endpoint.user, key)
    except paramiko.BadAuthenticationType as error:
        raise Unreachable(f"{endpoint.place}: public keys are not accepted: {_words(error)}") from None
    except paramiko.AuthenticationException:
        refused.append(f"{source}: not accepted")
    except (paramiko.SSHException, OSError, EOFError) as error:
        refused.append(f"{source}: {_words(error)}")
    return transport.is_authenticated()


def _private_keys(endpoint: Endpoint, refused: list[str]) -> Generator[tuple[str, paramiko.PKey], None, None]:
    """The keys to offer, with where each is from. The named identity alone, if there is one: sshd counts the tries."""
    if endpoint.identity is not None:
        key = _from_file(endpoint.identity, refused)
        if key is not None:
            yield str(endpoint.identity), key
            return
    with closing(paramiko.Agent()) as agent:
        for held in _of_interest(agent, endpoint.identity):
            yield "agent " + (held.comment or held.get_name()), held
    if endpoint.identity is None:
        for name in DEFAULT_KEYS:
            path = Path.home() / ".ssh" / name
            if path.exists() and (key := _from_file(path, refused)):
                yield str(path), key


def _of_interest(agent: paramiko.Agent, identity: Path | None) -> list[paramiko.AgentKey]:
    """The agent's keys; the one of `identity` alone, if its public half lies beside it."""
    keys = list(agent.get_keys())
    public = identity.with_name(identity.name + ".pub") if identity else None
    if public is None or not public.exists():
        return keys
    wanted = public.read_text(encoding="utf-8").split()[1:2]
    return [key for key in keys if [key.get_base64()] == wanted]


def _from_file(path: Path, refused: list[str]) -> paramiko.PKey | None:
    """The key in a file, or None with the reason in `refused`."""
    try:
        return paramiko.PKey.from_path(path)
    except (paramiko.PasswordRequiredException, TypeError):
        refused.append(f"{path}: has a passphrase, so it must be in the agent (ssh-add {path})")
    except FileNotFoundError:
        refused.append(f"{path}: not there")
    except (paramiko.SSHException, OSError, ValueError) as error:
        refused.append(f"{path}: not usable: {_words(error)}")
    return None


def _words(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).strip().rstrip(".")
