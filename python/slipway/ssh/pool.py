"""The machines of an inventory, each with one connection that is opened on first use and kept; work on many at once."""

from __future__ import annotations

import errno
import getpass
import resource
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from slipway.errors import DeployFailed, Interrupted, PrerequisiteMissing, SlipwayError, Unreachable
from slipway.groups import alike, typed
from slipway.inventory.address import way_of
from slipway.secret import Secret
from slipway.ssh import openssh, tunnel
from slipway.ssh.connection import CONNECT_TIMEOUT, Endpoint, connect, no_descriptors
from slipway.ssh.host import Host, Remote
from slipway.ssh.jump import Jumps
from slipway.ssh.keys import KNOWN_HOSTS, HostKeyRefused, KnownHosts
from slipway.ssh.tunnel import Tunnel

if TYPE_CHECKING:
    from slipway.inventory import Inventory
    from slipway.inventory.model import Host as InventoryHost

Result = TypeVar("Result")

LIMIT = 50
"""Machines worked on at a time where the caller names no limit: connecting costs us some 5 ms of processor each."""


DESCRIPTORS = 8
"""File descriptors that one machine may take: two connections, the agent, the pipes of a copy."""
OWN_DESCRIPTORS = 128
TERMINAL = "/dev/tty"
LOOKS_UP = 0.5
"""Seconds after which the main thread looks for a signal while it waits."""
CUT_WITHIN = 0.5
"""Seconds for what is under way to end after an interruption, which cuts it."""


class Pool:
    """Connections by node name. A context manager: leaving it closes them all."""

    def __init__(
        self,
        endpoints: Iterable[Endpoint],
        known_hosts: KnownHosts,
        *,
        connect_timeout: float = CONNECT_TIMEOUT,
        password: Secret | None = None,
    ) -> None:
        """`password` is for sudo on those machines where it asks."""
        self.known_hosts = known_hosts
        self._connect_timeout = connect_timeout
        self.jumps = Jumps(known_hosts, connect_timeout)
        self.endpoints = {endpoint.name: endpoint for endpoint in endpoints}
        self._hosts = {
            name: Remote(
                endpoint,
                known_hosts,
                connect_timeout=connect_timeout,
                jumps=self.jumps,
                password=password if endpoint.asks_password else None,
            )
            for name, endpoint in self.endpoints.items()
        }
        _raise_limit(len(self._hosts))

    @classmethod
    def of(cls, inventory: Inventory, more: Iterable[Endpoint] = ()) -> Self:
        """All machines of an inventory and `more` that are not in it, with the keys that its repository pins."""
        endpoints = [*(endpoint_of(host) for host in inventory.hosts), *more]
        known_hosts = KnownHosts.load(inventory.root / KNOWN_HOSTS)
        asking = [endpoint for endpoint in endpoints if endpoint.asks_password and endpoint.user != "root"]
        password = ask_password(asking) if asking else None
        return cls(endpoints, known_hosts, connect_timeout=inventory.deploy.timeouts.connect, password=password)

    def host(self, name: str) -> Host:
        """The machine `name`, a key of the inventory."""
        return self._hosts[name]

    def remote(self, name: str) -> Remote:
        """The same, where somebody needs to know that it is spoken to by SSH."""
        return self._hosts[name]

    @contextmanager
    def openssh(self, name: str) -> Iterator[list[str]]:
        """Words for an OpenSSH client that does as our own connection does, while the block lasts: it accepts the same
        keys of the machine, and offers the key that the machine took from us."""
        endpoint, remote = self.endpoints[name], self._hosts[name]
        ways = [endpoint.jump[: number + 1] for number in range(len(endpoint.jump))]
        places = [(each.address, each.port) for each in (*endpoint.jump, endpoint)]
        with ExitStack() as stack:
            known_hosts = stack.enter_context(self.known_hosts.only(*places))
            keys = [stack.enter_context(self.jumps.accepted(way).as_file()) for way in ways]
            identity = stack.enter_context(remote.accepted.as_file())
            text = openssh.jumps(endpoint.jump, known_hosts, self._connect_timeout, keys)
            config = Path(stack.enter_context(Secret(text).as_file())) if text else None
            yield openssh.options(endpoint, known_hosts, self._connect_timeout, identity, config)

    @contextmanager
    def tunnel(self, name: str, address: str, port: int, *, here: int = 0) -> Iterator[Tunnel]:
        """A port of this machine that leads to ADDRESS:PORT as the machine `name` sees it, while the block lasts.

        It has a connection of its own, so that commands on the machine go on beside it. `here` is the port of this
        machine, 0 for any. Raises Unreachable, and UsageError for a port that is taken.
        """
        endpoint, remote = self.endpoints[name], self._hosts[name]
        transport = connect(endpoint, self.known_hosts, self._connect_timeout, remote.accepted, reach=self.jumps.reach)
        with closing(transport), tunnel.through(transport, address, port, here=here) as opened:
            yield opened

    def map(
        self, function: Callable[[Host], Result], names: Iterable[str] | None = None, *, limit: int = LIMIT
    ) -> dict[str, Result | SlipwayError]:
        """Call `function` on each machine (all of them if `names` is left out), at most `limit` at a time.

        Returns what it returned or the error it raised, by name, in the order of `names`: see `for_each`.
        """
        chosen = list(self._hosts if names is None else names)
        return for_each(lambda name: function(self.host(name)), chosen, limit=limit)

    def close(self) -> None:
        for host in self._hosts.values():
            host.close()
        self.jumps.close()

    def shut(self) -> None:
        """End all that is under way on any machine, and let nothing begin any more: for an interruption."""
        self.jumps.shut()
        for host in self._hosts.values():
            host.shut()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def endpoint_of(host: InventoryHost) -> Endpoint:
    """Where to log in for a host of the inventory, and through whom."""
    ssh = host.ssh
    jumps = tuple(_jump(text, ssh.user, ssh.identity) for text in ssh.jump)
    return Endpoint(
        host.name, host.login_address, ssh.port, ssh.user, ssh.identity, jump=jumps, asks_password=ssh.sudo_password
    )


