"""Commands over a real sshd: quoting, streams, input, time limits, lost connections."""

import hashlib
import os
import signal
import socket
import threading
import time
from pathlib import Path

import paramiko
import pytest
from tests.unit.soon import soon

from slipway.errors import Interrupted, Unreachable
from slipway.result import CommandFailed, CommandTimedOut, TooMuchSaid
from slipway.secret import Secret
from slipway.ssh import channel
from slipway.ssh import host as module
from slipway.ssh.connection import Endpoint, connect
from slipway.ssh.host import Host, Local, Remote
from slipway.ssh.keys import KnownHosts
from slipway.wait import wait_until

HOSTILE = [
    "plain",
    "",
    "two words",
    "it's",
    "'",
    "'; exit 3; '",
    '"$HOME"',
    "$(id)",
    "`id`",
    "a\nb\n\n",
    "\n",
    "\\",
    "a\\nb",
    "tab\there",
    "*",
    "~",
    "#x",
    "-n",
    "!!",
    "%s%d",
    "ünï—🚀",
    "{a,b}",
    "a;b&c|d>e<f",
    "$N",
    "\x01\x7f",
]


@pytest.fixture(params=["remote", "local"])
def host(request):
    return request.getfixturevalue("remote") if request.param == "remote" else Local()


@pytest.mark.parametrize("word", HOSTILE, ids=repr)
def test_a_word_arrives_as_it_was_sent(host, word):
    assert host.run(["printf", "%s|", word, word]).stdout == f"{word}|{word}|"


def test_bytes_that_are_no_text_arrive_too(host):
    name = os.fsdecode(b"\xff\xfe")
    assert host.run(["sh", "-c", 'printf %s "$1" | od -An -tx1', "sh", name]).stdout.split() == ["ff", "fe"]


def test_the_two_streams_and_the_exit_code_are_apart(host):
    result = host.run(["sh", "-c", "echo out; echo err >&2; exit 3"], check=False)
    assert (result.stdout, result.stderr, result.exit_code) == ("out\n", "err\n", 3)


def test_output_without_a_newline_stays_without(host):
    result = host.run(["sh", "-c", "printf a; printf b >&2"])
    assert (result.stdout, result.stderr) == ("a", "b")


def test_an_unexpected_exit_code_is_an_error_that_tells(host):
    with pytest.raises(CommandFailed) as caught:
        host.run(["sh", "-c", "echo no such thing >&2; exit 9"])
    assert caught.value.result.exit_code == 9
    assert "exit code 9" in str(caught.value)
    assert "no such thing" in str(caught.value)


def test_an_expected_exit_code_is_none(host):
    assert host.run(["sh", "-c", "exit 4"], expect=(0, 4)).exit_code == 4


@pytest.mark.parametrize("words", [["exit", "3"], ["cd", "/"], ["exec", "true"], ["return"]], ids=" ".join)
def test_a_word_of_the_shell_does_not_reach_our_shell(remote, words):
    remote.run(words, check=False)
    assert remote.run(["echo", "still here"]).stdout == "still here\n"


def test_a_program_that_is_not_there_says_so(remote):
    result = remote.run(["no-such-program"], check=False)
    assert result.exit_code == 127
    assert "no-such-program" in result.stderr


def test_a_command_without_input_reads_end_of_file(host):
    assert host.run(["cat"]).stdout == ""


@pytest.mark.parametrize("size", [0, 1, 4096, 300_000, 5_000_000])
def test_input_arrives_to_the_byte(host, size):
    content = os.urandom(size)
    assert host.run(["sh", "-c", "cat | wc -c"], input=content).stdout.strip() == str(size)
    digest = host.run(["sha256sum"], input=content).stdout.split()[0]
    assert digest == hashlib.sha256(content).hexdigest()


def test_input_that_the_command_does_not_read_is_not_taken_for_commands(remote):
    remote.run(["true"], input=b"echo intruder\n" * 50_000)
    assert remote.run(["echo", "next"]).stdout == "next\n"


def test_input_comes_back_while_it_is_still_sent(host):
    content = b"0123456789abcdef" * 300_000
    assert len(host.run(["cat"], input=content).stdout) == len(content)


def test_big_outputs_on_both_streams(host):
    script = "head -c 6000000 /dev/zero | tr '\\0' o; head -c 6000000 /dev/zero | tr '\\0' e >&2"
    result = host.run(["sh", "-c", script])
    assert (len(result.stdout), len(result.stderr)) == (6_000_000, 6_000_000)
    assert set(result.stdout) == {"o"}
    assert set(result.stderr) == {"e"}


