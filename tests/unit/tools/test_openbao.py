"""What is asked of OpenBao, of a fake one that answers as the real one does: before it has done what was asked."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import cast

import pytest

from slipway.secret import Secret
from slipway.tools.openbao import OpenBao, Refused
from slipway.tools.run import Service

PASSWORD = Secret("of the first start")
LET_IN = (200, {"auth": {"client_token": "t"}})


class FakeService:
    def __init__(self, code: int | None = None) -> None:
        self._code = code

    def ended(self) -> int | None:
        return self._code

    def said(self) -> str:
        return "[ERROR] core: raft snapshot restore failed postUnseal"


@contextmanager
def fake_openbao(*sign_ins: tuple[int, object], code: int | None = None) -> Iterator[tuple[OpenBao, list[str]]]:
    """One that answers sign-ins in this order, the last one for ever; and what it was asked."""
    asked: list[str] = []
    left = list(sign_ins)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self._read()
            asked.append(self.path)
            status, body = (left.pop(0) if len(left) > 1 else left[0]) if "login" in self.path else (204, None)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b"" if body is None else json.dumps(body).encode())

        def _read(self) -> None:
            """A file comes in chunks."""
            if "Content-Length" in self.headers:
                self.rfile.read(int(self.headers["Content-Length"]))
                return
            while size := int(self.rfile.readline(), 16):
                self.rfile.read(size + 2)
            self.rfile.readline()

        def log_message(self, *_words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield OpenBao(server.server_address[1], cast(Service, FakeService(code))), asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    (tmp_path / "openbao.snap").write_bytes(b"a snapshot")
    return tmp_path / "openbao.snap"


@pytest.mark.parametrize("status", [400, 403, 404, 503])
def test_a_restore_ends_when_whoever_was_there_before_is_let_in_no_more(snapshot, status):
    with fake_openbao(LET_IN, (500, {"errors": ["local node not active"]}), (status, {"errors": []})) as (bao, asked):
        bao.restore(snapshot, "admin", PASSWORD, deadline=60)
    assert asked == ["/v1/sys/storage/raft/snapshot-force", *["/v1/auth/userpass/login/admin"] * 3]


def test_a_restore_that_does_not_come_is_told_with_what_openbao_says(snapshot):
    with fake_openbao(LET_IN) as (bao, _), pytest.raises(Refused, match=r"admin is still let in.*failed postUnseal"):
        bao.restore(snapshot, "admin", PASSWORD, deadline=3)


def test_an_openbao_that_dies_of_a_snapshot_is_told(snapshot):
    with fake_openbao(LET_IN, code=2) as (bao, _), pytest.raises(Refused, match=r"ended with 2.*failed postUnseal"):
        bao.restore(snapshot, "admin", PASSWORD, deadline=60)
