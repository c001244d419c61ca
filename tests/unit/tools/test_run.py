import os
import threading
import time
from pathlib import Path

import pytest

from slipway.errors import Interrupted, PrerequisiteMissing
from slipway.result import CommandFailed, CommandTimedOut, TooMuchSaid
from slipway.secret import Secret
from slipway.tools import run as module
from slipway.tools.run import call, find_program, run, serving


def test_output_error_output_and_exit_code_are_kept_apart():
    result = run(["sh", "-c", "echo out; echo err >&2; exit 3"], expect=(3,))
    assert (result.stdout, result.stderr, result.exit_code) == ("out\n", "err\n", 3)


def test_words_reach_the_program_as_they_are():
    hostile = ["a b", "$(id)", "`id`", "'", '"', "*", "\n", ";", "ü"]
    assert run(["printf", "%s|", *hostile]).stdout == "|".join(hostile) + "|"


def test_an_unexpected_exit_code_raises_with_command_and_words():
    with pytest.raises(CommandFailed, match=r"(?s)sh -c 'echo no >&2; exit 7': exit code 7.*no"):
        run(["sh", "-c", "echo no >&2; exit 7"])


def test_a_signal_is_told_from_an_exit_code():
    with pytest.raises(CommandFailed, match="killed by signal 9"):
        run(["sh", "-c", "kill -9 $$"])


def test_a_missing_program_is_a_missing_prerequisite():
    with pytest.raises(PrerequisiteMissing, match="no-such-program: not found on PATH"):
        run(["no-such-program"])


def test_input_is_passed_on_and_a_secret_too():
    assert run(["cat"], input=b"plain").stdout == "plain"
    assert run(["cat"], input=Secret("hidden")).stdout == "hidden"


def test_without_input_a_program_reads_end_of_file():
    assert run(["cat"], timeout=60).stdout == ""


def test_a_program_that_does_not_read_its_input_is_no_error():
    assert run(["true"], input=b"x" * 1_000_000, on_line=lambda _line: None).ok


def test_lines_of_error_output_are_handed_over_as_they_come():
    lines: list[str] = []
    result = run(["sh", "-c", "echo one >&2; echo out; echo two >&2"], on_line=lines.append)
    assert lines == ["one", "two"]
    assert (result.stdout, result.stderr) == ("out\n", "one\ntwo\n")


def test_the_whole_process_group_is_ended_when_the_time_is_up(tmp_path: Path):
    pid_file = tmp_path / "pid"
    with pytest.raises(CommandTimedOut, match=r"no end after 2 s"):
        run(["sh", "-c", f"sleep 60 & echo $! > {pid_file}; wait"], timeout=2)
    child = int(pid_file.read_text())
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and _alive(child):
        time.sleep(0.02)
    assert not _alive(child)


def test_a_program_that_ignores_term_is_killed(monkeypatch):
    monkeypatch.setattr(module, "GRACE", 0.2)
    with pytest.raises(CommandTimedOut):
        run(["sh", "-c", "trap '' TERM; while :; do sleep 1; done"], timeout=0.3)


