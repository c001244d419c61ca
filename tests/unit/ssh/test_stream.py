"""The connection below SSH: reads are few, nobody wakes for nothing, and closing wakes everybody."""

import contextlib
import socket
import threading
from typing import cast

import pytest

from slipway.ssh.stream import CHUNK, LOOK_AROUND, Stream

SOON = 60.0
"""Seconds until something is given up that takes none."""


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


class FakeSocket:
    """Counts how often it is read; `family` says which kind it is."""

    def __init__(self, *parts: bytes, family: int = socket.AF_UNIX) -> None:
        self._parts, self.reads, self.family = [*parts], 0, family
        self.told: list[tuple[int, ...]] = []

    def recv(self, size: int) -> bytes:
        self.reads += 1
        part = self._parts.pop(0)
        assert len(part) <= size
        return part

    def setsockopt(self, *option: int) -> None:
        self.told.append((self.reads, *option))


def test_what_came_together_is_read_once_and_handed_out_in_pieces():
    fake = FakeSocket(b"head and rest", b"more", b"")
    stream = Stream(cast(socket.socket, fake))
    assert [stream.recv(4), stream.recv(100)] == [b"head", b" and rest"]
    assert fake.reads == 1
    assert [stream.recv(100), stream.recv(100)] == [b"more", b""]


def test_more_than_a_chunk_may_be_asked_for():
    long = b"x" * (CHUNK + 1)
    stream = Stream(cast(socket.socket, FakeSocket(long)))
    assert stream.recv(CHUNK + 1) == long


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["IPv4", "IPv6"])
def test_each_packet_is_acknowledged_as_it_comes(family):
    """The kernel would wait 40 ms for something to send with it, and sshd for the acknowledgement."""
    fake = FakeSocket(b"one", b"two", family=family)
    stream = Stream(cast(socket.socket, fake))
    for _ in range(6):
        stream.recv(1)
    at_once = (socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
    assert fake.told == [(1, *at_once), (2, *at_once)]


def test_the_kernel_takes_the_wish_for_a_connection_of_tcp_and_is_not_asked_for_another(ends):
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as ours:
        theirs, _ = server.accept()
        with theirs:
            theirs.sendall(b"x")
            assert Stream(ours).recv(1) == b"x"
            assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK) == 1
    ours, theirs = ends
    theirs.sendall(b"x")
    assert Stream(ours).recv(1) == b"x"


def test_nothing_is_lost_between_two_pieces(ends):
    ours, theirs = ends
    stream, said = Stream(ours), bytes(range(256)) * 1000
    thread = threading.Thread(target=theirs.sendall, args=(said,))
    thread.start()
    heard = b""
    while len(heard) < len(said):
        heard += stream.recv(1 + len(heard) % 100)
    thread.join(SOON)
    assert heard == said


def test_a_silent_machine_wakes_nobody_ten_times_a_second(ends):
    ours, _theirs = ends
    Stream(ours).settimeout(0.1)
    assert ours.gettimeout() == LOOK_AROUND


def test_closing_wakes_who_reads_and_tells_the_machine(ends):
    """Without a bound of its own the read would last for ever."""
    ours, theirs = ends
    stream, ended = Stream(ours), threading.Event()

    def read() -> None:
        with contextlib.suppress(OSError):
            stream.recv(1)
        ended.set()

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    stream.close()
    assert ended.wait(SOON)
    theirs.settimeout(SOON)
    assert theirs.recv(1) == b""
    assert stream._closed
    stream.close()