def test_a_secret_goes_in_and_is_not_shown(host):
    result = host.run(["sh", "-c", "wc -c; exit 1"], input=Secret("hunter2"), check=False)
    assert result.stdout.strip() == "7"
    assert "hunter2" not in repr(result)


def test_a_command_that_takes_too_long_is_killed_with_its_children(host, tmp_path):
    pids = tmp_path / "pids"
    script = f"trap '' TERM; sleep 600 & echo $! >>{pids}; echo $$ >>{pids}; wait; sleep 600"
    with pytest.raises(CommandTimedOut, match=r"no end after 4 s"):
        host.run(["sh", "-c", script], timeout=4)
    assert host.run(["echo", "next"]).stdout == "next\n"

    def gone() -> tuple[bool | None, str]:
        left = [pid for pid in pids.read_text().split() if alive(int(pid))]
        return (None if left else True), " ".join(left)

    assert wait_until(gone, deadline=20, interval=0.05, describe="the command and its child are gone")


def alive(pid: int) -> bool:
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def test_a_background_process_does_not_hold_the_command_back(remote):
    began = time.monotonic()
    result = remote.run(["sh", "-c", "sleep 600 & echo $!"])
    assert time.monotonic() - began < 300
    os.kill(int(result.stdout), signal.SIGKILL)


def test_one_login_shell_serves_many_commands(remote):
    parents = {remote.run(["sh", "-c", "echo $PPID"]).stdout for _ in range(5)}
    assert len(parents) == 1


def test_commands_of_several_threads_take_turns(remote):
    answers = {}

    def ask(number: int) -> None:
        answers[number] = remote.run(["sh", "-c", f"sleep 0.01; echo {number}"]).stdout

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {number: f"{number}\n" for number in range(10)}


def server_of(remote: Host) -> int:
    """The sshd process behind a connection: parent of the shell, on this very machine."""
    shell = remote.run(["sh", "-c", "echo $PPID"]).stdout.strip()
    return int(Path(f"/proc/{shell}/stat").read_text().rpartition(")")[2].split()[1])


def test_a_connection_lost_under_a_command_is_unreachable_and_no_exit_code(remote):
    server = server_of(remote)
    killer = threading.Timer(0.5, os.kill, (server, signal.SIGKILL))
    killer.start()
    with pytest.raises(Unreachable, match="connection lost while it ran sleep 30"):
        remote.run(["sleep", "30"], check=False)
    killer.join()


def test_after_a_loss_the_next_command_connects_again(remote):
    os.kill(server_of(remote), signal.SIGKILL)
    time.sleep(2)
    assert remote.run(["echo", "again"]).stdout == "again\n"


def test_a_shell_that_is_killed_is_a_loss_as_well(remote):
    with pytest.raises(Unreachable, match="connection lost"):
        remote.run(["sh", "-c", "kill -9 $PPID"], check=False)
    assert remote.run(["echo", "again"]).stdout == "again\n"


def test_fresh_is_a_connection_of_its_own(sshd, remote):
    first = server_of(remote)
    with remote.fresh() as other:
        second = server_of(other)
        assert second != first
    assert server_of(remote) == first


def test_close_ends_what_another_thread_waits_for(remote, tmp_path):
    remote.run(["true"])
    seen = []

    def wait() -> None:
        try:
            remote.run(["sh", "-c", f"touch {tmp_path}/begun; exec sleep 600"])
        except Unreachable as error:
            seen.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    soon((tmp_path / "begun").exists)
    remote.close()
    thread.join(60)
    assert len(seen) == 1


def test_a_machine_that_is_shut_says_interrupted(remote, tmp_path):
    seen = []

    def wait() -> None:
        try:
            remote.run(["sh", "-c", f"touch {tmp_path}/begun; exec sleep 600"])
        except Interrupted as error:
            seen.append(error)

    remote.run(["true"])
    thread = threading.Thread(target=wait)
    thread.start()
    soon((tmp_path / "begun").exists)
    remote.shut()
    thread.join(60)
    assert len(seen) == 1
    with pytest.raises(Interrupted):
        remote.run(["true"])


@pytest.mark.parametrize(
    "content", [b"", b"text\n", bytes(range(256)) * 1000, Secret("s3cret")], ids=["empty", "text", "binary", "secret"]
)
def test_put_writes_a_whole_file_with_its_mode(host, tmp_path, content):
    path = tmp_path / "a file's name"
    path.write_text("old")
    host.put(str(path), content, mode=0o640)
    assert path.read_bytes() == (content.reveal() if isinstance(content, Secret) else content)
    assert path.stat().st_mode & 0o777 == 0o640
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_put_into_a_folder_that_is_not_there_fails_and_leaves_nothing(remote, tmp_path):
    with pytest.raises(CommandFailed):
        remote.put(str(tmp_path / "no" / "file"), b"x")
    assert list(tmp_path.iterdir()) == []


