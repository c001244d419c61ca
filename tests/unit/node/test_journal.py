import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

import pytest

from slipway.errors import UsageError
from slipway.node import journal
from slipway.result import CommandFailed, CommandResult, OddAnswer

ENTRY = {"__REALTIME_TIMESTAMP": "1700000000000001", "_SYSTEMD_UNIT": "k0s.service", "MESSAGE": "one"}


class FakeHost:
    """A fake node whose journalctl says this."""

    name = "w1"

    def __init__(self, said: str, *, code: int = 0, errors: str = "") -> None:
        self.said, self.code, self.errors = said, code, errors
        self.asked: tuple[str, ...] = ()

    def put(self, path: str, content: object, *, mode: int = 0) -> None: ...

    def close(self) -> None: ...

    def fresh(self, *, cut: bool = False) -> AbstractContextManager["FakeHost"]:
        return nullcontext(self)

    def run(self, argv: Sequence[str], **_how: object) -> CommandResult:
        self.asked = tuple(argv)
        result = CommandResult(tuple(argv), self.name, self.code, self.said, self.errors, 0.1)
        if self.code:
            raise CommandFailed(result)
        return result


def lines(*entries: Mapping[str, object], cursor: str = "s=1;i=2") -> str:
    return "".join(json.dumps(entry) + "\n" for entry in entries) + (f"-- cursor: {cursor}\n" if cursor else "")


def test_entries_have_time_unit_and_words():
    part = journal.read(FakeHost(lines(ENTRY)), ["k0s.service"], lines=5)
    assert part.entries == (journal.Entry("2023-11-14T22:13:20.000001+00:00", "k0s.service", "one"),)
    assert part.cursor == "s=1;i=2"


@pytest.mark.parametrize(
    ("message", "words"),
    [([104, 105, 255], "hi\N{REPLACEMENT CHARACTER}"), (None, ""), ("x" * 9000, "x" * journal.LONGEST)],
)
def test_messages_that_are_no_text_are_read_too(message, words):
    (entry,) = journal.read(FakeHost(lines({**ENTRY, "MESSAGE": message})), [], lines=5).entries
    assert entry.message == words


def test_a_question_has_a_bound_whatever_is_asked_for():
    host = FakeHost("")
    journal.read(host, ["a", "b"], lines=10**9, since="today", after="s=0")
    assert f"--lines={journal.MOST_LINES}" in host.asked
    assert {"--unit=a", "--unit=b", "--since=today", "--after-cursor=s=0"} <= set(host.asked)


def test_where_nothing_is_new_the_place_is_kept():
    assert journal.read(FakeHost(""), [], lines=5, after="s=0").cursor == "s=0"


def test_an_entry_that_makes_no_sense_is_the_node_s_error():
    with pytest.raises(OddAnswer, match=r"w1: .*makes no sense"):
        journal.read(FakeHost('{"MESSAGE": "no time"}\n'), [], lines=5)


def test_a_time_that_journalctl_does_not_know():
    host = FakeHost("", code=1, errors="Failed to parse timestamp: soon")
    with pytest.raises(UsageError, match="--since soon"):
        journal.read(host, [], lines=5, since="soon")
    with pytest.raises(CommandFailed):
        journal.read(host, [], lines=5)
