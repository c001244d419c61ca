"""A question to a DNS server and its answer, as they go over the wire (RFC 1035, RFC 3596)."""

import shlex

import pytest

from slipway.verify.backend import Answer, host_of
from slipway.verify.check import CannotRun
from slipway.verify.packs.kubernetes import _dns

NAME = "a.b"
QUESTION = "511d 0100 0001 0000 0000 0000 01 61 01 62 00"
ANSWER = "511d 8180 0001 {records:04x} 0000 0000 01 61 01 62 00 {kind:04x} 0001 "
RECORD = "c00c {kind:04x} 0001 0000 001e {length:04x} {data}"
V4, V6 = ("10.96.0.10", 1, "0a600001"), ("fd00:96::a", 28, "fd000096000000000000000000000001")


def asked(server: str, said: str) -> tuple[str, bytes]:
    """What is found, and the question in bytes."""
    questions = []

    def fake(command: str, _timeout: float) -> Answer:
        words = shlex.split(command)
        questions.append(bytes.fromhex(words[words.index(server) + 2].replace("\\x", "")))
        return Answer(0, bytes.fromhex(said).hex() + "\n", "")

    return _dns.address_of(host_of("n1", fake), server, NAME), questions[0]


def answer(kind: int, data: str) -> str:
    record = RECORD.format(kind=kind, length=len(data) // 2, data=data)
    return ANSWER.format(records=1, kind=kind) + record


@pytest.mark.parametrize(("place", "wanted"), [(V4, "10.96.0.1"), (V6, "fd00:96::1")])
def test_the_address_is_of_the_family_of_the_server(place, wanted):
    server, kind, data = place
    found, question = asked(server, answer(kind, data))
    assert found == wanted
    assert question == bytes.fromhex(f"{QUESTION} {kind:04x} 0001")


@pytest.mark.parametrize(("server", "kind", "data"), [V4, V6])
def test_a_name_that_has_no_address_is_told(server, kind, data):
    assert asked(server, ANSWER.format(records=0, kind=kind))[0] == "an answer without an address (code 0)"


@pytest.mark.parametrize(("server", "kind", "data"), [V4, V6])
def test_an_answer_that_holds_something_else_is_none(server, kind, data):
    for wrong in (answer(29 - kind, data), answer(kind, data[:-2]), answer(kind, data)[:-4]):
        with pytest.raises(CannotRun, match="holds no record with an address"):
            asked(server, wrong)
