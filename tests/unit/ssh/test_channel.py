"""The program of the shell itself, in every shell that a node may have as sh, and behind sudo."""

import os
import shutil
import subprocess
import time
from typing import IO

import pytest

from slipway.errors import UsageError
from slipway.ssh.channel import PROGRAM, SessionLost, Shell, login_command, quote

SHELLS = [name for name in ("dash", "bash", "busybox") if shutil.which(name)]


class PipeStream:
    """A local process in the role of an SSH channel."""

    def __init__(self, argv: list[str], env: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, start_new_session=True
        )
        assert self.process.stdin and self.process.stdout and self.process.stderr
        self.stdin, self.stdout, self.stderr = self.process.stdin, self.process.stdout, self.process.stderr
        os.set_blocking(self.stdout.fileno(), False)
        os.set_blocking(self.stderr.fileno(), False)
        self.ahead = {self.stdout: b"", self.stderr: b""}
        self.timeout: float | None = 0.0

    def settimeout(self, timeout: float | None) -> None:
        self.timeout = timeout

    def _ready(self, stream: IO[bytes]) -> bool:
        if not self.ahead[stream]:
            self.ahead[stream] = stream.read(65536) or b""
        return bool(self.ahead[stream])

    def _read(self, stream: IO[bytes]) -> bytes:
        end = time.monotonic() + (self.timeout or 0)
        while not self._ready(stream):
            if self.process.poll() is not None and not self._ready(stream):
                return b""
            if time.monotonic() > end:
                raise TimeoutError
            time.sleep(0.005)
        chunk, self.ahead[stream] = self.ahead[stream], b""
        return chunk

    def recv(self, nbytes: int) -> bytes:
        return self._read(self.stdout)

    def recv_ready(self) -> bool:
        return self._ready(self.stdout)

    def recv_stderr(self, nbytes: int) -> bytes:
        return self._read(self.stderr)

    def recv_stderr_ready(self) -> bool:
        return self._ready(self.stderr)

    def send(self, s: bytes | bytearray) -> int:
        self.stdin.write(s)
        self.stdin.flush()
        return len(s)

    def send_ready(self) -> bool:
        return True

    def close(self) -> None:
        self.process.kill()
        for stream in (self.stdin, self.stdout, self.stderr):
            stream.close()
        self.process.wait()


@pytest.fixture(params=SHELLS)
def shell(request):
    program = PROGRAM.replace("READY", "word-of-this-test")
    stream = PipeStream([request.param, *(["sh"] if request.param == "busybox" else []), "-c", program])
    shell = Shell(stream, "word-of-this-test", 10)
    assert shell.group == os.getpgid(stream.process.pid)
    yield shell
    shell.close()


@pytest.mark.parametrize("word", ["it's", "a\nb\n", "\\n", "$HOME `id`", "ünï", "", "-e"], ids=repr)
def test_words_pass_through_any_shell(shell, word):
    assert shell.run(["printf", "%s", word], None, 10).stdout.decode() == word


def test_streams_codes_and_input_in_any_shell(shell):
    answer = shell.run(["sh", "-c", "cat; echo err >&2; exit 7"], b"in\0put\nwith 'all'", 10)
    assert (answer.stdout, answer.stderr, answer.exit_code) == (b"in\0put\nwith 'all'", b"err\n", 7)


def test_unread_input_is_swallowed_in_any_shell(shell):
    assert shell.run(["sh", "-c", "exit 5"], b"echo intruder\n" * 10_000, 10).exit_code == 5
    assert shell.run(["echo", "next"], None, 10).stdout == b"next\n"


def test_a_word_with_nul_is_refused():
    with pytest.raises(UsageError, match="NUL"):
        quote("a\0b")


def test_what_the_login_prints_is_no_answer():
    stream = PipeStream(["sh", "-c", "echo Welcome; echo motd >&2; " + login_command("ready-word")])
    shell = Shell(stream, "ready-word", 10)
    try:
        assert shell.run(["echo", "x"], None, 10).stdout == b"x\n"
    finally:
        shell.close()


