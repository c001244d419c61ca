"""git as it is."""

import os
import socket
import subprocess
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from slipway.result import CommandFailed
from slipway.tools import git
from slipway.tools.run import run


def test_new_files_become_known_and_stay_unstaged(tmp_path):
    assert not git.is_inside_repository(tmp_path)
    git.init(tmp_path)
    assert git.is_inside_repository(tmp_path)
    (tmp_path / ".gitignore").write_text("ignored\n")
    (tmp_path / "ignored").write_text("")
    odd = Path("a *b\nc")
    (tmp_path / odd).write_text("")
    assert set(git.untracked(tmp_path)) == {Path(".gitignore"), odd}
    git.intend_to_add(tmp_path, [odd])
    assert git.untracked(tmp_path) == (Path(".gitignore"),)


def test_a_folder_is_made_known_without_what_is_ignored_and_what_is_staged_stays_so(tmp_path):
    git.init(tmp_path)
    (tmp_path / ".gitignore").write_text("ignored\n")
    (tmp_path / "folder").mkdir()
    for name in ("staged", "ignored"):
        (tmp_path / "folder" / name).write_text("first")
    run(["git", "-C", str(tmp_path), "add", "folder/staged"])
    staged = run(["git", "-C", str(tmp_path), "ls-files", "--stage"]).stdout
    (tmp_path / "folder" / "staged").write_text("second")
    (tmp_path / "folder" / "new").write_text("")
    git.intend_to_add(tmp_path, [Path("folder")])
    now = run(["git", "-C", str(tmp_path), "ls-files", "--stage"]).stdout.splitlines()
    assert [line.split("\t")[1] for line in now] == ["folder/new", "folder/staged"]
    assert now[1] == staged.strip()


def test_files_that_a_flake_would_be_built_without_are_told(tmp_path):
    for path in (
        "hosts/w1.nix",
        "hosts/old.nix",
        "hosts/w1.nix~",
        "modules/local.nix",
        "modules/notes.txt",
        "README.md",
    ):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text("{ }")
    assert git.unseen(tmp_path) == (), "without Git a flake sees the folder as it is"
    git.init(tmp_path)
    (tmp_path / ".gitignore").write_text("local.nix\n*.txt\n")
    run(["git", "-C", str(tmp_path), "add", "--intent-to-add", "hosts/old.nix"])
    assert git.unseen(tmp_path) == (Path("hosts/w1.nix"), Path("modules/local.nix"))
    assert git.ignores(tmp_path, git.unseen(tmp_path)) == {Path("modules/local.nix")}


def test_a_flake_in_a_part_of_a_repository_is_told_of_its_own_files(tmp_path):
    git.init(tmp_path)
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "another.nix").write_text("{ }")
    (tmp_path / "lab" / "hosts").mkdir(parents=True)
    (tmp_path / "lab" / "hosts" / "w1.nix").write_text("{ }")
    assert git.unseen(tmp_path / "lab") == (Path("hosts/w1.nix"),)


def test_a_folder_that_the_repository_around_it_ignores_is_in_none(tmp_path):
    git.init(tmp_path)
    (tmp_path / ".gitignore").write_text("/demo/\n")
    for name in ("demo", "kept"):
        (tmp_path / name).mkdir()
    assert not git.is_inside_repository(tmp_path / "demo")
    assert git.is_inside_repository(tmp_path / "kept")
    git.init(tmp_path / "demo")
    assert git.is_inside_repository(tmp_path / "demo")


@pytest.fixture
def checkout(tmp_path):
    """A repository with one commit, and a user whose configuration nobody else's is mixed with."""
    git.init(tmp_path)
    commit(tmp_path, "gitops/a.yaml", "kind: A\n")
    return tmp_path


def commit(root: Path, name: str, content: str) -> str:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(content)
    run(["git", "-C", str(root), "add", "--", name])
    about = ["-c", "user.name=Tester", "-c", "user.email=tester@example.org"]
    run(["git", "-C", str(root), *about, "commit", "--quiet", "--message", f"Change {name}"])
    return git.head(root)


def test_a_repository_without_a_commit_has_no_head(tmp_path):
    git.init(tmp_path)
    assert git.head(tmp_path) == ""


def test_what_is_not_in_the_last_commit_is_told(checkout):
    assert git.uncommitted(checkout, "gitops", "overlays") == ()
    (checkout / "gitops" / "a.yaml").write_text("kind: B\n")
    (checkout / "gitops" / "new one.yaml").write_text("")
    (checkout / "elsewhere").write_text("")
    assert set(git.uncommitted(checkout, "gitops", "overlays")) == {"gitops/a.yaml", "gitops/new one.yaml"}


def test_a_commit_contains_itself_and_what_it_is_built_on_and_none_that_is_not_here(checkout):
    first = git.head(checkout)
    second = commit(checkout, "gitops/a.yaml", "kind: B\n")
    assert git.contains(checkout, second, first)
    assert git.contains(checkout, second, second)
    assert not git.contains(checkout, first, second)
    assert not git.contains(checkout, first, "0123456789" * 4)


def test_a_commit_beside_the_branch_leaves_checkout_and_index_alone(checkout):
    before, state = git.head(checkout), git.uncommitted(checkout, ".")
    made = git.beside(checkout, before, "gitops/flux/marker.yaml", b"kind: M\n", "Try")
    show = ["git", "-C", str(checkout), "show"]
    assert run([*show, f"{made}:gitops/flux/marker.yaml"]).stdout == "kind: M\n"
    assert run([*show, f"{made}:gitops/a.yaml"]).stdout == "kind: A\n"
    assert run([*show, "--no-patch", "--format=%P", made]).stdout.strip() == before
    assert (git.head(checkout), git.uncommitted(checkout, ".")) == (before, state)
    assert git.contains(checkout, made, before)


