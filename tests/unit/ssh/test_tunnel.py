"""Tunnels through a real sshd to real ports of this machine."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from slipway.ssh.pool import Pool

BOUND = 10.0


@contextmanager
def server() -> Iterator[int]:
    """A port that says everything back once its caller has said all; a MB in one piece."""

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                caller, _ = listener.accept()
                threading.Thread(target=answer, args=(caller,), daemon=True).start()

    def answer(caller: socket.socket) -> None:
        with caller:
            said = b"".join(iter(lambda: caller.recv(1 << 16), b""))
            caller.sendall(said)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def call(port: int, said: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), BOUND) as here:
        here.sendall(said)
        here.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: here.recv(1 << 16), b""))


@pytest.fixture
def pool(sshd):
    with Pool([sshd.endpoint], sshd.known_hosts) as pool:
        yield pool


def test_what_goes_in_comes_out_both_ways_and_more_than_once(pool):
    with server() as port, pool.tunnel("node", "127.0.0.1", port) as tunnel:
        for said in (b"one", b"x" * (1 << 20), b""):
            assert call(tunnel.port, said) == said
        assert tunnel.trouble == ""


def test_several_connections_at_a_time(pool):
    with (
        server() as port,
        pool.tunnel("node", "127.0.0.1", port) as tunnel,
        socket.create_connection(("127.0.0.1", tunnel.port), BOUND) as slow,
    ):
        assert call(tunnel.port, b"beside it") == b"beside it"
        slow.sendall(b"late")
        slow.shutdown(socket.SHUT_WR)
        assert slow.recv(100) == b"late"


def test_commands_on_the_machine_go_on_beside_it(pool):
    with server() as port, pool.tunnel("node", "127.0.0.1", port) as tunnel:
        assert pool.host("node").run(["echo", "here"]).stdout == "here\n"
        assert call(tunnel.port, b"there") == b"there"


def test_a_port_where_nobody_listens_ends_the_connection_and_is_told(pool):
    with server() as port:
        free = port
    with pool.tunnel("node", "127.0.0.1", free) as tunnel:
        with contextlib.suppress(ConnectionResetError):
            assert call(tunnel.port, b"anybody?") == b""
        assert f"127.0.0.1:{free}: " in tunnel.trouble


def test_nothing_is_left_after_it(pool):
    before = threading.active_count()
    with server() as port:
        with (
            pool.tunnel("node", "127.0.0.1", port) as tunnel,
            socket.create_connection(("127.0.0.1", tunnel.port), BOUND) as here,
        ):
            here.sendall(b"in the middle")
        here.close()
        with pytest.raises(ConnectionRefusedError):
            call(tunnel.port, b"")
    deadline = threading.Event()
    for _ in range(100):
        if threading.active_count() <= before:
            return
        deadline.wait(0.05)
    pytest.fail(f"threads are left: {threading.enumerate()}")
