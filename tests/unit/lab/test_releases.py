"""A release of k0s from a server on loopback that can be cut off, lie, or know no ranges."""

import base64
import hashlib
import platform
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from slipway.errors import PrerequisiteMissing, SlipwayError, UsageError
from slipway.events import Events
from slipway.lab import locks, releases
from slipway.lab.settings import lab_cache

VERSION = "1.36.3+k0s.2"
CONTENT = bytes(range(256)) * 4096


@dataclass
class Server:
    url: str = ""
    content: bytes = CONTENT
    ranges: bool = True
    cut_after: int | None = None
    asked: list[tuple[str, str | None]] = field(default_factory=list)


def handler_of(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            wanted = self.headers.get("Range")
            server.asked.append((self.path, wanted))
            start = int(wanted[len("bytes=") : -1]) if wanted and server.ranges else 0
            if start >= len(server.content):
                self.send_error(416)
                return
            body = server.content[start:]
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body if server.cut_after is None else body[: server.cut_after])

        def log_message(self, *_):
            pass

    return Handler


@pytest.fixture
def server():
    state = Server()
    with ThreadingHTTPServer(("127.0.0.1", 0), handler_of(state)) as real:
        state.url = f"http://127.0.0.1:{real.server_port}"
        thread = threading.Thread(target=real.serve_forever, args=(0.01,))
        thread.start()
        yield state
        real.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def table(tmp_path, monkeypatch):
    """The pinned hash is that of CONTENT, and the cache is the test's own."""
    pinned = f"sha256-{base64.b64encode(hashlib.sha256(CONTENT).digest()).decode()}"
    monkeypatch.setattr(releases, "known_releases", lambda: {VERSION: {f"{platform.machine()}-linux": pinned}})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def heard():
    return []


@pytest.fixture
def get(server, heard):
    return lambda: releases.k0s(VERSION, Events(heard.append), server.url)


def left() -> list[str]:
    folder = lab_cache() / "releases"
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


def cut(server: Server, get: Callable[[], Path], after: int) -> None:
    server.cut_after = after
    with pytest.raises(PrerequisiteMissing, match=f"ended after {after} of {len(CONTENT)} bytes"):
        get()
    server.cut_after = None


def test_a_release_with_the_pinned_hash_is_taken_and_can_be_run(server, get, heard):
    program = get()
    assert program.read_bytes() == CONTENT
    assert program.stat().st_mode & 0o777 == 0o755
    assert server.asked[0][0].startswith("/v1.36.3%2Bk0s.2/k0s-v1.36.3%2Bk0s.2-")
    assert [event.state for event in heard] == ["started", "done"]


def test_it_is_downloaded_once(server, get):
    assert get() == get()
    assert len(server.asked) == 1


def test_a_damaged_file_in_the_cache_is_replaced(server, get):
    get().write_bytes(CONTENT[:-1])
    assert get().read_bytes() == CONTENT
    assert len(server.asked) == 2


def test_another_hash_is_refused_and_nothing_of_it_stays(server, get):
    server.content = CONTENT[:-1] + b"!"
    with pytest.raises(SlipwayError, match="the pinned one is sha256-"):
        get()
    assert left() == []


def test_a_download_that_was_cut_off_is_never_used_and_goes_on_where_it_stopped(server, get):
    cut(server, get, 1000)
    assert [name for name in left() if not name.startswith(".")] == []
    assert get().read_bytes() == CONTENT
    assert server.asked[-1][1] == "bytes=1000-"


def test_a_server_without_ranges_sends_it_all_again(server, get):
    cut(server, get, 1000)
    server.ranges = False
    assert get().read_bytes() == CONTENT


def test_a_whole_part_that_was_never_renamed_is_taken(server, get):
    program = get()
    program.rename(program.with_name(f".{program.name}.part"))
    assert get().read_bytes() == CONTENT


def test_what_does_not_end_in_time_is_given_up(server, get, monkeypatch):
    monkeypatch.setattr(releases, "DOWNLOAD_TIMEOUT", 0.0)
    monkeypatch.setattr(locks, "held", lambda *_a, **_k: threading.Lock())
    (lab_cache() / "releases").mkdir(parents=True)
    with pytest.raises(PrerequisiteMissing, match="given up"):
        get()


def test_what_is_too_large_is_given_up(server, get, monkeypatch):
    monkeypatch.setattr(releases, "LARGEST", 1000)
    with pytest.raises(PrerequisiteMissing, match="given up"):
        get()


def test_a_server_that_does_not_answer_is_told_with_what_to_do(heard):
    with pytest.raises(PrerequisiteMissing) as caught:
        releases.k0s(VERSION, Events(heard.append), "http://127.0.0.1:1")
    assert "SLIPWAY_LAB_K0S" in str(caught.value.hint)


def test_an_unknown_release_is_refused_before_anything_is_asked(server, heard):
    with pytest.raises(UsageError, match=r"--k0s 9\.9\.9: no such release"):
        releases.k0s("9.9.9", Events(heard.append), server.url)
    assert server.asked == []
