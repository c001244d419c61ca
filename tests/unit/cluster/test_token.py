"""Join tokens: short-lived, never visible."""

import pytest
from tests.unit.cluster.fakes import TOKEN_SECRET, encoded

from slipway.cluster import token
from slipway.errors import DeployFailed


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
