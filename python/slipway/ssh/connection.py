"""Opening an SSH connection: a bounded TCP connect, the pinned host key, then public keys. Nothing here asks anybody
anything, because it runs in threads: a key with a passphrase has to be in the agent."""

from __future__ import annotations

import base64
import errno
import logging
import os
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import paramiko
from paramiko.packet import Packetizer

from slipway.errors import Interrupted, PrerequisiteMissing, Unreachable, UsageError
from slipway.inventory.address import address_of
from slipway.secret import Secret
from slipway.ssh import certificate
from slipway.ssh.keys import KnownHosts, known_name
from slipway.ssh.stream import Stream

CONNECT_TIMEOUT = 10.0
"""Seconds for the TCP connection, and again for the SSH handshake and for each key that is offered."""
LOOK_UP = 0.2
"""Seconds between two looks at whether somebody still waits for the resolver."""
AGENT_TIMEOUT = 10.0
"""Seconds for one answer of the agent; a security key that nobody touches gives none."""
MOST_LOGINS = 4
"""Connections for one login. A server ends the connection after some keys (MaxAuthTries, 6), and so does paramiko where
the agent cannot sign with one; the keys after it are offered on the next."""
DEAD_AFTER = 30
"""Seconds without an acknowledgement after which the kernel gives a connection up."""
LONGEST_PACKET = 256 << 10
"""Bytes; OpenSSH's own bound (PACKET_MAX_SIZE)."""
LONGEST_GREETING = 64 << 10
"""Bytes of the lines that a server may say before its version."""
CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes192-ctr", "aes256-ctr")
"""OpenSSH's own since 6.7. First those that need no MAC beside them: paramiko compares that byte by byte, in Python."""
MACS = ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512")
NOT_ACCEPTED = ": not accepted"
DEFAULT_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")

# Its threads log what we raise as errors anyway; without a handler Python prints that to standard error.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


class LoginRefused(Unreachable):
    """The machine is there, and takes none of the keys that we have."""


@dataclass(frozen=True)
class Endpoint:
    """Where and as whom to log in. `identity` is a private key file; without it the agent's and the default ones."""

    name: str
    address: str
    port: int = 22
    user: str = "root"
    identity: Path | None = None
    jump: tuple[Endpoint, ...] = ()
    """The hosts to go through, the nearest first; each is reached through those before it."""
    asks_password: bool = False
    """Whether sudo asks the user for a password there."""

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


@dataclass
class Accepted:
    """The key that a machine took last: offered first the next time, and the only one that OpenSSH is to offer.

    `public` as in authorized_keys, empty before the first login; `file` where it came from one, else from the agent.
    """

    public: str = ""
    file: Path | None = None

    @contextmanager
    def as_file(self) -> Iterator[Path | None]:
        """What OpenSSH takes as IdentityFile: of a key in the agent its public half says which one is meant."""
        if self.file is not None or not self.public:
            yield self.file
            return
        with Secret(f"{self.public}\n").as_file() as path:
            yield Path(path)


