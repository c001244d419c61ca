"""A pack's questions in one command: run by real shells, without a node."""

import subprocess

import pytest

from slipway.verify.backend import Answer, host_of
from slipway.verify.check import CannotRun
from slipway.verify.packs._reads import Answers, Read


def here(command: str, timeout: float) -> Answer:
    ran = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=timeout, check=False)
    return Answer(ran.returncode, ran.stdout, ran.stderr)


def asked(*reads: Read) -> Answers:
    return Answers(host_of("n1", here), reads)


def test_each_question_has_its_answer_as_it_was_printed():
    answers = asked(Read("two", "printf '1\\n2\\n'"), Read("none", "true"), Read("bytes", "printf 'a\\tb  '"))
    assert [answers[name].said() for name in ("two", "none", "bytes")] == ["1\n2\n", "", "a\tb  "]


def test_a_question_that_fails_is_not_an_empty_answer():
    answer = asked(Read("gone", "echo half; echo 'no such thing' >&2; exit 7"), Read("next", "echo well"))["gone"]
    assert answer.said((0, 7)) == "half\n"
    with pytest.raises(CannotRun, match=r"exit code 7: echo half.*no such thing"):
        answer.said()


def test_a_program_that_is_missing_is_told():
    with pytest.raises(CannotRun, match="not-a-program"):
        asked(Read("missing", "not-a-program --all"))["missing"].said()


def test_a_question_without_end_costs_its_own_time_only():
    answers = asked(Read("hangs", "sleep 30", 1), Read("next", "echo well"))
    assert answers["next"].said() == "well\n"
    with pytest.raises(CannotRun, match="no end in time: sleep 30"):
        answers["hangs"].said()


def test_no_question_can_pass_for_another():
    with pytest.raises(CannotRun):
        asked(Read("bad", "printf '\\036other\\037made up\\0370\\037'"), Read("other", "echo true"))


def test_a_question_waits_for_no_one():
    assert asked(Read("stdin", "cat"))["stdin"].said() == ""
