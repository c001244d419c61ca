"""Health checks, against a real sshd and a small web server."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from slipway.inventory.model import HealthCheck
from slipway.node import health


class Page(BaseHTTPRequestHandler):
    """/CODE answers with that status; a redirection leads to /200."""

    def do_GET(self):
        self.send_response(int(self.path.strip("/")))
        self.send_header("Location", "/200")
        self.end_headers()

    def log_message(self, *_words):
        """Nothing to write down."""


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def check(**fields: str) -> HealthCheck:
    return HealthCheck.model_validate(fields)


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("true", ""),
        ("echo too hot >&2; exit 3", "health check: exit code 3: too hot"),
        ("false", "health check: exit code 1: no word"),
    ],
)
def test_a_command_says_by_its_exit_code_how_the_machine_is(remote, command, why):
    assert health.problem(remote, check(command=command)) == why


def test_a_command_without_an_end_is_no_good_sign(remote):
    assert health.problem(remote, check(command="sleep 60", timeout="1s")) == "health check: no end after 1 s"


@pytest.mark.parametrize(
    ("path", "status", "why"),
    [
        ("/200", "200", ""),
        ("/204", "204", ""),
        ("/503", "503", ""),
        ("/302", "302", ""),
        ("/503", "200", "status 503, not 200"),
        ("/302", "200", "status 302, not 200"),
    ],
)
def test_a_page_has_the_status_that_was_named(remote, web, path, status, why):
    found = health.problem(remote, check(url=web + path, status=status))
    assert found == (f"health check: {web}{path}: {why}" if why else "")


def test_a_page_that_nobody_serves_is_a_reason_not_an_error(remote):
    assert "refused" in health.problem(remote, check(url="http://127.0.0.1:1/"))


def test_where_both_are_named_both_have_to_be_well(remote, web):
    assert "exit code" in health.problem(remote, check(command="false", url=f"{web}/200"))
    assert "status 503" in health.problem(remote, check(command="true", url=f"{web}/503"))