def ask_password(endpoints: Sequence[Endpoint]) -> Secret:
    """Ask for the password of sudo, at the terminal; it is kept in memory alone. Raises PrerequisiteMissing where there
    is no terminal."""
    first, more = endpoints[0], len(endpoints) - 1
    where = f"{first.name} and {more} more" if more else first.name
    try:
        with Path(TERMINAL).open("r+b", buffering=0):
            return Secret(getpass.getpass(f"password of {first.user} for sudo on {where}: "))
    except (OSError, EOFError):
        raise PrerequisiteMissing(
            f"sudo on {where} asks {first.user} for a password (ssh.sudoPassword), and there is no terminal to ask at",
            hint="run it in a terminal, or let that user's sudo ask for none",
        ) from None


def _jump(text: str, user: str, identity: Path | None) -> Endpoint:
    """A jump host has no name with us; trust and error messages call it what the inventory calls it."""
    way = way_of(text)
    return Endpoint(text, way.address, way.port, way.user or user, identity)


def for_each(
    function: Callable[[str], Result], names: Iterable[str], *, limit: int = LIMIT
) -> dict[str, Result | SlipwayError]:
    """`function` of each name, at most `limit` at a time; results and SlipwayErrors by name.

    Nothing that happens to one of them ends the others: any exception is an error of that name, Unforeseen where it is
    none of ours. An interruption passes through; what has not begun by then does not begin.
    """
    chosen = list(names)
    if not chosen:
        return {}
    executor = ThreadPoolExecutor(max_workers=min(limit, len(chosen)), thread_name_prefix="slipway")
    futures: dict[str, Future[Result]] = {}
    try:
        for name in chosen:
            futures[name] = executor.submit(function, name)
        outcomes: dict[str, Result | SlipwayError] = {}
        for name, future in futures.items():
            # Ctrl-C in the moment before Python begins to wait is heard when it has waited.
            while not future.done():
                wait((future,), LOOKS_UP)
            outcome = _outcome(name, future)
            outcomes[name] = outcome
        return outcomes
    except KeyboardInterrupt:
        # Whoever pressed Ctrl-C waits for nobody who does not answer.
        executor.shutdown(wait=False, cancel_futures=True)
        wait(futures.values(), CUT_WITHIN)
        raise
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


def together(
    errors: Mapping[str, SlipwayError], otherwise: str | None, kind: type[SlipwayError] = Unreachable
) -> SlipwayError:
    """One error of this `kind` for those of several machines: each reason once, and the step that lets us in where
    their keys kept us out, else `otherwise`."""
    untrusted = [name for name, error in errors.items() if isinstance(error, HostKeyRefused)]
    text = "\n".join(alike((name, str(error)) for name, error in errors.items()))
    return kind(text, hint=f"slipway trust{typed(untrusted)}" if untrusted else otherwise)


def first_answer(function: Callable[[str], Result], names: Iterable[str], none: str, *, hint: str) -> Result:
    """What `function` gives for the first of several machines, any of which would do, for which it raises no error.

    Raises what all of them said below the words of `none`: Unreachable where none was reached, else DeployFailed with
    this `hint`. An interruption passes through.
    """
    refusals: list[SlipwayError] = []
    for name in names:
        try:
            return function(name)
        except Interrupted:
            raise
        except SlipwayError as error:
            refusals.append(error)
    said = "\n".join([none, *map(str, refusals)])
    if refusals and all(isinstance(each, Unreachable) for each in refusals):
        raise Unreachable(said, hint="slipway status")
    raise DeployFailed(said, hint=hint)


class Unforeseen(SlipwayError):
    """What happened with one machine is no error that we know: an odd answer, or a mistake of ours."""


def _outcome(name: str, future: Future[Result]) -> Result | SlipwayError:
    try:
        return future.result()
    except SlipwayError as error:
        return error
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            return no_descriptors(name)
        return unforeseen(name, error)
    except Exception as error:
        return unforeseen(name, error)


def unforeseen(name: str, error: Exception) -> Unforeseen:
    """What is told of `name` where an exception is none of ours."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(place.filename).name}:{place.lineno}"
    return Unforeseen(f"{name}: {type(error).__name__} in {where}: {error}", hint="please report this line as a bug")


def _raise_limit(machines: int) -> None:
    """Let this process open what so many connections take, as far as it may: the usual 1,024 are for small programs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OWN_DESCRIPTORS + machines * DESCRIPTORS
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft not in (resource.RLIM_INFINITY,) and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