def test_what_a_killed_run_left_beside_the_branch_is_in_nobodys_way_and_goes(checkout):
    before = {path.name for path in (checkout / ".git").iterdir()}
    for name in ("slipway-index", "slipway-index.lock"):
        (checkout / ".git" / name).write_text("half of one")
    assert git.beside(checkout, git.head(checkout), "marker", b"", "Try")
    assert {path.name for path in (checkout / ".git").iterdir()} == before


PASSWORD = b"correct horse"


class Backend(BaseHTTPRequestHandler):
    """git's own server program behind HTTP, for one user with a password."""

    root: Path

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, body: bytes) -> None:
        if self.headers.get("Authorization") != "Basic " + b64encode(b"admin:" + PASSWORD).decode():
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.end_headers()
            return
        path, _, query = self.path.partition("?")
        about = {
            "GIT_PROJECT_ROOT": str(self.root), "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path, "QUERY_STRING": query,
            "REQUEST_METHOD": self.command, "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)), "REMOTE_USER": "admin", "PATH": os.environ["PATH"],
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "HTTP_GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }  # fmt: skip
        said = subprocess.run(["git", "http-backend"], input=body, env=about, capture_output=True, check=True).stdout
        head, _, content = said.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self.send_response(int(headers.pop("Status", "200").split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


class HangsUp(Backend):
    """A server that is killed when a commit is half-way."""

    def do_POST(self) -> None:
        self.rfile.read(1)
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True


class Refuses(Backend):
    """A server that takes nothing so large."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(413)
        self.end_headers()


@contextmanager
def served(kind: type[Backend], root: Path) -> Iterator[git.Remote]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Here", (kind,), {"root": root}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield git.Remote(f"http://127.0.0.1:{server.server_port}/lab.git", "main", git.login(b"admin", PASSWORD))
    server.shutdown()
    server.server_close()


@pytest.fixture
def remote(tmp_path_factory, monkeypatch):
    """An empty repository on a real HTTP server; the user's own git keeps passwords in a file and has a proxy."""
    root, home = tmp_path_factory.mktemp("server"), tmp_path_factory.mktemp("home")
    run(["git", "init", "--quiet", "--bare", str(root / "lab.git")])
    (home / ".gitconfig").write_text(
        f"[credential]\nhelper = store --file {home}/kept\n[http]\nproxy = http://[::1]:9\n"
    )
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    with served(Backend, root) as remote:
        yield remote
    assert not (home / "kept").exists(), "a helper of the user's has written the password down"


def test_a_commit_is_pushed_and_told(checkout, remote):
    assert git.tip(remote) == ""
    git.push(checkout, remote, git.head(checkout), instead_of="")
    assert git.tip(remote) == git.head(checkout)
    found = run(["git", "-C", str(checkout), "config", "--list", "--local"]).stdout
    assert "127.0.0.1" not in found, "no remote is left behind"


def test_a_branch_that_moved_meanwhile_is_left_alone(checkout, remote):
    first, second = git.head(checkout), commit(checkout, "gitops/a.yaml", "kind: B\n")
    git.push(checkout, remote, second, instead_of="")
    for seen in ("", first):
        with pytest.raises(CommandFailed, match="stale info"):
            git.push(checkout, remote, first, instead_of=seen)
    assert git.tip(remote) == second
    git.push(checkout, remote, first, instead_of=second)
    assert git.tip(remote) == first


def test_commits_of_the_remote_come_without_a_name(checkout, remote, tmp_path_factory):
    git.push(checkout, remote, git.head(checkout), instead_of="")
    other = tmp_path_factory.mktemp("other")
    git.init(other)
    assert not git.contains(other, git.tip(remote), git.tip(remote))
    git.fetch(other, remote)
    assert git.contains(other, git.tip(remote), git.tip(remote))
    assert run(["git", "-C", str(other), "for-each-ref"]).stdout == ""


def test_a_wrong_password_ends_in_words_and_without_a_question(checkout, remote):
    wrong = replace(remote, login=git.login(b"admin", b"nonsense"))
    with pytest.raises(CommandFailed) as error:
        git.push(checkout, wrong, git.head(checkout), instead_of="")
    assert "Authentication failed" in str(error.value)
    assert "nonsense" not in str(error.value)


def test_a_push_that_is_cut_short_is_told_from_one_that_is_refused(checkout, remote, tmp_path_factory):
    """In the words of the real git: the first may be made again, the second never."""
    root = tmp_path_factory.mktemp("another")
    run(["git", "init", "--quiet", "--bare", str(root / "lab.git")])
    cut = {}
    for kind in (HangsUp, Refuses):
        with served(kind, root) as there, pytest.raises(CommandFailed) as error:
            git.push(checkout, there, git.head(checkout), instead_of="")
        cut[kind] = git.cut_off(error.value)
    assert cut == {HangsUp: True, Refuses: False}
    with pytest.raises(CommandFailed) as error:
        git.tip(there)
    assert git.cut_off(error.value), "nobody listens there any more"
    with pytest.raises(CommandFailed) as error:
        git.tip(replace(remote, login=git.login(b"admin", b"wrong")))
    assert not git.cut_off(error.value)