# --- machines that are neither well nor gone ---


class Mute(paramiko.ServerInterface):
    """A fake server that opens a session and, until `done`, does not answer the request to start a program: PAM hangs,
    or a disk. Then it refuses."""

    def __init__(self, done: threading.Event) -> None:
        self.done = done

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return paramiko.common.AUTH_SUCCESSFUL

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.common.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        self.done.wait(30)
        return False


@pytest.fixture
def done():
    return threading.Event()


@pytest.fixture
def mute(sshd, tmp_path, done):
    key = paramiko.ECDSAKey.generate()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def serve() -> None:
            transport = paramiko.Transport(listener.accept()[0])
            transport.add_server_key(key)
            transport.start_server(threading.Event(), Mute(done))

        threading.Thread(target=serve, daemon=True).start()
        known = tmp_path / "known_hosts"
        known.write_text(f"[127.0.0.1]:{port} {key.get_name()} {key.get_base64()}\n")
        yield Remote(Endpoint("mute", "127.0.0.1", port, "root", sshd.folder / "client"), KnownHosts.load(known))
        done.set()


def test_a_server_that_never_starts_a_program_is_given_up(mute, monkeypatch):
    monkeypatch.setattr(module, "SHELL_TIMEOUT", 0.5)
    began = time.monotonic()
    with pytest.raises(Unreachable, match=r"connection lost while its shell started: no shell within 0\.5 s"):
        mute.run(["true"])
    assert time.monotonic() - began < 60


def test_a_server_that_refuses_to_start_a_program_is_not_waited_for(mute, done, monkeypatch):
    monkeypatch.setattr(module, "SHELL_TIMEOUT", 600)
    done.set()
    with pytest.raises(Unreachable, match="connection lost while its shell started: the session ended"):
        mute.run(["true"])


def test_a_machine_costs_one_thread(remote, monkeypatch):
    """Hundreds of machines are worked on at a time."""
    started, start = list[threading.Thread](), threading.Thread.start
    here = threading.current_thread()

    def count(thread: threading.Thread) -> None:
        """Those that other tests left behind may start some of their own meanwhile."""
        if threading.current_thread() in (here, *started):
            started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", count)
    remote.run(["true"])
    remote.run(["true"])
    assert [isinstance(thread, paramiko.Transport) for thread in started] == [True]


@pytest.mark.parametrize("content", [None, b"x" * 20_000_000], ids=["asked", "sent to"])
def test_a_machine_that_stands_still_under_a_command_is_given_up(remote, monkeypatch, content):
    """It acknowledges, since its kernel lives, and says nothing."""
    monkeypatch.setattr(module, "KILL_TIMEOUT", 0.3)
    server = server_of(remote)
    os.kill(server, signal.SIGSTOP)
    try:
        began = time.monotonic()
        with pytest.raises(CommandTimedOut):
            remote.run(["true"], input=content, timeout=0.3)
        assert time.monotonic() - began < 60
    finally:
        os.kill(server, signal.SIGCONT)


def test_nothing_runs_on_a_machine_that_was_shut_while_it_was_connected(sshd, tmp_path, monkeypatch):
    connecting, go_on = threading.Event(), threading.Event()

    def slowly(*arguments):
        connecting.set()
        go_on.wait(60)
        return connect(*arguments)

    monkeypatch.setattr(module, "connect", slowly)
    host, mark, seen = sshd.remote(), tmp_path / "mark", []

    def touch() -> None:
        try:
            host.run(["touch", str(mark)])
        except Interrupted as error:
            seen.append(error)

    thread = threading.Thread(target=touch)
    thread.start()
    assert connecting.wait(60)
    host.shut()
    go_on.set()
    thread.join(60)
    assert len(seen) == 1
    assert not mark.exists()


@pytest.mark.parametrize("script", ["yes", "yes >&2", "exec cat /dev/zero"], ids=["output", "errors", "zeros"])
def test_an_endless_answer_is_ended_and_the_machine_stays_usable(remote, monkeypatch, script):
    monkeypatch.setattr(channel, "MOST_OUTPUT", 1 << 20)
    monkeypatch.setattr(module, "MOST_OUTPUT", 1 << 20)
    with pytest.raises(TooMuchSaid, match=r"node: sh -c .*: more than 1 MiB of output; it was ended"):
        remote.run(["sh", "-c", script], timeout=60)
    assert remote.run(["echo", "next"]).stdout == "next\n"