def test_sudo_takes_the_whole_shell(tmp_path):
    sudo = tmp_path / "sudo"
    sudo.write_text('#!/bin/sh\n[ "$1" = -n ] && shift\nBECAME=root exec "$@"\n')
    sudo.chmod(0o755)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    stream = PipeStream(["sh", "-c", login_command("ready-word", sudo="sudo -n")], env)
    shell = Shell(stream, "ready-word", 10)
    try:
        assert shell.run(["sh", "-c", "echo $BECAME"], None, 10).stdout == b"root\n"
    finally:
        shell.close()


def test_a_shell_that_does_not_start_says_why(tmp_path):
    sudo = tmp_path / "sudo"
    sudo.write_text("#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n")
    sudo.chmod(0o755)
    stream = PipeStream(
        ["sh", "-c", login_command("ready", sudo="sudo -n")], {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    )
    with pytest.raises(SessionLost, match="a password is required"):
        Shell(stream, "ready", 10)
    stream.close()


SCRIPTS = {
    "exit code": "exit 7",
    "no such program": "no-such-program-of-this-test 2>/dev/null",
    "names of the shell around it": 'echo "[$A$B$C$D$E$GROUP$LINE$N]"',
    "no arguments": 'echo "$#:$*"',
    "syntax error": "if then fi 2>/dev/null",
    "set -e": "set -e; false; echo on",
    "trap at its end": "trap 'echo bye' EXIT; echo hello",
    "here document": "cat <<END\nit's $((1 + 1))\nEND",
    "lines and quotes": "for x in a 'b c'; do\n  echo \"$x\"  # it's\ndone",
    "other directory": "cd /; pwd",
    "background": "sleep 0 & wait; echo waited",
    "output thrown away": "exec >/dev/null; echo x",
}


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_a_script_is_answered_as_by_a_shell_of_its_own(shell, script):
    own = subprocess.run(["sh", "-c", script], check=False, capture_output=True, stdin=subprocess.DEVNULL)
    for _ in range(2):  # the second time shows that the first left nothing behind
        answer = shell.run(["sh", "-c", script], None, 10)
        assert answer.stdout == own.stdout
        # Which code a syntax error has differs between shells; that it is one does not.
        assert answer.exit_code == own.returncode or (own.returncode > 1 and answer.exit_code > 0)


def test_nothing_that_a_script_sets_is_there_for_the_next(shell):
    shell.run(["sh", "-c", "LEFT=behind; export LEFT; umask 077; cd /; set -e; exit 3"], None, 10)
    asked = shell.run(["sh", "-c", 'echo "[$LEFT]"; pwd; false; echo on'], None, 10).stdout.decode().split("\n")
    assert asked[0] == "[]"
    assert asked[1] != "/"
    assert asked[2] == "on"


@pytest.mark.parametrize("script", ["echo $$", 'echo "${$}"', "echo $PPID"])
def test_a_script_that_asks_for_its_process_is_one(shell, script):
    assert int(shell.run(["sh", "-c", script], None, 10).stdout) not in (0, os.getppid())
    mine = [int(shell.run(["sh", "-c", "echo $$"], None, 10).stdout) for _ in range(2)]
    assert mine[0] != mine[1]


SHOWN = """printf '%s|' "$#" "$@" "${1-none}" "$*" """


@pytest.mark.parametrize("arguments", [[], ["one"], ["", "a b", "it's", "two\nlines", "$HOME `id` \\n", "-e"]])
def test_a_script_is_given_its_arguments_and_leaves_none_behind(shell, arguments):
    argv = ["sh", "-c", SHOWN, "a name", *arguments]
    own = subprocess.run(argv, check=False, capture_output=True, stdin=subprocess.DEVNULL)
    assert shell.run(argv, None, 10).stdout == own.stdout
    assert shell.run(["sh", "-c", 'echo "$#"'], None, 10).stdout == b"0\n"


def test_a_script_with_arguments_reads_its_input(shell):
    answer = shell.run(["sh", "-c", 'cat >&2; echo "$1"; exit 3', "name", "x"], b"input\n", 10)
    assert (answer.exit_code, answer.stdout, answer.stderr) == (3, b"x\n", b"input\n")


def test_a_script_that_asks_for_its_name_has_it(shell):
    assert shell.run(["sh", "-c", 'echo "$0"', "its name"], None, 10).stdout == b"its name\n"