class Attempt:
    """A connection that is being opened. Another thread can end it: a machine that is silent is waited for else."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._opened: socket.socket | paramiko.Transport | None = None
        self._is_cut = False

    def holds(self, opened: socket.socket | paramiko.Transport) -> None:
        """What `cut` shall end from now on. Raises Interrupted if it was called already."""
        with self._lock:
            self._opened = opened
        self.go_on()

    def go_on(self) -> None:
        """Raises Interrupted after `cut`."""
        if self._is_cut:
            self._end()
            raise Interrupted("interrupted while it was connected")

    def cut(self) -> None:
        self._is_cut = True
        self._end()

    def _end(self) -> None:
        with self._lock, suppress(OSError, EOFError, paramiko.SSHException):
            if isinstance(self._opened, paramiko.Transport):
                self._opened.close()
                # One that was not started yet leaves it open, and would go on with it.
                self._opened.sock.close()
            elif self._opened is not None:
                # Closing it would not wake who waits for it.
                self._opened.shutdown(socket.SHUT_RDWR)


Reach = Callable[[Endpoint, float, Attempt], paramiko.Channel]
"""Gives a stream to a machine behind jump hosts (ssh/jump.py)."""


def connect(
    endpoint: Endpoint,
    known_hosts: KnownHosts,
    timeout: float = CONNECT_TIMEOUT,
    accepted: Accepted | None = None,
    attempt: Attempt | None = None,
    reach: Reach | None = None,
) -> paramiko.Transport:
    """A connection of its own, authenticated. Raises Unreachable with what is wrong and what may help.

    `accepted` says which key to offer first, and afterwards which it was; `attempt` lets another thread end it; `reach`
    gets through jump hosts, where there are any.
    """
    login, attempt = _Login(endpoint, accepted or Accepted()), attempt or Attempt()
    for _ in range(MOST_LOGINS):
        transport = _handshake(endpoint, known_hosts, timeout, attempt, reach)
        try:
            known_hosts.check(endpoint.name, endpoint.address, endpoint.port, transport.get_remote_server_key())
            if login.succeeds(transport):
                return transport
        except BaseException:
            transport.close()
            raise
        transport.close()
        if login.is_over:
            break
    raise login.refusal()


def shown_key(endpoint: Endpoint, timeout: float = CONNECT_TIMEOUT, reach: Reach | None = None) -> paramiko.PKey:
    """The host key that answers at this address, unchecked: for a person to compare."""
    transport = _handshake(endpoint, None, timeout, Attempt(), reach)
    try:
        return transport.get_remote_server_key()
    finally:
        transport.close()


def _handshake(
    endpoint: Endpoint, known_hosts: KnownHosts | None, timeout: float, attempt: Attempt, reach: Reach | None
) -> paramiko.Transport:
    if endpoint.jump:
        if reach is None:
            raise Unreachable(f"{endpoint.place}: is behind a jump host, and this goes through none", hint="ssh -J")
        stream: Any = reach(endpoint, timeout, attempt)
    else:
        stream = Stream(_socket(endpoint, timeout, attempt))
    transport = _Transport(stream, packetizer_class=_Packets)
    attempt.holds(transport)
    transport.banner_timeout = transport.auth_timeout = timeout
    types = _wanted_types(known_hosts, endpoint) if known_hosts else ()
    wanted = transport.get_security_options()
    wanted.key_types = types + tuple(name for name in certificate.KEY_TYPES if name not in types)
    wanted.ciphers, wanted.digests = CIPHERS, MACS
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


class _Transport(paramiko.Transport):
    """Writes no diary: nobody reads it, and putting the words together is a tenth of what a login costs."""

    def _log(self, _level: int, _words: object, *_more: object) -> None:
        pass

    def _parse_debug(self, _message: paramiko.Message) -> None:
        """sshd explains itself to whoever debugs it."""


class _Packets(Packetizer):
    """What comes before anybody is known, and after it, in bounds: paramiko reads as many bytes as it is told to."""

    _greeted = 0

    def start_handshake(self, timeout: float) -> None:
        """Nothing: paramiko starts a thread that wakes after `timeout`. Whoever waits for the handshake has a bound."""

    def read_all(self, n: int, check_rekey: bool = False) -> bytes:
        if n > LONGEST_PACKET:
            raise paramiko.SSHException(f"a packet of {n} bytes was announced; OpenSSH's are {LONGEST_PACKET} at most")
        return super().read_all(n, check_rekey)

    def _read_timeout(self, timeout: float) -> bytes:
        """Reads the greeting, and nothing else."""
        found: bytes = super()._read_timeout(timeout)  # type: ignore[misc]  # (its types leave it out)
        self._greeted += len(found)
        if self._greeted > LONGEST_GREETING:
            raise paramiko.SSHException(f"a greeting of more than {LONGEST_GREETING} bytes")
        return found


def _wanted_types(known_hosts: KnownHosts, endpoint: Endpoint) -> tuple[str, ...]:
    """Ask for the type of key that is pinned, or a machine with several types would show one that we do not know.

    Before it for a certificate, where the key of an authority is pinned.
    """
    certificates = certificate.TYPES if known_hosts.authorities(endpoint.address, endpoint.port) else ()
    pinned = {key.type for key in known_hosts.of(endpoint.address, endpoint.port)}
    names = {"rsa-sha2-512" if name == "ssh-rsa" else name for name in pinned}
    return (*certificates, *(name for name in certificate.KEY_TYPES if name in names))


def _socket(endpoint: Endpoint, timeout: float, attempt: Attempt) -> socket.socket:
    try:
        opened = _opened(endpoint, time.monotonic() + timeout, attempt)
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


def _opened(endpoint: Endpoint, deadline: float, attempt: Attempt) -> socket.socket:
    """The first of a name's addresses that answers. The resolver and all of them share the time."""
    trouble: OSError = TimeoutError()
    for family, kind, protocol, _, place in _places(endpoint, deadline - time.monotonic(), attempt):
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        opened = socket.socket(family, kind, protocol)
        try:
            attempt.holds(opened)
            opened.settimeout(left)
            opened.connect(place)
        except OSError as error:
            opened.close()
            trouble = error
        except BaseException:
            opened.close()
            raise
        else:
            return opened
    raise trouble


