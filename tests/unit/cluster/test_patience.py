"""What could not reach the API server is asked again; what was answered is not."""

import pytest

from slipway.cluster import patience
from slipway.cluster.patience import patiently
from slipway.events import Events
from slipway.result import CommandFailed, CommandResult

HELM = 'Error: kubernetes cluster unreachable: Get "https://10.0.0.1:6443/version": net/http: TLS handshake timeout'
KUBECTL = (
    'E1126 05:34:21.000000 1 memcache.go:265] "Unhandled Error" err="couldn\'t get current server API group list"\n'
    "Unable to connect to the server: net/http: TLS handshake timeout"
)
REFUSED = "The connection to the server 10.0.0.1:6443 was refused - did you specify the right host or port?"
ENOUGH = 30.0


class FakeAsk:
    """Fails with each of these words, then answers."""

    def __init__(self, *said: str) -> None:
        self.said = list(said)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.said:
            raise CommandFailed(CommandResult(("helm", "get"), "localhost", 1, "", self.said.pop(0), 0.1))
        return "answer"


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(patience, "INTERVAL", 0.01)


@pytest.mark.parametrize("said", [HELM, KUBECTL, REFUSED], ids=["helm", "kubectl", "refused"])
def test_what_did_not_reach_it_is_asked_again_and_told(said):
    seen: list[tuple[str, str]] = []
    ask, events = FakeAsk(said, said), Events(lambda event: seen.append((event.phase, event.words)))
    assert patiently(ask, events, within=ENOUGH) == "answer"
    assert ask.calls == 3
    assert seen == [("api", said.splitlines()[-1])]


@pytest.mark.parametrize("nothing", [None, False, ""])
def test_an_answer_that_is_nothing_is_an_answer(nothing):
    assert patiently(lambda: nothing, Events(), within=ENOUGH) is nothing


@pytest.mark.parametrize(
    "said",
    [
        "Error: UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress",
        "Error from server (Forbidden): nodes is forbidden",
        "",
    ],
)
def test_what_was_answered_is_not_asked_again(said):
    ask = FakeAsk(said)
    with pytest.raises(CommandFailed):
        patiently(ask, Events(), within=ENOUGH)
    assert ask.calls == 1


def test_patience_ends_with_what_was_said_last():
    with pytest.raises(CommandFailed, match="was refused"):
        patiently(FakeAsk(*[REFUSED] * 1000), Events(), within=0.05)
