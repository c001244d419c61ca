"""Join tokens: short-lived, never visible."""

import threading
from pathlib import Path

import pytest
from tests.unit.cluster.fakes import TOKEN_SECRET, encoded

from slipway.cluster import token
from slipway.errors import DeployFailed, Interrupted, SlipwayError
from slipway.result import CommandFailed
from slipway.wait import wait_until


@pytest.fixture
def running(world):
    one = world()
    one.machine("cp1").state = "active"
    return one


def test_the_public_half_is_read_and_the_secret_one_hidden(running):
    made = token.create(running.machine("cp1"), token.Kind.WORKER, "w1")
    assert made.id == "tok001"
    assert TOKEN_SECRET not in repr(made)
    assert TOKEN_SECRET not in str(made)


@pytest.mark.parametrize(
    "said", ["", "no base64", "aGVsbG8=", encoded("withoutadot").decode()], ids=["empty", "text", "no gzip", "no dot"]
)
def test_what_is_no_token_is_refused_without_being_shown(running, monkeypatch, said):
    machine = running.machine("cp1")
    monkeypatch.setattr(machine, "k0s", lambda words: (0, said))
    with pytest.raises(DeployFailed) as caught:
        token.create(machine, token.Kind.WORKER, "w1")
    assert "cp1: k0s token create" in str(caught.value)
    assert not said or said not in str(caught.value)


def test_a_token_is_taken_back_when_the_join_fails(running):
    controller, node = running.machine("cp1"), running.machine("w1")
    with pytest.raises(KeyError), token.given(controller, node, token.Kind.WORKER):
        assert node.files[token.TOKEN_FILE] != b""
        raise KeyError
    assert running.cluster.tokens == {}
    assert node.files[token.TOKEN_FILE] == b""


def test_the_node_is_cleared_even_if_the_controller_is_gone(running):
    controller, node = running.machine("cp1"), running.machine("w1")
    with pytest.raises(Exception, match="no route"), token.given(controller, node, token.Kind.WORKER):
        controller.breaks = "unreachable"
    assert node.files[token.TOKEN_FILE] == b""


def test_while_a_token_is_out_its_controller_has_a_note_of_it(running):
    controller, node = running.machine("cp1"), running.machine("w1")
    with token.given(controller, node, token.Kind.WORKER) as made:
        assert controller.files[token.ISSUED + made.id] == b"w1"
    assert token.ISSUED + made.id not in controller.files


def test_an_interruption_leaves_no_token(running):
    """It shuts every connection of the run before anything is cleared up."""
    controller, node = running.machine("cp1"), running.machine("w1")
    with pytest.raises(KeyboardInterrupt), token.given(controller, node, token.Kind.WORKER):
        controller.shut.set()
        node.shut.set()
        raise KeyboardInterrupt
    assert running.cluster.tokens == {}
    assert node.files[token.TOKEN_FILE] == b""


def test_a_token_that_has_run_out_is_taken_back_without_an_error(running):
    token.take_back(running.machine("cp1"), "abc123")


def test_a_token_that_cannot_be_taken_back_is_an_error(running, monkeypatch):
    monkeypatch.setattr(running.machine("cp1"), "k0s", lambda words: (1, "Error: connection refused"))
    with pytest.raises(CommandFailed, match="connection refused"):
        token.take_back(running.machine("cp1"), "abc123")


def test_an_interruption_while_it_is_made_leaves_no_token(running, monkeypatch):
    """k0s has made it, and nobody heard of it."""
    controller, node = running.machine("cp1"), running.machine("w1")
    answer = controller.answer

    def and_then(argv):
        said = answer(argv)
        if token.CREATE in argv:
            controller.shut.set()
            controller.reach()
        return said

    monkeypatch.setattr(controller, "answer", and_then)
    with pytest.raises(Interrupted), token.given(controller, node, token.Kind.WORKER):
        pass
    assert (running.cluster.made, running.cluster.tokens) == (1, {})
    assert not [path for path in controller.files if path.startswith(token.ISSUED)]


def test_a_token_that_cannot_be_made_says_why_and_not_what_clearing_up_met(running, monkeypatch):
    controller = running.machine("cp1")
    monkeypatch.setattr(controller, "k0s", lambda words: (1, f"Error: no {words[1]}"))
    with (
        pytest.raises(CommandFailed, match=r"cp1: make a join token w1 worker .*\n +Error: no create"),
        token.given(controller, running.machine("w1"), token.Kind.WORKER),
    ):
        pass


# --- the script itself, on a machine with a fake k0s ---


@pytest.fixture
def controller(sshd, tmp_path, monkeypatch):
    """A machine whose k0s prints a token once the file `go` is there, with words of its own before and after it."""
    monkeypatch.setattr(token, "ISSUED", f"{tmp_path}/notes/join-token-")
    monkeypatch.setattr(token, "LOCK", f"{tmp_path}/notes/lock")
    (tmp_path / "token").write_bytes(encoded("abc123.0123456789abcdef"))
    program = sshd.folder / "bin" / "k0s"
    program.write_text(
        f"#!/bin/sh\ntouch {tmp_path}/begun\nuntil [ -e {tmp_path}/go ]; do sleep 0.05; done\n"
        f'[ "$*" = "token create --role=worker --expiry=10m" ] || exit 9\n'
        f"echo warning >&2 && cat {tmp_path}/token && echo more >&2\n"
    )
    program.chmod(0o755)
    host = sshd.remote()
    yield host
    host.close()
    program.unlink()


def notes(folder: Path) -> dict[str, str]:
    return {each.name: each.read_text() for each in folder.glob("notes/join-token-*")}


def test_its_controller_writes_it_down_before_anybody_hears_of_it(controller, tmp_path):
    (tmp_path / "go").touch()
    assert token.create(controller, token.Kind.WORKER, "w1").id == "abc123"
    assert notes(tmp_path) == {"join-token-abc123": "w1"}
    assert [token.noted(controller, node) for node in ("w1", "w2")] == [["abc123"], []]
    assert sorted(each.name for each in (tmp_path / "notes").iterdir()) == ["join-token-abc123", "lock"]


def test_a_deployer_that_dies_meanwhile_leaves_a_note_of_it(controller, sshd, tmp_path):
    """Who asks is told only when k0s has come to its end."""
    failed: list[SlipwayError] = []

    def create() -> None:
        try:
            token.create(controller, token.Kind.WORKER, "w1")
        except SlipwayError as error:
            failed.append(error)

    first = threading.Thread(target=create)
    first.start()
    wait_until(lambda: (True if (tmp_path / "begun").exists() else None, ""), deadline=30, describe="k0s at work")
    controller.close()
    first.join(30)
    assert failed and notes(tmp_path) == {}
    found: list[list[str]] = []
    with sshd.remote().fresh() as another:
        second = threading.Thread(target=lambda: found.append(token.noted(another, "w1")))
        second.start()
        (tmp_path / "go").touch()
        second.join(30)
    assert found == [["abc123"]]


def test_what_k0s_refuses_is_told_in_its_words(controller, sshd, tmp_path):
    (sshd.folder / "bin" / "k0s").write_text("#!/bin/sh\necho Error: refused >&2\nexit 3\n")
    with pytest.raises(CommandFailed, match=r"exit code 3\n +Error: refused"):
        token.create(controller, token.Kind.WORKER, "w1")
    assert notes(tmp_path) == {}