def _places(endpoint: Endpoint, timeout: float, attempt: Attempt) -> list[Any]:
    """What getaddrinfo finds, in a thread for names: it knows no bound but that of resolv.conf."""
    if _is_ip_address(endpoint.address):
        return socket.getaddrinfo(endpoint.address, endpoint.port, type=socket.SOCK_STREAM)
    found: list[Any] = []

    def look_up() -> None:
        try:
            found.append(socket.getaddrinfo(endpoint.address, endpoint.port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            found.append(OSError(f"{endpoint.address}: {_words(error)}"))

    thread = threading.Thread(target=look_up, name="slipway-resolver", daemon=True)
    thread.start()
    end = time.monotonic() + timeout
    while thread.is_alive() and time.monotonic() < end:
        thread.join(min(LOOK_UP, timeout))
        attempt.go_on()
    if not found:
        raise OSError(f"no answer of the resolver within {timeout:g} s")
    if isinstance(found[0], OSError):
        raise found[0]
    return list(found[0])


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


class _Login:
    """Offering keys to one machine, each once, over as many connections as that takes."""

    def __init__(self, endpoint: Endpoint, accepted: Accepted) -> None:
        self._endpoint = endpoint
        self._accepted = accepted
        self._offered: set[str] = set()
        self._refused: list[str] = []
        self.is_over = False
        """Whether there is no other key to offer."""

    def succeeds(self, transport: paramiko.Transport) -> bool:
        """Offer what was not offered yet, until one is accepted or the connection is at its end."""
        first = self._accepted.public
        if first and self._offers(transport, lambda public: public == first):
            return True
        if not transport.is_active():
            return False
        self.is_over = not self._offers(transport, lambda _public: True) and transport.is_active()
        return transport.is_authenticated()

    def _offers(self, transport: paramiko.Transport, chosen: Callable[[str], bool]) -> bool:
        self._refused = [said for said in self._refused if said.endswith(NOT_ACCEPTED)]
        with closing(_private_keys(self._endpoint, self._refused)) as keys:
            for source, key in keys:
                public = _public(key)
                if public in self._offered or not chosen(public):
                    continue
                self._offered.add(public)
                if self._is_accepted(transport, source, key):
                    self._accepted.public = public
                    self._accepted.file = None if isinstance(key, paramiko.AgentKey) else Path(source)
                    return True
                if not transport.is_active():
                    return False
        return False

    def _is_accepted(self, transport: paramiko.Transport, source: str, key: paramiko.PKey) -> bool:
        """Offer one key. One that cannot be used is like one that is not accepted."""
        try:
            transport.auth_publickey(self._endpoint.user, key)
        except paramiko.BadAuthenticationType as error:
            raise Unreachable(f"{self._endpoint.place}: public keys are not accepted: {_words(error)}") from None
        except paramiko.AuthenticationException:
            self._refused.append(f"{source}{NOT_ACCEPTED}")
        except Exception as error:
            self._refused.append(f"{source} ({_words(error)}){NOT_ACCEPTED}")
        return transport.is_authenticated()

    def refusal(self) -> LoginRefused:
        none = "there is no key: no agent, and none of " + ", ".join(DEFAULT_KEYS) + " in ~/.ssh"
        return LoginRefused(
            f"{self._endpoint.place}: login refused: {'; '.join(self._refused) or none}",
            hint="set `ssh.identity` in inventory.yaml, or ssh-add",
        )


def _public(key: paramiko.PKey) -> str:
    return f"{key.get_name()} {base64.b64encode(key.asbytes()).decode()}"


class _Agent(paramiko.Agent):
    """The user's agent, which has a bound for its answers."""

    def _connect(self, conn: socket.socket) -> None:
        conn.settimeout(AGENT_TIMEOUT)
        try:
            super()._connect(conn)  # type: ignore[misc]  # (the types leave out what begins with an underscore)
        except BaseException:
            conn.close()
            raise


@contextmanager
def _agent(refused: list[str]) -> Iterator[list[paramiko.AgentKey]]:
    """The keys that it holds; none of an agent that cannot be asked, with the reason in `refused`."""
    try:
        agent = _Agent()
    except (paramiko.SSHException, OSError, EOFError, ValueError, struct.error) as error:
        refused.append(f"the agent ({os.environ.get('SSH_AUTH_SOCK', '')}): {_words(error)}")
        yield []
        return
    with closing(agent):
        yield list(agent.get_keys())


def _private_keys(endpoint: Endpoint, refused: list[str]) -> Generator[tuple[str, paramiko.PKey], None, None]:
    """The keys to offer, with where each is from. The named identity alone, if there is one: sshd counts the tries."""
    if endpoint.identity is not None:
        key = _from_file(endpoint.identity, refused)
        if key is not None:
            yield str(endpoint.identity), key
            return
    with _agent(refused) as held_keys:
        for held in _of_interest(held_keys, endpoint.identity):
            yield "agent " + (held.comment or held.get_name()), held
    if endpoint.identity is None:
        for name in DEFAULT_KEYS:
            path = Path.home() / ".ssh" / name
            if path.exists() and (key := _from_file(path, refused)):
                yield str(path), key


def _of_interest(keys: list[paramiko.AgentKey], identity: Path | None) -> list[paramiko.AgentKey]:
    """The agent's keys; the one of `identity` alone, if its public half lies beside it."""
    public = identity.with_name(identity.name + ".pub") if identity else None
    if public is None or not public.exists():
        return keys
    wanted = public.read_text(encoding="utf-8").split()[1:2]
    return [key for key in keys if [key.get_base64()] == wanted]


def _from_file(path: Path, refused: list[str]) -> paramiko.PKey | None:
    """The key in a file, or None with the reason in `refused`. One that others can read is no key, as for OpenSSH."""
    try:
        there = path.stat()
        if there.st_uid == os.getuid() and there.st_mode & 0o077:
            refused.append(f"{path}: others can read it, so it is not used (chmod 600 {path})")
            return None
        return _parsed(path, (_stamp(path), _stamp(Path(f"{path}-cert.pub"))))
    except (paramiko.PasswordRequiredException, TypeError):
        refused.append(f"{path}: has a passphrase, so it must be in the agent (ssh-add {path})")
    except FileNotFoundError:
        refused.append(f"{path}: not there")
    except (paramiko.SSHException, OSError, ValueError) as error:
        refused.append(f"{path}: not usable: {_words(error)}")
    return None


@cache
def _parsed(path: Path, _stamps: object) -> paramiko.PKey:
    """Read once, and again where the key or its certificate changed: a fleet is logged in to with one key."""
    return paramiko.PKey.from_path(path)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        there = path.stat()
    except FileNotFoundError:
        return None
    return there.st_ino, there.st_mtime_ns, there.st_size


def _words(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).strip().rstrip(".")
