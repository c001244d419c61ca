"""The Git server's scripts: shell that bash takes, no password in an argument, the hook where Flux waits."""

import hashlib
import json
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import yaml

from slipway.generate import gitops

JOBS = ("bootstrap/git-repository", "bootstrap/git-webhook")


def container(make: Any, app: str) -> Any:
    files = {str(path): text for path, text in gitops.render(make()).items()}
    job = yaml.safe_load(files[f"gitops/{app}/app/job.yaml"])
    (found,) = job["spec"]["template"]["spec"]["containers"]
    return found


@pytest.mark.parametrize("app", JOBS)
def test_bash_takes_the_script(make, app):
    script = container(make, app)["command"][2]
    subprocess.run(["bash", "-n"], input=script.encode(), check=True)


@pytest.mark.parametrize("app", JOBS)
def test_passwords_come_from_secrets_alone(make, app):
    found = container(make, app)
    secret = {each["name"] for each in found["env"] if "secretKeyRef" in each.get("valueFrom", {})}
    assert "ADMIN_PASSWORD" in secret
    assert not any("PASSWORD" in each["name"] or "TOKEN" in each["name"] for each in found["env"] if "value" in each)


def test_the_webhook_calls_where_the_receiver_listens(make):
    """notification-controller: sha256 of token, name and namespace, one behind the other."""
    script = container(make, "bootstrap/git-webhook")["command"][2]
    (line,) = [line for line in script.splitlines() if line.startswith("path=")]
    argv = ["bash", "-c", f'{line}; printf %s "$path"']
    said = subprocess.run(
        argv, env={"TOKEN": "tok", "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=True
    )
    assert said.stdout == hashlib.sha256(b"tokgit-webhookflux-system").hexdigest()


class FakeGitea(BaseHTTPRequestHandler):
    """The webhooks of one repository, as Gitea tells them."""

    hooks: dict[int, str]
    asked: list[str]

    def do_GET(self) -> None:
        told = [{"id": number, "type": "gitea", "config": {"url": url}} for number, url in self.hooks.items()]
        self._answer(200, told if self.path.endswith("/hooks") else {"version": "1.27.0"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.hooks[max(self.hooks, default=0) + 1] = body["config"]["url"]
        self._answer(201, {})

    def do_DELETE(self) -> None:
        del self.hooks[int(self.path.rpartition("/")[2])]
        self._answer(204, None)

    def _answer(self, code: int, said: object) -> None:
        self.asked.append(self.command)
        self.send_response(code)
        self.end_headers()
        self.wfile.write(b"" if said is None else json.dumps(said, separators=(",", ":")).encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


def hooks_after(make: Any, hooks: dict[int, str]) -> list[str]:
    """What a run of the Job changes those into; returns what it asked."""
    asked: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Here", (FakeGitea,), {"hooks": hooks, "asked": asked}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    script = container(make, "bootstrap/git-webhook")["command"][2].replace("/3000", f"/{server.server_port}")
    about = {
        "GIT_HOST": "127.0.0.1", "ADMIN_USERNAME": "admin", "ADMIN_PASSWORD": "swordfish", "RECEIVER": "flux",
        "ORGANIZATION": "ops", "REPOSITORY": "lab", "BRANCH": "main", "TOKEN": "tok", "PATH": "/usr/bin:/bin",
    }  # fmt: skip
    try:
        subprocess.run(["bash", "-c", script], env=about, check=True, capture_output=True, timeout=60)
    finally:
        server.shutdown()
        server.server_close()
    return asked


OURS = f"http://flux/hook/{hashlib.sha256(b'tokgit-webhookflux-system').hexdigest()}"


def test_the_webhook_is_made_once(make):
    hooks: dict[int, str] = {}
    assert hooks_after(make, hooks) == ["GET", "GET", "POST"]
    assert hooks == {1: OURS}
    assert hooks_after(make, hooks) == ["GET", "GET"]


def test_a_webhook_of_an_earlier_token_goes_and_those_of_others_stay(make):
    hooks = {1: "http://flux/hook/0123", 2: "http://ci.example.org/hook/0123", 7: "http://flux/hook/4567"}
    hooks_after(make, hooks)
    assert hooks == {2: "http://ci.example.org/hook/0123", 3: OURS}