def test_what_ignores_term_is_killed_also_where_its_leader_went_at_once(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(module, "GRACE", 0.3)
    pid_file = tmp_path / "pid"
    script = f"(trap '' TERM; exec sleep 60) & echo $! > {pid_file}; wait"
    with pytest.raises(CommandTimedOut):
        run(["sh", "-c", script], timeout=2)
    _gone(int(pid_file.read_text()))


def _gone(pid: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and _alive(pid):
        time.sleep(0.02)
    assert not _alive(pid)


def test_call_ends_what_ignores_term(monkeypatch):
    monkeypatch.setattr(module, "GRACE", 0.2)
    with pytest.raises(CommandTimedOut):
        call(["sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"], timeout=0.3)


def test_a_listener_that_raises_ends_the_program_at_once(tmp_path: Path):
    """It stood still until its time limit, an hour for a build: nobody read its pipe any more."""
    pid_file = tmp_path / "pid"

    def full(_line: str) -> None:
        raise OSError(28, "No space left on device")

    script = f"echo $$ > {pid_file}; while :; do echo line >&2; done"
    with pytest.raises(OSError, match="No space left"):
        run(["sh", "-c", script], on_line=full, timeout=30)
    _gone(int(pid_file.read_text()))


def test_what_a_program_leaves_behind_does_not_hold_it_back(monkeypatch):
    monkeypatch.setattr(module, "LINGER", 0.2)
    result = run(["sh", "-c", "sleep 30 & echo $!"], timeout=10)
    os.kill(int(result.stdout), 9)


def test_an_endless_answer_ends_the_program(monkeypatch):
    monkeypatch.setattr(module, "MOST_OUTPUT", 1 << 20)
    with pytest.raises(TooMuchSaid, match="localhost: yes: more than 1 MiB of output; it was ended"):
        run(["yes"], timeout=30)


def test_of_much_error_output_the_end_is_kept(monkeypatch):
    monkeypatch.setattr(module, "MOST_ERRORS", 1000)
    lines: list[str] = []
    result = run(["sh", "-c", "seq 100000 >&2"], on_line=lines.append)
    assert lines == [str(number) for number in range(1, 100_001)]
    assert len(result.stderr) < 3000
    assert "bytes before this are left out" in result.stderr
    assert result.stderr.endswith("99999\n100000\n")


def test_a_last_line_without_an_end_is_handed_over_too():
    lines: list[str] = []
    run(["sh", "-c", "printf 'one\\ntwo' >&2"], on_line=lines.append)
    assert lines == ["one", "two"]


def test_input_and_output_of_any_size_pass_at_the_same_time():
    content = os.urandom(3_000_000).hex().encode()
    assert run(["cat"], input=content, timeout=30).stdout.encode() == content


def test_what_ignores_term_does_not_outlive_an_interruption(monkeypatch):
    monkeypatch.setattr(module, "_stopped", threading.Event())
    monkeypatch.setattr(module, "GRACE", 0.2)
    codes: list[int] = []
    script = "trap '' TERM; echo deaf >&2; while :; do sleep 0.1; done"
    deaf = threading.Event()
    argv = ["sh", "-c", script]
    thread = threading.Thread(
        target=lambda: codes.append(run(argv, check=False, on_line=lambda _: deaf.set()).exit_code)
    )
    thread.start()
    assert deaf.wait(60)
    module.stop()
    thread.join(60)
    assert codes == [-9]


def test_environment_is_added_and_folder_is_set(tmp_path: Path):
    result = run(["sh", "-c", 'echo "$GREETING"; pwd; test -n "$PATH"'], env={"GREETING": "hi"}, cwd=tmp_path)
    assert result.stdout.split() == ["hi", str(tmp_path)]


def test_programs_are_found_on_path_before_the_cache(tmp_path: Path, monkeypatch):
    cached = tmp_path / "slipway" / "bin" / "some-tool"
    cached.parent.mkdir(parents=True)
    cached.write_text("#!/bin/sh\n")
    cached.chmod(0o755)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert find_program("some-tool") == cached
    on_path = tmp_path / "some-tool"
    on_path.write_text("#!/bin/sh\n")
    on_path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert find_program("some-tool") == on_path


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False
    return state != "Z"


def test_control_a_living_process_is_seen_as_alive():
    assert _alive(os.getpid())


def test_call_gives_the_exit_code_and_lets_the_program_talk(capfd):
    assert call(["sh", "-c", "echo hello; exit 9"]) == 9
    assert capfd.readouterr().out == "hello\n"


def test_call_is_bounded():
    with pytest.raises(CommandTimedOut):
        call(["sleep", "60"], timeout=0.2)


def test_what_other_threads_run_can_be_stopped_and_nothing_more_starts(monkeypatch):
    monkeypatch.setattr(module, "_stopped", threading.Event())
    failures = []

    def work():
        try:
            run(["sleep", "30"])
        except CommandFailed as failed:
            failures.append(failed.result.exit_code)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    while len(module._under_way) < 2:
        time.sleep(0.01)
    module.stop()
    for thread in threads:
        thread.join(60)
    assert failures == [-15, -15]
    with pytest.raises(Interrupted, match="before true was started"):
        run(["true"])


def test_a_service_runs_as_long_as_its_block_and_its_children_too(tmp_path):
    script = f"sleep 60 & echo $! >{tmp_path}/child; echo said; wait"
    with serving(["sh", "-c", script], env={"PATH": os.environ["PATH"]}) as service:
        while "said" not in service.said() or not (tmp_path / "child").read_text():
            time.sleep(0.01)
        assert service.ended() is None
        child = int((tmp_path / "child").read_text())
    assert service_is_gone(child)


def service_is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_a_service_has_the_environment_that_it_was_given_and_no_other(monkeypatch):
    monkeypatch.setenv("OF_THE_CALLER", "1")
    with serving(["env"], env={"PATH": os.environ["PATH"], "GIVEN": "2"}) as service:
        while service.ended() is None:
            time.sleep(0.01)
        said = service.said().splitlines()
    assert "GIVEN=2" in said
    assert not any(line.startswith("OF_THE_CALLER") for line in said)


def test_a_service_that_ends_by_itself_leaves_its_code_and_its_last_words():
    with serving(["sh", "-c", "echo first; echo last >&2; exit 7"], env={"PATH": os.environ["PATH"]}) as service:
        while service.ended() is None:
            time.sleep(0.01)
        assert (service.ended(), service.said(5)) == (7, "last\n")


def test_a_service_that_is_not_there_is_a_missing_prerequisite():
    with pytest.raises(PrerequisiteMissing), serving(["no-such-program"], env={}):
        pass
