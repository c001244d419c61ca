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
    """Counts how often it is read."""

    def __init__(self, *parts: bytes) -> None:
        self._parts, self.reads = [*parts], 0

    def recv(self, size: int) -> bytes:
        self.reads += 1
        part = self._parts.pop(0)
        assert len(part) <= size
        return part


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
