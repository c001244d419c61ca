"""Join tokens: short-lived, never visible."""

import pytest
from tests.unit.cluster.fakes import TOKEN_SECRET, encoded

from slipway.cluster import token
from slipway.errors import DeployFailed
from slipway.result import CommandFailed


@pytest.fixture
def running(world):
    one = world()
    one.machine("cp1").state = "active"
    return one


def test_the_public_half_is_read_and_the_secret_one_hidden(running):
    made = token.create(running.machine("cp1"), token.Kind.WORKER)
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
        token.create(machine, token.Kind.WORKER)
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
